"""Projectors: training-only modules between a student feature and a teacher feature, built from probed shapes.

They are never typed by the user and never deployed. Random draws happen at construction, inside the stream that the
engine opens for methods.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from alambic.errors import AlambicError
from alambic.models.feature import Outputs, OutputSpec, StageSpec, pair_stages


def linear(inputs: int, outputs: int, bias: bool = True) -> nn.Linear:
    """B x inputs -> B x outputs."""
    return nn.Linear(inputs, outputs, bias=bias)


def conv1x1(inputs: int, outputs: int, norm: bool = False) -> nn.Module:
    """B x inputs x H x W -> B x outputs x H x W; a 1x1 convolution, batch-normalised if ``norm``."""
    conv = nn.Conv2d(inputs, outputs, 1, bias=not norm)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs)) if norm else conv


class SepConv(nn.Module):
    """Two depthwise-separable convolutions, the first with stride 2: B x I x H x W -> B x O x H/2 x W/2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, inputs, 3, stride=2, padding=1, groups=inputs, bias=False),
            nn.Conv2d(inputs, inputs, 1, bias=False),
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
            nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
            nn.Conv2d(inputs, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def exit_halvings(stages: Sequence[StageSpec]) -> list[int]:
    """How often each stage's exit halves its map: once per later stage, as long as the map stays above 2x2."""
    counts = []
    for i, stage in enumerate(stages):
        count, size = 0, min(stage.size or (1, 1))
        while count < len(stages) - 1 - i and size > 2:
            count, size = count + 1, (size + 1) // 2
        counts.append(count)
    return counts


def exit_trunk(stage: StageSpec, halvings: int, width: int) -> nn.Sequential:
    """The vector of an exit on a student's map: ``halvings`` SepConv blocks, average pool.

    B x channels x H x W -> B x width. With no halving a 1x1 convolution widens to ``width`` instead.
    """
    channels = stage.channels
    layers: list[nn.Module] = []
    for i in range(halvings):
        out = width if i == halvings - 1 else channels * 2
        layers.append(SepConv(channels, out))
        channels = out
    if not halvings:
        layers.append(nn.Conv2d(channels, width, 1))
    trunk = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    trunk.apply(init_trunc_normal)
    return trunk


def exit_head(stage: StageSpec, halvings: int, width: int, classes: int) -> nn.Module:
    """An early-exit classifier on a student's map: ``exit_trunk`` and a linear layer; B x C x H x W -> B x classes."""
    head = nn.Sequential(*exit_trunk(stage, halvings, width), nn.Linear(width, classes))
    head[-1].apply(init_trunc_normal)
    return head


def init_trunc_normal(module: nn.Module) -> None:
    """The initialisation of the OFA and RSD authors: He for convolutions, truncated normal (.02) for linear layers."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def resize_map(x: Tensor, size: tuple[int, int]) -> Tensor:
    """B x C x H x W to a size: average pooling to shrink, bilinear to grow."""
    height, width = int(x.shape[2]), int(x.shape[3])
    if (height, width) == tuple(size):
        return x
    if height >= size[0] and width >= size[1]:
        return torch.nn.functional.adaptive_avg_pool2d(x, size)
    return torch.nn.functional.interpolate(x, size, mode="bilinear", align_corners=False)


def meet(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Two maps average-pooled to the smaller height and width of both; B x C x H x W each."""
    size = (min(student.shape[2], teacher.shape[2]), min(student.shape[3], teacher.shape[3]))
    return resize_map(student, size), resize_map(teacher, size)


def check_grids(method: str, student: OutputSpec, teacher: OutputSpec, fewest: int = 1) -> None:
    """Refuses a pair in which a network has fewer than ``fewest`` stages, or one without a spatial grid."""
    for side, spec in (("student", student), ("teacher", teacher)):
        grids = [stage for stage in spec.stages if stage.size is not None]
        if len(grids) < max(fewest, len(spec.stages)):
            shapes = [(stage.form, stage.channels, stage.size) for stage in spec.stages]
            raise AlambicError(
                f"method {method!r} expected a {side} with at least {fewest} stage(s), all of them maps or tokens with "
                f"a spatial grid, got {shapes or 'no stage'}, because it compares maps; try a method on logits (kd) or "
                "embeddings (rsd)"
            )


def paired_specs(student: OutputSpec, teacher: OutputSpec) -> list[tuple[StageSpec, StageSpec]]:
    """The shapes of the paired stages, shallow to deep."""
    pairs = pair_stages(len(student.stages), len(teacher.stages))
    return [(student.stages[i], teacher.stages[j]) for i, j in pairs]


def paired_maps(student: Outputs, teacher: Outputs) -> list[tuple[Tensor, Tensor]]:
    """The maps of the paired stages, shallow to deep; B x C x H x W each."""
    pairs = pair_stages(len(student.stages), len(teacher.stages))
    return [(student.stages[i].as_map(), teacher.stages[j].as_map()) for i, j in pairs]


def connector(inputs: int, outputs: int) -> nn.Sequential:
    """1x1 convolution without bias, normal with variance 2 / outputs, and BatchNorm: the connector of AB and OFD."""
    conv = nn.Conv2d(inputs, outputs, 1, bias=False)
    nn.init.normal_(conv.weight, std=math.sqrt(2 / outputs))
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class HintRegressor(nn.Module):
    """A student map to the teacher's channels and size: B x I x H x W -> B x O x H' x W'.

    A strided convolution halves, a transposed one doubles; any other size is resized first, then mapped by a 1x1
    convolution. BatchNorm follows (it would cancel a bias), and ReLU if asked.
    """

    def __init__(self, student: StageSpec, teacher: StageSpec, relu: bool) -> None:
        super().__init__()
        assert student.size is not None
        assert teacher.size is not None
        (h_s, w_s), (h_t, w_t) = student.size, teacher.size
        self.size: tuple[int, int] | None = None
        conv: nn.Module
        if (h_s, w_s) == (2 * h_t, 2 * w_t):
            conv = nn.Conv2d(student.channels, teacher.channels, 3, stride=2, padding=1, bias=False)
        elif (2 * h_s, 2 * w_s) == (h_t, w_t):
            conv = nn.ConvTranspose2d(student.channels, teacher.channels, 4, stride=2, padding=1, bias=False)
        else:
            conv, self.size = nn.Conv2d(student.channels, teacher.channels, 1, bias=False), teacher.size
        self.layers = nn.Sequential(conv, nn.BatchNorm2d(teacher.channels), *([nn.ReLU()] if relu else []))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x if self.size is None else resize_map(x, self.size))


def share_heads(channels: int, heads: int) -> int:
    """The largest number of attention heads, at most ``heads``, that divides the channels."""
    return next(count for count in range(min(heads, channels), 0, -1) if channels % count == 0)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """B x N x C -> B x heads x N x C/heads."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """B x heads x N x D -> B x N x heads D."""
    return x.transpose(1, 2).flatten(2)
