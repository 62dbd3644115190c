"""Confidence penalty: the teacher-free twin of every loss that makes the student less certain."""

from __future__ import annotations

from torch import Tensor

from alambic.functional.prob import entropy
from alambic.methods.base import Batch, Method, Needs, Paper, Parts
from alambic.models.feature import Outputs


def confidence_penalty_loss(student: Tensor, teacher: Tensor | None = None, labels: Tensor | None = None) -> Tensor:
    """-H(p_s) per sample, from -log C to 0; logits B x C -> B values."""
    return -entropy(student)


class ConfidencePenalty(Method):
    """Regularizing Neural Networks by Penalizing Confident Output Distributions, Pereyra et al., 2017."""

    paper = Paper(
        "Regularizing Neural Networks by Penalizing Confident Output Distributions",
        "Pereyra, Tucker, Chorowski, Kaiser, Hinton",
        "ICLR workshop",
        2017,
        "1701.06548",
    )
    formula = "L = CE - .1 H(p_s)"
    family = "control"
    needs = Needs.of("logits", "")
    fidelity = "B"
    evidence = "as good as label smoothing on language and CIFAR-10 in its paper [M]; never tried beside distillation"
    degenerate = "the softmax of one logit is always 1, so its entropy is 0"
    at_equal = "none, because there is no teacher"
    pure = staticmethod(confidence_penalty_loss)
    pure_input = "logits"

    weight: float = 0.1

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        return {"confidence_penalty": self.weight * confidence_penalty_loss(s.need_logits())}
