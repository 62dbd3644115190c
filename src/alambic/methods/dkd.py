"""DKD: the target class and the others, weighed apart."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from alambic.errors import AlambicError
from alambic.functional.prob import binary_logs, kl_of_logs, leave_out, mix_labels, target_mask
from alambic.functional.schedule import ramp
from alambic.methods.base import Batch, Method, Needs, Paper, Parts
from alambic.models.feature import Outputs


def dkd_loss(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 8.0,
    temperature: float = 4.0,
) -> Tensor:
    """T² (alpha KL[b_t, b_s] + beta KL[q_t, q_s]), b = (p_y, 1 - p_y), q the classes without y.

    Args:
        student, teacher: logits B x C. labels: int64 B; -1 gives 0.

    Returns: B values >= 0.
    """
    if labels is None:
        raise AlambicError("dkd_loss expected labels, got none, because it splits off the target class; try kd_loss")
    mask = target_mask(labels, student.shape[1])
    z_s, z_t = student / temperature, teacher / temperature
    target = kl_of_logs(binary_logs(z_s, mask), binary_logs(z_t, mask))
    rest = kl_of_logs(F.log_softmax(leave_out(z_s, mask), dim=1), F.log_softmax(leave_out(z_t, mask), dim=1))
    return (labels >= 0) * temperature**2 * (alpha * target + beta * rest)


class DKD(Method):
    """Decoupled Knowledge Distillation, Zhao et al., CVPR 2022.

    The DKD files of OFAKD, PAT and RSD read settings that are never set and stop as released; their tables' DKD row
    cannot be reproduced from them.
    """

    paper = Paper(
        "Decoupled Knowledge Distillation",
        "Zhao, Cui, Song, Qiu, Liang",
        "CVPR",
        2022,
        "2203.08679",
        "megvii-research/mdistiller",
    )
    formula = "L = CE + warm T^2 (alpha KL[b_t, b_s] + beta KL[q_t, q_s]), b = (p_y, 1 - p_y), q = softmax without y"
    family = "logit"
    needs = Needs.of("logits", "logits", labels=True)
    warms_up = True
    fidelity = "A"
    differences = (
        "log probabilities by logsumexp, so that saturated logits stay finite; mixed images mix two hard targets; "
        "beta is the authors' for most pairs of two architectures: their files have 2 for ResNet20, 6 for vgg and WRN "
        "pairs, on ImageNet .5 or 2 with T = 1 and one epoch of warm-up; theirs begins at 1/20, here it begins at 0"
    )
    evidence = (
        "CIFAR-100, ResNet50 to MobileNetV2 70.35, KD 67.35; ImageNet, ResNet50 to MobileNetV1 72.05, KD 70.50 [R]; "
        "below the student alone for ViT-S, Mixer and Swin-T to MobileNetV2 [M]"
    )
    min_classes = 3
    degenerate = "with two classes the classes without the target are one class, whose divergence is always 0"
    pure = staticmethod(dkd_loss)
    pure_input = "logits"

    alpha: float = 1.0
    beta: float = 8.0
    temperature: float = 4.0
    warmup: float = 20 / 240

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        student, teacher = s.need_logits(), t.need_logits()

        def term(labels: Tensor) -> Tensor:
            return dkd_loss(student, teacher, labels, alpha=self.alpha, beta=self.beta, temperature=self.temperature)

        return {"dkd": ramp(progress, self.warmup) * mix_labels(term, batch.labels, batch.partner, batch.lam)}
