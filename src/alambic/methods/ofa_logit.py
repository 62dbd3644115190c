"""OFA on the logits alone: the teacher's classes, the true one enhanced."""

from __future__ import annotations

from torch import Tensor

from alambic.functional.prob import soft_targets
from alambic.methods.base import Batch, Method, Needs, Paper, Parts
from alambic.methods.ofa import ofa_loss
from alambic.models.feature import Outputs


def ofa_logit_loss(
    student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, gamma: float = 1.0, temperature: float = 1.0
) -> Tensor:
    """-sum_c [(p_t,c + m_c)^gamma - m_c] log p_s,c; logits B x C, labels int64 B or float B x C -> B values."""
    return ofa_loss(student, teacher, labels, gamma=gamma, temperature=temperature)


class OFALogit(Method):
    """One-for-All without its exits: the authors' own ablation, as good as the whole on Swin-T to ResNet18.

    At gamma = 1 the labels cancel and the loss is plain cross-entropy against the teacher.
    """

    paper = Paper(
        "One-for-All: Bridge the Gap Between Heterogeneous Architectures in Knowledge Distillation",
        "Hao, Guo, Han, Tang, Hu, Wang, Xu",
        "NeurIPS",
        2023,
        "2310.19444",
        "Hao840/OFAKD",
    )
    formula = "L = CE - sum_c [(p_t,c + m_c)^gamma - m_c] log p_s,c"
    family = "logit"
    needs = Needs.of("logits", "logits", labels=True)
    fidelity = "A"
    differences = (
        "mixed labels give a soft mask where the authors take the argmax; the authors smooth the labels of "
        "cross-entropy by .1"
    )
    evidence = "CIFAR-100, Swin-T to ResNet18: 80.60, the whole OFA 80.54 [N]"
    degenerate = "the softmax of one logit is always 1"
    at_equal = "none, because a cross-entropy equals the teacher's entropy there, and labels add to it"
    pure = staticmethod(ofa_logit_loss)
    pure_input = "logits"

    gamma: float = 1.0
    temperature: float = 1.0
    weight: float = 1.0

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        student, teacher = s.need_logits(), t.need_logits()
        mask = soft_targets(batch.labels, teacher.shape[1], batch.partner, batch.lam)
        value = ofa_logit_loss(student, teacher, mask, gamma=self.gamma, temperature=self.temperature)
        return {"ofa_logit": self.weight * value}
