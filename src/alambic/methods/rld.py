"""RLD: refined logits, which leave out what the teacher gets wrong."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from alambic.errors import AlambicError
from alambic.functional.prob import binary_logs, kl_of_logs, leave_out, mix_labels, target_mask
from alambic.functional.schedule import ramp
from alambic.methods.base import Batch, Method, Needs, Paper, Parts
from alambic.models.feature import Outputs


def rld_loss(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 8.0,
    temperature: float = 4.0,
    confidence_temperature: float = 4.0,
) -> Tensor:
    """alpha Ta² KL[(max p_t, 1 - max p_t), (p_s,y, 1 - p_s,y)] + beta T² KL over the classes with z_t,c < z_t,y.

    Args:
        student, teacher: logits B x C. labels: int64 B; -1 gives 0.
        confidence_temperature: Ta, of the first term.

    Returns: B values >= 0.
    """
    if labels is None:
        raise AlambicError("rld_loss expected labels, got none, because it refines by the label; try kd_loss")
    classes = student.shape[1]
    mask = target_mask(labels, classes)
    top = target_mask(teacher.argmax(1), classes)
    confidence = kl_of_logs(
        binary_logs(student / confidence_temperature, mask), binary_logs(teacher / confidence_temperature, top)
    )
    above = teacher >= teacher.gather(1, labels.clamp_min(0)[:, None])
    kept = kl_of_logs(
        F.log_softmax(leave_out(student / temperature, above), dim=1),
        F.log_softmax(leave_out(teacher / temperature, above), dim=1),
    )
    value = alpha * confidence_temperature**2 * confidence + beta * temperature**2 * kept
    return (labels >= 0) * value


class RLD(Method):
    """Knowledge Distillation with Refined Logits, Sun et al., ICCV 2025.

    The student's confidence in the true class follows the teacher's confidence in whatever it believes; the ranking
    below the true class follows the teacher; classes that the teacher wrongly puts above it are left out.
    """

    paper = Paper(
        "Knowledge Distillation with Refined Logits",
        "Sun, Chen, Lyu, Chen, Chen, Wang",
        "ICCV",
        2025,
        "2408.07703",
        "zju-SWJ/RLD",
    )
    formula = (
        "L = CE + warm (alpha Ta^2 KL[(max p_t, rest), (p_s,y, rest)] + beta T^2 KL[q_t, q_s]), "
        "q = softmax over {c: z_t,c < z_t,y}"
    )
    family = "logit"
    needs = Needs.of("logits", "logits", labels=True)
    warms_up = True
    fidelity = "A"
    differences = (
        "defaults are the README's command (--same-t: both temperatures 4), the file of settings has Ta = 1; mixed "
        "images mix two hard targets"
    )
    evidence = (
        "ImageNet, ResNet50 to MobileNetV1 72.75, DKD 72.05; ResNet34 to ResNet18 71.91, DKD 71.70 [N]; CNN pairs only"
    )
    min_classes = 3
    degenerate = "with two classes at most one class lies below the target, whose divergence is always 0"
    at_equal = "none, because rows that the teacher gets wrong keep their first term"
    pure = staticmethod(rld_loss)
    pure_input = "logits"

    alpha: float = 1.0
    beta: float = 8.0
    temperature: float = 4.0
    confidence_temperature: float = 4.0
    warmup: float = 20 / 240

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        student, teacher = s.need_logits(), t.need_logits()

        def term(labels: Tensor) -> Tensor:
            return rld_loss(
                student,
                teacher,
                labels,
                alpha=self.alpha,
                beta=self.beta,
                temperature=self.temperature,
                confidence_temperature=self.confidence_temperature,
            )

        return {"rld": ramp(progress, self.warmup) * mix_labels(term, batch.labels, batch.partner, batch.lam)}
