"""Families of students: how a name becomes a plan, and which names are wider.

- ``dscnn_24x3``: stem and three separable blocks of 24 channels; ``dscnn_24-36x3``: the last block has 36.
- ``resnet8_w16``: three stages of 16, 32, 64 channels; ``resnet8_w16-32-72`` spells the stages out. Depths 6n + 2.
- ``mbv1_025_96g``, ``fdmbv1_025_96``, ``mcunetish_64``, ``mbv2_tiny_32``, ``lowrank_resnet_64``: width multiplier
  (``025`` = 0.25, none = 1), image side that the student is made for, ``g`` for grey. Side and grey only set defaults.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import nn

from alambic.errors import AlambicError, nearest
from alambic.models.student_blocks import (
    Activation,
    ConvUnit,
    InvertedBlock,
    LowRankBlock,
    ResidualBlock,
    SeparableBlock,
)

BlockMaker = Callable[[int], nn.Module]  # incoming channels -> block


@dataclass(frozen=True)
class Plan:
    """A student before its input and classes are known.

    Attributes:
        family: its name.
        stem: channels of the first convolution. act: its activation.
        halves: whether the stem has stride 2 at any image size (else from 64 px on).
        blocks: (maker, outgoing channels) of each block.
        shape: default input H, W, C.
        wider: names of wider students of the family, in any order.
    """

    family: str
    stem: int
    act: Activation
    halves: bool
    blocks: tuple[tuple[BlockMaker, int], ...]
    shape: tuple[int, int, int]
    wider: tuple[str, ...]


MBV1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
FDMBV1 = ((64, 2), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 4, (1024, 1))
LOWRANK = ((32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (192, 2))
# expansion, channels, repeats, stride of the first, kernel
MCUNETISH = ((1, 8, 1, 1, 3), (3, 16, 2, 2, 3), (4, 24, 2, 2, 5), (5, 40, 3, 2, 5), (5, 48, 2, 1, 3), (5, 96, 2, 2, 7))
MBV2_TINY = ((1, 16, 1, 1, 3), (4, 24, 2, 2, 3), (4, 32, 2, 2, 3), (4, 48, 1, 1, 3))

DSCNN_NAME = re.compile(r"dscnn_(?P<width>\d+)(?:-(?P<last>\d+))?x(?P<count>\d+)")
RESNET_NAME = re.compile(r"resnet(?P<depth>\d+)_w(?P<width>\d+)(?:-(?P<second>\d+)-(?P<third>\d+))?")
SCALED_NAME = re.compile(
    r"(?P<family>mbv1|fdmbv1|mcunetish|mbv2_tiny|lowrank_resnet)(?:_(?P<alpha>\d{3,4}))?_(?P<side>\d{2,3})(?P<grey>g?)"
)


def plan_student(name: str) -> Plan:
    """The plan of a student's name. Raises AlambicError with the nearest names, or the rule that the name breaks."""
    for pattern, build in ((DSCNN_NAME, _plan_dscnn), (RESNET_NAME, _plan_resnet), (SCALED_NAME, _plan_scaled)):
        match = pattern.fullmatch(name)
        if match:
            return build(name, {key: value for key, value in match.groupdict().items() if value is not None})
    raise AlambicError(
        f"expected a student's name such as resnet8_w16, dscnn_24x3 or mbv1_025_96, got {name!r}; "
        + nearest(name, SHIPPED)
    )


def _plan_dscnn(name: str, parts: dict[str, str]) -> Plan:
    width, count = int(parts["width"]), int(parts["count"])
    last = int(parts.get("last", width))
    _check_widths(name, (width, last))
    if not 1 <= count <= 64:
        raise AlambicError(f"student {name!r}: expected 1 to 64 blocks, got {count}; try dscnn_{width}x3")
    widths = [width] * (count - 1) + [last]
    blocks = tuple((_make_separable(w, 1, "relu"), w) for w in widths)
    wider = [f"dscnn_{width}-{last + step}x{count}" for step in range(4, last + 4, 4)]
    wider += [f"dscnn_{width + step}x{count}" for step in range(4, width + 4, 4) if width + step >= last]
    return Plan("dscnn", width, "relu", True, blocks, (32, 32, 3), tuple(wider))


def _plan_resnet(name: str, parts: dict[str, str]) -> Plan:
    depth, first = int(parts["depth"]), int(parts["width"])
    widths = (first, int(parts.get("second", 2 * first)), int(parts.get("third", 4 * first)))
    _check_widths(name, widths)
    if depth % 6 != 2 or not 8 <= depth <= 110:
        raise AlambicError(
            f"student {name!r}: expected a depth of 6n + 2 from 8 to 110, got {depth}, because each of three "
            f"stages has n blocks of two layers; try resnet{min(max(depth - 2, 6) // 6 * 6 + 2, 110)}_w{first}"
        )
    repeats = (depth - 2) // 6
    blocks = [
        (_make_residual(width, 2 if stage and not index else 1), width)
        for stage, width in enumerate(widths)
        for index in range(repeats)
    ]
    return Plan(f"resnet{depth}", first, "relu", False, tuple(blocks), (32, 32, 3), tuple(_widen_resnet(depth, widths)))


def _widen_resnet(depth: int, widths: tuple[int, int, int]) -> Iterator[str]:
    units = [max(4, width // 64 * 4) for width in widths]  # about a sixteenth of each stage
    for times in itertools.product(range(3), repeat=3):
        a, b, c = (width + unit * count for width, unit, count in zip(widths, units, times, strict=True))
        if any(times) and a <= b <= c:
            yield f"resnet{depth}_w{a}" if (b, c) == (2 * a, 4 * a) else f"resnet{depth}_w{a}-{b}-{c}"


def _plan_scaled(name: str, parts: dict[str, str]) -> Plan:
    family, digits, grey = parts["family"], parts.get("alpha", "100"), parts["grey"]
    alpha, side = float(f"{digits[0]}.{digits[1:]}"), int(parts["side"])
    if not 0.05 <= alpha <= 4:
        raise AlambicError(f"student {name!r}: expected a width multiplier from 0.05 (005) to 4 (400), got {alpha}")

    def scale(width: int) -> int:
        return max(8, int(width * alpha / 4 + 0.5) * 4)

    def spell(thousandths: int) -> str:
        text = f"{thousandths:04d}"
        return f"{family}_{text[:3] if text.endswith('0') else text}_{side}{grey}"

    now = round(alpha * 1000)
    step = max(5, now // 250 * 5)  # a fiftieth, spelled in at most three decimals
    wider = tuple(spell(later) for later in range(now + step, min(now * 14 // 10, 4000), step))
    blocks = tuple(_scaled_blocks(family, scale))
    act: Activation = "relu" if family == "lowrank_resnet" else "relu6"
    stem = scale(16 if family == "lowrank_resnet" else 32)
    return Plan(family, stem, act, False, blocks, (side, side, 1 if grey else 3), wider)


def _scaled_blocks(family: str, scale: Callable[[int], int]) -> Iterator[tuple[BlockMaker, int]]:
    if family in ("mbv1", "fdmbv1"):
        for width, stride in MBV1 if family == "mbv1" else FDMBV1:
            yield _make_separable(scale(width), stride, "relu6"), scale(width)
    elif family == "lowrank_resnet":
        for width, stride in LOWRANK:
            yield _make_lowrank(scale(width), stride), scale(width)
    else:
        for expansion, width, repeats, stride, kernel in MCUNETISH if family == "mcunetish" else MBV2_TINY:
            for index in range(repeats):
                yield _make_inverted(scale(width), 1 if index else stride, expansion, kernel), scale(width)
        if family == "mbv2_tiny":
            yield _make_pointwise(scale(96)), scale(96)


def _check_widths(name: str, widths: tuple[int, ...]) -> None:
    for width in widths:
        if width < 4 or width % 4:
            lower = max(4, width // 4 * 4)
            raise AlambicError(
                f"student {name!r}: expected channels in multiples of 4, got {width}, because accelerators compute "
                f"four or more channels at once and pad the rest; try {lower} or {lower + 4}"
            )
    if list(widths) != sorted(widths):
        raise AlambicError(f"student {name!r}: expected stages that widen with depth, got {widths}")


def _make_separable(width: int, stride: int, act: Activation) -> BlockMaker:
    return lambda inputs: SeparableBlock(inputs, width, stride, act=act)


def _make_residual(width: int, stride: int) -> BlockMaker:
    return lambda inputs: ResidualBlock(inputs, width, stride)


def _make_lowrank(width: int, stride: int) -> BlockMaker:
    return lambda inputs: LowRankBlock(inputs, width, stride)


def _make_inverted(width: int, stride: int, expansion: int, kernel: int) -> BlockMaker:
    return lambda inputs: InvertedBlock(inputs, width, stride, expansion, kernel)


def _make_pointwise(width: int) -> BlockMaker:
    return lambda inputs: ConvUnit(inputs, width, 1, act="relu6")


ARCHITECTURE = "architecture only, no weights shipped"
# name -> default input H, W, C, classes, note
SHIPPED: dict[str, tuple[tuple[int, int, int], int, str]] = {
    "dscnn_24x3": ((28, 28, 1), 10, f"{ARCHITECTURE}; like ST's MNIST network"),
    "dscnn_48x4": ((32, 32, 3), 10, f"{ARCHITECTURE}; like MLPerf Tiny's keyword spotter"),
    "resnet8_w8": ((32, 32, 3), 10, ARCHITECTURE),
    "resnet8_w12": ((32, 32, 3), 10, ARCHITECTURE),
    "resnet8_w16": ((32, 32, 3), 10, f"{ARCHITECTURE}; MLPerf Tiny's image classifier with BatchNorm in shortcuts"),
    "resnet8_w24": ((32, 32, 3), 10, ARCHITECTURE),
    "resnet20_w16": ((32, 32, 3), 10, f"{ARCHITECTURE}; the ResNet-20 of arXiv 1512.03385"),
    "mbv1_0125_96g": ((96, 96, 1), 2, f"{ARCHITECTURE}; MobileNetV1 (arXiv 1704.04861)"),
    "mbv1_025_96": ((96, 96, 3), 2, f"{ARCHITECTURE}; MLPerf Tiny's person detector"),
    "fdmbv1_025_96": ((96, 96, 3), 10, f"{ARCHITECTURE}; FD-MobileNet (arXiv 1802.03750)"),
    "mcunetish_64": ((64, 64, 3), 10, f"{ARCHITECTURE}; kernels 3, 5, 7 as MCUNet (arXiv 2007.10319)"),
    "mbv2_tiny_32": ((32, 32, 3), 10, f"{ARCHITECTURE}; extra: MobileNetV2 (arXiv 1801.04381)"),
    "lowrank_resnet_64": ((64, 64, 3), 10, f"{ARCHITECTURE}; extra: bottlenecks as in ST ResNet (arXiv 2601.05364)"),
}
