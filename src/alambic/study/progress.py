"""The progress table of a study: cells, epochs, time left; plain lines where the output is not a terminal."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from alambic.study.cell import Cell
from alambic.study.follow import tell_time
from alambic.study.local import Event

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table


class Board:
    """Shows events, as lines where there is no terminal (which need no ``rich``). Use as a context manager."""

    def __init__(self, count: int, console: Console | None = None) -> None:
        if console is None and sys.stdout.isatty():
            from rich.console import Console

            console = Console(file=sys.stdout)
        self.console = console
        self.running: dict[str, tuple[Cell, int, int]] = {}  # epochs done, of how many: treatments change them
        self.finished, self.failed, self.count = 0, 0, count
        self.started = time.monotonic()
        self._live: Live | None = None

    def __enter__(self) -> Board:
        if self.console is not None and self.console.is_terminal:
            from rich.live import Live

            self._live = Live(self._table(), console=self.console, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, event: Event) -> None:
        """Takes one event in."""
        cell = event.cell
        if event.kind == "started":
            self.running[cell.id] = (cell, 0, 1)
        elif event.kind == "epoch":
            self.running[cell.id] = (cell, *event.detail)
        else:
            self.running.pop(cell.id, None)
            self.finished += 1
            self.failed += event.kind == "failed"
            if self._live is None and self.console is not None:
                self.console.print(self._line(event), markup=False, highlight=False)
            elif self._live is None:
                print(self._line(event), flush=True)
        if self._live is not None:
            self._live.update(self._table())

    def seconds_left(self) -> float | None:
        """By the epochs done so far; None before the first."""
        done = self.finished + sum(epoch / epochs for _, epoch, epochs in self.running.values())
        if not done:
            return None
        return (time.monotonic() - self.started) / done * max(self.count - done, 0.0)

    def _line(self, event: Event) -> str:
        score = ""
        if event.kind == "done":
            numbers = event.detail.numbers
            name = "test" if "test" in numbers else "tune"
            score = f": {name} {numbers[name]:.4f}"
        else:
            score = f": failed, {event.detail}"
        return f"[{self.finished}/{self.count}] {event.cell.label}{score}; {self._left()}"

    def _left(self) -> str:
        left = self.seconds_left()
        return "time left: measuring" if left is None else f"{tell_time(left)} left"

    def _table(self) -> Table:
        from rich.markup import escape
        from rich.table import Table

        table = Table(title=f"{self.finished} of {self.count} cells, {self.failed} failed, {self._left()}")
        for column in ("arm", "teacher", "student", "seed", "epoch"):
            table.add_column(column)
        for cell, epoch, epochs in self.running.values():
            share = f"{epoch}/{epochs}" if epoch else "0"
            texts = (cell.arm.name, cell.teacher or "-", cell.student, str(cell.seed), share)
            table.add_row(*(escape(text) for text in texts))
        return table
