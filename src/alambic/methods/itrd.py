"""ITRD: correlation of each dimension, and mutual information of the two similarity matrices, by Rényi's entropy."""

from __future__ import annotations

import torch
from torch import Tensor

from alambic.functional.prob import standardise
from alambic.functional.relation import gram, to_unit
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs
from alambic.models.projector import linear

EPS = 1e-6


def itrd_loss(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor | None = None,
    *,
    correlation_weight: float = 2.0,
    mutual_weight: float = 1.0,
    alpha: float = 1.01,
) -> Tensor:
    """correlation_weight log2 sum_d |c_d - 1|^(2 alpha) + mutual_weight sum (G_s/tr)² - (G_st/tr)² -> 0-d.

    Args:
        student: B x D, already projected. teacher: B x D.
        alpha: order of Rényi's entropy in the first term.
    """
    correlation, mutual = correlation_loss(student, teacher, alpha), mutual_loss(student, teacher)
    return correlation_weight * correlation + mutual_weight * mutual


def correlation_loss(student: Tensor, teacher: Tensor, alpha: float) -> Tensor:
    """log2 sum_d |c_d - 1|^(2 alpha), c_d the correlation of dimension d over the batch, times (B - 1) / B; 0-d.

    0 for one sample.
    """
    if len(student) < 2:
        return student.sum() * 0.0
    product = standardise(student, 0, EPS, unbiased=True) * standardise(teacher, 0, EPS, unbiased=True)
    return (product.mean(0) - 1).abs().pow(2 * alpha).sum().log2()


def mutual_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """sum_ij (G_s,ij / tr G_s)² - (G_st,ij / tr G_st)², G cosines, G_st = G_s G_t entry by entry; 0-d."""
    own, other = gram(to_unit(student)), gram(to_unit(teacher))
    joint = own * other
    return ((own / own.trace().clamp_min(EPS)).square() - (joint / joint.trace().clamp_min(EPS)).square()).sum()


def itrd_at_equal(
    teacher: Tensor, *, correlation_weight: float = 2.0, mutual_weight: float = 1.0, alpha: float = 1.01
) -> Tensor:
    """The value at student = teacher: each correlation is (B - 1) / B, and G_st is G_t squared."""
    count, width = teacher.shape
    wide = teacher.double()
    unit = wide / wide.norm(dim=1, keepdim=True)
    cosines = unit @ unit.T
    mutual = (cosines.square() - cosines.pow(4)).sum() / count**2
    return correlation_weight * torch.tensor(width * count ** (-2 * alpha)).log2() + mutual_weight * mutual


class ITRD(Method):
    """Information Theoretic Representation Distillation, Miles et al., BMVC 2022."""

    paper = Paper(
        "Information Theoretic Representation Distillation",
        "Miles, Lopez-Rodriguez, Mikolajczyk",
        "BMVC",
        2022,
        "2112.00459",
        "roymiles/ITRD",
    )
    formula = "L = CE + 2 log2 sum_d |c_d - 1|^(2 alpha) + (||G_s/tr||^2 - ||G_st/tr||^2), G_st = G_s o G_t, alpha 1.01"
    family = "relation"
    needs = Needs.of("embedding", "embedding")
    fidelity = "A"
    differences = (
        "1e-6 is added to the standard deviations, because a dead dimension of the teacher makes the released loss "
        "NaN; defaults are the README's (2, 1, 1.01), the script's own are (2, .05, 1.5)"
    )
    evidence = (
        "CIFAR-100 to MobileNetV2 (64.60): from vgg13 70.39, from ResNet50 71.34, the best of its table "
        "(CRD 69.73, 69.11) [R]"
    )
    min_classes = 1
    at_equal = "formula: log2(D B^(-2 alpha)) and the teacher's own cosines (itrd_at_equal)"
    pure = staticmethod(itrd_loss)
    pure_at_equal = staticmethod(itrd_at_equal)
    pure_input = "embedding"
    batch_parts = frozenset({"correlation", "mutual"})

    correlation_weight: float = 2.0
    mutual_weight: float = 1.0
    alpha: float = 1.01

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        inputs, outputs = specs.student.embedding, specs.teacher.embedding
        assert inputs is not None
        assert outputs is not None
        self.same_width = inputs == outputs
        # only the second term sees a bias: standardising cancels it in the first
        self.projector = linear(inputs, outputs, bias=not self.same_width)

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        student, teacher = s.need_embedding(), t.need_embedding()
        projected = self.projector(student)
        correlation = correlation_loss(projected, teacher, self.alpha)
        # as the authors do: raw embeddings in the second term where their widths agree
        mutual = mutual_loss(student if self.same_width else projected, teacher)
        return {"correlation": self.correlation_weight * correlation, "mutual": self.mutual_weight * mutual}
