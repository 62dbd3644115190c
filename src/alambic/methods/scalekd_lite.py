"""ScaleKD without its teacher blocks: cross-attention projectors, matched in full and without the mean."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alambic.functional.prob import kl_divergence
from alambic.functional.space import match_directions, without_mean
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs, StageSpec
from alambic.models.projector import (
    check_grids,
    merge_heads,
    paired_maps,
    paired_specs,
    resize_map,
    share_heads,
    split_heads,
)


def scalekd_loss(
    student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, alpha: float = 0.08, beta: float = 0.06
) -> Tensor:
    """alpha sum_hw ‖N(F_s) - N(F_t)‖² + beta sum_hw ‖N(H F_s) - N(H F_t)‖².

    N scales each position's channel vector to length 1; H takes away the DC frequency. Maps B x C x H x W, the
    student's already projected -> B values >= 0.
    """
    direct = match_directions(student, teacher)
    return alpha * direct + beta * match_directions(without_mean(student), without_mean(teacher))


class ScaleKDLite(Method):
    """ScaleKD: Strong Vision Transformers Could Be Excellent Teachers, Fan et al., NeurIPS 2024.

    In the paper the student's third stage also runs through the teacher's last stage, and what comes out asks the
    questions (queries) of the fourth stage's projector. That needs the teacher's blocks one by one.
    """

    paper = Paper(
        "ScaleKD: Strong Vision Transformers Could Be Excellent Teachers",
        "Fan, Li, Liu, Yao",
        "NeurIPS",
        2024,
        "2411.06786",
        "deep-optimization/ScaleKD",
    )
    formula = (
        "L = .5 CE + .5 KL[p_t, p_s] + sum_{i=3,4} [.08 ||N(A_i F_s) - N(F_t)||^2 + .06 ||N(H B_i F_s) - N(H "
        "F_t)||^2], A, B cross-attention with learned queries, H F = F - mean_hw F"
    )
    family = "map"
    needs = Needs.of("logits stages", "logits stages")
    fidelity = "A"
    differences = (
        "no teacher parameter perception: stage 3 meets the teacher's stage 3 directly, and stage 4 has learned "
        "queries too; the student's map is resized to the teacher's grid first; KL stands for the code's "
        "cross-entropy with the teacher, which has the same gradient; the key layer has no bias, because softmax "
        "cancels it; both stages have 16 heads, where the authors' Swin-L has 24 at the last"
    )
    components = (
        ("cross-attention projector", True),
        ("dual-view feature mimicking", True),
        ("teacher parameter perception", False),
    )
    evidence = "full method, ImageNet Swin-L to MobileNetV1 72.10 to 75.15, to ResNet50 78.64 to 82.03 [R]"
    degenerate = "its KD term compares class probabilities"
    pure = staticmethod(scalekd_loss)
    pure_input = "map"

    alpha: float = 0.08
    beta: float = 0.06
    heads: int = 16
    sharpness: float = 5.0
    kd_weight: float = 0.5
    ce_weight: float = 0.5

    def check(self, specs: Specs) -> None:
        super().check(specs)
        check_grids(self.name, specs.student, specs.teacher)

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        pairs = paired_specs(specs.student, specs.teacher)[-2:]
        self.direct, self.alternate = (
            nn.ModuleList([CrossAttention(low, high, self.heads, self.sharpness) for low, high in pairs])
            for _ in range(2)
        )

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        kd = kl_divergence(s.need_logits(), t.need_logits())
        parts = {"kd": self.kd_weight * kd}
        for i, (student, teacher) in enumerate(paired_maps(s, t)[-2:], start=1):
            direct, alternate = self.direct[i - 1](student), self.alternate[i - 1](student)
            parts[f"direct{i}"] = scalekd_loss(direct, teacher, alpha=self.alpha, beta=0.0)
            parts[f"alternate{i}"] = scalekd_loss(alternate, teacher, alpha=0.0, beta=self.beta)
        return parts


class CrossAttention(nn.Module):
    """One learned query per teacher position attends to the student's map: B x C_s x h x w -> B x C_t x H x W."""

    def __init__(self, student: StageSpec, teacher: StageSpec, heads: int, sharpness: float) -> None:
        super().__init__()
        assert teacher.size is not None
        inputs, width, self.size = student.channels, teacher.channels, teacher.size
        self.heads, self.sharpness = share_heads(width, heads), sharpness
        positions = self.size[0] * self.size[1]
        self.enter = nn.Sequential(
            nn.Conv2d(inputs, inputs, 3, padding=1, bias=False), nn.BatchNorm2d(inputs), nn.ReLU()
        )
        self.places = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, inputs, *self.size), std=0.02))
        self.questions = nn.Parameter(torch.randn(positions, width))
        self.ask = nn.Sequential(nn.Linear(width, width), nn.ReLU())
        self.query, self.key = nn.Linear(width, width), nn.Linear(inputs, width, bias=False)
        self.value, self.leave = nn.Linear(inputs, width), nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        tokens = (self.enter(resize_map(x, self.size)) + self.places).flatten(2).transpose(1, 2)
        queries = self.query(self.ask(self.questions)).expand(tokens.shape[0], -1, -1)
        q, k, v = (split_heads(y, self.heads) for y in (queries, self.key(tokens), self.value(tokens)))
        scale = self.sharpness * q.shape[3] ** -0.5
        found = self.norm(self.leave(merge_heads(F.scaled_dot_product_attention(q, k, v, scale=scale))))
        mapped: Tensor = (found + self.mlp(found)).transpose(1, 2)
        return mapped.reshape(*mapped.shape[:2], *self.size)
