"""SRD: the simple recipe, a linear projector, batch normalisation on both sides and a soft maximum of the gaps."""

from __future__ import annotations

import torch
from torch import Tensor

from alambic.functional.prob import kl_divergence
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs
from alambic.models.projector import linear

FLOOR = 1e-5


def srd_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, exponent: float = 4.0) -> Tensor:
    """log(1e-5 + sum_bd |BN(s)_bd - BN(t)_bd|^exponent), BN the batch's normalisation without scale and shift.

    Args:
        student: B x D, already projected. teacher: B x D.
        exponent: large values follow the largest gaps.

    Returns: 0-d; log 1e-5 = -11.5 at best.
    """
    gap = (_normalise(student) - _normalise(teacher)).abs()
    return (gap.pow(exponent).sum() + FLOOR).log()


def _normalise(features: Tensor, eps: float = 1e-4) -> Tensor:
    centred = features - features.mean(0)
    return centred * (centred.square().mean(0) + eps).rsqrt()


class SRD(Method):
    """Understanding the Role of the Projector in Knowledge Distillation, Miles and Mikolajczyk, AAAI 2024.

    One of the few whose published ImageNet gain a rerun confirms. The value is a logarithm of a sum over the batch, so
    its gradient does not grow with the batch or the width.
    """

    paper = Paper(
        "Understanding the Role of the Projector in Knowledge Distillation",
        "Miles, Mikolajczyk",
        "AAAI",
        2024,
        "2303.11098",
        "roymiles/Simple-Recipe-Distillation",
    )
    formula = "L = CE + KL[p_t, p_s] + 2 log(1e-5 + sum_bd |BN(W f_s) - BN(f_t)|^4)"
    family = "embedding"
    needs = Needs.of("logits embedding", "logits embedding")
    fidelity = "A"
    differences = (
        "the ImageNet form; no bias, which the normalisation cancels; 1e-5 inside the logarithm is from the authors' "
        "DeiT form, without it a perfect student's loss is minus infinity. (That DeiT form compares correlations "
        "instead and stops with a name error as released)"
    )
    evidence = "ImageNet, ResNet34 to ResNet18: 71.63 in the paper, 71.92 in torchdistill's rerun (KD 71.37 there) [R]"
    degenerate = "the softmax of one logit is always 1, so its divergence is 0"
    at_equal = -11.512925464970229
    pure = staticmethod(srd_loss)
    pure_input = "embedding"
    batch_parts = frozenset({"srd"})

    weight: float = 2.0
    kl_weight: float = 1.0
    exponent: float = 4.0

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        assert specs.student.embedding is not None
        assert specs.teacher.embedding is not None
        self.projector = linear(specs.student.embedding, specs.teacher.embedding, bias=False)

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        projected = self.projector(s.need_embedding())
        return {
            "srd": self.weight * srd_loss(projected, t.need_embedding(), exponent=self.exponent),
            "kl": self.kl_weight * kl_divergence(s.need_logits(), t.need_logits()),
        }
