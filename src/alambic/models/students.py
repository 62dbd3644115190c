"""The student zoo: tiny convolutional networks by name, with what they cost in flash and arithmetic.

>>> net = create_student("resnet8_w16", in_channels=3, image_size=32, num_classes=100)
>>> next_width("resnet8_w16")
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from alambic.errors import AlambicError
from alambic.models.student_blocks import ConvUnit, Student
from alambic.models.student_table import ARCHITECTURE, SHIPPED, plan_student

WIDE_SIDE = 64  # px from which any stem halves the image; below, the last maps would shrink to one pixel
GROWTH = (0.10, 0.15)  # share of bytes by which a wider control should exceed its student


@dataclass(frozen=True)
class StudentInfo:
    """A student at its default input.

    Attributes:
        input: height, width, channels. classes: of the default head.
        params: trained numbers, BatchNorm included. macs: multiply-accumulates of one image.
        weight_bytes: int8 weights and int32 biases after BatchNorm is folded.
        note: where the architecture comes from.
    """

    name: str
    family: str
    input: tuple[int, int, int]
    classes: int
    params: int
    macs: int
    weight_bytes: int
    note: str


def create_student(
    name: str, in_channels: int = 1, image_size: int | tuple[int, int] = 28, num_classes: int = 10
) -> nn.Module:
    """A student with fresh weights (drawn from torch's global generator).

    Args:
        name: of a family with any width that its rules allow, e.g. ``resnet20_w24``, ``dscnn_28x3``, ``mbv1_025_96``.
        in_channels: 1 (grey) or 3 (colour).
        image_size: side, or (height, width), in pixels. From 64 px on every stem has stride 2.
        num_classes: at least 1 (one logit).

    Returns a ``Student``: B x C x H x W -> logits B x classes; attributes stem, blocks, pool, head.
    Raises AlambicError with the nearest names, or the rule that is broken.
    """
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    if in_channels not in (1, 3):
        raise AlambicError(
            f"student {name!r}: expected 1 (grey) or 3 (colour) input channels, got {in_channels}; try a network "
            "of your own for other sensors (file.py:function)"
        )
    if height < 1 or width < 1:
        raise AlambicError(f"student {name!r}: expected an image of at least 1 x 1 pixels, got {height} x {width}")
    if num_classes < 1:
        raise AlambicError(f"student {name!r}: expected at least one class, got {num_classes}")
    plan = plan_student(name)
    stride = 2 if plan.halves or max(height, width) >= WIDE_SIDE else 1
    stem = ConvUnit(in_channels, plan.stem, 3, stride, act=plan.act)
    blocks, channels = [], plan.stem
    for make, outgoing in plan.blocks:
        blocks.append(make(channels))
        channels = outgoing
    return Student(stem, blocks, channels, num_classes, (in_channels, height, width))


@functools.cache
def describe_student(name: str) -> StudentInfo:
    """What a student costs at its default input; any name that ``create_student`` takes."""
    plan = plan_student(name)
    shape, classes, note = SHIPPED.get(name, (plan.shape, 10, ARCHITECTURE))
    height, width, channels = shape
    net = _draft(name, channels, (height, width), classes)
    macs = count_macs(net, (channels, height, width))
    return StudentInfo(name, plan.family, shape, classes, count_parameters(net), macs, count_weight_bytes(net), note)


def list_students() -> list[StudentInfo]:
    """The shipped students, small to large; the families hold many more."""
    return sorted((describe_student(name) for name in SHIPPED), key=lambda info: info.weight_bytes)


@functools.cache
def next_width(name: str) -> str:
    """The next wider student of the family: the control "make it wider instead of distilling".

    Takes 10 to 15 % more bytes, spread over the stages as evenly as channels in multiples of 4 allow (late stages
    first, where an equal choice remains: they cost few operations); where none lies in that range, the one nearest to
    it from above. Raises AlambicError at the end of a family.
    """
    now = describe_student(name)
    widths = _widths(name)
    low, high = GROWTH
    best: tuple[float, float, list[float], str] | None = None
    for candidate in plan_student(name).wider:
        growth = _bytes(candidate, now) / now.weight_bytes - 1
        if growth < low:
            continue
        ratios = [math.log(new / old) for new, old in zip(_widths(candidate), widths, strict=True)]
        rank = (max(growth, high), max(ratios) - min(ratios), ratios, candidate)
        if best is None or rank < best:
            best = rank
    if best is None:
        raise AlambicError(f"student {name!r}: expected a wider one in its family, but it is the widest")
    return best[-1]


def _widths(name: str) -> list[int]:
    plan = plan_student(name)
    return [plan.stem, *(outgoing for _, outgoing in plan.blocks)]


def _bytes(name: str, like: StudentInfo) -> int:
    height, width, channels = like.input
    return count_weight_bytes(_draft(name, channels, (height, width), like.classes))


def _draft(name: str, channels: int, size: tuple[int, int], classes: int) -> nn.Module:
    """A student to be measured; torch's generator is left alone, since asking a size must not change a training."""
    with torch.random.fork_rng(devices=[]):
        return create_student(name, channels, size, classes)


def count_parameters(net: nn.Module) -> int:
    """Trained numbers of a network."""
    return sum(p.numel() for p in net.parameters())


def count_weight_bytes(net: nn.Module) -> int:
    """int8 weights plus one int32 bias per output channel, in bytes, BatchNorm being folded into them."""
    layers = [module for module in net.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    return sum(layer.weight.numel() + 4 * layer.weight.shape[0] for layer in layers)


def count_macs(net: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Multiply-accumulates of one image, by torch's operator counter (convolutions and linear layers).

    Args:
        input_shape: C, H, W.
    """
    parameter = next(net.parameters(), None)
    device = parameter.device if parameter is not None else torch.device("cpu")
    image: Tensor = torch.zeros(1, *input_shape, device=device)
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            net(image)
    finally:
        for module, mode in modes.items():
            module.training = mode
    return int(counter.get_total_flops()) // 2
