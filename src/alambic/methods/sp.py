"""SP: the batch's similarity matrix of the last maps."""

from __future__ import annotations

from torch import Tensor

from alambic.functional.relation import gram, to_unit
from alambic.methods.base import Batch, Method, Needs, Paper, Parts
from alambic.models.feature import Feature, Outputs


def sp_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None) -> Tensor:
    """Row b: sum_j (N(G_t)_bj - N(G_s)_bj)² / B, G the inner products of the samples, N scales rows to unit length.

    Args:
        student, teacher: B x anything, flattened: maps of any size, tokens, vectors.

    Returns: B values >= 0 whose mean is the squared Frobenius norm over B².
    """
    gap = to_unit(gram(teacher)) - to_unit(gram(student))
    return gap.square().mean(1)


class SP(Method):
    """Similarity-Preserving Knowledge Distillation, Tung and Mori, ICCV 2019.

    A batch's similarities are compared, so maps of any two forms fit without a projector.
    """

    paper = Paper(
        "Similarity-Preserving Knowledge Distillation",
        "Tung, Mori",
        "ICCV",
        2019,
        "1907.09682",
        "HobbitLong/RepDistiller",
    )
    formula = "L = CE + 3000 ||N_row(G_t) - N_row(G_s)||_F^2 / B^2, G = Q Q^T, Q the flattened last maps"
    family = "relation"
    needs = Needs.of("stages", "stages")
    fidelity = "A"
    differences = "the first author verified RepDistiller's code, which is the reference; prefix tokens are left out"
    evidence = (
        "CIFAR-100 to MobileNetV2 (64.60): from vgg13 66.30, from ResNet50 68.08, there the best of the relation "
        "losses and above KD (67.35) [R]"
    )
    min_classes = 1
    pure = staticmethod(sp_loss)
    pure_input = "map"

    weight: float = 3000.0

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        return {"sp": self.weight * sp_loss(_last(s.stages[-1]), _last(t.stages[-1]))}


def _last(feature: Feature) -> Tensor:
    return feature.tensor if feature.form == "vector" else feature.as_tokens()
