"""Knowledge distillation on softened class probabilities."""

from __future__ import annotations

from torch import Tensor

from alambic.functional.prob import kl_divergence
from alambic.methods.base import Batch, Method, Needs, Paper, Parts
from alambic.models.feature import Outputs


def kd_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, temperature: float = 4.0) -> Tensor:
    """T² KL(softmax(z_t / T) || softmax(z_s / T)) per sample; logits B x C -> B values >= 0."""
    return temperature**2 * kl_divergence(student, teacher, temperature)


class KD(Method):
    """Distilling the Knowledge in a Neural Network, Hinton et al., 2015.

    At least four different "KD baselines" stand in the literature: (CE, KL) weights and temperature (.1, .9, 4) here
    and in mdistiller and RepDistiller; (1, 1, 1) in OFAKD; (1, 1, 4) in SimKD. Tune both before comparing.
    """

    paper = Paper(
        "Distilling the Knowledge in a Neural Network",
        "Hinton, Vinyals, Dean",
        "NeurIPS Deep Learning Workshop",
        2015,
        "1503.02531",
        "megvii-research/mdistiller",
    )
    formula = "L = .1 CE + .9 T^2 KL[softmax(z_t/T), softmax(z_s/T)]"
    family = "logit"
    needs = Needs.of("logits", "logits")
    fidelity = "A"
    evidence = (
        "CIFAR-100, 12 pairs across architectures at T 1, weight 1: +3.17 on average, but flat or negative on "
        "MobileNetV2 [M]; ImageNet ResNet34 to ResNet18: 71.37 in torchdistill [R]"
    )
    pure = staticmethod(kd_loss)
    pure_input = "logits"

    temperature: float = 4.0
    weight: float = 0.9
    ce_weight: float = 0.1

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        return {"kd": self.weight * kd_loss(s.need_logits(), t.need_logits(), temperature=self.temperature)}
