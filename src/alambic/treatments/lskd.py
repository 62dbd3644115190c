"""LSKD: logits standardised within each sample before any temperature."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from alambic.errors import AlambicError
from alambic.functional.prob import standardise
from alambic.methods.base import Paper, Specs
from alambic.methods.modifier import Modifier
from alambic.models.feature import Outputs


def standardise_logits(logits: Tensor) -> Tensor:
    """(z - mean_c z) / (std_c z + 1e-7), the unbiased standard deviation; B x C -> B x C.

    Where the deviation is at most 1e-6 result and gradient are 0: the gradient would grow as its inverse, and a
    classifier that starts at zeros would be lost with the first step.
    """
    return standardise(logits, 1, 1e-7, unbiased=True) * (logits.std(1, keepdim=True) > 1e-6)


class LSKD(Modifier):
    """Logit Standardization in Knowledge Distillation, Sun et al., CVPR 2024.

    The student need not match the teacher's range of logits, only their shape: what a tiny network can do.
    The authors use it with ``kd(weight=9.0, temperature=2.0)``: ten times the weight of their KD baseline.
    """

    paper = Paper(
        "Logit Standardization in Knowledge Distillation",
        "Sun, Ren, Li, Wang, Cao",
        "CVPR",
        2024,
        "2403.01427",
        "sunshangquan/logit-standardization-KD",
    )
    formula = "z -> (z - mean_c z) / (std_c z + 1e-7), student and teacher"
    fidelity = "A"
    differences = (
        "all terms of a method see standardised logits; the authors leave MLKD's class and batch terms raw; logits "
        "that are all alike have no gradient"
    )
    evidence = (
        "CIFAR-100, WRN-40-2 to MobileNetV2 68.36 to 69.23; ImageNet, ResNet34 to ResNet18 71.23, KD 71.37 in "
        "torchdistill [R]"
    )
    refuses_exits = True

    def check(self, specs: Specs) -> None:
        if specs.classes < 3:
            raise AlambicError(
                f"modifier 'lskd' expected at least 3 classes, got {specs.classes}, because two standardised logits "
                "are always +-.707 and only their sign is left; try kd without it"
            )

    def transform(self, s: Outputs, t: Outputs, progress: float) -> tuple[Outputs, Outputs]:
        return (
            replace(s, logits=standardise_logits(s.need_logits())),
            replace(t, logits=standardise_logits(t.need_logits())),
        )
