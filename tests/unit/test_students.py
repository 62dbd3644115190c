"""The zoo against the measured table of the deployment chain, and each rule against a name that breaks it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from alambic.errors import AlambicError
from alambic.models.student_blocks import pad_same
from alambic.models.students import (
    count_macs,
    count_parameters,
    count_weight_bytes,
    create_student,
    describe_student,
    list_students,
    next_width,
)

# name, (C, H, W), classes, parameters, MACs in millions, int8 weights + biases in a .tflite (8 bytes are RESHAPE's)
TABLE = [
    ("dscnn_24x3", (1, 28, 28), 10, 3_178, 0.51, 3_552),
    ("dscnn_48x4", (3, 32, 32), 10, 13_594, 3.13, 14_496),
    ("resnet8_w8", (3, 32, 32), 10, 19_954, 3.24, 20_328),
    ("resnet8_w12", (3, 32, 32), 10, 44_230, 7.12, 44_772),
    ("mbv2_tiny_32", (3, 32, 32), 10, 45_546, 7.16, 48_304),
    ("mbv1_0125_96g", (1, 96, 96), 2, 57_786, 2.27, 60_552),
    ("resnet8_w16", (3, 32, 32), 10, 78_042, 12.5, 78_752),
    ("lowrank_resnet_64", (3, 64, 64), 10, 118_394, 9.25, 121_120),
    ("fdmbv1_025_96", (3, 96, 96), 10, 128_730, 2.17, 132_704),
    ("resnet8_w24", (3, 32, 32), 10, 174_274, 27.8, 175_320),
    ("mbv1_025_96", (3, 96, 96), 2, 213_586, 7.49, 219_072),
    ("resnet20_w16", (3, 32, 32), 10, 272_474, 40.8, 274_080),
    ("mcunetish_64", (3, 64, 64), 10, 284_354, 5.7, 293_160),
]


@pytest.mark.parametrize(("name", "shape", "classes", "params", "macs", "size"), TABLE)
def test_costs_equal_the_table(
    name: str, shape: tuple[int, int, int], classes: int, params: int, macs: float, size: int
) -> None:
    net = create_student(name, shape[0], shape[1:], classes)
    assert count_parameters(net) == params
    assert count_macs(net, shape) == pytest.approx(macs * 1e6, rel=0.005)
    assert count_weight_bytes(net) == size - 8
    info = describe_student(name)
    assert (info.params, info.weight_bytes, info.classes) == (params, size - 8, classes)
    assert info.macs == count_macs(net, shape)
    assert info.input == (shape[1], shape[2], shape[0])


def test_every_student_of_the_table_is_listed() -> None:
    assert {info.name for info in list_students()} == {row[0] for row in TABLE}


@pytest.mark.parametrize("name", [row[0] for row in TABLE])
@pytest.mark.parametrize(("channels", "size", "classes"), [(1, (7, 13), 1), (3, (64, 33), 5)])
def test_runs_at_any_size_and_is_readable(name: str, channels: int, size: tuple[int, int], classes: int) -> None:
    net = create_student(name, channels, size, classes).eval()
    images = torch.randn(2, channels, *size)
    with torch.no_grad():
        assert net(images).shape == (2, classes)
        maps = net.stem(images)
        for block in net.blocks:
            maps = block(maps)
        assert torch.equal(net.head(net.pool(maps).flatten(1)), net(images))
    assert isinstance(net.head, nn.Linear)
    assert isinstance(net.blocks, nn.Sequential)


@pytest.mark.parametrize("name", [row[0] for row in TABLE])
def test_only_what_small_accelerators_run(name: str) -> None:
    allowed = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.ReLU6, nn.Identity, nn.AdaptiveAvgPool2d, nn.Linear)
    for module in create_student(name, 3, 96, 10).modules():
        assert list(module.children()) or isinstance(module, allowed), type(module)
        if isinstance(module, nn.Conv2d):
            assert module.out_channels % 4 == 0


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("side", range(1, 12))
def test_padding_is_that_of_tensorflow(kernel: int, side: int) -> None:
    """Reference: the window of output i starts at 2 i - before, where before is the smaller half of what is lacking."""
    image = torch.arange(1.0, side + 1).repeat(2, 1).T.reshape(1, 1, side, 2)
    weight = torch.rand(1, 1, kernel, kernel)
    found = F.conv2d(pad_same(image, kernel, 2), weight, stride=2)

    def before(length: int) -> int:
        return max((-(-length // 2) - 1) * 2 + kernel - length, 0) // 2

    expected = torch.zeros(1, 1, -(-side // 2), 1)
    for row in range(expected.shape[2]):
        for i in range(kernel):
            for j in range(kernel):
                y, x = 2 * row - before(side) + i, j - before(2)
                if 0 <= y < side and 0 <= x < 2:
                    expected[0, 0, row, 0] += weight[0, 0, i, j] * image[0, 0, y, x]
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("size", "stride"), [(63, 1), (64, 2), ((32, 64), 2)])
def test_stems_halve_from_64_pixels_on(size: int | tuple[int, int], stride: int) -> None:
    assert create_student("resnet8_w8", 3, size).stem.conv.stride == (stride, stride)


def test_weights_follow_the_global_seed() -> None:
    first, second = [create_student("dscnn_24x3") for _ in range(2) if torch.manual_seed(3)]
    for one, two in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, two)


def test_asking_for_costs_moves_no_random_stream() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    describe_student("resnet8_w20")
    next_width("resnet8_w20")
    assert torch.equal(torch.rand(3), expected)


def test_counting_leaves_the_network_as_it_was() -> None:
    net = create_student("dscnn_24x3").train()
    net.blocks[0].eval()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    count_macs(net, (1, 28, 28))
    assert net.training
    assert not net.blocks[0].training
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


@pytest.mark.parametrize("name", [row[0] for row in TABLE])
def test_next_width_costs_a_little_more(name: str) -> None:
    info, wider = describe_student(name), next_width(name)
    height, width, channels = info.input
    size = count_weight_bytes(create_student(wider, channels, (height, width), info.classes))
    assert 1.10 <= size / info.weight_bytes <= 1.17
    assert describe_student(wider).family == info.family


@pytest.mark.parametrize("name", ["resnet20_w24", "dscnn_28x3", "resnet8_w16-32-72", "mbv1_0265_96", "resnet110_w4"])
def test_families_hold_other_widths(name: str) -> None:
    assert create_student(name, 1, 16, 3)(torch.randn(2, 1, 16, 16)).shape == (2, 3)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("resnet8_w17", {}, "multiples of 4, got 17.*try 16 or 20"),
        ("dscnn_2x3", {}, "multiples of 4, got 2"),
        ("dscnn_24x0", {}, "1 to 64 blocks"),
        ("resnet9_w16", {}, "6n . 2.*try resnet8_w16"),
        ("resnet8_w16-12-8", {}, "widen with depth"),
        ("mbv1_900_96", {}, "width multiplier"),
        ("resnet8_16", {}, "did you mean 'resnet8_w16'"),
        ("dscnn_24x3", {"in_channels": 2}, "1 .grey. or 3 .colour."),
        ("dscnn_24x3", {"image_size": (0, 5)}, "at least 1 x 1"),
        ("dscnn_24x3", {"num_classes": 0}, "at least one class"),
    ],
)
def test_rules_are_named(name: str, settings: dict[str, int], message: str) -> None:
    with pytest.raises(AlambicError, match=message):
        create_student(name, **settings)
