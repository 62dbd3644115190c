"""AB: teach which neurons fire, by a hinge, before anything else."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from alambic.functional.prob import kl_divergence
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs
from alambic.models.projector import check_grids, connector, meet, paired_maps, paired_specs


def ab_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, margin: float = 1.0) -> Tensor:
    """Squared hinge: (student + margin)+² where the teacher is off (<= 0), (margin - student)+² where it is on.

    Args:
        student, teacher: responses before the activation, B x C x H x W, the student's already connected.
        margin: how far from 0 the student must stay on the teacher's side.

    Returns: B values >= 0, sums over C H W.
    """
    side = torch.where(teacher > 0, 1.0, -1.0).to(student.dtype)
    return (margin - side * student).clamp_min(0).square().flatten(1).sum(1)


def ab_at_equal(teacher: Tensor, *, margin: float = 1.0) -> Tensor:
    """The value at student = teacher: what the margin still asks of responses nearer to 0 than itself."""
    return (margin - teacher.abs()).clamp_min(0).square().flatten(1).sum(1)


class AB(Method):
    """Knowledge Transfer via Distillation of Activation Boundaries Formed by Hidden Neurons, Heo et al., AAAI 2019.

    Two stages: boundaries, then plain KD at temperature 3. As in the authors' script for CIFAR-10, labels are never
    read; that for scenes (MIT indoor) ends with cross-entropy on them.
    """

    paper = Paper(
        "Knowledge Transfer via Distillation of Activation Boundaries Formed by Hidden Neurons",
        "Heo, Lee, Yun, Choi",
        "AAAI",
        2019,
        "1811.03233",
        "bhheo/AB_distillation",
    )
    formula = (
        "stage 1: L = .003 sum_i 2^(i-n) sum_chw [(1 + s)+^2 if t <= 0 else (1 - s)+^2], s = r_i(F_s); stage 2: L = "
        "KL[softmax(z_t/3), softmax(z_s/3)]"
    )
    family = "map"
    needs = Needs.of("logits stages", "logits stages")
    fidelity = "A"
    differences = (
        "taps stand where blocks end, not before the next activation: a teacher whose blocks end in ReLU is off where "
        "it is 0, and maps of equal width have a connector too, because a student's, where off, could not go below 0; "
        "a larger teacher's map is on where most of it is, a larger student's is pooled; the share of the first stage "
        "is RepDistiller's "
        "(30 epochs and 240), because the authors' script for CIFAR runs one epoch of each; one learning-rate "
        "schedule spans both stages; the teacher stays in evaluation mode, the authors' first stage takes its "
        "statistics of the batch"
    )
    evidence = (
        "CIFAR-100 vgg13 to MobileNetV2 64.60 to 66.06, ResNet50 to MobileNetV2 64.60 to 67.20, the second stage by "
        "cross-entropy alone [R]"
    )
    degenerate = "its second stage compares class probabilities"
    at_equal = "formula: the squared hinge of responses nearer to 0 than the margin (ab_at_equal)"
    pure = staticmethod(ab_loss)
    pure_at_equal = staticmethod(ab_at_equal)
    pure_input = "map"
    stages = (("boundaries", 30 / 270),)

    weight: float = 0.003
    margin: float = 1.0
    kd_weight: float = 1.0
    temperature: float = 3.0
    ce_weight: float = 0.0

    def check(self, specs: Specs) -> None:
        super().check(specs)
        check_grids(self.name, specs.student, specs.teacher)

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        pairs = paired_specs(specs.student, specs.teacher)
        self.connectors = nn.ModuleList(connector(student.channels, teacher.channels) for student, teacher in pairs)

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        if not self.stage_at(progress):
            return {"kd": self.kd_weight * kl_divergence(s.need_logits(), t.need_logits(), self.temperature)}
        pairs = paired_maps(s, t)
        parts = {}
        for i, (student, teacher) in enumerate(pairs):
            small, share = meet(student, (teacher > 0).float())  # pooled first, a ReLU's map would be on everywhere
            value = ab_loss(self.connectors[i](small), share - 0.5, margin=self.margin)
            parts[f"ab{i + 1}"] = self.weight * 2.0 ** (i + 1 - len(pairs)) * value
        return parts
