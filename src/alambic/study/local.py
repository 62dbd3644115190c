"""The local executor: worker processes that keep their images between cells; a lost worker costs its own cell only."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from alambic.study.cell import Cell
from alambic.study.prepare import Prepared


@dataclass(frozen=True)
class Event:
    """What happened: ``started``, ``epoch`` (detail: epoch), ``done`` (detail: Result) or ``failed`` (a reason)."""

    kind: str
    cell: Cell
    detail: Any = None


def choose_jobs(asked: int, threads: int) -> int:
    """Worker processes: as asked, else one for each ``threads`` cores."""
    return asked or max(1, (os.cpu_count() or 1) // max(threads, 1))


def _serve(pipe: Connection, prepared: Prepared, out: Path) -> None:
    """A worker's life: a cell comes in, events go out, until None comes in."""
    from alambic.study.work import Workshop, describe_failure

    workshop = Workshop(prepared, out)
    while (cell := pipe.recv()) is not None:
        try:
            result = workshop.run(cell, lambda _, epoch, __: pipe.send(("epoch", epoch)))
        except Exception as error:  # a cell's failure is data: the driver writes it down and goes on
            pipe.send(("failed", describe_failure(error)))
        else:
            pipe.send(("done", result))


class _Worker:
    def __init__(self, prepared: Prepared, out: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, prepared, out), daemon=True)
        self.process.start()
        theirs.close()
        self.cell: Cell | None = None

    def give(self, cell: Cell | None) -> None:
        self.cell = cell
        self.pipe.send(cell)


def run_cells(prepared: Prepared, cells: list[Cell], out: Path, jobs: int) -> Iterator[Event]:
    """Runs cells on ``jobs`` processes and yields events as they come.

    A process that dies (out of memory, kill -9) is replaced once for its cell; the cell goes on from its checkpoint.
    The second death of the same cell is reported as its failure, and one process fewer works from then on.
    """
    waiting = deque(cells)
    deaths: dict[str, int] = {}
    workers = [_Worker(prepared, out) for _ in range(min(jobs, len(cells)))]
    try:
        for worker in workers:
            worker.give(waiting.popleft())
            assert worker.cell is not None
            yield Event("started", worker.cell)
        while workers:
            for pipe in wait([worker.pipe for worker in workers]):
                worker = next(item for item in workers if item.pipe is pipe)
                cell = worker.cell
                assert cell is not None
                try:
                    kind, detail = worker.pipe.recv()
                except (EOFError, ConnectionResetError):
                    yield from _bury(worker, workers, waiting, deaths, prepared, out)
                    continue
                yield Event(kind, cell, detail)
                if kind == "epoch":
                    continue
                if waiting:
                    worker.give(waiting.popleft())
                    yield Event("started", worker.cell)  # type: ignore[arg-type]
                else:
                    worker.pipe.send(None)
                    workers.remove(worker)
                    worker.process.join(timeout=10)
    finally:
        for worker in workers:
            worker.process.terminate()


def _bury(
    worker: _Worker,
    workers: list[_Worker],
    waiting: deque[Cell],
    deaths: dict[str, int],
    prepared: Prepared,
    out: Path,
) -> Iterator[Event]:
    cell = worker.cell
    assert cell is not None
    worker.process.join()
    workers.remove(worker)
    deaths[cell.id] = deaths.get(cell.id, 0) + 1
    if deaths[cell.id] > 1:
        code = worker.process.exitcode
        yield Event("failed", cell, f"its process died twice (exit code {code}; -9 is often a lack of memory)")
        if workers or not waiting:
            return
        cell = waiting.popleft()
    fresh = _Worker(prepared, out)
    fresh.give(cell)
    workers.append(fresh)
    yield Event("started", cell)
