"""Two processes of one piece of work, joined as torchrun would join them."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

import torch

COUNT = 2


def start_two(work: Callable[..., None], *arguments: Any) -> list[BaseProcess]:
    """Processes that each run ``work(number, *arguments)`` on one thread; ``work`` joins them by ``joined``."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_enter, args=(n, port, work, arguments), daemon=True) for n in range(COUNT)]
    for process in processes:
        process.start()
    return list(processes)


def _enter(number: int, port: int, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    place = {"RANK": number, "WORLD_SIZE": COUNT, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in place.items()}
    torch.set_num_threads(1)
    work(number, *arguments)
