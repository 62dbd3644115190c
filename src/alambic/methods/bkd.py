"""BKD: one binary problem per class, the teacher's probabilities as targets."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from alambic.methods.base import Batch, Method, Needs, Paper, Parts
from alambic.models.feature import Outputs


def bkd_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None) -> Tensor:
    """Mean over classes of the binary cross-entropy between sigmoid(z_s) and softmax(z_t); sigmoid(z_t) for one logit.

    Args:
        student, teacher: logits B x C, C >= 1.

    Returns: B values >= 0.
    """
    target = teacher.softmax(1) if teacher.shape[1] > 1 else teacher.sigmoid()
    return F.binary_cross_entropy_with_logits(student, target, reduction="none").mean(1)


class BKD(Method):
    """VanillaKD: Revisit the Power of Vanilla Knowledge Distillation from Small Scale to Large Scale, NeurIPS 2023.

    The one logit loss here that works for a one-logit task: the teacher's sigmoid is then the target.
    """

    paper = Paper(
        "VanillaKD: Revisit the Power of Vanilla Knowledge Distillation from Small Scale to Large Scale",
        "Hao, Guo, Han, Hu, Xu, Wang",
        "NeurIPS",
        2023,
        "2305.15781",
        "Hao840/vanillaKD",
    )
    formula = "L = CE + mean_c BCE(sigmoid(z_s,c), softmax(z_t)_c)"
    family = "logit"
    needs = Needs.of("logits", "logits")
    fidelity = "A"
    differences = (
        "the authors may use binary cross-entropy on labels, too; ours is the task's; one logit takes the sigmoid"
    )
    evidence = "ImageNet, strong recipe with it or with plain KD: ResNet50 83.08, ViT-S 84.33 [R]"
    min_classes = 1
    at_equal = "none, because it is a cross-entropy"
    pure = staticmethod(bkd_loss)
    pure_input = "logits"

    weight: float = 1.0

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        return {"bkd": self.weight * bkd_loss(s.need_logits(), t.need_logits())}
