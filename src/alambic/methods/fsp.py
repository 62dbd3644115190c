"""FSP: the flow from one stage to the next, as products of their channels."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from alambic.functional.space import flow_matrix, mean_square
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs
from alambic.models.projector import check_grids, conv1x1, paired_maps, paired_specs


def fsp_loss(student: Sequence[Tensor], teacher: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
    """Sum over neighbouring stages of the mean squared difference of the flow matrices G = mean_hw F_i,c F_i+1,d.

    Args:
        student, teacher: maps of n >= 2 stages, shallow to deep, B x C_i x H_i x W_i; the channels of the two agree
            stage by stage, their sizes need not.

    Returns: B values >= 0.
    """
    flows = [[flow_matrix(low, high) for low, high in itertools.pairwise(maps)] for maps in (student, teacher)]
    return torch.stack([mean_square(a, b) for a, b in zip(*flows, strict=True)]).sum(0)


class FSP(Method):
    """A Gift from Knowledge Distillation, Yim et al., CVPR 2017.

    Two stages: the flows alone, then the task alone.
    """

    paper = Paper(
        "A Gift from Knowledge Distillation: Fast Optimization, Network Minimization and Transfer Learning",
        "Yim, Joo, Bae, Kim",
        "CVPR",
        2017,
        "",
        "HobbitLong/RepDistiller",
    )
    formula = "stage 1: L = sum_i mean_cd (G_s,i - G_t,i)^2, G = mean_hw F_i,c F_i+1,d; stage 2: L = CE"
    family = "relation"
    needs = Needs.of("stages", "stages")
    fidelity = "B"
    differences = (
        "a student's stage of another width is projected by a 1x1 convolution, where the paper refuses the pair; the "
        "larger map is max-pooled as in the paper (RepDistiller averages); the first stage is a share of the one "
        "training (RepDistiller's 30 epochs and 240); the mean over c, d is RepDistiller's, the paper "
        "has the squared norm"
    )
    evidence = (
        "CIFAR-100 WRN-40-2 to WRN-16-2 73.26 to 72.91, vgg13 to vgg8 70.36 to 70.23; none across architectures [R]"
    )
    min_classes = 1
    pure = staticmethod(fsp_loss)
    pure_input = "map"
    stages = (("flow", 30 / 270),)

    weight: float = 1.0

    def check(self, specs: Specs) -> None:
        super().check(specs)
        check_grids(self.name, specs.student, specs.teacher, fewest=2)

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        self.projectors = nn.ModuleList(
            nn.Identity() if student.channels == teacher.channels else conv1x1(student.channels, teacher.channels)
            for student, teacher in paired_specs(specs.student, specs.teacher)
        )

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        if not self.stage_at(progress):
            return {}
        pairs = paired_maps(s, t)
        student = [projector(low) for projector, (low, _) in zip(self.projectors, pairs, strict=True)]
        return {"fsp": self.weight * fsp_loss(student, [high for _, high in pairs])}
