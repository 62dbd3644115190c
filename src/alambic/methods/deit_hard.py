"""DeiT's hard distillation: the teacher's decision as a second label."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from alambic.methods.base import Batch, Method, Needs, Paper, Parts
from alambic.models.feature import Outputs


def deit_hard_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None) -> Tensor:
    """Cross-entropy against the teacher's most likely class; logits B x C -> B values >= 0."""
    return F.cross_entropy(student, teacher.argmax(1), reduction="none")


class DeiTHard(Method):
    """Training data-efficient image transformers and distillation through attention, Touvron et al., ICML 2021."""

    paper = Paper(
        "Training data-efficient image transformers and distillation through attention",
        "Touvron, Cord, Douze, Massa, Sablayrolles, Jegou",
        "ICML",
        2021,
        "2012.12877",
        "facebookresearch/deit",
    )
    formula = "L = .5 CE + .5 CE(argmax_c z_t)"
    family = "logit"
    needs = Needs.of("logits", "logits")
    fidelity = "A"
    differences = (
        "the student's one head learns from labels and teacher, where DeiT has a distillation token with its own"
    )
    evidence = "ImageNet, RegNetY-16GF to DeiT-B: 83.0 without distillation token, 83.4 with it, alone 81.8 [M]"
    degenerate = "one logit has one class, whose cross-entropy is 0"
    at_equal = "none, because it is a cross-entropy"
    pure = staticmethod(deit_hard_loss)
    pure_input = "logits"

    weight: float = 0.5
    ce_weight: float = 0.5

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        return {"deit_hard": self.weight * deit_hard_loss(s.need_logits(), t.need_logits())}
