"""The parts that every student is made of: nothing but what small accelerators run well.

Convolution + BatchNorm + ReLU or ReLU6, depthwise convolution, residual addition, average pooling, one linear layer.
No squeeze-excite, no hard-swish: they cost flash and cycles and lose accuracy in int8.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Activation = Literal["relu", "relu6", "none"]
ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "relu6": nn.ReLU6, "none": nn.Identity}


def pad_same(images: Tensor, kernel: int, stride: int) -> Tensor:
    """Zero padding as TensorFlow's SAME does it: the output has ceil(side / stride) pixels, the odd pixel goes last.

    PyTorch's own ``padding=1`` at stride 2 pads both sides alike, which no TFLite engine can express: they would pad
    in an operator of its own, whose output costs up to 70 % more memory.
    """
    sides = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in images.shape[-2:]]
    (top, bottom), (left, right) = [(total // 2, total - total // 2) for total in sides]
    return F.pad(images, (left, right, top, bottom)) if any(sides) else images


class ConvUnit(nn.Module):
    """Convolution, BatchNorm, activation: B x inputs x H x W -> B x outputs x ceil(H / stride) x ceil(W / stride)."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1, act: Activation = "relu"
    ) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        padding = kernel // 2 if stride == 1 else 0
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.act = ACTIVATIONS[act]()
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        if self.stride > 1:
            images = pad_same(images, self.kernel, self.stride)
        result: Tensor = self.act(self.norm(self.conv(images)))
        return result


class SeparableBlock(nn.Module):
    """Depthwise k x k, then pointwise 1 x 1 (MobileNetV1, arXiv 1704.04861)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, kernel: int = 3, act: Activation = "relu") -> None:
        super().__init__()
        self.depthwise = ConvUnit(inputs, inputs, kernel, stride, inputs, act)
        self.pointwise = ConvUnit(inputs, outputs, 1, act=act)

    def forward(self, maps: Tensor) -> Tensor:
        result: Tensor = self.pointwise(self.depthwise(maps))
        return result


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut (ResNet, arXiv 1512.03385), as in MLPerf Tiny's image classifier."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = ConvUnit(inputs, outputs, 3, stride)
        self.second = ConvUnit(outputs, outputs, 3, act="none")
        self.shortcut = make_shortcut(inputs, outputs, stride)
        self.act = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        result: Tensor = self.act(self.second(self.first(maps)) + self.shortcut(maps))
        return result


class LowRankBlock(nn.Module):
    """1 x 1 down to a quarter of the channels, 3 x 3, 1 x 1 up, and a shortcut (ResNet's bottleneck)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        middle = max(8, outputs // 16 * 4)
        self.reduce = ConvUnit(inputs, middle, 1)
        self.spatial = ConvUnit(middle, middle, 3, stride)
        self.expand = ConvUnit(middle, outputs, 1, act="none")
        self.shortcut = make_shortcut(inputs, outputs, stride)
        self.act = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        result: Tensor = self.act(self.expand(self.spatial(self.reduce(maps))) + self.shortcut(maps))
        return result


class InvertedBlock(nn.Module):
    """1 x 1 up by ``expansion``, depthwise k x k, 1 x 1 down; added to its input where shapes agree
    (MobileNetV2, arXiv 1801.04381)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, expansion: int = 1, kernel: int = 3) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = ConvUnit(inputs, hidden, 1, act="relu6") if expansion > 1 else nn.Identity()
        self.depthwise = ConvUnit(hidden, hidden, kernel, stride, hidden, "relu6")
        self.project = ConvUnit(hidden, outputs, 1, act="none")
        self.adds = stride == 1 and inputs == outputs

    def forward(self, maps: Tensor) -> Tensor:
        result: Tensor = self.project(self.depthwise(self.expand(maps)))
        return maps + result if self.adds else result


def make_shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Identity where shapes agree, else a 1 x 1 convolution with BatchNorm."""
    return nn.Identity() if stride == 1 and inputs == outputs else ConvUnit(inputs, outputs, 1, stride, act="none")


class Student(nn.Module):
    """A small image classifier: ``stem``, ``blocks``, ``pool``, ``head``.

    Args:
        stem: first convolution.
        blocks: the network's blocks, shallow to deep.
        width: channels of the last block.
        num_classes: at least 1 (one logit).
        input_shape: C, H, W that it is made for; other sizes run as well.
    """

    def __init__(
        self, stem: nn.Module, blocks: list[nn.Module], width: int, num_classes: int, input_shape: tuple[int, int, int]
    ) -> None:
        super().__init__()
        self.stem = stem
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(width, num_classes)
        self.input_shape = input_shape

    def forward(self, images: Tensor) -> Tensor:
        """B x C x H x W, normalised -> logits B x classes."""
        logits: Tensor = self.head(torch.flatten(self.pool(self.blocks(self.stem(images))), 1))
        return logits
