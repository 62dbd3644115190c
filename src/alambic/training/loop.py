"""The training loop, on one screen: batch, teacher, student, loss, step.

It trains students (with or without a teacher) and teachers alike. Everything random comes from named streams that
are pure functions of (seed, name, epoch), so a run resumed at an epoch's start, or where SIGTERM stopped it, goes on
bit for bit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from alambic.data import Source, ViewSpec, mixing, render, render_clean, view_ids
from alambic.files import load_checkpoint, save_checkpoint
from alambic.methods.base import Batch
from alambic.models.feature import Outputs
from alambic.models.taps import Tapped
from alambic.training import stop
from alambic.training.feed import Feed, Normalise, other_views
from alambic.training.graph import ProgressReadError, RecordedStep, why_not
from alambic.training.hooks import Hooks, Inputs
from alambic.training.layout import safe_channels_last
from alambic.training.objective import Objective, finite_means
from alambic.training.recipe import Recipe, get_random, set_random, stream, stream_seed
from alambic.training.task import evaluate_metric, predict


@dataclass
class Run:
    """One training, fully described.

    Attributes:
        student: the network that trains; the teacher, if any, is behind ``feed``.
        objective: built (projectors exist). tapped: reads the student.
        ids: training images. tune_ids: evaluated during training.
        normalise, size: the student's input. seed: of order and dropout.
        checkpoint: file to resume from and save to after each epoch; None keeps nothing.
        key: what the checkpoint belongs to. hooks: what a treatment changes.
    """

    student: nn.Module
    tapped: Tapped
    objective: Objective
    source: Source
    ids: Tensor
    tune_ids: Tensor
    views: ViewSpec
    recipe: Recipe
    normalise: Normalise
    size: tuple[int, int]
    seed: int
    feed: Feed | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    checkpoint: Path | None = None
    key: str = ""
    hooks: Hooks = field(default_factory=Hooks)

    @cached_property
    def channels_last(self) -> bool:
        """The layout in use: the recipe's wish, where it is safe for this student."""
        return self.recipe.channels_last and safe_channels_last(self.student)

    @cached_property
    def saved(self) -> dict[str, Any] | None:
        """The state to go on from, None to start anew. Read once and handed to the ``Trainee``, which keeps no copy.

        Raises AlambicError for a damaged checkpoint.
        """
        return load_checkpoint(self.checkpoint, self.key) if self.checkpoint is not None else None


History = list[dict[str, Any]]
OnEpoch = Callable[[dict[str, Any]], None]


def train(run: Run, on_epoch: OnEpoch | None = None) -> History:
    """Trains ``run.student`` in place to the last epoch. Returns one record an epoch.

    A record holds epoch, seconds, lr, loss (mean of each part over the epoch) and, where evaluated, ``tune``.
    Raises AlambicError when the loss stops being finite; Stopped, with the step's state saved, when asked to stop.
    """
    trainee = Trainee(run)
    for epoch in range(len(trainee.history), trainee.epochs):
        order = trainee.start_epoch(epoch)
        for step, ids in batches(run, order, trainee.first_step):
            trainee.advance(ids, epoch, step, partial(gather, run, ids, epoch))
            if run.hooks.stops():
                trainee.save(step + 1)
                raise stop.Stopped
        record = trainee.end_epoch(epoch)
        if on_epoch is not None:
            on_epoch(record)
    return trainee.history


def batches(run: Run, order: Tensor, first: int = 0) -> Iterator[tuple[int, Tensor]]:
    """(step, ids) of an epoch from step ``first``; the last incomplete batch is left out."""
    size = min(run.recipe.batch, len(order))
    for step in range(first, len(order) // size):
        yield step, run.hooks.block(order[step * size : (step + 1) * size]).to(run.device)


class Trainee:
    """One run on its way: its optimiser, its history, the sums of the epoch that it is in."""

    def __init__(self, run: Run) -> None:
        self.run, recipe = run, run.recipe
        run.student.to(run.device)
        run.objective.to(run.device)
        run.hooks.to(run.device)
        if run.channels_last:
            run.student.to(memory_format=torch.channels_last)
        self.epochs = run.hooks.epochs(recipe)
        self.steps = max(1, len(run.ids) // min(recipe.batch, len(run.ids)))
        self.optimizer = run.hooks.make_optimizer(run)
        self.history: History = []
        self.sums: dict[str, Tensor] = {}
        self.first_step, self.started, self.earlier = 0, 0.0, 0.0
        self.recorded: RecordedStep | None = None
        self.eager_because = why_not(run)
        state = run.saved
        del run.saved
        self._middle = state if state is not None and "middle" in state else None
        if state is not None:
            self._load(state)

    def start_epoch(self, epoch: int) -> Tensor:
        """Everything in training mode, torch's global stream at the epoch's own seed. Returns the order of ids.

        Where the checkpoint was saved inside this epoch, ``first_step`` says which step comes next.
        """
        run = self.run
        torch.manual_seed(stream_seed(run.seed, "step", epoch))
        for module in (run.student, run.objective, run.hooks):
            module.train()
        run.hooks.start_epoch(run, epoch)
        self.sums, self.started, self.first_step, self.earlier = {}, time.perf_counter(), 0, 0.0
        if self._middle is not None:
            self._enter(self._middle)
            self._middle = None
        return run.ids[torch.randperm(len(run.ids), generator=stream(run.seed, "order", epoch))]

    def advance(self, ids: Tensor, epoch: int, step: int, give: Callable[[], Inputs]) -> None:
        """One step on a batch, as one CUDA graph where nothing forbids it; ``eager_because`` says what does.

        Args:
            give: the batch's inputs, for the step that is not recorded.
        """
        run = self.run
        if not self.eager_because and self.recorded is None:
            views, modules = view_ids(epoch, ids, run.views), (run.student, run.objective)
            try:
                self.recorded = RecordedStep(self._take, modules, self.optimizer, ids, views)
            except ProgressReadError:
                self.eager_because = "the method reads the share of training done"
        if self.recorded is None:
            self.step(give(), epoch, step)
            return
        with self.recorded.entered():
            views = view_ids(epoch, ids, run.views)
            self._add(self.recorded(ids, views, run.recipe.lr_at(epoch + step / self.steps)))

    def _take(self, ids: Tensor, views: Tensor, progress: Any) -> dict[str, Tensor]:
        return self.run.hooks.step(self.run, gather_views(self.run, ids, views), progress, self.optimizer)

    def step(self, given: Inputs, epoch: int, step: int) -> None:
        """One optimiser step; the sums of the loss parts stay on the device."""
        share = epoch + step / self.steps
        for group in self.optimizer.param_groups:
            group["lr"] = self.run.recipe.lr_at(share)
        self._add(self.run.hooks.step(self.run, given, share / self.run.recipe.epochs, self.optimizer))

    def _add(self, parts: dict[str, Tensor]) -> None:
        for name, value in parts.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value.clone()

    def end_epoch(self, epoch: int, spent: float | None = None) -> dict[str, Any]:
        """The epoch's record, evaluated where the recipe says so, with the checkpoint written.

        Args:
            spent: seconds of the epoch so far; None takes the clock since its start.
        """
        run, ended = self.run, time.perf_counter()
        self._join()
        record: dict[str, Any] = {"epoch": epoch + 1, "lr": run.recipe.lr_at(epoch + 1)}
        record["loss"] = finite_means(self.sums, self.steps, epoch)
        if (epoch + 1) % run.recipe.eval_every == 0 or epoch + 1 == self.epochs:
            record["tune"] = evaluate(run, run.tune_ids)
        spent = ended - self.started if spent is None else spent
        record["seconds"] = self.earlier + spent + time.perf_counter() - ended
        self.history.append(record)
        self.save()
        return record

    def save(self, next_step: int = 0) -> None:
        """Writes the checkpoint, between epochs or before ``next_step`` of the one begun; nothing without a file."""
        run = self.run
        if run.checkpoint is None:
            return
        self._join()
        state = {
            "key": run.key,
            "student": run.student.state_dict(),
            "objective": run.objective.state_dict(),
            "hooks": run.hooks.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": self.history,
        }
        if next_step:
            spent = self.earlier + time.perf_counter() - self.started
            state["middle"] = {"step": next_step, "sums": self.sums, "seconds": spent, "random": get_random(run.device)}
        save_checkpoint(run.checkpoint, state)

    def _join(self) -> None:
        """What a graph's stream still does comes before what follows here."""
        if self.recorded is not None:
            self.recorded.join()

    def _load(self, state: dict[str, Any]) -> None:
        self.run.student.load_state_dict(state["student"])
        self.run.objective.load_state_dict(state["objective"])
        self.run.hooks.load_state_dict(state["hooks"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history = state["history"]

    def _enter(self, state: dict[str, Any]) -> None:
        """Goes on inside an epoch; once more the whole state, since the start of the epoch may have changed it."""
        self._load(state)
        middle = state["middle"]
        self.first_step, self.earlier = middle["step"], middle["seconds"]
        self.sums = {name: value.to(self.run.device) for name, value in middle["sums"].items()}
        set_random(middle["random"], self.run.device)


def gather(run: Run, ids: Tensor, epoch: int) -> Inputs:
    """What a step works on: the student's view of the images, the teacher's outputs for the same view, labels."""
    return gather_views(run, ids, view_ids(epoch, ids, run.views))


def gather_views(run: Run, ids: Tensor, views: Tensor) -> Inputs:
    """``gather`` where the views are known, int64, B."""
    images = show(run, ids, views)
    second = None
    if run.objective.needs.views == 2:
        others = other_views(views, run.views)
        second = show(run, ids, others), ask(run.feed, ids, others)
    return Inputs(images, ask(run.feed, ids, views), make_batch(run, ids, views), second)


def show(run: Run, ids: Tensor, views: Tensor) -> Tensor:
    """The student's side of some views, normalised."""
    images = run.normalise(render(run.source.images, ids, views, run.views, "student", run.size, run.ids))
    return images.contiguous(memory_format=torch.channels_last) if run.channels_last else images


def ask(feed: Feed | None, ids: Tensor, views: Tensor) -> Outputs:
    """The teacher's outputs; none without a teacher."""
    return feed(ids, views) if feed is not None else Outputs()


def make_batch(run: Run, ids: Tensor, views: Tensor) -> Batch:
    """What methods may know of the batch: labels, ids, mixing."""
    labels = run.source.labels
    mixed = mixing(ids, views, run.views, run.ids, run.source.size)
    if mixed is None:
        return Batch(labels[ids], ids, views=views)
    partners, lam = mixed
    return Batch(labels[ids], ids, labels[partners], lam, views)


def predict_logits(run: Run, ids: Tensor, block: int = 500) -> np.ndarray:
    """fp32 logits of the student on clean images, len(ids) x classes; the student's mode is restored."""
    student, was = run.student, run.student.training
    student.eval()
    found = []
    try:
        with torch.no_grad():
            for rows in ids.to(run.device).split(block):
                images = run.normalise(render_clean(run.source.images, rows, run.views, "student", run.size))
                if run.channels_last:
                    images = images.contiguous(memory_format=torch.channels_last)
                found.append(student(images).float().cpu())
    finally:
        student.train(was)
    return torch.cat(found).numpy()


def evaluate(run: Run, ids: Tensor) -> float:
    """The task's metric on some images, in [0, 1]."""
    predicted, margin = predict(predict_logits(run, ids))
    return evaluate_metric(run.objective.task.metric, predicted, margin, run.source.labels[ids].cpu().numpy())
