"""What estimators read: collected once of each teacher and each student on held-out images (see ``collect.py``).

N held-out images, C classes; M <= N of them for stages, K of them for gradients. Tensors are float32 on the CPU.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from alambic.training.task import Metric, evaluate_metric, predict

# need -> the words for it in a refusal
QUANTITIES = {
    "logits": "logits",
    "scores": "logits of the task's classes",
    "embedding": "an embedding",
    "stages": "intermediate maps or tokens",
    "noise": "logits of noisy images",
    "augmented": "logits of augmented images",
    "crops": "logits of windows of the images",
    "small": "logits of images at the student's resolution",
    "shuffled": "logits of images with shuffled patches",
    "low": "logits of low-passed images",
    "gradients": "gradients of the student",
    "parameters": "a parameter count",
    "pilot": "a pilot distillation",
}


@dataclass(frozen=True)
class TeacherEvidence:
    """Of one frozen teacher.

    Attributes:
        hash: of its weights. parameters: 0 where its file does not tell. provenance: labels, pretrained, or
            distilled from another.
        logits: N x C on clean images. labelled: whether its columns are the task's classes.
        embedding: N x D, None without one.
        stages: per stage M x k, maps and token grids averaged down to at most 4 x 4 positions.
        spectra: per stage with a grid, five shares of its maps' energy by octave, in cycles per image, low to high.
        altered: pass -> logits N x C of each altered version of the images; ``crops R`` for windows of R pixels.
        absent: need -> why it is not there.
    """

    name: str
    family: str
    provenance: str
    hash: str
    parameters: int
    logits: Tensor
    labelled: bool = True
    embedding: Tensor | None = None
    stages: tuple[Tensor, ...] = ()
    spectra: tuple[Tensor, ...] = ()
    altered: dict[str, tuple[Tensor, ...]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StudentEvidence:
    """Of one student after a short warm-up on labels alone (s0), so that it has features to compare.

    Attributes:
        family: resnet, dscnn, ... logits: N x C. embedding: N x d. stages, spectra: as a teacher's.
        window: side in pixels of the square that holds 95 % of the squared gradient of its deepest map's middle unit
            (its effective receptive field), at most 7/8 of the image's shorter side.
        low: logits N x C on each low-passed version of the scenes before its sensor, lowest cut-off first.
        gradients: K x P, sketched gradients of random centred sums of its logits, K first images.
        untrained_map: M x k, deepest stage before the warm-up.
    """

    name: str
    family: str
    logits: Tensor
    embedding: Tensor
    stages: tuple[Tensor, ...] = ()
    spectra: tuple[Tensor, ...] = ()
    window: int = 0
    low: tuple[Tensor, ...] = ()
    gradients: Tensor | None = None
    untrained_map: Tensor | None = None


@dataclass(frozen=True)
class Pilot:
    """A short distillation (kd) and its twin of equal length on labels alone; one seed.

    Attributes:
        progress: points of the pilot in [0, 1], 0 first. divergence: mean KL(teacher || student) on held-out images
            at each. accuracy, accuracy_alone: at its end, in [0, 1]. share: of the full training's steps.
    """

    progress: tuple[float, ...]
    divergence: tuple[float, ...]
    accuracy: float
    accuracy_alone: float
    share: float


@dataclass(frozen=True)
class Evidence:
    """One teacher, one student, the same images.

    Attributes:
        labels: int64 N, -1 where unknown. pilot: None where none was run. metric: of the task.
    """

    teacher: TeacherEvidence
    student: StudentEvidence
    labels: Tensor
    pilot: Pilot | None = None
    metric: Metric = "accuracy"

    @property
    def classes(self) -> int:
        return int(self.student.logits.shape[1])

    def lacks(self, need: str) -> str:
        """Why a need is not there; "" where it is."""
        teacher = self.teacher
        if need in teacher.absent:
            return teacher.absent[need]
        here = {
            "logits": True,
            "scores": teacher.labelled and teacher.logits.shape[1] == self.classes,
            "embedding": teacher.embedding is not None,
            "stages": bool(teacher.stages and self.student.stages),
            "crops": self.crops_key in teacher.altered,
            "gradients": self.student.gradients is not None,
            "parameters": teacher.parameters > 0,
            "low": "low" in teacher.altered and bool(self.student.low),
            "pilot": self.pilot is not None,
        }
        present = here.get(need, need in teacher.altered)
        reasons = {
            "scores": f"its {teacher.logits.shape[1]} classes are not the task's {self.classes}",
            "parameters": "its file does not tell",
        }
        return "" if present else reasons.get(need, "it was not collected")

    @property
    def crops_key(self) -> str:
        return f"crops {self.student.window}"

    @property
    def crops(self) -> tuple[Tensor, ...]:
        """Logits of windows as large as this student's effective receptive field."""
        return self.teacher.altered[self.crops_key]

    @property
    def known(self) -> Tensor:
        """bool N: images with a label."""
        return self.labels >= 0

    def accuracy(self, logits: Tensor) -> float:
        """The task's metric of N x C logits, over labelled images: the share that they get right, unless the task says
        otherwise (where one image in twenty is a person, whoever never sees one gets 95 % right)."""
        return evaluate_metric(self.metric, *predict(logits.numpy()), self.labels.numpy())


def widen(logits: Tensor) -> Tensor:
    """N x 1 scores of a one-logit task as N x 2 logits of the same probabilities; others as they are."""
    return torch.cat([torch.zeros_like(logits), logits], 1) if logits.shape[1] == 1 else logits
