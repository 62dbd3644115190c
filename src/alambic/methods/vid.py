"""VID: maximise a variational bound on the mutual information with the teacher's maps."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs
from alambic.models.projector import check_grids, meet, paired_maps, paired_specs


def vid_loss(
    student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, variance: float | Tensor = 5.0
) -> Tensor:
    """Mean of ½ [(student - teacher)² / variance + log variance], a Gaussian's negative log-likelihood.

    Args:
        student, teacher: B x C x H x W, the student's already regressed.
        variance: > 0, one number or one per channel (C).

    Returns: B values, negative where the variance is below 1 and the fit is good.
    """
    spread = torch.as_tensor(variance, device=teacher.device, dtype=teacher.dtype).reshape(1, -1, 1, 1)
    return (0.5 * ((student - teacher).square() / spread + spread.log())).flatten(1).mean(1)


def vid_at_equal(teacher: Tensor, *, variance: float | Tensor = 5.0) -> Tensor:
    """The value at student = teacher: half the mean log-variance."""
    return teacher.new_ones(teacher.shape[0]) * 0.5 * torch.as_tensor(variance, dtype=teacher.dtype).log().mean()


class VID(Method):
    """Variational Information Distillation for Knowledge Transfer, Ahn et al., CVPR 2019.

    The variance is a parameter of the method (``log_scales``) and is trained; mdistiller keeps it out of the optimiser.
    """

    paper = Paper(
        "Variational Information Distillation for Knowledge Transfer",
        "Ahn, Hu, Damianou, Lawrence, Dai",
        "CVPR",
        2019,
        "1904.05835",
        "HobbitLong/RepDistiller",
    )
    formula = "L = CE + sum_i mean 1/2 [(mu_i(F_s) - F_t)^2 / v_i + log v_i], v_i = softplus(a_i) + 1e-5 per channel"
    family = "map"
    needs = Needs.of("stages", "stages")
    fidelity = "A"
    differences = "maps of different size are pooled per axis, because grids need not be square"
    evidence = "CIFAR-100 vgg13 to MobileNetV2 64.60 to 65.56, ResNet50 to MobileNetV2 64.60 to 67.57 [R]"
    min_classes = 1
    at_equal = "formula: half the mean log-variance (vid_at_equal)"
    pure = staticmethod(vid_loss)
    pure_at_equal = staticmethod(vid_at_equal)
    pure_input = "map"

    weight: float = 1.0
    initial_variance: float = 5.0
    eps: float = 1e-5

    def check(self, specs: Specs) -> None:
        super().check(specs)
        check_grids(self.name, specs.student, specs.teacher)

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        pairs = paired_specs(specs.student, specs.teacher)
        self.regressors = nn.ModuleList([_regressor(student.channels, teacher.channels) for student, teacher in pairs])
        start = math.log(math.expm1(self.initial_variance - self.eps))
        self.log_scales = nn.ParameterList([torch.full((teacher.channels,), start) for _, teacher in pairs])

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        parts = {}
        for i, (student, teacher) in enumerate(paired_maps(s, t)):
            small, target = meet(student, teacher)
            variance = F.softplus(self.log_scales[i]) + self.eps
            parts[f"vid{i + 1}"] = self.weight * vid_loss(self.regressors[i](small), target, variance=variance)
        return parts


def _regressor(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 1, bias=False),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 1, bias=False),
    )
