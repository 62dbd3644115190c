"""LFCC: low frequencies of the maps, told apart between images."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alambic.functional.relation import info_nce
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs
from alambic.models.projector import check_grids, conv1x1, paired_maps, paired_specs


def lfcc_loss(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor | None = None,
    *,
    sizes: tuple[int, ...] = (1, 2, 4),
    temperature: float = 0.07,
    filters: tuple[nn.Module, nn.Module] | None = None,
) -> Tensor:
    """Mean over low-pass sizes of -log softmax_j(cos(s_b, t_j) / temperature) at j = b, all positions in one vector.

    Args:
        student, teacher: maps B x C x H x W; sizes may differ, channels too if there are filters.
        sizes: sides of the average-pooled maps.
        filters: 1x1 convolutions of student and teacher to a common width; they commute with pooling.

    Returns: B values >= 0.
    """
    terms = []
    for size in sizes:
        low = [F.adaptive_avg_pool2d(x, size) for x in (student, teacher)]
        if filters is not None:
            low = [layer(x) for layer, x in zip(filters, low, strict=True)]
        terms.append(info_nce(low[0].flatten(1), low[1].flatten(1), temperature))
    return torch.stack(terms).mean(0)


class LFCC(Method):
    """Aligning in a Compact Space: Contrastive Knowledge Distillation between Heterogeneous Architectures, 2024.

    Reconstructed from the abstract: multi-scale low-pass filters on intermediate features of both sides, a compact
    space, a contrast between samples. Filters, widths, temperature and weight are ours.
    """

    paper = Paper(
        "Aligning in a Compact Space: Contrastive Knowledge Distillation between Heterogeneous Architectures",
        "Wu, Xiao, Zhang, Miao",
        "arXiv",
        2024,
        "2405.18524",
    )
    formula = "L = CE + sum_i mean_k InfoNCE(AP_k(W_s^i F_s^i), AP_k(W_t^i F_t^i)), k = 1, 2, 4"
    family = "map"
    needs = Needs.of("stages", "stages")
    fidelity = "C"
    differences = "no released code was found; every constant is ours"
    evidence = "better than OFA on ImageNet and CIFAR-100, its authors say, for CNN, ViT and MLP teachers [A]"
    min_classes = 1
    at_equal = "none, because the value depends on how alike the batch's images are"
    pure = staticmethod(lfcc_loss)
    pure_input = "map"

    weight: float = 1.0
    width: int = 128
    sizes: tuple[int, ...] = (1, 2, 4)
    temperature: float = 0.07

    def check(self, specs: Specs) -> None:
        super().check(specs)
        check_grids(self.name, specs.student, specs.teacher)

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        pairs = paired_specs(specs.student, specs.teacher)
        self.student_filters = nn.ModuleList(conv1x1(a.channels, self.width) for a, _ in pairs)
        self.teacher_filters = nn.ModuleList(conv1x1(b.channels, self.width) for _, b in pairs)

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        pairs = zip(self.student_filters, self.teacher_filters, strict=True)
        layers = zip(paired_maps(s, t), pairs, strict=True)
        return {
            f"lfcc{k}": self.weight * lfcc_loss(*maps, sizes=self.sizes, temperature=self.temperature, filters=filters)
            for k, (maps, filters) in enumerate(layers, start=1)
        }
