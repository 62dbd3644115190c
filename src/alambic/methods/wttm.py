"""WTTM: TTM that counts samples with flat teacher probabilities more."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from alambic.methods.base import Batch, Method, Needs, Paper, Parts
from alambic.methods.ttm import ttm_at_equal, ttm_loss
from alambic.models.feature import Outputs


def wttm_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, gamma: float = 0.2) -> Tensor:
    """s KL[p_t^gamma / s, p_s] with s = sum_c p_t,c^gamma per sample; logits B x C -> B values >= 0."""
    return power_sum(teacher, gamma) * ttm_loss(student, teacher, gamma=gamma)


def power_sum(teacher: Tensor, gamma: float) -> Tensor:
    """sum_c p_c^gamma, from 1 (certain) to C^(1 - gamma) (uniform); B x C -> B."""
    return (gamma * F.log_softmax(teacher, dim=1)).exp().sum(1)


def wttm_at_equal(teacher: Tensor, *, gamma: float = 0.2) -> Tensor:
    """The value at student = teacher; 0 is reached at gamma z_t."""
    return power_sum(teacher, gamma) * ttm_at_equal(teacher, gamma=gamma)


class WTTM(Method):
    """Weighted Transformed Teacher Matching, Zheng and Yang, ICLR 2024."""

    paper = Paper(
        "Knowledge Distillation Based on Transformed Teacher Matching",
        "Zheng, Yang",
        "ICLR",
        2024,
        "2402.11148",
        "zkxufo/TTM",
    )
    formula = "L = CE + 4 s KL[p_t^gamma / s, p_s], s = sum_c p_t,c^gamma, gamma = .2"
    family = "logit"
    needs = Needs.of("logits", "logits")
    fidelity = "A"
    differences = "defaults are the README's command where WTTM is added to CRD; the authors tune both per pair"
    evidence = (
        "ImageNet, ResNet34 to ResNet18 72.19, ResNet50 to MobileNetV1 73.09; CIFAR-100, ResNet50 to MobileNetV2 "
        "69.59, KD 67.35 [R]; CNN pairs"
    )
    degenerate = "the softmax of one logit is always 1, so its divergence is 0"
    at_equal = "formula: the weight times KL between the transformed teacher and the teacher (wttm_at_equal)"
    pure = staticmethod(wttm_loss)
    pure_at_equal = staticmethod(wttm_at_equal)
    pure_input = "logits"

    gamma: float = 0.2
    weight: float = 4.0

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        return {"wttm": self.weight * wttm_loss(s.need_logits(), t.need_logits(), gamma=self.gamma)}
