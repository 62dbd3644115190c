"""Other arithmetics: the default reproduces the int8 file, grids are as asked, answers equal real arithmetic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from deploy_nets import NETS, build_net, make_stripes, run_float, train_stripes

pytest.importorskip("onnxruntime")

from alambic.deploy.arithmetic import TFLM, VARIANTS, Arithmetic
from alambic.deploy.execute import execute
from alambic.deploy.graph import Int8Graph
from alambic.deploy.int8 import Int8Result, quantize_student
from alambic.deploy.measure import measure_accuracy, measure_agreement, predict_onnx
from alambic.deploy.private import regrid, simulate
from alambic.deploy.read import read_graph


def make(name: str, folder: Path, per_channel: bool = True) -> tuple[Int8Result, Int8Graph, torch.Tensor]:
    torch.manual_seed(3)
    net = build_net(name)
    images = torch.randn(16, 3, 8, 8)
    done = quantize_student(net, images, (3, 8, 8), folder, per_channel)
    return done, read_graph(done.onnx_int8), images


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("name", NETS)
def test_the_default_grids_are_those_of_the_int8_file(name: str, per_channel: bool, tmp_path: Path) -> None:
    done, graph, _ = make(name, tmp_path, per_channel)
    again = regrid(graph, done.onnx_fp32, Arithmetic(per_channel=per_channel))
    for key, before in graph.tensors.items():
        after = again.tensors[key]
        np.testing.assert_allclose(after.scale, np.broadcast_to(before.scale, after.scale.shape), rtol=1e-5)
        assert after.zero_point == before.zero_point
        if before.data is not None:
            assert after.data is not None
            off = abs(after.data.astype(np.int64) - before.data)
            assert off.max() <= (2 if before.dtype == "int32" else 1)
            assert (off > 0).mean() < 0.05


CHOSEN = (
    "same stride 2",
    "max pool of signed maps",
    "average pool then relu6",
    "squeeze-excite",
    "concat of unequal ranges",
    "overlapping max pool",
    "flattened maps",
    "relu of flattened maps",
    "sum of flattened maps",
    "padding alone",
    "a factor a column",
    "hard-swish",
)


@pytest.mark.parametrize("name", CHOSEN)
@pytest.mark.parametrize(
    "arithmetic",
    [
        Arithmetic(scales="power-of-two", per_channel=False, symmetric=True),
        Arithmetic(scales="power-of-two"),
        Arithmetic(symmetric=True, rounding="single"),
    ],
)
def test_answers_are_those_of_real_arithmetic_on_the_grids(name: str, arithmetic: Arithmetic, tmp_path: Path) -> None:
    done, graph, images = make(name, tmp_path)
    other = regrid(graph, done.onnx_fp32, arithmetic)
    expected = np.concatenate([run_float(other, image[None].numpy()) for image in images])
    found = simulate(graph, done.onnx_fp32, arithmetic, images.numpy())
    step = float(other.tensors[other.output].scale[0])
    assert abs(found - expected).max() <= 2.01 * step
    assert (abs(found - expected) < 0.01 * step).mean() > 0.4


def test_grids_are_as_asked(tmp_path: Path) -> None:
    done, graph, _ = make("same stride 2", tmp_path)
    powers = regrid(graph, done.onnx_fp32, VARIANTS["power-of-two scales"])
    for before, after in zip(graph.tensors.values(), powers.tensors.values(), strict=True):
        if after.dtype == "int8":
            assert len(after.scale) == 1
            assert float(np.log2(after.scale[0])).is_integer()
            assert after.zero_point == 0
        if before.data is None:
            reach = max(-(-128 - before.zero_point), 127 - before.zero_point) * float(before.scale[0])
            assert reach / 127 <= float(after.scale[0]) * 1.0001 < 2 * reach / 127 * 1.0002
    narrow = regrid(graph, done.onnx_fp32, Arithmetic(weight_bits=3, activation_bits=5))
    weights = [t.data for t in narrow.tensors.values() if t.data is not None and t.dtype == "int8"]
    assert all(set(np.unique(data)) <= set(range(-3, 4)) for data in weights)
    assert all(-16 <= t.zero_point <= 15 for t in narrow.tensors.values())


@pytest.mark.parametrize("name", ["scalar", "a factor a channel", "a factor a column", "squeeze-excite"])
def test_constant_operands_are_on_the_devices_grids(name: str, tmp_path: Path) -> None:
    done, graph, _ = make(name, tmp_path)
    operands = [
        item
        for op in graph.ops
        if op.kind in ("add", "mul")
        for item in op.inputs
        if graph.tensors[item].data is not None
    ]
    assert operands
    for arithmetic in (
        VARIANTS["power-of-two scales"],
        Arithmetic(activation_bits=4),
        Arithmetic(scales="power-of-two"),
    ):
        other = regrid(graph, done.onnx_fp32, arithmetic)
        for key in operands:
            before, after = graph.tensors[key], other.tensors[key]
            assert before.data is not None
            assert after.data is not None
            assert after.data.min() >= arithmetic.lowest
            assert after.data.max() <= arithmetic.highest
            assert after.zero_point == 0 or not arithmetic.symmetric
            step = float(after.scale[0])
            assert float(np.log2(step)).is_integer() or arithmetic.scales == "float"
            real = (before.data.astype(int) - before.zero_point) * float(before.scale[0])
            off = abs((after.data.astype(int) - after.zero_point) * step - real)
            assert off.max() <= step / 2 + float(before.scale[0])


def test_fused_activations_bound_where_saturation_does_not(tmp_path: Path) -> None:
    """On a symmetric power-of-two grid a fused ReLU6 must still stop at 0 and at 6."""
    from alambic.deploy.execute import run_all

    done, graph, images = make("average pool then relu6", tmp_path)
    arithmetic = VARIANTS["power-of-two scales"]
    other = regrid(graph, done.onnx_fp32, arithmetic)
    bounded = [op for op in other.ops if "bounds" in op.settings]
    assert {op.settings["bounds"] for op in bounded} >= {(0.0, None)}
    given = other.tensors[other.input]
    pixels = np.rint(100 * images.numpy().transpose(0, 2, 3, 1) / given.scale[0]).clip(-128, 127).astype(np.int8)
    values = run_all(other, pixels, arithmetic)
    for op in bounded:
        low, high = op.settings["bounds"]
        scale = float(other.tensors[op.output].scale[0])
        assert values[op.output].min() * scale >= low
        assert high is None or values[op.output].max() * scale <= high + scale / 2


def test_coarser_arithmetic_loses_more(tmp_path: Path) -> None:
    images, labels = make_stripes(300, 1)
    done = quantize_student(train_stripes(), make_stripes(64, 0)[0], (1, 16, 16), tmp_path)
    graph = read_graph(done.onnx_int8)
    fp32 = predict_onnx(done.onnx_fp32, images.numpy())

    def agree(arithmetic: Arithmetic) -> float:
        return measure_agreement(simulate(graph, done.onnx_fp32, arithmetic, images.numpy()), fp32)

    assert min(agree(chosen) for chosen in VARIANTS.values()) > 0.97
    assert agree(Arithmetic(weight_bits=2)) < 0.9
    assert agree(Arithmetic(accumulator_bits=14)) < 0.6
    assert agree(Arithmetic(activation_bits=2)) < 0.9
    np.testing.assert_array_equal(simulate(graph, done.onnx_fp32, TFLM, images.numpy()), execute(graph, images.numpy()))
    assert measure_accuracy(fp32, labels.numpy()) > 0.95
