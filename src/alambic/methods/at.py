"""Attention transfer: where the energy of a map lies."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from alambic.errors import AlambicError
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs, pair_stages


def at_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None) -> Tensor:
    """Mean over positions of (N(E_s) - N(E_t))², E the mean over channels of the squared map, N the L2 norm.

    Args:
        student, teacher: energies B x H x W; the larger map is average-pooled to the smaller.

    Returns: B values >= 0.
    """
    size = (min(student.shape[1], teacher.shape[1]), min(student.shape[2], teacher.shape[2]))
    maps = [F.adaptive_avg_pool2d(x[:, None], size).flatten(1) for x in (student, teacher)]
    return (F.normalize(maps[0]) - F.normalize(maps[1])).square().mean(1)


class AT(Method):
    """Paying More Attention to Attention, Zagoruyko and Komodakis, ICLR 2017.

    A negative control across architectures: with vgg13 to MobileNetV2 it lowers 64.60 to 59.40 (RepDistiller's table).
    """

    paper = Paper(
        "Paying More Attention to Attention: Improving the Performance of CNNs via Attention Transfer",
        "Zagoruyko, Komodakis",
        "ICLR",
        2017,
        "1612.03928",
        "megvii-research/mdistiller",
    )
    formula = "L = CE + 1000 sum_i mean_hw (N(mean_c F_s^2) - N(mean_c F_t^2))^2"
    family = "map"
    needs = Needs.of("energy", "energy")
    fidelity = "A"
    evidence = (
        "CIFAR-100 vgg13 to MobileNetV2: 64.60 alone, 59.40 with AT; ImageNet ResNet34 to ResNet18: 70.70, 70.90 "
        "in torchdistill [R]"
    )
    differences = (
        "where maps differ in size, the energies are pooled, not the maps: a bank then holds the teacher's side "
        "exactly; the sum is over every stage that both have, four where the authors' CIFAR networks have three"
    )
    min_classes = 1
    pure = staticmethod(at_loss)
    pure_input = "energy"

    weight: float = 1000.0

    def check(self, specs: Specs) -> None:
        super().check(specs)
        for side, spec in (("student", specs.student), ("teacher", specs.teacher)):
            if not spec.stages or any(stage.size is None for stage in spec.stages):
                raise AlambicError(
                    f"method 'at' expected {side} stages with a spatial grid, got {spec.stages or 'none'}, "
                    "because attention is a map; try a method on logits (kd) or embeddings (rsd)"
                )

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        student, teacher = s.need_energy(), t.need_energy()
        pairs = pair_stages(len(student), len(teacher))
        return {f"at{k}": self.weight * at_loss(student[i], teacher[j]) for k, (i, j) in enumerate(pairs, start=1)}
