"""MGD: generate the teacher's last map from the student's with some channels hidden."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs
from alambic.models.projector import check_grids, conv1x1, resize_map


def mgd_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None) -> Tensor:
    """Sum of squared differences; maps B x C x H x W, the student's already generated -> B values >= 0."""
    return (student - teacher).square().flatten(1).sum(1)


class MGD(Method):
    """Masked Generative Distillation, Yang et al., ECCV 2022.

    The sum is not scaled by the map's size: the authors' weight is for 7x7 maps of 512 to 2048 channels. Tune it.
    """

    paper = Paper(
        "Masked Generative Distillation",
        "Yang, Li, Shao, Shi, Yuan, Yuan",
        "ECCV",
        2022,
        "2205.01529",
        "yzd-v/MGD",
    )
    formula = "L = CE + 7e-5 ||G(m * r(F_s)) - F_t||^2, m drops each channel with probability .15, G = conv3-ReLU-conv3"
    family = "map"
    needs = Needs.of("stages", "stages")
    fidelity = "A"
    differences = (
        "a student's map of another size is resized to the teacher's, where the authors refuse the pair; the weight "
        "is the authors' for ImageNet: their CIFAR-100 file has 1.2e-3, and on small maps this one is next to nothing"
    )
    evidence = "ImageNet ResNet50 to MobileNetV1 69.21 to 72.49, ResNet34 to ResNet18 69.90 to 71.69 [R]"
    min_classes = 1
    stochastic = True
    pure = staticmethod(mgd_loss)
    pure_input = "map"

    weight: float = 7e-5
    masked: float = 0.15

    def check(self, specs: Specs) -> None:
        super().check(specs)
        check_grids(self.name, specs.student, specs.teacher)

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        inputs, outputs = specs.student.stages[-1].channels, specs.teacher.stages[-1].channels
        self.align = nn.Identity() if inputs == outputs else conv1x1(inputs, outputs)
        self.generation = nn.Sequential(
            nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU(), nn.Conv2d(outputs, outputs, 3, padding=1)
        )

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        teacher = t.stages[-1].as_map()
        student = self.align(resize_map(s.stages[-1].as_map(), (teacher.shape[2], teacher.shape[3])))
        kept = torch.rand(student.shape[:2], device=student.device)[:, :, None, None] >= self.masked
        return {"mgd": self.weight * mgd_loss(self.generation(student * kept), teacher)}
