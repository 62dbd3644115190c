"""TTM: the teacher's temperature without the student's."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from alambic.functional.prob import kl_of_logs
from alambic.methods.base import Batch, Method, Needs, Paper, Parts
from alambic.models.feature import Outputs


def ttm_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, gamma: float = 0.1) -> Tensor:
    """KL[p_t^gamma / sum_c p_t,c^gamma, p_s] per sample; logits B x C -> B values >= 0."""
    return kl_of_logs(F.log_softmax(student, dim=1), F.log_softmax(gamma * teacher, dim=1))


def ttm_at_equal(teacher: Tensor, *, gamma: float = 0.1) -> Tensor:
    """The value at student = teacher: how far the transformed teacher is from itself; 0 is reached at gamma z_t."""
    p = (gamma * teacher).softmax(1)
    return (1 - gamma) * -(p * teacher).sum(1) + teacher.logsumexp(1) - (gamma * teacher).logsumexp(1)


class TTM(Method):
    """Knowledge Distillation Based on Transformed Teacher Matching, Zheng and Yang, ICLR 2024.

    A power transform of the teacher's probabilities is a temperature 1 / gamma on its side only.
    """

    paper = Paper(
        "Knowledge Distillation Based on Transformed Teacher Matching",
        "Zheng, Yang",
        "ICLR",
        2024,
        "2402.11148",
        "zkxufo/TTM",
    )
    formula = "L = CE + 45 KL[p_t^gamma / sum_c p_t,c^gamma, p_s], gamma = .1"
    family = "logit"
    needs = Needs.of("logits", "logits")
    fidelity = "A"
    differences = "defaults are the README's command for vgg13 to vgg8; the authors tune both per pair"
    evidence = (
        "CIFAR-100, ResNet50 to MobileNetV2 69.24, KD 67.35; ResNet32x4 to ShuffleNetV2 76.57, KD 74.45 [R]; CNN pairs"
    )
    degenerate = "the softmax of one logit is always 1, so its divergence is 0"
    at_equal = "formula: KL between the transformed teacher and the teacher (ttm_at_equal)"
    pure = staticmethod(ttm_loss)
    pure_at_equal = staticmethod(ttm_at_equal)
    pure_input = "logits"

    gamma: float = 0.1
    weight: float = 45.0

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        return {"ttm": self.weight * ttm_loss(s.need_logits(), t.need_logits(), gamma=self.gamma)}
