"""Function matching: the teacher alone teaches, on the same view, for long."""

from __future__ import annotations

from torch import Tensor

from alambic.functional.prob import kl_divergence
from alambic.methods.base import Batch, Method, Needs, Paper, Parts
from alambic.models.feature import Outputs


def funmatch_loss(
    student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, temperature: float = 1.0
) -> Tensor:
    """T² KL(p_t^T || p_s^T) per sample; logits B x C -> B values >= 0."""
    return temperature**2 * kl_divergence(student, teacher, temperature)


class FunMatch(Method):
    """Knowledge distillation: A good teacher is patient and consistent, Beyer et al., CVPR 2022.

    The loss is the small part of it. The recipe makes it: both networks see the same crop and the same mixup, and
    training goes on for 10 to 100 times the usual epochs.
    """

    paper = Paper(
        "Knowledge distillation: A good teacher is patient and consistent",
        "Beyer, Zhai, Royer, Markeeva, Anil, Kolesnikov",
        "CVPR",
        2022,
        "2106.05237",
        "google-research/big_vision",
    )
    formula = "L = T^2 KL[p_t, p_s], T = 1, no labels"
    family = "logit"
    needs = Needs.of("logits", "logits")
    fidelity = "B"
    evidence = "ImageNet, BiT-M-R152x2 to ResNet50: 82.8 after 9600 epochs [A]; not tried across architectures"
    degenerate = "the softmax of one logit is always 1, so its divergence is 0"
    pure = staticmethod(funmatch_loss)
    pure_input = "logits"

    temperature: float = 1.0
    weight: float = 1.0
    ce_weight: float = 0.0

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        value = funmatch_loss(s.need_logits(), t.need_logits(), temperature=self.temperature)
        return {"funmatch": self.weight * value}
