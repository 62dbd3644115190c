"""WSLD: soft labels count less where the student already beats the teacher."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from alambic.errors import AlambicError
from alambic.functional.prob import cross_entropy, mix_labels, soft_targets
from alambic.methods.base import Batch, Method, Needs, Paper, Parts
from alambic.models.feature import Outputs


def wsld_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, temperature: float = 4.0) -> Tensor:
    """(1 - exp(-CE_s / CE_t)) T² CE[p_t^T, p_s^T], the weight without gradient.

    Args:
        student, teacher: logits B x C. labels: int64 B; -1 gives 0.

    Returns: B values >= 0.
    """
    if labels is None:
        raise AlambicError("wsld_loss expected labels, got none, because they weigh the samples; try kd_loss")
    hard = soft_targets(labels, student.shape[1])
    ratio = cross_entropy(student.detach(), hard) / (cross_entropy(teacher.detach(), hard) + 1e-7)
    soft = -((teacher / temperature).softmax(1) * F.log_softmax(student / temperature, dim=1)).sum(1)
    return (labels >= 0) * (1 - (-ratio).exp()) * temperature**2 * soft


class WSLD(Method):
    """Rethinking Soft Labels for Knowledge Distillation: A Bias-Variance Tradeoff Perspective, Zhou et al., 2021.

    A sample's soft label counts by 1 - exp(-CE_s / CE_t): nothing where the student is far more certain of the truth.
    """

    paper = Paper(
        "Rethinking Soft Labels for Knowledge Distillation: A Bias-Variance Tradeoff Perspective",
        "Zhou, Song, Chen, Zhou, Wang, Yuan, Zhang",
        "ICLR",
        2021,
        "2102.00650",
        "yzd-v/cls_KD",
    )
    formula = "L = CE + 2.25 (1 - exp(-CE_s / CE_t)) T^2 CE[p_t^T, p_s^T], T = 4"
    family = "logit"
    needs = Needs.of("logits", "logits", labels=True)
    fidelity = "A"
    differences = (
        "checked against cls_KD, whose constants these are; the authors' ImageNet code (bellymonster/"
        "Weighted-Soft-Label-Distillation) has T = 2 and a weight of 2.5; mixed images mix two hard targets"
    )
    evidence = "ImageNet, ResNet34 to ResNet18 72.04 [M]; no pair across architectures"
    degenerate = "the softmax of one logit is always 1, so its cross-entropy is 0"
    at_equal = "none, because it is a weighted cross-entropy"
    pure = staticmethod(wsld_loss)
    pure_input = "logits"

    temperature: float = 4.0
    weight: float = 2.25

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        student, teacher = s.need_logits(), t.need_logits()

        def term(labels: Tensor) -> Tensor:
            return wsld_loss(student, teacher, labels, temperature=self.temperature)

        return {"wsld": self.weight * mix_labels(term, batch.labels, batch.partner, batch.lam)}
