"""Tf-KD: a hand-made teacher, the control that has no teacher but looks like one."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor

from alambic.errors import AlambicError
from alambic.functional.prob import soft_targets
from alambic.methods.base import Batch, Method, Needs, Paper, Parts
from alambic.models.feature import Outputs


def tf_kd_loss(
    student: Tensor,
    teacher: Tensor | None = None,
    labels: Tensor | None = None,
    *,
    correct: float = 0.99,
    temperature: float = 20.0,
) -> Tensor:
    """KL[softmax(u / T), p_s] / C with u = ``correct`` at the label and the rest spread evenly.

    Args:
        student: logits B x C, C >= 2. teacher: ignored.
        labels: int64 B or float B x C (mixed); unlabelled rows give 0.

    Returns: B values >= 0.
    """
    if labels is None:
        raise AlambicError(
            "tf_kd_loss expected labels, got none, because its teacher is made of them; try label_smoothing"
        )
    classes = student.shape[1]
    targets = (soft_targets(labels, classes) if labels.ndim == 1 else labels).to(student.dtype)
    log_p, known = F.log_softmax(student, dim=1), targets.sum(1)
    high, low = math.exp(correct / temperature), math.exp((1 - correct) / (classes - 1) / temperature)
    at_label, elsewhere = high / (high + (classes - 1) * low), low / (high + (classes - 1) * low)
    entropy = -at_label * math.log(at_label) - (classes - 1) * elsewhere * math.log(elsewhere)
    # a mixed image has the mean of its two virtual teachers' divergences
    cross = -elsewhere * log_p.sum(1) * known - (at_label - elsewhere) * (targets * log_p).sum(1)
    return (cross - entropy * known) / classes


class TfKD(Method):
    """Revisiting Knowledge Distillation via Label Smoothing Regularization, Yuan et al., CVPR 2020: Tf-KD_reg.

    Whatever a real teacher adds over this is more than smoothing.
    """

    paper = Paper(
        "Revisiting Knowledge Distillation via Label Smoothing Regularization",
        "Yuan, Tay, Li, Wang, Feng",
        "CVPR",
        2020,
        "1909.11723",
        "yuanli2333/Teacher-free-Knowledge-Distillation",
    )
    formula = "L = .9 CE + .1 * 100 KL[softmax(u/T), p_s] / C, u = .99 at the label, the rest even, T = 20"
    family = "control"
    needs = Needs.of("logits", "", labels=True)
    fidelity = "A"
    differences = (
        "as released, the made-up probabilities go through a softmax again and the sum is divided by the classes; "
        "defaults are ResNet18's, MobileNetV2's are alpha .95, T 40, multiplier 1"
    )
    evidence = "ImageNet, ResNet18: Tf-KD 70.42, 70.52 in torchdistill; KD from ResNet34 71.37 [R]"
    degenerate = "the softmax of one logit is always 1"
    at_equal = "none, because there is no teacher"
    pure = staticmethod(tf_kd_loss)
    pure_input = "logits"

    correct: float = 0.99
    temperature: float = 20.0
    weight: float = 10.0
    ce_weight: float = 0.9

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        logits = s.need_logits()
        targets = soft_targets(batch.labels, logits.shape[1], batch.partner, batch.lam)
        value = tf_kd_loss(logits, None, targets, correct=self.correct, temperature=self.temperature)
        return {"tf_kd": self.weight * value}
