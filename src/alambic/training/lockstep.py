"""Several students in one process from one batch and one teacher pass: the same numbers as each alone.

Worth it where the teacher is live: a group of R students runs it once a batch instead of R times. Each student keeps
its own state of torch's global random stream, so that its neighbours never move it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from alambic.data import view_ids
from alambic.errors import AlambicError
from alambic.methods.base import Batch
from alambic.models.feature import Outputs
from alambic.training import stop
from alambic.training.feed import other_views
from alambic.training.hooks import Inputs
from alambic.training.loop import History, Run, Trainee, ask, batches, make_batch, show
from alambic.training.recipe import get_random, set_random

# what a recipe says of the batches themselves; learning rates and the rest are each student's own
SHARED_RECIPE = ("batch", "epochs", "channels_last")
OnGroupEpoch = Callable[[int, dict[str, Any]], None]  # index of the run, its record


@dataclass(frozen=True)
class Outcome:
    """Of one student of a group: its history, or the error that took it out."""

    history: History
    error: Exception | None = None


class _Member:
    def __init__(self, index: int, run: Run, grouped: bool) -> None:
        self.index, self.trainee, self.grouped = index, Trainee(run), grouped
        self.error: Exception | None = None
        self.own_seconds = 0.0
        self.random = get_random(run.device)

    def alone(self, work: Callable[[], Any]) -> Any:
        """Runs ``work`` on this member's random stream and clock; an exception takes this member out."""
        set_random(self.random, self.trainee.run.device)
        started = time.perf_counter()
        try:
            return work()
        except Exception as error:  # whatever breaks one student must leave the group alone; the caller reports it
            if self.grouped and is_out_of_memory(error):
                raise  # it may well fit in a smaller group: the caller halves it
            self.error = error
            return None
        finally:
            self.random = get_random(self.trainee.run.device)
            self.own_seconds += time.perf_counter() - started


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out: torch's own for a GPU, an allocator's text for the CPU."""
    told = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    return told or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))


def check_group(runs: Sequence[Run]) -> None:
    """Refuses runs that do not share their batches. Raises AlambicError naming what differs."""
    first = runs[0]
    for run in runs[1:]:
        differs = [
            name
            for name, same in (
                ("source", run.source is first.source),
                ("training images", torch.equal(run.ids, first.ids)),
                ("views", run.views == first.views),
                ("seed", run.seed == first.seed),
                *((key, getattr(run.recipe, key) == getattr(first.recipe, key)) for key in SHARED_RECIPE),
                ("input size", run.size == first.size),
                ("device", run.device == first.device),
            )
            if not same
        ]
        if differs:
            raise AlambicError(
                f"expected runs that share their batches, got other {', '.join(differs)}; try one group each"
            )


def train_group(runs: Sequence[Run], on_epoch: OnGroupEpoch | None = None) -> list[Outcome]:
    """Trains every run of a group in place; see ``loop.train`` for one.

    Members may resume at different epochs. A member that fails leaves; the others go on. Raises what says that memory
    ran out while several trained (their checkpoints stand), and Stopped, every state saved, when asked to stop.
    """
    check_group(runs)
    members = [_Member(index, run, len(runs) > 1) for index, run in enumerate(runs)]
    start = min(len(member.trainee.history) for member in members)
    for epoch in range(start, max(member.trainee.epochs for member in members)):
        active = [m for m in members if m.error is None and len(m.trainee.history) == epoch < m.trainee.epochs]
        if active:
            _train_epoch(active, epoch, on_epoch)
    return [Outcome(member.trainee.history, member.error) for member in members]


def _train_epoch(active: list[_Member], epoch: int, on_epoch: OnGroupEpoch | None) -> None:
    started = time.perf_counter()
    orders = []
    for member in active:
        member.own_seconds = 0.0
        orders.append(member.alone(partial(member.trainee.start_epoch, epoch)))
    order = next((given for given in orders if given is not None), None)
    run = active[0].trainee.run
    first = min(member.trainee.first_step for member in active)
    for step, ids in batches(run, order, first) if order is not None else ():
        shared = _Shared(run, ids, epoch)
        for member in active:
            if member.error is None and step >= member.trainee.first_step:
                give = partial(shared.give, member.trainee.run)
                member.alone(partial(member.trainee.advance, ids, epoch, step, give))
        if stop.asked():
            for member in active:
                if member.error is None:
                    member.alone(partial(member.trainee.save, max(step + 1, member.trainee.first_step)))
            raise stop.Stopped
    common = time.perf_counter() - started - sum(member.own_seconds for member in active)
    for member in active:
        if member.error is None:
            spent = member.own_seconds + common / len(active)
            record = member.alone(partial(member.trainee.end_epoch, epoch, spent))
            if record is not None and on_epoch is not None:
                on_epoch(member.index, record)


class _Shared:
    """One batch: each view rendered once a memory layout, each feed asked once for it, whichever student comes first.

    Nothing is done for students whose steps are recorded: they never ask.
    """

    def __init__(self, run: Run, ids: Tensor, epoch: int) -> None:
        self.run, self.ids, self.epoch = run, ids, epoch
        self.views: list[Tensor] = []
        self.images: dict[tuple[bool, int], Tensor] = {}
        self.taught: dict[tuple[int, int], Outputs] = {}

    def give(self, run: Run) -> Inputs:
        images, taught = self._view(0, run)
        second = self._view(1, run) if run.objective.needs.views == 2 else None
        return Inputs(images, taught, self.batch, second)

    @cached_property
    def batch(self) -> Batch:
        return make_batch(self.run, self.ids, self.views[0])

    def _view(self, index: int, run: Run) -> tuple[Tensor, Outputs]:
        if index == len(self.views):
            first = view_ids(self.epoch, self.ids, self.run.views)
            self.views.append(other_views(first, self.run.views) if index else first)
        layout = (run.channels_last, index)
        if layout not in self.images:
            self.images[layout] = show(run, self.ids, self.views[index])
        asked = (id(run.feed), index)
        if asked not in self.taught:
            self.taught[asked] = ask(run.feed, self.ids, self.views[index])
        return self.images[layout], self.taught[asked]
