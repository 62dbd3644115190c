"""A pilot: the student distilled for a few per cent of its training, and its twin on labels alone."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from alambic.data import Source, ViewSpec
from alambic.methods.base import create_method
from alambic.models.teacher import Teacher
from alambic.suitability.evidence import Pilot, widen
from alambic.suitability.measures import mean_kl
from alambic.training.loop import evaluate, predict_logits, train
from alambic.training.objective import Objective
from alambic.training.recipe import Recipe, stream
from alambic.training.setup import live_feed, set_up, teacher_spec
from alambic.training.task import Task

POINTS = 4


@dataclasses.dataclass(frozen=True)
class Trial:
    """One short training: KL to each teacher at the points of progress, accuracy (the task's metric) at the end."""

    divergence: tuple[float, ...]
    score: float


def short_recipe(recipe: Recipe, images: int, share: float) -> tuple[Recipe, int]:
    """(recipe, training images) of ``share`` of the steps, in at least ``POINTS`` passes so that there is a curve.

    Fewer images are seen where the share is under ``POINTS`` epochs; never fewer than two batches.
    """
    epochs = recipe.epochs * share
    passes = max(POINTS, round(epochs))
    used = min(images, max(2 * recipe.batch, int(images * epochs / passes)))
    return dataclasses.replace(recipe, epochs=passes, warmup=0.1 * passes, eval_every=passes), used


def choose_images(train_ids: Tensor, count: int, seed: int) -> Tensor:
    """``count`` of the training images, int64, sorted, drawn by a stream of their own.

    ``Source.subset`` would put all images that a study keeps labelled into a pilot: its smaller choices lie inside
    larger ones.
    """
    order = torch.randperm(len(train_ids), generator=stream(seed, "pilot"))
    return train_ids[order[:count]].sort().values


def run_trial(
    student: nn.Module,
    teacher: Teacher | None,
    target: Tensor | None,
    source: Source,
    views: ViewSpec,
    recipe: Recipe,
    task: Task,
    train_ids: Tensor,
    ids: Tensor,
) -> Trial:
    """Trains a fresh student by kd (by cross-entropy alone without a teacher), watching held-out images.

    Args:
        target: the teacher's logits N x C on ``ids``, at least two columns; None watches no divergence.
        recipe, train_ids: already short, see ``short_recipe``.

    Raises AlambicError where kd cannot work with this teacher.
    """
    objective = Objective([create_method("kd" if teacher is not None else "none")], task)
    feed = live_feed(teacher, source, views, objective.needs.teacher, train_ids) if teacher is not None else None
    given = teacher_spec(teacher) if teacher is not None else None
    run = set_up(student, objective, source, train_ids, ids, views, recipe, 0, feed=feed, teacher=given)
    points: list[float] = []

    def watch(record: object = None) -> None:
        if target is not None:
            points.append(mean_kl(target, widen(torch.from_numpy(predict_logits(run, ids)))))

    watch()
    train(run, watch)
    return Trial(tuple(points), evaluate(run, ids))


def compare_trials(taught: Trial, alone: Trial, share: float) -> Pilot:
    """The pilot's result, evenly spaced points from start to end."""
    steps = len(taught.divergence) - 1
    progress = tuple(index / steps for index in range(steps + 1))
    return Pilot(progress, taught.divergence, taught.score, alone.score, share)
