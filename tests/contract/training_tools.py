"""A real lesson for the training contract: Fashion-MNIST images, and what a trained ResNet says of them, said once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from contract_nets import map_outputs, pick, read_all
from contract_tools import MethodClass
from torch import Tensor, nn

from alambic.data import DataSpec, load_source
from alambic.errors import AlambicError
from alambic.methods.base import Batch, Method, Parts, Specs
from alambic.models.feature import Outputs, OutputSpec, StageSpec
from alambic.models.taps import Tapped
from alambic.training.teacher_file import load_saved

TEACHER = Path(__file__).parent.parent.parent / "studies" / "teachers" / "resnet.safetensors"
IMAGES = 512


@dataclass(frozen=True)
class Lesson:
    """Images of both views (B x 1 x 28 x 28, normalised), labels, ids, and the teacher's outputs of both views."""

    images: tuple[Tensor, Tensor]
    labels: Tensor
    ids: Tensor
    taught: tuple[Outputs, Outputs]
    spec: OutputSpec
    class_means: Tensor
    classes: int


@cache
def make_lesson() -> Lesson:
    """Read-only. Skips the test where there is no Fashion-MNIST (``make fashion-mnist`` gets it)."""
    try:
        source = load_source(DataSpec("fashion-mnist"))
    except AlambicError as error:
        pytest.skip(f"no Fashion-MNIST here: {error}")
    teacher = load_saved("resnet", TEACHER, source)
    ids = source.splits["train"][:IMAGES]
    pixels = source.images[ids].float() / 255
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (teacher.mean, teacher.std))
    seen = (pixels - mean) / std
    views = seen, seen.flip(3)
    with torch.no_grad():
        (taught, spec), (second, _) = (read_all(teacher.net, view) for view in views)
    detached = tuple(map_outputs(outputs, lambda x: x.detach().clone()) for outputs in (taught, second))
    labels, embedding = source.labels[ids], taught.need_embedding()
    means = torch.stack([embedding[labels == c].mean(0) for c in range(source.num_classes)])
    return Lesson(views, labels, ids, (detached[0], detached[1]), spec, means, source.num_classes)


def rows_of(outputs: Outputs, rows: Tensor) -> Outputs:
    """Some images' outputs; the head belongs to all."""
    return replace(map_outputs(replace(outputs, head=None), lambda x: x[rows]), head=outputs.head)


def pool_stages(outputs: Outputs) -> Outputs:
    """Every map at the size of the last one."""
    size = outputs.stages[-1].size
    pooled = tuple(replace(stage, tensor=F.adaptive_avg_pool2d(stage.tensor, size)) for stage in outputs.stages)
    return replace(outputs, stages=pooled)


class Pupil:
    """A student with a method, built for the lesson's teacher; gives losses on some of the lesson's images.

    Args:
        coarse: the teacher's maps are pooled to its last one's size, for methods whose cost grows with their square.
    """

    def __init__(self, cls: MethodClass, student: nn.Module, images: int, coarse: bool = False, **hyper: Any) -> None:
        lesson = make_lesson()
        self.method: Method = cls(**hyper)
        self.student = student.train()
        wanted = self.method.teacher_classes(lesson.classes)
        self.taught, spec = lesson.taught, lesson.spec
        if wanted != lesson.classes:  # a teacher with subclasses: its classes' logits, split by small differences
            spec = replace(spec, classes=wanted)
            self.taught = self._split(lesson.taught[0], wanted), self._split(lesson.taught[1], wanted)
        if coarse:
            self.taught = pool_stages(self.taught[0]), pool_stages(self.taught[1])
            spec = replace(spec, stages=tuple(StageSpec.of(stage) for stage in self.taught[0].stages))
        _, own = read_all(student, lesson.images[0][:4])
        largest = int(lesson.ids.max()) + 1
        specs = Specs(own, spec, lesson.classes, images, largest, lesson.class_means)
        self.method.check(specs)
        self.method.build(specs, torch.Generator().manual_seed(0))
        self.method.train()
        self.tapped = Tapped(student, lesson.images[0][:4], self.method.needs.student | {"logits"})

    @staticmethod
    def _split(outputs: Outputs, classes: int) -> Outputs:
        logits = outputs.need_logits()
        spread = torch.randn(len(logits), classes, generator=torch.Generator().manual_seed(0))
        return replace(outputs, logits=logits.repeat_interleave(classes // logits.shape[1], 1) + spread)

    def read(self, rows: Tensor, precision: torch.dtype = torch.float32) -> tuple[Outputs, Outputs, Batch]:
        """Student's and teacher's outputs and the batch, as the engine would give them."""
        lesson, needs = make_lesson(), self.method.needs
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            seen = map_outputs(self.tapped(lesson.images[0][rows]), lambda x: x.float())
        second = None
        if needs.views == 2:
            other = map_outputs(self.tapped(lesson.images[1][rows]), lambda x: x.float())
            second = other, pick(rows_of(self.taught[1], rows), needs.teacher)
        batch = Batch(lesson.labels[rows], lesson.ids[rows], second=second)
        return seen, pick(rows_of(self.taught[0], rows), needs.teacher), batch

    def parts(self, rows: Tensor, progress: float) -> Parts:
        return self.method.loss(*self.read(rows), progress)

    def parameters(self) -> list[nn.Parameter]:
        return [*self.student.parameters(), *self.method.parameters()]


def total(parts: Parts) -> Tensor:
    return torch.stack([value.mean() for value in parts.values()]).sum()
