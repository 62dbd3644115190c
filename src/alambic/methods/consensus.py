"""Consensus of architectures: where teachers of different families agree, and how far."""

from __future__ import annotations

import torch
from torch import Tensor

from alambic.errors import AlambicError
from alambic.functional.prob import entropy, kl_divergence
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs


def consensus_loss(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor | None = None,
    *,
    teachers: int = 3,
    temperature: float = 4.0,
    eta: float = 1.0,
    gamma: float = 1.0,
) -> Tensor:
    """exp(-gamma JS) T² KL(softmax(q / T) || softmax(z_s / T)), q_c = mean_c / (1 + eta variance_c) over the teachers.

    Each teacher's logits are standardised (mean 0, deviation 1 over classes) before they are compared, and their mean
    gets the teachers' mean deviation back, so that one teacher alone is plain distillation. JS is the Jensen-Shannon
    divergence of the teachers' own probabilities, in nats.

    Args:
        student: logits B x C. teacher: logits of all teachers side by side, B x (teachers C).
        eta: how much a class on which they differ is flattened. gamma: how little an image on which they differ counts.

    Returns: B values >= 0.
    """
    each = teacher.unflatten(1, (teachers, -1))
    centred = each - each.mean(2, keepdim=True)
    spread = centred.square().mean(2, keepdim=True).sqrt()
    unit = centred / spread.clamp_min(1e-7)
    target = unit.mean(1) * spread.mean(1) / (1 + eta * unit.var(1, correction=0))
    weight = torch.exp(-gamma * disagreement(each))
    return weight * temperature**2 * kl_divergence(student, target, temperature)


def disagreement(logits: Tensor) -> Tensor:
    """Jensen-Shannon divergence of the teachers' probabilities, B x K x C -> B values in [0, log K]."""
    mean = logits.log_softmax(2).exp().mean(1).clamp_min(torch.finfo(logits.dtype).tiny).log()
    each = entropy(logits.flatten(0, 1)).view(logits.shape[:2]).mean(1)
    return (entropy(mean) - each).clamp_min(0)


class Consensus(Method):
    """Our own (idea I7), not published: teachers of several architectures, of which only the agreement is taught.

    Hypothesis: what a CNN, a transformer and a mixer say alike does not depend on the architecture, so a network of
    another kind can learn it; what one of them says alone is the part that does not carry over. A class on which they
    differ is flattened, an image on which they differ counts less. The treatment ``joint_teacher`` puts the teachers
    into one network whose logits stand side by side.

    Falsifier: as many teachers of one architecture from other seeds do as well (then it is an ensemble's lower
    variance), or the best of the teachers alone does.
    """

    paper = Paper("Consensus of architectures (ours, not published)", "The authors of alambic", "alambic", 2026)
    formula = (
        "L = CE + w exp(-gamma JS(p_1..p_K)) T^2 KL[softmax(q/T), p_s^T], q_c = mean_k z_kc / (1 + eta var_k z_kc)"
    )
    family = "logit"
    needs = Needs.of("logits", "logits")
    fidelity = "O"
    differences = "the idea's note leaves the scale of the standardised logits open: here it is the teachers' mean one"
    evidence = (
        "no number of its own yet: ours; that knowledge shared by architectures is what carries over is RSD's thesis: "
        "CIFAR-100, 12 pairs +10.69 on average, OFA +7.47 [N]"
    )
    degenerate = "the softmax of one logit is always 1, so there is no divergence"
    at_equal = "none, because there are several teachers"
    pure = staticmethod(consensus_loss)
    pure_input = "logits"

    teachers: int = 3
    weight: float = 1.0
    temperature: float = 4.0
    eta: float = 1.0
    gamma: float = 1.0

    def teacher_classes(self, classes: int) -> int:
        return classes * self.teachers

    def check(self, specs: Specs) -> None:
        wanted = self.teacher_classes(specs.classes)
        if specs.classes >= self.min_classes and specs.teacher.classes != wanted:
            raise AlambicError(
                f"method 'consensus' expected the logits of {self.teachers} teachers side by side, {wanted} in all, "
                f"got {specs.teacher.classes}, because it compares them with each other; try the treatment "
                "joint_teacher, or the setting `teachers`"
            )
        super().check(specs)

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        value = consensus_loss(
            s.need_logits(),
            t.need_logits(),
            teachers=self.teachers,
            temperature=self.temperature,
            eta=self.eta,
            gamma=self.gamma,
        )
        return {"consensus": self.weight * value}
