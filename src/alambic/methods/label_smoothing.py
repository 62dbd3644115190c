"""Label smoothing: the control that has no teacher but softens the targets."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor

from alambic.functional.prob import cross_entropy, soft_targets
from alambic.methods.base import Batch, Method, Needs, Paper, Parts
from alambic.models.feature import Outputs


def label_smoothing_loss(
    student: Tensor, teacher: Tensor | None = None, labels: Tensor | None = None, *, epsilon: float = 0.1
) -> Tensor:
    """epsilon (mean_c(-log p_c) - CE): what must be added to cross-entropy to smooth its labels.

    Args:
        student: logits B x C. teacher: ignored.
        labels: targets, float B x C or int64 B; unlabelled rows give 0.

    Returns: B values.
    """
    assert labels is not None
    targets = soft_targets(labels, student.shape[1]) if labels.ndim == 1 else labels
    uniform = -F.log_softmax(student, dim=1).mean(1) * targets.sum(1)
    return epsilon * (uniform - cross_entropy(student, targets))


class LabelSmoothing(Method):
    """Rethinking the Inception Architecture for Computer Vision, Szegedy et al., CVPR 2016."""

    paper = Paper(
        "Rethinking the Inception Architecture for Computer Vision",
        "Szegedy, Vanhoucke, Ioffe, Shlens, Wojna",
        "CVPR",
        2016,
        "1512.00567",
    )
    formula = "L = CE + eps (mean_c(-log p_c) - CE) = (1 - eps) CE + eps CE(uniform)"
    family = "control"
    needs = Needs.of("logits", "", labels=True)
    fidelity = "A"
    evidence = "ImageNet ResNet34 to ResNet18: KD with label smoothing 71.23, KD 71.37 [R]"
    at_equal = "none, because there is no teacher"
    pure = staticmethod(label_smoothing_loss)
    pure_input = "logits"

    epsilon: float = 0.1

    @property
    def largest_weight(self) -> float:
        return 1 / self.epsilon if self.epsilon > 0 else math.inf

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        logits = s.need_logits()
        targets = soft_targets(batch.labels, logits.shape[1], batch.partner, batch.lam)
        return {"smoothing": label_smoothing_loss(logits, None, targets, epsilon=self.epsilon)}
