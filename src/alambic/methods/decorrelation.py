"""Decorrelation: RSD's off-diagonal term without its teacher."""

from __future__ import annotations

from torch import Tensor

from alambic.functional.prob import standardise
from alambic.methods.base import Batch, Method, Needs, Paper, Parts
from alambic.models.feature import Outputs


def decorrelation_loss(student: Tensor, teacher: Tensor | None = None, labels: Tensor | None = None) -> Tensor:
    """Sum over i != j of the squared correlation R_ij over the batch of the student's own embedding.

    Args:
        student: B x D. teacher: ignored.

    Returns: 0-d, a sum over D (D - 1) entries.
    """
    unit = standardise(student, 0, 1e-5)
    squares = (unit.T @ unit / student.shape[0]).square()
    return squares.sum() - squares.diagonal().sum()


class Decorrelation(Method):
    """Reducing Overfitting in Deep Networks by Decorrelating Representations, Cogswell et al., ICLR 2016.

    The teacher-free twin of RSD: most of RSD's gain on Swin-T to ResNet18 is its off-diagonal term, so part of it may
    be a regulariser that needs no teacher. Weight and kappa are RSD's; the student's own width replaces the teacher's.
    """

    paper = Paper(
        "Reducing Overfitting in Deep Networks by Decorrelating Representations",
        "Cogswell, Ahmed, Girshick, Zitnick, Batra",
        "ICLR",
        2016,
        "1511.06068",
    )
    formula = "L = CE + .1 * .01 sum_{i != j} R_ij^2, R the correlation matrix of f_s over the batch"
    family = "control"
    needs = Needs.of("embedding", "")
    fidelity = "B"
    differences = "correlations where the paper penalises covariances, because RSD, whose twin it is, standardises"
    evidence = (
        "RSD, Swin-T to ResNet18: 80.65 without its off-diagonal term, 83.92 with it [N]; this twin is not published"
    )
    min_classes = 1
    at_equal = "none, because there is no teacher"
    pure = staticmethod(decorrelation_loss)
    pure_input = "embedding"
    batch_parts = frozenset({"decorrelation"})

    weight: float = 0.1
    kappa: float = 0.01

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        return {"decorrelation": self.weight * self.kappa * decorrelation_loss(s.need_embedding())}
