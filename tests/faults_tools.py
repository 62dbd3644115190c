"""Studies that die, starve or stop at a chosen moment.

A study runs in a process of its own, forked from a server that holds the libraries, so that fifty deaths cost no fifty
imports; its workers are forked too and inherit what a fault changed. Nothing here is imported by the package.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from alambic import cli, files, methods
from alambic.study import local, work
from alambic.study.ledger import Ledger
from alambic.training import bank_part, lockstep, loop, stop

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    [
        "torch._dynamo",  # that an optimiser imports in its first step
        *("alambic.cli", "alambic.study.run", "alambic.study.work", "alambic.study.table", "alambic.report.page.page"),
        *(f"alambic.methods.{path.stem}" for path in Path(methods.__file__).parent.glob("[!_]*.py")),
    ]
)


@dataclass(frozen=True)
class Fault:
    """What happens to a study: a function of this file by its name, and what it is given."""

    name: str
    given: tuple[Any, ...] = ()


def launch(study: Path, out: Path, trace: Path, *faults: Fault) -> Any:
    """Starts ``alambic study run`` with faults; ``trace`` is a folder for its output (``said``) and its counters."""
    trace.mkdir(parents=True, exist_ok=True)
    words = ["study", "run", str(study), "--out", str(out)]
    process = SERVER.Process(target=run_in_group, args=(words, trace, faults))
    process.spoken = trace / "said"
    process.start()
    return process


def finish(process: Any) -> int:
    """Exit code of a launched study; -9 for one that was killed, once its last worker is dead too.

    A worker dies some milliseconds after its driver: until then it holds what it inherited, the ledger's lock too.
    """
    process.join()
    spoken = getattr(process, "spoken", None)
    if process.exitcode == -9 and spoken and spoken.exists():
        with spoken.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)
    return int(process.exitcode)


def said(trace: Path) -> str:
    return (trace / "said").read_text()


def kill(process: Any) -> None:
    """kill -9 of a launched study with all its workers, wherever it is."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:  # it heads no group yet, or has ended
        process.kill()


def run_in_group(words: Sequence[str], trace: Path, faults: Sequence[Fault]) -> None:
    """In a new process: a command of alambic at the head of a group of its own, with faults."""
    _enter(trace)
    for fault in faults:
        globals()[fault.name](trace, *fault.given)
    sys.exit(cli.main(list(words)))


def _enter(trace: Path) -> None:
    """Makes this process the head of a group of its own, that speaks into a file and forks its workers."""
    os.setsid()
    handle = os.open(trace / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    fcntl.flock(handle, fcntl.LOCK_SH)  # as long as one process of the group lives
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    forking = multiprocessing.get_context("fork")
    multiprocessing.get_context = lambda method=None: forking  # type: ignore[assignment]
    torch.set_num_threads(1)


# Moments: each is counted in a file, over all processes of a study, and one of them may be the study's last.

PLACES = ("teacher", "bank", "step", "checkpoint", "weights", "ledger", "row")


def counted(trace: Path, place: str) -> int:
    """How many moments of a place a study came through."""
    path = trace / f"count-{place}"
    return path.stat().st_size if path.exists() else 0


def watch(trace: Path, out: Path, place: str = "", moment: int = 0, action: str = "kill") -> None:
    """Counts moments; at the given one of a place ``kill``s the whole study, asks all of it to ``stop``, or its driver.

    Places: ``teacher`` (its steps), ``bank`` (teacher passes, files), ``step`` (of a student), ``checkpoint`` and
    ``weights`` (files, in the midst of their writing too), ``ledger`` (each SQL statement), ``row`` (those that write a
    finished cell).
    """
    counters = {
        name: os.open(trace / f"count-{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC) for name in PLACES
    }
    driver = os.getpid()

    def reach(name: str) -> None:
        os.write(counters[name], b".")
        if name == place and os.fstat(counters[name]).st_size >= moment:
            if action == "kill":
                os.killpg(driver, signal.SIGKILL)
            if action == "stop":
                os.killpg(driver, signal.SIGTERM)
            os.kill(driver, signal.SIGTERM)

    step, ask, connect = loop.Trainee.step, bank_part.quantities, sqlite3.connect

    def stepping(self: Any, *given: Any) -> None:
        step(self, *given)
        reach("teacher" if os.getpid() == driver else "step")

    def asking(outputs: Any) -> Any:
        reach("bank")
        return ask(outputs)

    def writing(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[: len(content) // 2])
            file.flush()
            if self.parent.name == "checkpoints":
                reach("checkpoint")
            return file.write(content[len(content) // 2 :])

    def connecting(*given: Any, **more: Any) -> sqlite3.Connection:
        made: sqlite3.Connection = connect(*given, **more)
        made.set_trace_callback(hearing)
        return made

    def hearing(statement: str) -> None:
        reach("ledger")
        if statement.startswith("INSERT OR REPLACE INTO predictions"):
            reach("row")

    folders = {str(out / "banks"): "bank", str(out / "checkpoints"): "checkpoint", str(out / "students"): "weights"}

    def hear(event: str, given: tuple[Any, ...]) -> None:
        """Before each change of a file below the study's folder."""
        if event in ("os.rename", "os.remove", "os.mkdir") or (event == "open" and given[1] not in ("r", "rb")):
            path = str(given[0])
            for folder, name in folders.items():
                if path.startswith(folder):
                    reach(name)

    loop.Trainee.step, bank_part.quantities, sqlite3.connect = stepping, asking, connecting  # type: ignore[method-assign]
    Path.write_bytes = writing  # type: ignore[method-assign, assignment]
    sys.addaudithook(hear)


# Faults of the machine.


def starve(trace: Path, largest: int, killed: bool) -> None:
    """Groups of more cells than ``largest`` find no memory: torch's allocator says so, or the kernel kills."""
    train = work.train_group

    def trying(runs: Sequence[Any], *given: Any) -> Any:
        with (trace / "groups").open("a") as file:
            file.write(f"{len(runs)}\n")
        if len(runs) > largest:
            if killed:
                os.kill(os.getpid(), signal.SIGKILL)
            torch.empty(1 << 60, dtype=torch.uint8)
        return train(runs, *given)

    work.train_group = trying  # type: ignore[assignment]


def groups(trace: Path) -> list[int]:
    return [int(line) for line in (trace / "groups").read_text().split()]


def leak(trace: Path) -> None:
    """Each group of cells leaves 16 MB and an open file behind."""
    kept: list[Any] = []
    train = work.train_group

    def leaking(runs: Sequence[Any], *given: Any) -> Any:
        kept.append((torch.ones(1 << 22), open(os.devnull)))  # noqa: SIM115
        return train(runs, *given)

    work.train_group = leaking  # type: ignore[assignment]


# Guards taken away.


def without_atomic(trace: Path) -> None:
    """Files are written in place."""

    def write(path: Path, fill: Callable[[Path], object]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        fill(path)

    files.write_atomic = write


def without_patience(trace: Path) -> None:
    """A cell's checkpoint goes when its weights are saved, before its row is written."""
    save = work.Workshop._save

    def saving(self: Any, cell: Any, run: Any) -> None:
        save(self, cell, run)
        run.checkpoint.unlink()

    work.Workshop._save = saving  # type: ignore[method-assign]


def without_room(trace: Path) -> None:
    """The bank's room on the disk is not taken in advance."""
    del os.posix_fallocate


def without_lock(trace: Path) -> None:
    Ledger._claim = lambda self: None  # type: ignore[method-assign]


def without_listening(trace: Path) -> None:
    stop.listen = lambda: None


def without_words(trace: Path) -> None:
    """An expected error is a traceback."""
    cli.AlambicError = KeyboardInterrupt  # type: ignore[assignment, misc]


def without_halving(trace: Path) -> None:
    """Lack of memory is an error like any other."""
    for module in (lockstep, local):
        module.is_out_of_memory = lambda error: False  # type: ignore[attr-defined]
