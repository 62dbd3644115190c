"""EA-KD: samples on which the teacher and the student are uncertain count more."""

from __future__ import annotations

import math

from torch import Tensor

from alambic.errors import AlambicError
from alambic.functional.prob import entropy
from alambic.methods.base import Batch, Paper, Specs
from alambic.methods.modifier import Modifier
from alambic.models.feature import Outputs


def entropy_weight(student: Tensor, teacher: Tensor, *, temperature: float = 3.0) -> Tensor:
    """½ H_t (1 + H_s / log C) with entropies in nats at a temperature, without gradient.

    Args:
        student, teacher: logits B x C, C >= 2.

    Returns: B values in [0, log C].
    """
    student, teacher = student.detach(), teacher.detach()
    own = entropy(student, temperature) / math.log(student.shape[1])
    return 0.5 * entropy(teacher, temperature) * (1 + own)


class EAKD(Modifier):
    """EA-KD: Entropy-based Adaptive Knowledge Distillation, Su et al., ICCV 2025.

    Control: the inverse weighting should hurt.
    """

    paper = Paper(
        "EA-KD: Entropy-based Adaptive Knowledge Distillation",
        "Su, Tseng, Pu, Zhao, Yang, Chen, Lee",
        "ICCV",
        2025,
        "2311.13621",
        "cpsu00/EA-KD",
    )
    formula = "each sample's loss times H_t (1 + H_s / log C) / 2, entropies at temperature 3"
    fidelity = "A"
    differences = (
        "the released KD and DKD on CIFAR-100 divide by 100 where the paper, ImageNet and the others divide by log C"
    )
    evidence = "CIFAR-100, KD +1.48 on average; the inverse weighting hurts [N]"
    refuses_batch_parts = True

    temperature: float = 3.0

    def check(self, specs: Specs) -> None:
        if specs.classes < 2:
            raise AlambicError(
                f"modifier 'ea_kd' expected at least 2 classes, got {specs.classes}, because one logit has no entropy; "
                "try two classes"
            )

    def sample_weight(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Tensor | None:
        return entropy_weight(s.need_logits(), t.need_logits(), temperature=self.temperature)
