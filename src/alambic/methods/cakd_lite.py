"""CAKD without its adversary: the student's map becomes a transformer's attention and its tokens."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alambic.functional.space import mean_square
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs, StageSpec
from alambic.models.projector import check_grids, merge_heads, resize_map, share_heads, split_heads

Triple = tuple[Tensor, Tensor, Tensor]
BLOCK = 4
HEAD_WIDTH = 64


def cakd_loss(
    student: Triple, teacher: Triple, labels: Tensor | None = None, *, heads: int = 1, kept: Triple | None = None
) -> Tensor:
    """Mean square of the attention outputs, plus mean square of the values' products V V^T / sqrt(d).

    Args:
        student, teacher: queries, keys and values, B x N x D each.
        heads: among which D is split evenly; d = D / heads.
        kept: three masks B x N x D; where False, the student's entry is replaced by the teacher's in the attention.

    Returns: B values >= 0.
    """
    partly = student
    if kept is not None:
        masked = [torch.where(mask, a, b) for mask, a, b in zip(kept, student, teacher, strict=True)]
        partly = (masked[0], masked[1], masked[2])
    attention = mean_square(_attend(partly, heads), _attend(teacher, heads))
    return attention + mean_square(_relate(student[2], heads), _relate(teacher[2], heads))


def _attend(triple: Triple, heads: int) -> Tensor:
    q, k, v = (split_heads(x, heads) for x in triple)
    return merge_heads(F.scaled_dot_product_attention(q, k, v))


def _relate(values: Tensor, heads: int) -> Tensor:
    split = split_heads(values, heads)
    return split @ split.transpose(2, 3) / math.sqrt(split.shape[3])


class CAKDLite(Method):
    """Cross-Architecture Knowledge Distillation, Liu et al., ACCV 2022.

    No code is public; the equations were read in a third party's transcript of the paper.
    """

    paper = Paper(
        "Cross-Architecture Knowledge Distillation",
        "Liu, Cao, Li, Hu, Ding, Li",
        "ACCV",
        2022,
        "2207.05273",
    )
    formula = (
        "L = CE + |PCAttn(Q_s, K_s, V_s) - Attn(Q_t, K_t, V_t)|^2 + |V_s V_s^T - V_t V_t^T|^2 / d + |GL(F_s) - "
        "h_t|^2, PCAttn with each entry of Q_s, K_s, V_s replaced by the teacher's at random"
    )
    family = "map"
    needs = Needs.of("stages", "stages")
    fidelity = "B"
    differences = (
        "the teacher's queries, keys and values are its normalised tokens, because taps read what blocks give; heads "
        "of 64 channels; squares are means; weights 1, dropout .1 and one random choice per entry are ours where the "
        "transcript gives none"
    )
    components = (
        ("partially cross attention projector", True),
        ("group-wise linear projector", True),
        ("the teacher's own queries, keys and values", False),
        ("multi-view generator", False),
        ("adversarial discriminator", False),
    )
    evidence = "better than 14 methods from transformers to CNNs, as claimed [A]"
    min_classes = 1
    stochastic = True
    pure = staticmethod(cakd_loss)
    pure_input = "map"

    attention_weight: float = 1.0
    linear_weight: float = 1.0
    replaced: float = 0.5
    dropout: float = 0.1

    def check(self, specs: Specs) -> None:
        super().check(specs)
        check_grids(self.name, specs.student, specs.teacher)

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        student, teacher = specs.student.stages[-1], specs.teacher.stages[-1]
        self.heads = share_heads(teacher.channels, max(1, teacher.channels // HEAD_WIDTH))
        self.triple = nn.ModuleList(
            [nn.Conv2d(student.channels, teacher.channels, 3, padding=1, bias=kind != "key") for kind in _TRIPLE]
        )
        self.groups = GroupLinear(student.channels, teacher, self.dropout)

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        tokens = t.stages[-1].as_tokens()
        height, width = self.groups.size
        student = resize_map(s.stages[-1].as_map(), (height, width))
        q, k, v = (conv(student).flatten(2).transpose(1, 2) for conv in self.triple)
        target = F.layer_norm(tokens, tokens.shape[2:])
        draws = [torch.rand(target.shape, device=target.device) >= self.replaced for _ in _TRIPLE]
        kept = (draws[0], draws[1], draws[2])
        attention = cakd_loss((q, k, v), (target, target, target), heads=self.heads, kept=kept)
        return {
            "attention": self.attention_weight * attention,
            "linear": self.linear_weight * mean_square(self.groups(student), tokens),
        }


_TRIPLE = ("query", "key", "value")


class GroupLinear(nn.Module):
    """One linear layer for each block of 4 x 4 positions: B x C x H x W -> B x HW x D, after dropout."""

    def __init__(self, inputs: int, teacher: StageSpec, dropout: float) -> None:
        super().__init__()
        assert teacher.size is not None
        self.size = teacher.size
        self.rows, self.columns = (math.ceil(side / BLOCK) for side in self.size)
        self.layers = nn.ModuleList([nn.Linear(inputs, teacher.channels) for _ in range(self.rows * self.columns)])
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        places = self.dropout(x).movedim(1, 3)
        bands = []
        for i in range(self.rows):
            rows = places[:, i * BLOCK : (i + 1) * BLOCK]
            layers = self.layers[i * self.columns : (i + 1) * self.columns]
            blocks = [layer(rows[:, :, j * BLOCK : (j + 1) * BLOCK]) for j, layer in enumerate(layers)]
            bands.append(torch.cat(blocks, dim=2))
        return torch.cat(bands, dim=1).flatten(1, 2)
