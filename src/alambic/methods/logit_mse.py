"""Mean squared error between logits."""

from __future__ import annotations

from torch import Tensor

from alambic.methods.base import Batch, Method, Needs, Paper, Parts
from alambic.models.feature import Outputs


def logit_mse_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None) -> Tensor:
    """mean_c (z_s,c - z_t,c)² per sample; logits B x C -> B values >= 0."""
    return (student - teacher).square().mean(1)


class LogitMSE(Method):
    """Comparing Kullback-Leibler Divergence and Mean Squared Error Loss in Knowledge Distillation, Kim et al., 2021.

    The limit of KD at infinite temperature but for the logits' mean, which it matches too. It works with one logit.
    """

    paper = Paper(
        "Comparing Kullback-Leibler Divergence and Mean Squared Error Loss in Knowledge Distillation",
        "Kim, Oh, Kim, Cho, Yun",
        "IJCAI",
        2021,
        "2105.08919",
        "jhoon-oh/kd_data",
    )
    formula = "L = mean_c (z_s,c - z_t,c)^2"
    family = "logit"
    needs = Needs.of("logits", "logits")
    fidelity = "A"
    evidence = "CIFAR-100, WRN-28-4 to WRN-16-2: 75.54, KD at its best temperature 74.84 [M]; CNN pairs of one family"
    min_classes = 1
    pure = staticmethod(logit_mse_loss)
    pure_input = "logits"

    weight: float = 1.0
    ce_weight: float = 0.0

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        return {"logit_mse": self.weight * logit_mse_loss(s.need_logits(), t.need_logits())}
