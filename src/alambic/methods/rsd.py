"""RSD: suppress redundancy between the embeddings' dimensions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from alambic.functional.prob import standardise
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs
from alambic.models.projector import init_trunc_normal


def rsd_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, kappa: float = 0.01) -> Tensor:
    """sum_ij w_ij (R_ij - [i = j])², R the cross-correlation of the two embeddings over the batch.

    Args:
        student, teacher: B x D, the student's already projected to the teacher's width.
        kappa: weight of the off-diagonal entries; the diagonal weighs 1.

    Returns: 0-d, a sum over D² entries.
    """
    cross = standardise(teacher, 0, 1e-5).T @ standardise(student, 0, 1e-5) / student.shape[0]
    squares = (cross - torch.eye(cross.shape[0], device=cross.device, dtype=cross.dtype)).square()
    diagonal = squares.diagonal().sum()
    return diagonal + kappa * (squares.sum() - diagonal)


def rsd_at_equal(teacher: Tensor, *, kappa: float = 0.01) -> Tensor:
    """The value at student = teacher: kappa times the teacher's own squared off-diagonal correlations."""
    correlation = torch.corrcoef(teacher.double().T)
    return kappa * (correlation.square().sum() - correlation.diagonal().square().sum())


class RSD(Method):
    """Redundancy Suppression Distillation (cross-architecture), Zhang et al., ICCV 2025.

    The sum is not scaled by the teacher's width: the authors' weight .1 is for d_t of 400 to 1000. Tune it.
    """

    paper = Paper(
        "Cross-Architecture Distillation Made Simple with Redundancy Suppression",
        "Zhang et al.",
        "ICCV",
        2025,
        "2507.21844",
        "spacewanderx/RSD",
    )
    formula = "L = CE + .1 sum_ij w_ij (R_ij - delta_ij)^2, R = zhat_t^T zhat_h(s) / B, w_ii = 1, w_ij = .01"
    family = "embedding"
    needs = Needs.of("embedding", "embedding")
    fidelity = "A"
    differences = "the authors smooth the labels of cross-entropy by .1"
    evidence = (
        "CIFAR-100, 12 pairs across architectures: +10.69 on average, OFA +7.47; ImageNet, 15 pairs: +2.34, OFA "
        "+2.20 [N]; Swin-T to ResNet18: the diagonal alone 80.65, with decorrelation 83.92 [N]"
    )
    min_classes = 1
    at_equal = "formula: kappa times the teacher's squared off-diagonal correlations (rsd_at_equal)"
    pure = staticmethod(rsd_loss)
    pure_at_equal = staticmethod(rsd_at_equal)
    pure_input = "embedding"
    batch_parts = frozenset({"rsd"})

    weight: float = 0.1
    kappa: float = 0.01
    expansion: int = 2

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        inputs, outputs = specs.student.embedding, specs.teacher.embedding
        assert inputs is not None
        assert outputs is not None
        hidden = inputs * self.expansion
        self.projector = nn.Sequential(
            nn.Linear(inputs, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.GELU(),
            nn.Linear(hidden, outputs, bias=False),
        )
        self.projector.apply(init_trunc_normal)

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        projected = self.projector(s.need_embedding())
        return {"rsd": self.weight * rsd_loss(projected, t.need_embedding(), kappa=self.kappa)}
