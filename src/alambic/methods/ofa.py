"""OFA-KD: early exits of the student learn the teacher's logits."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alambic.functional.prob import soft_targets
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs
from alambic.models.projector import exit_halvings, exit_head


def ofa_loss(
    student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, gamma: float = 1.0, temperature: float = 1.0
) -> Tensor:
    """-sum_c [(p_t,c + m_c)^gamma - m_c] log p_s,c with m the target mask.

    Args:
        student, teacher: logits B x C.
        labels: int64 B (-1: m is all zeros) or a float mask B x C (mixed labels).
        gamma: exponent of the adaptive target enhancement; 1 gives plain cross-entropy against the teacher.

    Returns: B values.
    """
    if labels is None:
        mask = torch.zeros_like(student)
    elif labels.ndim == 1:
        mask = soft_targets(labels, student.shape[1])
    else:
        mask = labels
    p_t = (teacher / temperature).softmax(1)
    log_p = F.log_softmax(student / temperature, dim=1)
    return -(((p_t + mask) ** gamma - mask) * log_p).sum(1)


class OFA(Method):
    """One-for-All: Bridge the Gap Between Heterogeneous Architectures in Knowledge Distillation, NeurIPS 2023.

    The authors' code raises every class to gamma; the paper modulates the target class only. Equal at gamma = 1.
    """

    paper = Paper(
        "One-for-All: Bridge the Gap Between Heterogeneous Architectures in Knowledge Distillation",
        "Hao, Guo, Han, Tang, Hu, Wang, Xu",
        "NeurIPS",
        2023,
        "2310.19444",
        "Hao840/OFAKD",
    )
    formula = "L = CE + l(z_s) + sum_i l(g_i(F_s^i)), l(z) = -sum_c [(p_t,c + m_c)^gamma - m_c] log p_s,c"
    family = "logit"
    needs = Needs.of("logits stages", "logits", labels=True)
    fidelity = "A"
    evidence = (
        "CIFAR-100, 12 pairs across architectures: +7.47 on average; ImageNet, 15 pairs: +2.20 [M]; up to +8.0 "
        "over the best earlier method [A]"
    )
    differences = (
        "an exit has as many stride-2 blocks as its map can still be halved above 2x2 (at most the authors' 4 - i), "
        "because maps of tiny students are small; mixed labels give a soft mask where the authors take the argmax; "
        "the authors smooth the labels of cross-entropy by .1"
    )
    at_equal = "none, because a cross-entropy equals the teacher's entropy there, and labels add to it"
    pure = staticmethod(ofa_loss)
    pure_input = "logits"

    gamma: float = 1.0
    temperature: float = 1.0
    logit_weight: float = 1.0
    exit_weight: float = 1.0

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        stages = specs.student.stages
        width = max(specs.student.embedding or 0, specs.teacher.embedding or 0, stages[-1].channels)
        self.exits = nn.ModuleList(
            exit_head(stage, halvings, width, specs.classes)
            for stage, halvings in zip(stages, exit_halvings(stages), strict=True)
        )

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        teacher = t.need_logits()
        mask = soft_targets(batch.labels, teacher.shape[1], batch.partner, batch.lam)
        term = {"gamma": self.gamma, "temperature": self.temperature}
        parts = {"logit": self.logit_weight * ofa_loss(s.need_logits(), teacher, mask, **term)}
        for i, (head, stage) in enumerate(zip(self.exits, s.stages, strict=True), start=1):
            parts[f"exit{i}"] = self.exit_weight * ofa_loss(head(stage.as_map()), teacher, mask, **term)
        return parts
