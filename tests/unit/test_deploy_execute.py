"""The integer executor equals TFLite-Micro bit for bit, and its arithmetic equals exact rational arithmetic."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from deploy_nets import BODIES, NETS, Net, build_net, make_stripes, run_float, settle_student, train_stripes
from torch import nn

from alambic.deploy.arithmetic import TFLM
from alambic.deploy.execute import execute
from alambic.deploy.integer import divide_by_power, multiply_high, narrow, rescale, split_factor
from alambic.errors import AlambicError

pytest.importorskip("onnxruntime")

from alambic.deploy.int8 import quantize_student
from alambic.deploy.read import read_graph
from alambic.deploy.tflite import emit_tflite

ONE_STEP = ("sigmoid gate",)  # the sigmoid of TFLite-Micro is a polynomial, ours is rounded from the real one


def run_both(net: nn.Module, shape: tuple[int, int, int], images: torch.Tensor, folder: Path) -> np.ndarray:
    """Executor minus TFLite-Micro, in steps of the output."""
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")
    from alambic.deploy.targets.tflm import predict_tflm

    graph = read_graph(quantize_student(net, images[:8], shape, folder).onnx_int8)
    emit_tflite(graph, folder / "a.tflite")
    expected = predict_tflm(folder / "a.tflite", images.numpy())
    found = execute(graph, images.numpy(), batch=5)
    return np.rint((found - expected) / graph.tensors[graph.output].scale[0])


@pytest.mark.parametrize("name", NETS)
def test_each_operator_equals_tflite_micro(name: str, tmp_path: Path) -> None:
    torch.manual_seed(4)
    net = build_net(name)
    steps = run_both(net, (3, 8, 8), torch.randn(12, 3, 8, 8), tmp_path)
    assert abs(steps).max() <= (name in ONE_STEP)


@pytest.mark.parametrize("name", ["dscnn_24x3", "resnet8_w8", "mbv1_0125_96g", "mcunetish_64", "resnet20_w16"])
def test_students_equal_tflite_micro(name: str, tmp_path: Path) -> None:
    net, shape = settle_student(name)
    assert not run_both(net, shape, torch.randn(8, *shape), tmp_path).any()


def test_answers_do_not_depend_on_the_batch(tmp_path: Path) -> None:
    images = make_stripes(20, 2)[0]
    graph = read_graph(quantize_student(train_stripes(), images, (1, 16, 16), tmp_path).onnx_int8)
    found = [execute(graph, images.numpy(), batch=size) for size in (1, 7, 64)]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    with pytest.raises(AlambicError, match=r"got \(20, 1, 16, 15\)"):
        execute(graph, images.numpy()[..., 1:])


def away(value: Fraction) -> int:
    """To the nearest integer, halves away from zero, exactly."""
    size = abs(value)
    whole = size.numerator // size.denominator
    return (1 if value >= 0 else -1) * (whole + (size - whole >= Fraction(1, 2)))


def up(value: Fraction) -> int:
    """To the nearest integer, halves up, exactly."""
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


VALUES = [0, 1, -1, 2, -2, 3, -3, 5, -5, 127, -128, 12345, -12345, 2**20, -(2**20), 2**30 - 1, -(2**30)]


@pytest.mark.parametrize("shift", [0, 1, 2, 5, 31])
def test_powers_divide_exactly(shift: int) -> None:
    found = divide_by_power(np.array(VALUES, np.int64), shift)
    assert found.tolist() == [away(Fraction(value, 2**shift)) for value in VALUES]


@pytest.mark.parametrize("multiplier", [2**30, 2**30 + 1, 1_518_500_250, 2**31 - 1])
def test_products_round_exactly(multiplier: int) -> None:
    found = multiply_high(np.array(VALUES, np.int64), multiplier)
    assert found.tolist() == [up(Fraction(value * multiplier, 2**31)) for value in VALUES]
    for shift in (-3, 0):
        both = rescale(np.array(VALUES, np.int64), multiplier, shift)
        assert both.tolist() == [away(Fraction(up(Fraction(v * multiplier, 2**31)), 2**-shift)) for v in VALUES]
        once = rescale(np.array(VALUES, np.int64), multiplier, shift, "single")
        assert once.tolist() == [up(Fraction(v * multiplier, 2 ** (31 - shift))) for v in VALUES]
    small = np.array(VALUES[:11], np.int64)
    assert rescale(small, multiplier, 3).tolist() == [up(Fraction(8 * v * multiplier, 2**31)) for v in VALUES[:11]]


@pytest.mark.parametrize("factor", [1e-12, 3e-5, 0.25, 0.5, 0.9999999999, 1.0, 7.3, 1e4])
def test_a_factor_is_its_multiplier_and_shift(factor: float) -> None:
    multiplier, shift = split_factor(factor)
    if factor < 2**-32:
        assert multiplier == 0
    else:
        assert 2**30 <= multiplier < 2**31
        assert multiplier * 2.0 ** (shift - 31) == pytest.approx(factor, rel=2**-31)
    assert split_factor(0.0) == (0, 0)


def test_a_register_saturates_or_wraps() -> None:
    values = np.array([127, 128, 300, -128, -129, -300], np.int64)
    assert narrow(values, 8).tolist() == [127, 127, 127, -128, -128, -128]
    assert narrow(values, 8, saturate=False).tolist() == values.astype(np.int8).tolist()


def test_small_accumulators_lose_what_they_cannot_hold(tmp_path: Path) -> None:
    """A sum of 36 products under 16 bits, saturated and wrapped, against plain Python integers."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 6), nn.Flatten()).eval()
    images = torch.rand(8, 1, 6, 6) + 0.5
    graph = read_graph(quantize_student(net, images, (1, 6, 6), tmp_path).onnx_int8)
    conv = graph.ops[0]
    x, weight, bias, out = (graph.tensors[name] for name in (*conv.inputs, conv.output))
    assert weight.data is not None
    assert bias.data is not None
    for saturate in (True, False):
        found = execute(graph, images.numpy(), replace(TFLM, accumulator_bits=13, saturate=saturate))
        for row, image in zip(found, images.numpy(), strict=True):
            steps = np.clip(np.rint(image.ravel() / x.scale[0]) + x.zero_point, -128, 127).astype(int) - x.zero_point
            for index in range(2):
                total = sum(int(a) * int(b) for a, b in zip(steps, weight.data[index].ravel(), strict=True))
                total += int(bias.data[index])
                held = max(-4096, min(4095, total)) if saturate else (total + 4096) % 8192 - 4096
                real = held * float(x.scale[0]) * float(weight.scale[index])
                low, high = ((end - out.zero_point) * float(out.scale[0]) for end in (-128, 127))
                assert abs(row[index] - min(max(real, low), high)) <= 0.51 * out.scale[0]


def test_hard_swish_is_within_a_step_of_the_real_one(tmp_path: Path) -> None:
    torch.manual_seed(3)
    net = Net(BODIES["hard-swish"][0](), 8).eval()
    images = torch.randn(8, 3, 8, 8)
    graph = read_graph(quantize_student(net, images, (3, 8, 8), tmp_path).onnx_int8)
    expected = np.concatenate([run_float(graph, image[None].numpy()) for image in images])
    assert abs(execute(graph, images.numpy()) - expected).max() <= 2.01 * graph.tensors[graph.output].scale[0]
