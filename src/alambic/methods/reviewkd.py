"""ReviewKD: deep stages of the student review shallow knowledge of the teacher."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alambic.functional.space import hierarchical_mse
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs
from alambic.models.projector import check_grids, paired_maps, paired_specs


def reviewkd_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None) -> Tensor:
    """Hierarchical context loss: mean square at full size and pooled to 4, 2 and 1, weights 1, ½, ¼, ⅛ over their sum.

    Maps B x C x H x W, the student's already fused -> B values >= 0.
    """
    return hierarchical_mse(student, teacher)


class ReviewKD(Method):
    """Distilling Knowledge via Knowledge Review, Chen et al., CVPR 2021.

    The authors' weight is 1 by default and .6 to 8 in their scripts, by pair: tune it.
    """

    paper = Paper(
        "Distilling Knowledge via Knowledge Review",
        "Chen, Liu, Zhao, Jia",
        "CVPR",
        2021,
        "2104.09044",
        "dvlab-research/ReviewKD",
    )
    formula = "L = CE + min(e / 20, 1) w sum_i HCL(ABF_i(F_s,i, ABF_i+1(...)), F_t,i) over stages and pooled embedding"
    family = "map"
    needs = Needs.of("embedding stages", "embedding stages")
    warms_up = True
    fidelity = "A"
    differences = "taps stand where blocks end, not before the next activation; the warm-up is continuous, not by epoch"
    evidence = (
        "ImageNet ResNet50 to MobileNetV1 68.87 to 72.56, ResNet34 to ResNet18 71.61, rerun 71.64 against 71.37 of KD "
        "[R]"
    )
    min_classes = 1
    pure = staticmethod(reviewkd_loss)
    pure_input = "map"

    weight: float = 1.0
    warmup: float = 20 / 240
    width: int = 512

    def check(self, specs: Specs) -> None:
        super().check(specs)
        check_grids(self.name, specs.student, specs.teacher)

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        assert specs.student.embedding is not None
        assert specs.teacher.embedding is not None
        width = min(self.width, specs.student.embedding)
        levels = [(a.channels, b.channels) for a, b in paired_specs(specs.student, specs.teacher)]
        self.fusions = nn.ModuleList([Fusion(inputs, width, outputs, True) for inputs, outputs in levels])
        self.last = Fusion(specs.student.embedding, width, specs.teacher.embedding, False)

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        warm = self.weight * min(progress / self.warmup, 1.0) if self.warmup > 0 else self.weight
        pairs = paired_maps(s, t)
        teacher = t.need_embedding()[:, :, None, None]
        fused, context = self.last(s.need_embedding()[:, :, None, None], None, (1, 1))
        parts = {f"review{len(pairs) + 1}": warm * reviewkd_loss(fused, teacher)}
        for i in reversed(range(len(pairs))):
            student, teacher = pairs[i]
            fused, context = self.fusions[i](student, context, (teacher.shape[2], teacher.shape[3]))
            parts[f"review{i + 1}"] = warm * reviewkd_loss(fused, teacher)
        return parts


class Fusion(nn.Module):
    """Attention-based fusion of a student map with the deeper context: gives (teacher-shaped map, new context)."""

    def __init__(self, inputs: int, width: int, outputs: int, fuse: bool) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width))
        self.leave = nn.Sequential(nn.Conv2d(width, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs))
        self.attention = nn.Conv2d(2 * width, 2, 1) if fuse else None
        for conv in (self.enter[0], self.leave[0]):
            assert isinstance(conv, nn.Conv2d)
            nn.init.kaiming_uniform_(conv.weight, a=1)

    def forward(self, x: Tensor, context: Tensor | None, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        x = self.enter(x)
        if self.attention is not None:
            assert context is not None
            context = F.interpolate(context, x.shape[2:], mode="nearest")
            gates = self.attention(torch.cat([x, context], dim=1)).sigmoid()
            x = x * gates[:, :1] + context * gates[:, 1:]
        x = F.interpolate(x, size, mode="nearest")
        return self.leave(x), x
