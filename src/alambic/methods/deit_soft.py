"""DeiT's soft distillation: KD whose sum is divided by the classes, too."""

from __future__ import annotations

from torch import Tensor

from alambic.functional.prob import kl_divergence
from alambic.methods.base import Batch, Method, Needs, Paper, Parts
from alambic.models.feature import Outputs


def deit_soft_loss(
    student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, temperature: float = 3.0
) -> Tensor:
    """T² KL(p_t^T || p_s^T) / C per sample; logits B x C -> B values >= 0."""
    return temperature**2 * kl_divergence(student, teacher, temperature) / student.shape[1]


class DeiTSoft(Method):
    """Training data-efficient image transformers and distillation through attention, Touvron et al., ICML 2021.

    The released loss divides by the number of elements B C, which makes it C times weaker than the paper's mean over
    the batch: with 1000 classes its weight .1 is almost nothing. It stands here as a control of that.
    """

    paper = Paper(
        "Training data-efficient image transformers and distillation through attention",
        "Touvron, Cord, Douze, Massa, Sablayrolles, Jegou",
        "ICML",
        2021,
        "2012.12877",
        "facebookresearch/deit",
    )
    formula = "L = .9 CE + .1 T^2 KL[p_t^T, p_s^T] / C, T = 3"
    family = "logit"
    needs = Needs.of("logits", "logits")
    fidelity = "A"
    differences = (
        "the student's one head learns from labels and teacher, where DeiT has a distillation token with its own; "
        "weights and temperature are the paper's, the script's defaults are .5 and 1"
    )
    evidence = "ImageNet, RegNetY-16GF to DeiT-B: soft 81.8, hard 83.0 (without distillation token), alone 81.8 [M]"
    degenerate = "the softmax of one logit is always 1, so its divergence is 0"
    pure = staticmethod(deit_soft_loss)
    pure_input = "logits"

    temperature: float = 3.0
    weight: float = 0.1
    ce_weight: float = 0.9

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        value = deit_soft_loss(s.need_logits(), t.need_logits(), temperature=self.temperature)
        return {"deit_soft": self.weight * value}
