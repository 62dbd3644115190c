"""SimKD: the student borrows the teacher's classifier, and keeps it."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alambic.errors import AlambicError
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs


def simkd_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None) -> Tensor:
    """mean_chw (s - t)²; maps B x C x H x W of the same shape -> B values >= 0."""
    return (student - teacher).square().flatten(1).mean(1)


class SimKD(Method):
    """Knowledge Distillation with the Reused Teacher Classifier, Chen et al., CVPR 2022.

    Not deployable at this size: projector and teacher's classifier stay at inference (a teacher of width 384 costs
    (C_s + 9 * 192 + 384) * 192 + 384 C weights, over 400 kB). With the authors' weights (no cross-entropy) the
    student's own classifier never trains: ``predict`` gives the predictions that count.
    """

    paper = Paper(
        "Knowledge Distillation with the Reused Teacher Classifier",
        "Chen, Mei, Zhang, Wang, Feng, Chen",
        "CVPR",
        2022,
        "2203.14001",
        "DefangChen/SimKD",
    )
    formula = "L = mean_chw (P(F_s) - F_t)^2; the prediction is FC_t(GAP(P(F_s)))"
    family = "map"
    needs = Needs.of("stages", "stages head")
    fidelity = "A"
    differences = (
        "not deployable on a small chip: projector and teacher's classifier stay at inference (deployable = False); "
        "sides are pooled one by one; what stands between a teacher's last map and its classifier (a final norm, a "
        "class token) is left out, so that the bound is not that teacher's own accuracy"
    )
    evidence = (
        "CIFAR-100, ResNet32x4 to ResNet8x4 78.08, to ShuffleNetV2x1.5 79.54 (teacher 79.42, KD 74.42, 76.82); with a "
        "projector a quarter as wide 76.73 and 78.96 [R]"
    )
    min_classes = 1
    pure = staticmethod(simkd_loss)
    pure_input = "map"
    deployable: ClassVar[bool] = False

    weight: float = 1.0
    factor: int = 2
    ce_weight: float = 0.0

    head_weight: Tensor
    head_bias: Tensor

    def check(self, specs: Specs) -> None:
        super().check(specs)
        for side, spec in (("student", specs.student), ("teacher", specs.teacher)):
            if not spec.stages or spec.stages[-1].size is None:
                raise AlambicError(
                    f"method 'simkd' expected a {side} whose last stage has a spatial grid, got "
                    f"{spec.stages[-1:] or 'none'}, because it regresses the last map; try srrl"
                )
        teacher = specs.teacher
        if teacher.embedding not in (None, teacher.stages[-1].channels) or teacher.classes != specs.classes:
            raise AlambicError(
                "method 'simkd' expected a teacher whose classifier reads its last stage "
                f"({teacher.stages[-1].channels} channels) and has {specs.classes} classes, got an embedding of "
                f"{teacher.embedding} and {teacher.classes} classes, because the student predicts with it; try srrl"
            )

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        student, teacher = specs.student.stages[-1], specs.teacher.stages[-1]
        assert student.size is not None
        assert teacher.size is not None
        middle = max(teacher.channels // self.factor, 1)
        self.size = min(student.size[0], teacher.size[0]), min(student.size[1], teacher.size[1])
        self.projector = nn.Sequential(
            nn.Conv2d(student.channels, middle, 1, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU(),
            nn.Conv2d(middle, middle, 3, padding=1, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU(),
            nn.Conv2d(middle, teacher.channels, 1, bias=False),
            nn.BatchNorm2d(teacher.channels),
            nn.ReLU(),
        )
        self.register_buffer("head_weight", torch.zeros(specs.classes, teacher.channels))
        self.register_buffer("head_bias", torch.zeros(specs.classes))

    def project(self, s: Outputs) -> Tensor:
        """The student's last map in the teacher's shape, B x C_t x H x W with the smaller of the two sizes."""
        return self.projector(F.adaptive_avg_pool2d(s.stages[-1].as_map(), self.size))

    def predict(self, s: Outputs) -> Tensor:
        """Logits B x classes by the teacher's classifier, as the authors predict; meaningful after the first loss."""
        return F.linear(self.project(s).mean((2, 3)), self.head_weight, self.head_bias)

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        head = t.need_head()
        if head.weight.shape != self.head_weight.shape:
            raise AlambicError(
                f"method 'simkd' expected a teacher's classifier of shape {tuple(self.head_weight.shape)}, which reads "
                f"its last stage, got {tuple(head.weight.shape)}; try srrl, which reads the embedding"
            )
        with torch.no_grad():
            self.head_weight.copy_(head.weight)
            self.head_bias.copy_(head.bias)
        target = F.adaptive_avg_pool2d(t.stages[-1].as_map(), self.size)
        return {"simkd": self.weight * simkd_loss(self.project(s), target)}
