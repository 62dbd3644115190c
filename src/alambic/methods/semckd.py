"""SemCKD: each student layer learns from all teacher layers, weighted by attention."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alambic.functional.prob import kl_divergence
from alambic.functional.space import mean_square
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs
from alambic.models.projector import check_grids, meet

Grid = Sequence[Sequence[Tensor]]


def semckd_loss(student: Grid, teacher: Grid, labels: Tensor | None = None, *, attention: Tensor) -> Tensor:
    """Mean over student layers of the attention-weighted mean squares to all teacher layers.

    Args:
        student: S rows of T maps: layer i projected to layer j, B x C_j x H_ij x W_ij.
        teacher: S rows of T maps of those shapes.
        attention: B x S x T, rows over T sum to 1.

    Returns: B values >= 0.
    """
    distances = torch.stack(
        [
            torch.stack([mean_square(a, b) for a, b in zip(row_s, row_t, strict=True)], dim=1)
            for row_s, row_t in zip(student, teacher, strict=True)
        ],
        dim=1,
    )
    return (attention * distances).sum(2).mean(1)


class SemCKD(Method):
    """Cross-Layer Distillation with Semantic Calibration, Chen et al., AAAI 2021.

    A layer's key or query is drawn from its row of the batch's similarity matrix, so it needs the batch's size.
    """

    paper = Paper(
        "Cross-Layer Distillation with Semantic Calibration",
        "Chen, Mei, Zhang, Wang, Wang, Feng, Chen",
        "AAAI",
        2021,
        "2012.03236",
        "DefangChen/SemCKD",
    )
    formula = (
        "L = CE + T^2 KL[p_t^T, p_s^T] + 400 mean_i sum_j a_ij mean (r_ij(F_s,i) - F_t,j)^2, a = softmax_j(q(F_s,i "
        "F_s,i^T) . k(F_t,j F_t,j^T))"
    )
    family = "map"
    needs = Needs.of("logits stages", "logits stages")
    fidelity = "A"
    differences = (
        "a batch of another size than `batch` is cut or filled with zeros, where the authors leave a short batch out; "
        "a regressor has at most `hidden` channels (the authors' 2 C_t), because 3x3 convolutions of a transformer's "
        "width would outweigh both networks; maps of different size are pooled per axis"
    )
    evidence = (
        "CIFAR-100 ResNet32x4 to ShuffleNetV2x1.5 74.15 to 79.13 (KD 76.82), ResNet32x4 to vgg8 70.46 to 75.27 (KD "
        "72.73) [R]"
    )
    degenerate = "its KD term compares class probabilities"
    order_dependent = "the keys read the rows of the batch's similarity matrix through a linear layer"
    at_equal = 0.0
    pure = staticmethod(semckd_loss)
    pure_input = "map"

    weight: float = 400.0
    kd_weight: float = 1.0
    temperature: float = 4.0
    batch: int = 64
    factor: int = 4
    hidden: int = 512

    def check(self, specs: Specs) -> None:
        super().check(specs)
        check_grids(self.name, specs.student, specs.teacher)

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        student, teacher = specs.student.stages, specs.teacher.stages
        self.queries = nn.ModuleList([self._embedding() for _ in student])
        self.keys = nn.ModuleList([self._embedding() for _ in teacher])
        self.regressors = nn.ModuleList(
            [_regressor(low.channels, high.channels, self.hidden) for low in student for high in teacher]
        )

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        low, high = [stage.as_map() for stage in s.stages], [stage.as_map() for stage in t.stages]
        queries = torch.stack([embed(self._rows(x)) for embed, x in zip(self.queries, low, strict=True)], dim=1)
        keys = torch.stack([embed(self._rows(x)) for embed, x in zip(self.keys, high, strict=True)], dim=1)
        attention = (F.normalize(queries, dim=2) @ F.normalize(keys, dim=2).transpose(1, 2)).softmax(2)
        met = [[meet(a, b) for b in high] for a in low]
        student = [[self.regressors[i * len(high) + j](a) for j, (a, _) in enumerate(row)] for i, row in enumerate(met)]
        teacher = [[b for _, b in row] for row in met]
        return {
            "semckd": self.weight * semckd_loss(student, teacher, attention=attention),
            "kd": self.kd_weight
            * self.temperature**2
            * kl_divergence(s.need_logits(), t.need_logits(), self.temperature),
        }

    def _embedding(self) -> nn.Sequential:
        width = max(1, self.batch // self.factor)
        return nn.Sequential(nn.Linear(self.batch, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))

    def _rows(self, x: Tensor) -> Tensor:
        """B x ``batch``: each image's similarities to the images of the batch, cut or filled with zeros."""
        flat = x.flatten(1)
        rows = flat @ flat.T
        return F.pad(rows, (0, self.batch - rows.shape[1]))


def _regressor(inputs: int, outputs: int, hidden: int) -> nn.Sequential:
    width = min(2 * outputs, hidden)
    return nn.Sequential(
        nn.Conv2d(inputs, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, outputs, 1, bias=False),
    )
