"""Several processes at one piece of work, by torch.distributed: who this is, what the first one says, did all succeed.

Processes come from ``torchrun`` or ``start``; they speak over gloo, since only words are exchanged: results lie on a
disk that all of them see. A process alone is the first of one, and nothing here costs it anything.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed, nn

from alambic.errors import AlambicError
from alambic.training.stop import Stopped

T = TypeVar("T")
PATIENCE = timedelta(hours=24)  # the others wait while the first trains a teacher


class Lost(AlambicError):
    """Another process ended or hangs: what was saved by then is as good as before."""


def place() -> tuple[int, int]:
    """(number of this process from 0, how many there are)."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


@contextmanager
def joined() -> Iterator[tuple[int, int]]:
    """Joins the processes that ``torchrun`` started, where it did; gives ``place()``. Each takes a GPU of its own."""
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        yield 0, 1
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())
    distributed.init_process_group("gloo", timeout=PATIENCE)
    try:
        yield place()
    finally:
        distributed.destroy_process_group()


@contextmanager
def one_voice() -> Iterator[tuple[int, int]]:
    """``joined``, where only the first process prints."""
    with joined() as (number, count):
        if not number:
            yield number, count
            return
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
            yield number, count


def start(devices: int, arguments: Sequence[str]) -> None:
    """Becomes ``devices`` processes of ``alambic`` with these arguments, under torchrun. Does not return.

    Raises AlambicError in a process that torchrun started already.
    """
    if "RANK" in os.environ:
        raise AlambicError(f"expected torchrun or --devices, got both ({devices} in each process); try one of them")
    threads = str(max(1, (os.cpu_count() or 1) // devices))
    environment = {"OMP_NUM_THREADS": threads, **os.environ}
    run = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={devices}", "-m", "alambic.cli"]
    os.execve(sys.executable, [sys.executable, *run, *arguments], environment)


def share(value: T) -> T:
    """The first process's value, in every process."""
    if place()[1] == 1:
        return value
    told = [value]
    with noticing():
        distributed.broadcast_object_list(told, src=0)
    return told[0]


def gather(value: T, group: Any = None) -> list[T]:
    """Every process's value, in the order of their numbers, in every process; ``group``: whose patience it has."""
    told: list[Any] = [value]
    count = place()[1]
    if count > 1:
        told *= count
        with noticing():
            distributed.all_gather_object(told, value, group)
    return told


def is_synchronised(net: nn.Module) -> bool:
    """Whether a wrapper averages the gradients of a network over the processes."""
    return distributed.is_available() and isinstance(net, nn.parallel.DistributedDataParallel)


def average_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Makes each gradient the mean over all processes, which call this together; one that is missing counts as zero.

    A parameter without a gradient in any process keeps none.
    """
    if not parameters:
        return
    used = torch.tensor([p.grad is not None for p in parameters], dtype=torch.uint8, device=parameters[0].device)
    distributed.all_reduce(used, distributed.ReduceOp.MAX)
    chosen = [p for p, some in zip(parameters, used.tolist(), strict=True) if some]
    for p in chosen:
        if p.grad is None:
            p.grad = torch.zeros_like(p)
    grads = [p.grad for p in chosen if p.grad is not None]
    if not grads:
        return
    whole = torch.cat([grad.flatten() for grad in grads])
    distributed.all_reduce(whole)
    whole /= place()[1]
    for grad, mean in zip(grads, whole.split([grad.numel() for grad in grads]), strict=True):
        grad.copy_(mean.view_as(grad))


@contextmanager
def noticing(where: str = "where all meet") -> Iterator[None]:
    """Turns what torch says of a process that ended, or does not answer in time, into ``Lost``."""
    try:
        yield
    except RuntimeError as error:
        number, count = place()
        raise Lost(
            f"process {number} of {count} lost another one {where}: expected an answer, got none, because that one "
            f"ended or hangs ({str(error).splitlines()[0]}); its own words say why; the same command goes on from what "
            "is saved"
        ) from error


@contextmanager
def all_or_none() -> Iterator[None]:
    """Ends in every process at once, and with an error in each where it broke in one: nobody waits for the dead."""
    trouble: BaseException | None = None
    try:
        yield
    except (AlambicError, OSError, Stopped) as error:
        trouble = error
    number, count = place()
    told = gather(None if trouble is None else str(trouble))  # a stop that was asked for has no text
    if trouble is not None:
        raise trouble
    broken = [(other, text) for other, text in enumerate(told) if text is not None]
    if broken:
        other, text = broken[0]
        if not text:
            raise Stopped
        raise AlambicError(f"process {other} of {count} broke, so process {number} ends too: {text}")
