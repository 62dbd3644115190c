"""CC: correlation congruence between the samples of a batch."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from alambic.errors import AlambicError
from alambic.functional.relation import gram, to_unit
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs
from alambic.models.projector import linear


def cc_loss(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor | None = None,
    *,
    form: str = "released",
    gamma: float = 0.4,
    order: int = 2,
) -> Tensor:
    """Correlation congruence of two embeddings B x D of the same width -> 0-d.

    Args:
        form: "released": mean_b sum_d g_bd g_b+1,d with g = |s - t|, neighbours in batch order (the authors' code).
            "kernel": mean_bj (K(s)_bj - K(t)_bj)², K = exp(-2 gamma) sum_p (2 gamma)^p / p! (x·y)^p: a Gaussian
            kernel by its Taylor series (the paper's formula), of embeddings that are unit vectors already.
        gamma, order: of the kernel.
    """
    if form == "released":
        gap = (student - teacher).abs()
        return (gap[:-1] * gap[1:]).sum() / max(len(gap) - 1, 1)  # one sample has no neighbour
    return (_kernel(student, gamma, order) - _kernel(teacher, gamma, order)).square().mean()


def _kernel(features: Tensor, gamma: float, order: int) -> Tensor:
    products = gram(features)
    total = torch.ones_like(products)
    for p in range(1, order + 1):
        total = total + (2 * gamma) ** p / math.factorial(p) * products**p
    return math.exp(-2 * gamma) * total


class CC(Method):
    """Correlation Congruence for Knowledge Distillation, Peng et al., ICCV 2019.

    Code and paper disagree; both are here (``form``). The published comparisons (RepDistiller's tables, and the
    cross-architecture ones that build on them) used the released form. Both embeddings are trained, so that nothing
    but cross-entropy forbids the trivial answer zero.
    """

    paper = Paper(
        "Correlation Congruence for Knowledge Distillation",
        "Peng, Jin, Liu, Li, Wu, Liu, Zhou, Zhang",
        "ICCV",
        2019,
        "1904.01802",
        "HobbitLong/RepDistiller",
    )
    formula = "L = CE + .02 mean_b sum_d g_bd g_b+1,d, g = |W_s f_s - W_t f_t|; form=kernel: mean_bj (K_s - K_t)_bj^2"
    family = "relation"
    needs = Needs.of("embedding", "embedding")
    fidelity = "A"
    differences = (
        "the authors' code as RepDistiller publishes it; form=kernel is the paper's formula with a squared norm, where "
        "torchdistill takes the norm itself over B², of embeddings scaled to length 1, which its series needs; the "
        "weight is the released form's, that of form=kernel must be tuned"
    )
    evidence = "CIFAR-100 to MobileNetV2 (64.60): from vgg13 64.86, from ResNet50 65.43 (KD 67.37, 67.35) [R]"
    min_classes = 1
    pure = staticmethod(cc_loss)
    pure_input = "embedding"
    batch_parts = frozenset({"cc"})
    order_dependent = "form=released multiplies the gaps of neighbours in the batch"

    weight: float = 0.02
    width: int = 128
    form: str = "released"
    gamma: float = 0.4
    order: int = 2

    def check(self, specs: Specs) -> None:
        super().check(specs)
        if self.form not in ("released", "kernel"):
            raise AlambicError(f"method 'cc' expected form = released or kernel, got {self.form!r}")

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        assert specs.student.embedding is not None
        assert specs.teacher.embedding is not None
        self.embed_student = linear(specs.student.embedding, self.width)
        self.embed_teacher = linear(specs.teacher.embedding, self.width)

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        student, teacher = self.embed_student(s.need_embedding()), self.embed_teacher(t.need_embedding())
        if self.form == "kernel":
            student, teacher = to_unit(student), to_unit(teacher)
        return {"cc": self.weight * cc_loss(student, teacher, form=self.form, gamma=self.gamma, order=self.order)}
