"""CWD: where each channel looks, as a distribution over positions."""

from __future__ import annotations

import torch
from torch import Tensor

from alambic.functional.space import spatial_kl
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs
from alambic.models.projector import check_grids, conv1x1, meet


def cwd_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, temperature: float = 4.0) -> Tensor:
    """T² KL(teacher || student) of each channel's softmax over positions, mean over channels.

    Maps B x C x H x W, the student's already projected -> B values >= 0.
    """
    return spatial_kl(student, teacher, temperature)


class CWD(Method):
    """Channel-wise Knowledge Distillation for Dense Prediction, Shu et al., ICCV 2021.

    Made for segmentation; on a map of one position it is 0.
    """

    paper = Paper(
        "Channel-wise Knowledge Distillation for Dense Prediction",
        "Shu, Liu, Gao, Yan, Shen",
        "ICCV",
        2021,
        "2011.13256",
        "irfanICMLL/TorchDistiller",
    )
    formula = "L = CE + 3 T^2 mean_c KL[softmax_hw(F_t,c / T), softmax_hw(F_s,c / T)] on the last map, T = 4"
    family = "map"
    needs = Needs.of("stages", "stages")
    fidelity = "A"
    differences = (
        "on the last map of a classifier through a bare 1x1 convolution, where the authors' has BatchNorm and ReLU "
        "behind it; weight and temperature are the authors' command for maps of class scores, the only one that their "
        "repository prints: others who took it to feature maps weigh it by 50, so tune it upwards"
    )
    evidence = (
        "Cityscapes PSPNet-R101 to PSPNet-R18 75.90 mIoU [R]; part of SCTNet, a transformer teaching a convolutional "
        "student in segmentation [C]; none published on image classification across architectures"
    )
    min_classes = 1
    pure = staticmethod(cwd_loss)
    pure_input = "map"

    weight: float = 3.0
    temperature: float = 4.0

    def check(self, specs: Specs) -> None:
        super().check(specs)
        check_grids(self.name, specs.student, specs.teacher)

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        self.projector = conv1x1(specs.student.stages[-1].channels, specs.teacher.stages[-1].channels)

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        student, teacher = meet(s.stages[-1].as_map(), t.stages[-1].as_map())
        return {"cwd": self.weight * cwd_loss(self.projector(student), teacher, temperature=self.temperature)}
