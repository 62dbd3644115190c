"""Puts a run together: probes both networks, builds the objective, opens the streams in their fixed order."""

from __future__ import annotations

import contextlib
from pathlib import Path

import torch
from torch import Tensor, nn

from alambic.data import Source, ViewSpec
from alambic.errors import AlambicError
from alambic.methods.base import Specs
from alambic.models.feature import OutputSpec
from alambic.models.taps import Tapped
from alambic.models.teacher import Teacher
from alambic.training.feed import Feed, LiveFeed, Normalise, mean_by_class
from alambic.training.loop import Run
from alambic.training.objective import Objective
from alambic.training.recipe import Recipe, stream


def probe(net: nn.Module, example: Tensor, label: str) -> OutputSpec:
    """Shapes of everything a network gives; embedding and stages stay empty where it has none."""
    spec = Tapped(net, example, frozenset({"logits"}), label=label).spec
    found: dict[str, OutputSpec] = {}
    for quantity in ("embedding", "stages"):
        with contextlib.suppress(AlambicError):  # a network without maps may still have an embedding, and vice versa
            found[quantity] = Tapped(net, example, frozenset({"logits", quantity}), label=label).spec
    return OutputSpec(
        spec.classes,
        found["embedding"].embedding if "embedding" in found else None,
        found["stages"].stages if "stages" in found else (),
    )


def input_shape(source: Source, views: ViewSpec) -> tuple[int, int, int]:
    """C, H, W of what the student sees: its sensor's pixels where it has one, else the images' own."""
    sensor = views.student.sensor
    if sensor is None:
        return source.channels, *source.size
    height, width = source.size
    return 1 if sensor.grey else source.channels, height // sensor.down, width // sensor.down


def student_normalise(source: Source, views: ViewSpec) -> Normalise:
    """The student's input normalisation: the train split's mean and std."""
    channels = input_shape(source, views)[0]
    if channels == source.channels:
        return Normalise(source.mean, source.std)
    return Normalise((sum(source.mean) / 3,), (sum(source.std) / 3,))


def live_feed(teacher: Teacher, source: Source, views: ViewSpec, want: frozenset[str], ids: Tensor) -> LiveFeed:
    """The teacher run on each batch."""
    normalise = Normalise(teacher.mean, teacher.std)
    return LiveFeed(teacher.net, source, views, want, teacher.size, normalise, ids, f"teacher {teacher.name!r}")


def teacher_spec(teacher: Teacher) -> OutputSpec:
    weight = next(teacher.net.parameters(), None)
    example = torch.zeros(2, len(teacher.mean), *teacher.size, device=weight.device if weight is not None else "cpu")
    return probe(teacher.net, example, f"teacher {teacher.name!r}")


def check_views(objective: Objective, views: ViewSpec) -> None:
    """Refuses one view of each image to a method that compares two; mixed images to such a one, whose views would be
    mixed with other images each, and to one that reads class means, which would be those of several classes."""
    if objective.needs.views == 2 and views.count == 1:
        names = ", ".join(method.name for method in objective.methods if method.needs.views == 2)
        raise AlambicError(
            f"method {names!r} expected at least two views of an image, got views.count = 1, because it compares two; "
            "try views.count = 4, or 0 for fresh ones"
        )
    unmixed = [method.name for method in objective.methods if method.needs.views == 2 or method.needs.train_stats]
    if unmixed and views.mix != "none":
        raise AlambicError(
            f"method {', '.join(unmixed)!r} expected views of one image each, got views.mix = {views.mix!r}, because "
            'it compares views of an image, or images with the mean of their class; try mix = "none", or kd'
        )


def set_up(
    student: nn.Module,
    objective: Objective,
    source: Source,
    ids: Tensor,
    tune_ids: Tensor,
    views: ViewSpec,
    recipe: Recipe,
    seed: int,
    size: tuple[int, int] | None = None,
    feed: Feed | None = None,
    teacher: OutputSpec | None = None,
    label: str = "student",
    checkpoint: Path | None = None,
    key: str = "",
    class_means: Tensor | None = None,
    normalise: Normalise | None = None,
) -> Run:
    """A ``Run`` ready for ``train``: shapes probed, the pair checked, projectors built from the ``method`` stream.

    It trains where the source's images lie (see ``resident.move_source``).

    Args:
        class_means: the teacher's, where a caller has them already; computed from ``feed`` where a method needs them.
    """
    size = size or input_shape(source, views)[1:]
    normalise = normalise or student_normalise(source, views)
    example = torch.zeros(2, normalise.mean.shape[1], *size)
    needs = objective.needs
    check_views(objective, views)
    if class_means is None and needs.train_stats and feed is not None:
        class_means = mean_by_class(feed, source.labels, ids, objective.task.classes)
    shapes = probe(student, example, label)
    specs = Specs(
        shapes,
        teacher or OutputSpec(None, None),
        objective.task.classes,
        len(ids),
        int(ids.max()) + 1,
        class_means,
    )
    objective.build(specs, stream(seed, "method"))
    tapped = Tapped(student, example, needs.student | {"logits"}, label=label)
    device = source.images.device
    return Run(
        student.to(device),
        tapped,
        objective.to(device),
        source,
        ids.to(device),
        tune_ids,
        views,
        recipe,
        normalise.to(device),
        size,
        seed,
        feed,
        device,
        checkpoint=checkpoint,
        key=key,
    )
