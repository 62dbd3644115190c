"""PKT: the probability of two samples being neighbours, the same in both embedding spaces."""

from __future__ import annotations

from torch import Tensor

from alambic.functional.relation import cosine_matrix
from alambic.methods.base import Batch, Method, Needs, Paper, Parts
from alambic.models.feature import Outputs


def pkt_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, eps: float = 1e-7) -> Tensor:
    """Row b: mean_j p_bj log((p_bj + eps) / (q_bj + eps)), p and q the rows of (cosine + 1) / 2 scaled to sum to 1.

    Args:
        student, teacher: embeddings B x D_s and B x D_t; the widths may differ.

    Returns: B values.
    """
    rows = []
    for features in (student, teacher):
        affinity = (cosine_matrix(features, eps) + 1) / 2
        rows.append(affinity / affinity.sum(1, keepdim=True))
    q, p = rows
    # p and q sum to 1, so q - p adds nothing to a row but takes off its first-order terms, whose rounding in float32
    # would reach 1e-3 of the value
    return (p * ((p - q) / (q + eps)).log1p() - (p - q)).mean(1)


class PKT(Method):
    """Learning Deep Representations with Probabilistic Knowledge Transfer, Passalis and Tefas, ECCV 2018.

    The mean over all B² entries makes the raw value about 1/B of a divergence, hence the weight of 30000.
    """

    paper = Paper(
        "Learning Deep Representations with Probabilistic Knowledge Transfer",
        "Passalis, Tefas",
        "ECCV",
        2018,
        "1803.10837",
        "passalis/probabilistic_kt",
    )
    formula = "L = CE + 30000 mean_bj p_bj log(p_bj / q_bj), p_b = normalised (cos(f_t,b, f_t,j) + 1) / 2, q of f_s"
    family = "relation"
    needs = Needs.of("embedding", "embedding")
    fidelity = "A"
    differences = "the released code has no cross-entropy beside it; its weight is RepDistiller's"
    evidence = "CIFAR-100 to MobileNetV2 (64.60): from vgg13 67.13 (KD 67.37), from ResNet50 66.52 (KD 67.35) [R]"
    min_classes = 1
    pure = staticmethod(pkt_loss)
    pure_input = "embedding"

    weight: float = 30000.0
    eps: float = 1e-7

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        return {"pkt": self.weight * pkt_loss(s.need_embedding(), t.need_embedding(), eps=self.eps)}
