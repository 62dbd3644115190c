"""Projectors: training-only modules between a student feature and a teacher feature, built from probed shapes.

They are never typed by the user and never deployed. Random draws happen at construction, inside the stream that the
engine opens for methods.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from alambic.models.feature import StageSpec


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
        return self.layers(x)  # type: ignore[no-any-return]


def exit_head(stage: StageSpec, halvings: int, width: int, classes: int) -> nn.Module:
    """An early-exit classifier on a student's map: ``halvings`` SepConv blocks, average pool, linear layer.

    B x channels x H x W -> B x classes. With no halving a 1x1 convolution widens to ``width`` instead.
    """
    channels = stage.channels
    layers: list[nn.Module] = []
    for i in range(halvings):
        out = width if i == halvings - 1 else channels * 2
        layers.append(SepConv(channels, out))
        channels = out
    if not halvings:
        layers.append(nn.Conv2d(channels, width, 1))
    head = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))
    head.apply(init_trunc_normal)
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
