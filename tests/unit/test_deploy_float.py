"""One layer left in float: the layer that int8 hurts most gains most; files of two networks are not mixed."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from deploy_nets import make_stripes, train_stripes
from torch import nn

from alambic.errors import AlambicError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from alambic.deploy.float_layers import measure_float_layers, write_float_layer  # noqa: E402
from alambic.deploy.int8 import quantize_student  # noqa: E402
from alambic.deploy.measure import predict_onnx  # noqa: E402
from alambic.deploy.read import read_graph  # noqa: E402


def break_layer(net: nn.Module) -> tuple[nn.Module, str]:
    """One weight of a pointwise layer is so large that a scale for the whole layer leaves the others few steps."""
    net = copy.deepcopy(net)
    name, layer = next((n, m) for n, m in net.named_modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1))
    with torch.no_grad():
        layer.weight[0, 0] = 60 * layer.weight.abs().max()
    return net, name


def test_the_layer_that_int8_hurts_gains_most(tmp_path: Path) -> None:
    net, name = break_layer(train_stripes())
    images, labels = make_stripes(200, 3)
    done = quantize_student(net, make_stripes(64, 2)[0], (1, 16, 16), tmp_path, per_channel=False)
    graph = read_graph(done.onnx_int8)
    found = measure_float_layers(done.onnx_fp32, done.onnx_int8, graph, images.numpy(), labels.numpy())
    assert len(found) == sum(op.kind in ("conv", "depthwise", "dense") for op in graph.ops)
    best = max(found, key=lambda item: item.gain)
    assert f"({name})" in best.layer
    assert best.gain > 3
    assert all(item.accuracy is not None and -1 <= item.accuracy <= 1 for item in found)
    assert all(
        item.accuracy is None
        for item in measure_float_layers(done.onnx_fp32, done.onnx_int8, graph, images.numpy()[:8])
    )


def test_all_layers_but_one_stay_int8(tmp_path: Path) -> None:
    done = quantize_student(train_stripes(), make_stripes(64, 2)[0], (1, 16, 16), tmp_path)
    graph = read_graph(done.onnx_int8)
    name = next(op.name for op in graph.ops if op.kind == "dense")
    assert write_float_layer(done.onnx_fp32, done.onnx_int8, name, tmp_path / "mixed.onnx")
    before, after = (onnx.load(str(path)).graph for path in (done.onnx_int8, tmp_path / "mixed.onnx"))
    changed = [a.name for a, b in zip(before.node, after.node, strict=True) if a != b]
    assert changed == [name]
    images = make_stripes(16, 3)[0].numpy()
    assert not np.array_equal(predict_onnx(done.onnx_int8, images), predict_onnx(tmp_path / "mixed.onnx", images))
    assert not write_float_layer(done.onnx_fp32, done.onnx_int8, "no such layer", tmp_path / "mixed.onnx")


def test_files_of_two_networks_are_not_mixed(tmp_path: Path) -> None:
    done = quantize_student(train_stripes(), make_stripes(16, 2)[0], (1, 16, 16), tmp_path / "one")
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4)).eval()
    other = quantize_student(net, make_stripes(16, 2)[0], (1, 16, 16), tmp_path / "two")
    name = next(op.name for op in read_graph(done.onnx_int8).ops if op.kind == "depthwise")
    with pytest.raises(AlambicError, match="try the files of one deployment"):
        write_float_layer(done.onnx_fp32, other.onnx_int8, name, tmp_path / "mixed.onnx")
