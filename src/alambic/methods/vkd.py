"""VkD: an orthogonal projection, which cannot absorb the mapping, onto the teacher's normalised embedding."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from alambic.functional.prob import kl_divergence
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs
from alambic.models.projector import linear


def vkd_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None) -> Tensor:
    """mean_d huber(s_d - LN(t)_d), LN the layer normalisation without scale and shift (eps 1e-5).

    Args:
        student: B x D, already projected. teacher: B x D.

    Returns: B values >= 0.
    """
    return F.smooth_l1_loss(student, F.layer_norm(teacher, teacher.shape[1:]), reduction="none").mean(1)


def vkd_at_equal(teacher: Tensor) -> Tensor:
    """The values at student = teacher: what layer normalisation changes in the teacher."""
    wide = teacher.double()
    centred = wide - wide.mean(1, keepdim=True)
    gap = (wide - centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()).abs()
    return torch.where(gap < 1, gap.square() / 2, gap - 0.5).mean(1)


class VkD(Method):
    """VkD: Improving Knowledge Distillation using Orthogonal Projections, Miles et al., CVPR 2024.

    A projection with orthonormal rows or columns keeps lengths and angles: what the student must learn, its backbone
    learns, not the projection.
    """

    paper = Paper(
        "VkD: Improving Knowledge Distillation using Orthogonal Projections",
        "Miles, Elezi, Deng",
        "CVPR",
        2024,
        "2403.06213",
        "roymiles/VkD",
    )
    formula = "L = CE + KL[p_t, p_s] + mean_d huber(P f_s - LN(f_t))_d, P with orthonormal rows or columns"
    family = "embedding"
    needs = Needs.of("logits embedding", "logits embedding")
    fidelity = "A"
    differences = (
        "one head learns from labels and teacher, where the authors' DeiT has a second head for the teacher; the "
        "authors smooth the labels of cross-entropy by .1"
    )
    evidence = "ImageNet, RegNetY-160 to DeiT-Ti 78.3 (79.2 in a rerun), to DeiT-S 82.3 (82.9) [R]; no CNN student"
    degenerate = "the softmax of one logit is always 1, so its divergence is 0"
    at_equal = "formula: the huber distance from the teacher's embedding to its layer-normalised self (vkd_at_equal)"
    pure = staticmethod(vkd_loss)
    pure_at_equal = staticmethod(vkd_at_equal)
    pure_input = "embedding"

    weight: float = 1.0
    kl_weight: float = 1.0

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        assert specs.student.embedding is not None
        assert specs.teacher.embedding is not None
        projection = linear(specs.student.embedding, specs.teacher.embedding, bias=False)
        self.projector = torch.nn.utils.parametrizations.orthogonal(projection)

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        projected = self.projector(s.need_embedding())
        return {
            "vkd": self.weight * vkd_loss(projected, t.need_embedding()),
            "kl": self.kl_weight * kl_divergence(s.need_logits(), t.need_logits()),
        }
