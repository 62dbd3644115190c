"""The progress of one long step (a teacher's training, a bank), with the time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Say = Callable[[str], None]
Advance = Callable[[int, int], None]  # done, of how many
LINE_EVERY = 10.0  # seconds between lines where there is no terminal


def tell_time(seconds: float) -> str:
    """``3 min 05 s``."""
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"


def tell_span(seconds: float) -> str:
    """How long something takes, to two digits or so: ``3.2 s``, ``45 s``, ``12 min``, ``2.2 h``."""
    if seconds < 119.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7170 else f"{seconds / 3600:.1f} h"


@contextmanager
def follow(label: str, unit: str, say: Say) -> Iterator[Advance]:
    """Shows one long step with the time left: a bar at a terminal, else a line by ``say`` every ten seconds."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(file=sys.stdout)
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit)
        with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
            task = bar.add_task(label, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return
    started = told = time.monotonic()

    def advance(done: int, total: int) -> None:
        nonlocal told
        now = time.monotonic()
        if done and now - told >= LINE_EVERY:
            told = now
            left = (now - started) / done * (total - done)
            say(f"{label}: {done:,} of {total:,} {unit}, {tell_time(left)} left")

    yield advance
