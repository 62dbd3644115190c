"""The local executor: worker processes that keep their images between cells; a lost worker costs little.

A task is a group of cells that share a live teacher's passes (one cell where nothing is shared).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from alambic.errors import explain_exit
from alambic.study.cell import Cell, group_cells
from alambic.study.prepare import Prepared
from alambic.training import stop
from alambic.training.lockstep import is_out_of_memory

Group = tuple[Cell, ...]
LARGEST_GROUP = 8
POLL = 0.5  # seconds between looks at whether a stop was asked for


@dataclass(frozen=True)
class Event:
    """What happened: ``started``, ``epoch`` (epoch, of how many), ``done`` (a Result) or ``failed`` (a reason)."""

    kind: str
    cell: Cell
    detail: Any = None


# the study, its cells to train, the output folder, processes here -> what happens
Executor = Callable[[Prepared, list[Cell], Path, int], Iterator[Event]]


def choose_jobs(asked: int, threads: int) -> int:
    """Worker processes: as asked, else one for each ``threads`` cores."""
    return asked or max(1, (os.cpu_count() or 1) // max(threads, 1))


GONE = (EOFError, BrokenPipeError, ConnectionResetError)  # what a pipe says whose other end is no more


def _serve(pipe: Connection, prepared: Prepared, out: Path) -> None:
    """A worker's life: a group comes in, events go out, until None comes in, a stop is asked for or the driver is gone.

    A worker without a driver ends without a word: what it has saved is all that the next run of the study reads.
    """
    from alambic.study.work import Result, Workshop, describe_failure

    stop.listen()
    workshop = Workshop(prepared, out)

    def tell(kind: str, identity: str, detail: Any) -> None:
        try:
            pipe.send((kind, identity, detail))
        except GONE:
            raise stop.Stopped from None  # no Exception, which a cell's failure would be taken for

    def finish(cell: Cell, result: Result | None, error: Exception | None) -> None:
        if error is None:
            tell("done", cell.id, result)
        else:
            tell("failed", cell.id, describe_failure(error))

    with contextlib.suppress(stop.Stopped):
        while not stop.asked():
            if not pipe.poll(POLL):  # never waits for longer: a worker without work listens too
                continue
            try:
                group = pipe.recv()
            except GONE:
                return
            if group is None:
                return
            try:
                workshop.run_group(group, finish, lambda cell, *epoch: tell("epoch", cell, epoch))
            except Exception as error:  # what breaks a whole group is data too: the driver writes it down and goes on
                if len(group) > 1 and is_out_of_memory(error):
                    tell("memory", "", None)
                    return  # with a new process, whose memory is whole
                for cell in group:
                    finish(cell, None, error)
            tell("idle", "", None)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


class _Worker:
    def __init__(self, prepared: Prepared, out: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, prepared, out), daemon=True)
        # Ctrl-C reaches the whole group: the driver alone answers it, and asks each worker to save and stop
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if _in_main_thread() else None
        try:
            self.process.start()
        finally:
            if handler is not None:
                signal.signal(signal.SIGINT, handler)
        theirs.close()
        self.cells: dict[str, Cell] = {}

    def give(self, group: Group) -> None:
        self.cells = {cell.id: cell for cell in group}
        self.pipe.send(group)

    def dismiss(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # it was asked to stop and is gone
            self.pipe.send(None)
        self.process.join(timeout=10)


def run_cells(prepared: Prepared, cells: list[Cell], out: Path, jobs: int) -> Iterator[Event]:
    """Runs cells on ``jobs`` processes and yields events as they come.

    A process that dies (out of memory, kill -9) is replaced; its cells go on from their checkpoints, in two groups of
    half the size. The second death of a cell that was alone is reported as its failure.

    Raises Stopped when asked to stop, once each worker has ended its step and saved.
    """
    waiting = deque(group_cells(cells, LARGEST_GROUP))
    deaths: dict[str, int] = {}
    workers: list[_Worker] = []
    try:
        while waiting or workers:
            while waiting and len(workers) < jobs and not stop.asked():
                workers.append(_Worker(prepared, out))
                yield from _start(workers[-1], waiting)
            if stop.asked():
                for worker in workers:
                    worker.process.terminate()
                if not workers:
                    raise stop.Stopped
            for pipe in wait([worker.pipe for worker in workers], timeout=POLL):
                worker = next(item for item in workers if item.pipe is pipe)
                try:
                    kind, identity, detail = worker.pipe.recv()
                except GONE:
                    workers.remove(worker)
                    yield from _bury(worker, waiting, deaths)
                    continue
                if kind == "epoch":
                    yield Event(kind, worker.cells[identity], detail)
                elif kind not in ("idle", "memory"):
                    cell = worker.cells.pop(identity, None)
                    if cell is not None:
                        yield Event(kind, cell, detail)
                elif kind == "idle" and waiting and not stop.asked():
                    yield from _start(worker, waiting)
                elif kind == "idle":
                    workers.remove(worker)
                    worker.dismiss()
    finally:
        for worker in workers:
            worker.process.terminate()


def _start(worker: _Worker, waiting: deque[Group]) -> Iterator[Event]:
    group = waiting.popleft()
    worker.give(group)
    for cell in group:
        yield Event("started", cell)


def _bury(worker: _Worker, waiting: deque[Group], deaths: dict[str, int]) -> Iterator[Event]:
    """Puts a dead worker's unfinished cells back in two halves; a cell that died twice alone is given up."""
    worker.process.join()
    if stop.asked():
        return
    again, given_up = split_lost(tuple(worker.cells.values()), deaths)
    waiting.extendleft(reversed(again))
    for cell in given_up:
        yield Event("failed", cell, f"its process died twice ({explain_exit(worker.process.exitcode)})")


def split_lost(left: Group, deaths: dict[str, int]) -> tuple[list[Group], Group]:
    """What to try again of the cells that a process took with it: two halves; a cell that was alone once more.

    Returns: groups in order, and who is given up: a cell that died twice alone. ``deaths`` counts by cell id.
    """
    if len(left) > 1:
        half = len(left) // 2
        return [left[:half], left[half:]], ()
    for cell in left:
        deaths[cell.id] = deaths.get(cell.id, 0) + 1
        if deaths[cell.id] > 1:
            return [], left
    return [left] if left else [], ()
