"""Collects the evidence: runs each network once over the held-out images, and over altered versions of them.

The held-out images are labelled ones of the tune split: no network was trained on them, and they are not the test set.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from alambic.data import Source, ViewSpec, render
from alambic.data.geometry import resize
from alambic.errors import AlambicError
from alambic.methods.base import create_method
from alambic.models.onnx_net import OnnxNet
from alambic.models.taps import Tapped
from alambic.models.teacher import Teacher, TeacherSpec, guess_family
from alambic.suitability.evidence import StudentEvidence, TeacherEvidence, widen
from alambic.suitability.inputs import (
    CUTOFFS,
    NOISE,
    add_noise,
    cut_windows,
    low_pass,
    measure_window,
    shuffle_tiles,
)
from alambic.suitability.onlooker import BLOCK, STAGE_IMAGES, Onlooker, look
from alambic.suitability.sketch import sketch_gradients
from alambic.training.feed import Normalise
from alambic.training.loop import train
from alambic.training.objective import Objective
from alambic.training.recipe import Recipe, stream
from alambic.training.setup import input_shape, set_up, student_normalise, teacher_spec
from alambic.training.task import Task

FEWEST, MOST = 2000, 5000
GRADIENT_IMAGES, WINDOW_IMAGES = 256, 64
# altered versions of the images and how many forward passes of the teacher each takes ("small" none where the student
# sees the images' own resolution)
PASSES = {"noise": len(NOISE), "augmented": 1, "crops": 5, "small": 1, "shuffled": 1, "low": len(CUTOFFS) - 1}


def choose_holdout(source: Source, count: int = FEWEST) -> Tensor:
    """Labelled ids of the tune split, at most ``count``, sorted. Raises AlambicError under 20."""
    ids = source.splits["tune"]
    ids = ids[source.labels[ids] >= 0]
    if len(ids) < 20:
        raise AlambicError(
            f"source {source.name!r}: expected at least 20 labelled images of the tune split, got {len(ids)}, because "
            "suitability is estimated on images that no teacher was trained on; try data.tune = 2000"
        )
    return ids[torch.randperm(len(ids), generator=stream(0, "holdout"))[:count]].sort().values


def collect_teacher(
    teacher: Teacher,
    source: Source,
    views: ViewSpec,
    ids: Tensor,
    classes: int,
    passes: Iterable[str] = tuple(PASSES),
    windows: Iterable[int] = (),
    refused: dict[str, str] | None = None,
) -> TeacherEvidence:
    """Runs a teacher over the held-out images once, then once more for each altered version.

    Args:
        classes: of the task (1 for one logit). passes: names out of ``PASSES``. windows: sides for ``crops``, one for
            each student. refused: need -> why it is not collected, kept for the estimators' refusals.
    """
    shapes = teacher_spec(teacher)
    want = {"logits"} | ({"embedding"} if shapes.embedding else set()) | ({"stages"} if shapes.stages else set())
    label = f"teacher {teacher.name!r}"
    example = torch.zeros(2, len(teacher.mean), *teacher.size)
    normalise = Normalise(teacher.mean, teacher.std)
    onlooker = Onlooker(
        Tapped(teacher.net.eval(), example, want, label=label), source, views, "teacher", teacher.size, normalise
    )
    plain = look(onlooker, ids)
    box = "it is an ONNX file, which gives logits only" if isinstance(teacher.net, OnnxNet) else "it has none"
    absent = {need: box for need in ("embedding", "stages") if need not in want} | (refused or {})
    altered: dict[str, tuple[Tensor, ...]] = {}
    wanted = set(passes)
    for name in [name for name in PASSES if name in wanted and name != "crops"]:
        altered[name] = _alter(name, onlooker, ids, plain.logits)
    for window in sorted(set(windows)) if "crops" in wanted else ():
        altered[f"crops {window}"] = _answer_windows(onlooker, ids, window)
    return TeacherEvidence(
        teacher.name,
        teacher.family,
        tell_provenance(teacher.spec),
        teacher.hash,
        teacher.parameters,
        plain.logits,
        teacher.classes == classes,
        plain.embedding,
        plain.stages,
        plain.spectra,
        altered,
        absent,
    )


def tell_provenance(spec: TeacherSpec) -> str:
    """``labels``, ``distilled from X``, or ``pretrained`` where labels of images from elsewhere taught it."""
    elsewhere = spec.pretrained or spec.teacher_data == "external"
    return "pretrained" if elsewhere and spec.provenance == "labels" else spec.provenance


def guess_student_family(name: str) -> str:
    """The family of a student by its name, in the words of the teachers' families."""
    return "mobilenet" if name.startswith(("mbv", "fdmbv", "mcunet")) else guess_family(name)


def _alter(name: str, onlooker: Onlooker, ids: Tensor, clean: Tensor) -> tuple[Tensor, ...]:
    views, source = onlooker.views, onlooker.source
    if name == "noise":
        draws = [stream(0, "noise", index) for index in range(len(NOISE))]
        return tuple(
            onlooker.answer(ids, lambda pixels, a=a, d=d: add_noise(pixels, a, d))  # type: ignore[misc]
            for a, d in zip(NOISE, draws, strict=True)
        )
    if name == "augmented":
        moving = augmenting(views, source.size)
        blocks = [
            onlooker.see(render(source.images, rows, torch.zeros_like(rows), moving, "teacher")).need_logits().float()
            for rows in ids.split(BLOCK)
        ]
        return (widen(torch.cat(blocks)),)
    if name == "small":
        sensor = views.student.sensor
        down = sensor.down if sensor is not None else 1
        if down == 1:
            return (clean,)
        small = (source.size[0] // down, source.size[1] // down)
        return (onlooker.answer(ids, lambda pixels: resize(resize(pixels, small), source.size)),)
    if name == "shuffled":
        draw = stream(0, "shuffle")
        return (onlooker.answer(ids, lambda pixels: shuffle_tiles(pixels, draw)),)
    return _answer_cutoffs(onlooker, ids, clean)


def _answer_cutoffs(onlooker: Onlooker, ids: Tensor, clean: Tensor) -> tuple[Tensor, ...]:
    """Logits at each of ``CUTOFFS``, at the same frequencies of the scene whatever sensor and size the network has."""
    scenes = [functools.partial(low_pass, cutoff=cutoff) for cutoff in CUTOFFS[:-1]]
    return (*(onlooker.answer(ids, scene=scene) for scene in scenes), clean)


def _answer_windows(onlooker: Onlooker, ids: Tensor, side: int) -> tuple[Tensor, ...]:
    """Answers to the five windows of ``side`` pixels of the student's input."""
    found: list[list[Tensor]] = []
    for rows in ids.split(BLOCK):
        pixels = onlooker.canvas(rows)
        seen = input_shape(onlooker.source, onlooker.views)[1:]  # a sensor may shrink either side
        scaled = max(1, round(side * min(pixels.shape[2:]) / min(seen)))
        found.append([onlooker.see(window).need_logits().float() for window in cut_windows(pixels, scaled)])
    return tuple(widen(torch.cat(parts)) for parts in zip(*found, strict=True))


def augmenting(views: ViewSpec, size: tuple[int, int]) -> ViewSpec:
    """The study's own geometry without mixing; where it has none, a shift of an eighth of the image."""
    plain = dataclasses.replace(views, mix="none")
    if plain.flip or plain.shift or plain.zoom:
        return plain
    return dataclasses.replace(plain, shift=max(1, min(size) // 8))


def collect_student(
    name: str,
    net: nn.Module,
    source: Source,
    views: ViewSpec,
    recipe: Recipe,
    task: Task,
    train_ids: Tensor,
    ids: Tensor,
    epochs: int = 5,
    gradients: bool = True,
    low: bool = True,
) -> StudentEvidence:
    """Warms a fresh student up on labels for a few epochs (s0) and reads it. Trains ``net`` in place.

    Raises AlambicError for a student without an embedding or without maps.
    """
    short = dataclasses.replace(recipe, epochs=epochs, eval_every=epochs, warmup=min(recipe.warmup, epochs / 5))
    run = set_up(net, Objective([create_method("none")], task), source, train_ids, ids, views, short, 0, label=name)
    label = f"student {name!r}"
    normalise = student_normalise(source, views)
    shape = input_shape(source, views)
    tapped = Tapped(net, torch.zeros(2, *shape), {"logits", "embedding", "stages"}, label=label)
    onlooker = Onlooker(tapped, source, views, "student", shape[1:], normalise)
    net.eval()
    untrained = look(onlooker, ids[:STAGE_IMAGES]).stages[-1]
    train(run)
    net.eval()
    plain = look(onlooker, ids)
    assert plain.embedding is not None
    images = normalise(onlooker.canvas(ids[:GRADIENT_IMAGES]))
    sketch = sketch_gradients(net, images) if gradients else None
    return StudentEvidence(
        name,
        guess_student_family(name),
        plain.logits,
        plain.embedding,
        plain.stages,
        plain.spectra,
        measure_window(tapped, images[:WINDOW_IMAGES]),
        _answer_cutoffs(onlooker, ids, plain.logits) if low else (),
        sketch,
        untrained,
    )
