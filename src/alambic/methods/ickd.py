"""ICKD: how the channels of a map correlate with each other."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from alambic.functional.space import channel_gram
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs
from alambic.models.projector import check_grids, conv1x1


def ickd_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None) -> Tensor:
    """‖N(G_s) - N(G_t)‖² / C, G the products of channels summed over positions, N the L2 norm of each row.

    Args:
        student, teacher: B x C x H x W; the two may differ in size.

    Returns: B values in [0, 4].
    """
    rows = [F.normalize(channel_gram(x), dim=2) for x in (student, teacher)]
    return (rows[0] - rows[1]).square().sum((1, 2)) / student.shape[1]


class ICKD(Method):
    """Exploring Inter-Channel Correlation for Diversity-preserved Knowledge Distillation, Liu et al., ICCV 2021.

    The published ImageNet figure does not reproduce: 72.19 in the paper, 68.34 when torchdistill ran it.
    """

    paper = Paper(
        "Exploring Inter-Channel Correlation for Diversity-preserved Knowledge Distillation",
        "Liu, Huang, Lin, Xie, Wang, Chang, Liang",
        "ICCV",
        2021,
        "2202.03680",
        "ADLab-AutoDrive/ICKD",
    )
    formula = (
        "L = CE + 2.5 ||N(G_s) - N(G_t)||^2 / C_t, G = F F^T of the last map, N row-wise, F_s through 1x1 conv and BN"
    )
    family = "relation"
    needs = Needs.of("stages", "stages")
    fidelity = "A"
    evidence = (
        "ImageNet ResNet34 to ResNet18 72.19 in the paper, 68.34 rerun; CIFAR-100 vgg13 to vgg8 70.36 to 73.42; none "
        "across architectures [R]"
    )
    min_classes = 1
    pure = staticmethod(ickd_loss)
    pure_input = "map"

    weight: float = 2.5

    def check(self, specs: Specs) -> None:
        super().check(specs)
        check_grids(self.name, specs.student, specs.teacher)

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        self.projector = conv1x1(specs.student.stages[-1].channels, specs.teacher.stages[-1].channels, norm=True)

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        student = self.projector(s.stages[-1].as_map())
        return {"ickd": self.weight * ickd_loss(student, t.stages[-1].as_map())}
