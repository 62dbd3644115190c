"""PAT without its prompts: all stages of the student exchange regions before they meet the teacher's."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alambic.functional.prob import kl_divergence
from alambic.functional.space import hierarchical_mse
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs, StageSpec
from alambic.models.projector import (
    check_grids,
    init_trunc_normal,
    merge_heads,
    paired_maps,
    paired_specs,
    share_heads,
    split_heads,
)

SIDE = 4


def pat_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None) -> Tensor:
    """Hierarchical mean square (full size, 4, 2, 1) of an aligned stage; maps B x C x H x W -> B values >= 0."""
    return hierarchical_mse(student, teacher)


class PATLite(Method):
    """Perspective-Aware Teaching (formerly FOFA), Lin et al., ICCV 2025: region-aware attention and plain KD.

    Three defects of the released code are mended: (a) it drops the last token instead of the class token in front,
    here prefix tokens are left out by their count; (b) it indexes the positional code by the image in the batch, here
    by the region; (c) its prompts get the feature gap of another batch as feedback, here there are no prompts.
    """

    paper = Paper(
        "Perspective-Aware Teaching: Adapting Knowledge for Heterogeneous Distillation",
        "Lin et al.",
        "ICCV",
        2025,
        "2501.08885",
        "jimmylin0979/PAT",
    )
    formula = "L = CE + KL[p_t, p_s] + sum_i HCL(a_i(RAA(F_s,1..4)_i), F_t,i), RAA = self-attention over 4 x 16 regions"
    family = "map"
    needs = Needs.of("logits stages", "logits stages")
    fidelity = "A"
    differences = (
        "no adaptive teacher prompts, hence no KL[p_t', p_t]: they stand before each stage of a live teacher; the "
        "class docstring names three defects of the released code that are mended; the key layer has no bias, because "
        "softmax cancels it; the number of heads divides the width; the authors smooth the labels of cross-entropy by "
        ".1"
    )
    components = (
        ("region-aware attention", True),
        ("teacher-shaped aligners", True),
        ("adaptive feedback prompts", False),
        ("prompt regulariser KL[p_t', p_t]", False),
    )
    evidence = (
        "full method, at 224 px CIFAR-100 Swin-T to ResNet18 74.01 to 81.22 (OFA 80.54), ImageNet 71.54 (OFA 71.85) [N]"
    )
    degenerate = "its KD term compares class probabilities"
    pure = staticmethod(pat_loss)
    pure_input = "map"

    weight: float = 1.0
    kd_weight: float = 1.0
    width: int = 512
    heads: int = 8

    def check(self, specs: Specs) -> None:
        super().check(specs)
        check_grids(self.name, specs.student, specs.teacher)

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        pairs = paired_specs(specs.student, specs.teacher)
        self.regions = RegionAttention([student for student, _ in pairs], self.width, self.heads)
        self.aligners = nn.ModuleList([_aligner(teacher, self.width) for _, teacher in pairs])
        self.aligners.apply(init_trunc_normal)

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        pairs = paired_maps(s, t)
        blended = self.regions([student for student, _ in pairs])
        parts = {"kd": self.kd_weight * kl_divergence(s.need_logits(), t.need_logits())}
        for i, (aligner, regions, (_, teacher)) in enumerate(zip(self.aligners, blended, pairs, strict=True), start=1):
            parts[f"region{i}"] = self.weight * pat_loss(aligner(regions), teacher)
        return parts


class RegionAttention(nn.Module):
    """Self-attention over the 4 x 4 regions of all stages together: maps -> as many B x 16 x width."""

    codes: Tensor

    def __init__(self, stages: list[StageSpec], width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.patches = share_heads(width, heads), []
        cutters = []
        for stage in stages:
            assert stage.size is not None
            patch = (math.ceil(stage.size[0] / SIDE), math.ceil(stage.size[1] / SIDE))
            self.patches.append(patch)
            cutters.append(nn.Conv2d(stage.channels, width, patch, stride=patch))
        self.cutters = nn.ModuleList(cutters)
        self.norm = nn.LayerNorm(width)
        self.query, self.value = nn.Linear(width, width), nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.register_buffer("codes", encode_positions(len(stages) * SIDE**2, width))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        tokens = torch.cat([self._cut(i, x) for i, x in enumerate(maps)], dim=1)
        tokens = self.norm(tokens)
        q, k, v = self.query(tokens) + self.codes, self.key(tokens) + self.codes, self.value(tokens)
        q, k, v = (split_heads(x, self.heads) for x in (q, k, v))
        return list(merge_heads(F.scaled_dot_product_attention(q, k, v)).chunk(len(maps), dim=1))

    def _cut(self, i: int, x: Tensor) -> Tensor:
        size = (SIDE * self.patches[i][0], SIDE * self.patches[i][1])
        return self.cutters[i](F.interpolate(x, size, mode="nearest")).flatten(2).transpose(1, 2)


class TokenAligner(nn.Module):
    """16 regions to the teacher's tokens: one linear layer along channels, one along positions -> B x D x H x W."""

    def __init__(self, width: int, teacher: StageSpec) -> None:
        super().__init__()
        assert teacher.size is not None
        self.size = teacher.size
        self.channels = nn.Sequential(nn.BatchNorm1d(SIDE**2), nn.Linear(width, teacher.channels))
        self.positions = nn.Sequential(
            nn.BatchNorm1d(teacher.channels), nn.Linear(SIDE**2, teacher.size[0] * teacher.size[1])
        )

    def forward(self, x: Tensor) -> Tensor:
        mapped: Tensor = self.positions(self.channels(x).transpose(1, 2))
        return mapped.reshape(*mapped.shape[:2], *self.size)


class MapAligner(nn.Module):
    """16 regions as a 4 x 4 map, blown up to the teacher's size, normalised, and a 1x1 convolution -> B x C x H x W."""

    def __init__(self, width: int, teacher: StageSpec) -> None:
        super().__init__()
        assert teacher.size is not None
        self.size = teacher.size
        self.layers = nn.Sequential(nn.BatchNorm2d(width), nn.Conv2d(width, teacher.channels, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        small = x.transpose(1, 2).reshape(len(x), -1, SIDE, SIDE)
        return self.layers(F.interpolate(small, self.size, mode="nearest"))


def _aligner(teacher: StageSpec, width: int) -> nn.Module:
    return TokenAligner(width, teacher) if teacher.form == "tokens" else MapAligner(width, teacher)


def encode_positions(count: int, width: int) -> Tensor:
    """Sines (even columns) and cosines (odd) of position / 10000^(2i/width); count x width."""
    position = torch.arange(count, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(10000.0) / width))
    angles = position * rate
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :width]
