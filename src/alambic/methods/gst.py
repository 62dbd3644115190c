"""Geodesic-step teacher: the target lies a fixed step from the student, towards the teacher."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from alambic.errors import AlambicError
from alambic.functional.prob import kl_of_logs, mix_labels
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs

TARGETS = ("geodesic", "share", "clipped")
STEPS = 24  # halvings: the share of the way is known to 6e-8
MASKED = -1e4  # a logit whose probability is zero in fp32


def gst_loss(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor | None = None,
    *,
    delta: float = 0.5,
    target: str = "geodesic",
    share: float = 0.5,
) -> Tensor:
    """KL(q || softmax(z_s)) per sample, q ~ p_t^a p_s^(1-a) without gradient, a <= 1 such that the value is ``delta``.

    Where the teacher is wrong on a labelled image, the classes that it ranks above the true one are left out of both.

    Args:
        student, teacher: logits B x C. labels: int64 B, -1 unknown. delta: nats; nearer teachers are taken whole.
        target: "geodesic"; or a control: "share", where a is ``share`` for every sample, or "clipped", where a is 1 and
            the value is held at ``delta``, beyond which it has no gradient.

    Returns: B values in [0, delta]; of at least 0 with "share".
    """
    if labels is not None:
        own = teacher.gather(1, labels.clamp_min(0)[:, None])
        above = (teacher > own) & (labels >= 0)[:, None]
        student, teacher = student.masked_fill(above, MASKED), teacher.masked_fill(above, MASKED)
    log_s, log_t = F.log_softmax(student, 1), F.log_softmax(teacher, 1)
    start = log_s.detach()
    if target == "share":
        return kl_of_logs(log_s, _between(start, log_t, torch.full_like(start[:, :1], share)))
    if target == "clipped":
        return kl_of_logs(log_s, log_t).clamp_max(delta)
    low, high = torch.zeros_like(start[:, :1]), torch.ones_like(start[:, :1])
    for _ in range(STEPS):
        middle = (low + high) / 2
        near = kl_of_logs(start, _between(start, log_t, middle))[:, None] <= delta
        low, high = torch.where(near, middle, low), torch.where(near, high, middle)
    whole = kl_of_logs(start, log_t)[:, None] <= delta
    return kl_of_logs(log_s, _between(start, log_t, torch.where(whole, torch.ones_like(low), low)))


def _between(log_s: Tensor, log_t: Tensor, share: Tensor) -> Tensor:
    """Log probabilities on the geodesic from student (share 0) to teacher (share 1)."""
    return F.log_softmax(share * log_t + (1 - share) * log_s, 1)


class GST(Method):
    """Our own (idea I1), not published: a reachable target for each sample at each moment, without a trained assistant.

    Early-stopped and student-friendly teachers bring the teacher to the student; here the target moves instead, always
    ``delta`` nats away, so that a tiny network is never asked for the whole way, and a wrong teacher never pulls.

    Falsifier: it does not beat kd whose per-sample loss is clipped at ``delta`` (``target = "clipped"``), or a fixed
    share of the way (``target = "share"``).
    """

    paper = Paper("Geodesic-step teacher (ours, not published)", "The authors of alambic", "alambic", 2026)
    formula = "L = CE + w KL[q, p_s], q ~ p_t^a p_s^(1-a), a = max a <= 1 with KL[q, p_s] <= delta"
    family = "logit"
    needs = Needs.of("logits", "logits", labels=True)
    fidelity = "O"
    evidence = (
        "no number of its own yet: ours; of its parts, leaving out what a wrong teacher ranks above the truth is RLD's:"
        " ImageNet, ResNet50 to MobileNetV1 72.75, DKD 72.05 [N]"
    )
    pure = staticmethod(gst_loss)
    pure_input = "logits"

    delta: float = 0.5
    target: str = "geodesic"
    share: float = 0.5
    weight: float = 1.0
    ce_weight: float = 1.0

    def check(self, specs: Specs) -> None:
        super().check(specs)
        if self.target not in TARGETS or not 0 <= self.share <= 1 or self.delta <= 0:
            raise AlambicError(
                f"method 'gst' expected target out of {', '.join(TARGETS)}, share in [0, 1] and delta above 0, got "
                f"{self.target!r}, {self.share} and {self.delta}; try the defaults"
            )

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        student, teacher = s.need_logits(), t.need_logits()

        def term(labels: Tensor) -> Tensor:
            return gst_loss(student, teacher, labels, delta=self.delta, target=self.target, share=self.share)

        return {"gst": self.weight * mix_labels(term, batch.labels, batch.partner, batch.lam)}
