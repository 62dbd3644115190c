"""int8 keeps a trained network's predictions; its graph computes what the file says; what cannot be int8 is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from deploy_nets import NETS, Net, build_net, make_stripes, run_float, train_stripes
from torch import Tensor, nn

from alambic.errors import AlambicError
from alambic.models.students import create_student

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from alambic.deploy.export import export_onnx  # noqa: E402
from alambic.deploy.int8 import check_device, quantize_onnx, quantize_student  # noqa: E402
from alambic.deploy.measure import measure_accuracy, measure_agreement, predict_onnx  # noqa: E402
from alambic.deploy.read import read_graph  # noqa: E402


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    return train_stripes()


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("calibration", ["minmax", "percentile", "entropy"])
def test_a_trained_network_keeps_its_predictions(
    trained: nn.Module, per_channel: bool, calibration: str, tmp_path: Path
) -> None:
    images, labels = make_stripes(500, 1)
    done = quantize_student(trained, make_stripes(64, 2)[0], (1, 16, 16), tmp_path, per_channel, calibration)  # type: ignore[arg-type]
    with torch.no_grad():
        fp32 = trained(images).numpy()
    int8 = predict_onnx(done.onnx_int8, images.numpy())
    assert measure_accuracy(fp32, labels.numpy()) > 0.9
    assert measure_agreement(int8, fp32) > 0.97
    assert measure_agreement(predict_onnx(done.onnx_fp32, images.numpy()), fp32) == 1.0


def test_weights_are_symmetric_int8_per_channel_or_per_tensor(trained: nn.Module, tmp_path: Path) -> None:
    counts = {}
    for per_channel in (True, False):
        done = quantize_student(trained, make_stripes(8, 2)[0], (1, 16, 16), tmp_path, per_channel)
        graph = read_graph(done.onnx_int8)
        weights = [t for t in graph.tensors.values() if t.data is not None and t.dtype == "int8"]
        assert all(t.zero_point == 0 and t.data is not None and abs(t.data.astype(int)).max() <= 127 for t in weights)
        counts[per_channel] = [len(t.scale) for t in weights]
        model = onnx.load(str(done.onnx_int8))
        assert [(item.domain, item.version) for item in model.opset_import] == [("", 17)]
        assert model.ir_version <= 9
    assert counts[False] == [1] * 8
    assert counts[True] == [24] * 7 + [4]


def test_calibration_decides_the_file_and_its_hash(trained: nn.Module, tmp_path: Path) -> None:
    images = make_stripes(40, 2)[0]
    first = quantize_student(trained, images, (1, 16, 16), tmp_path / "a")
    again = quantize_student(trained, images, (1, 16, 16), tmp_path / "b")
    other = quantize_student(trained, images * 2, (1, 16, 16), tmp_path / "c")
    assert first.onnx_int8.read_bytes() == again.onnx_int8.read_bytes()
    assert first.calibration_hash == again.calibration_hash != other.calibration_hash
    assert first.onnx_int8.read_bytes() != other.onnx_int8.read_bytes()
    assert first.calibration_size == 40


def test_batches_do_not_change_minmax(trained: nn.Module, tmp_path: Path) -> None:
    images = make_stripes(40, 2)[0].numpy()
    export_onnx(trained, (1, 16, 16), tmp_path / "a.onnx")
    for step in (1, 7, 40):
        quantize_onnx(tmp_path / "a.onnx", tmp_path / f"{step}.onnx", images, batch=step)
    scales = [[t.scale.tolist() for t in read_graph(tmp_path / f"{s}.onnx").tensors.values()] for s in (1, 7, 40)]
    assert scales[0] == scales[1] == scales[2]


@pytest.mark.parametrize("name", NETS)
def test_the_graph_computes_what_the_file_says(name: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    net = build_net(name)
    images = torch.randn(24, 3, 8, 8)
    done = quantize_student(net, images[:16], (3, 8, 8), tmp_path)
    graph = read_graph(done.onnx_int8)
    assert graph.ops[-1].kind == "dense"
    expected = predict_onnx(done.onnx_int8, images[16:].numpy())
    step = float(graph.tensors[graph.output].scale[0])
    found = np.concatenate([run_float(graph, image[None].numpy()) for image in images[16:]])
    # one rounding tie that falls the other way inside may move a logit by one step, rarely two
    assert abs(found - expected).max() <= 2.01 * step
    assert (abs(found - expected) < 0.01 * step).mean() > 0.7


def test_residual_addition(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = create_student("resnet8_w8", 3, 16, 5)
    net.train()
    net(torch.randn(8, 3, 16, 16))
    images = torch.randn(12, 3, 16, 16)
    done = quantize_student(net, images, (3, 16, 16), tmp_path)
    graph = read_graph(done.onnx_int8)
    assert [op.kind for op in graph.ops].count("add") == 3
    assert "pad" not in {op.kind for op in graph.ops}
    expected = predict_onnx(done.onnx_int8, images.numpy())
    found = np.concatenate([run_float(graph, image[None].numpy()) for image in images])
    assert abs(found - expected).max() <= 2.01 * float(graph.tensors[graph.output].scale[0])


def test_scores_do_not_depend_on_the_hosts_int8_kernels(tmp_path: Path) -> None:
    """Large weights of one sign: on CPUs without VNNI, fused int8 kernels saturate pairs of products at 16 bits."""
    torch.manual_seed(0)
    net = Net(lambda x: x, 8).eval()
    for module in (net.conv, net.after):
        nn.init.uniform_(module.weight, 0.9, 1.0)
    images = torch.rand(32, 3, 8, 8) + 1
    done = quantize_student(net, images, (3, 8, 8), tmp_path)
    graph = read_graph(done.onnx_int8)
    expected = np.concatenate([run_float(graph, image[None].numpy()) for image in images])
    found = predict_onnx(done.onnx_int8, images.numpy())
    assert abs(found - expected).max() <= 1.01 * float(graph.tensors[graph.output].scale[0])


def test_columns_of_a_flattened_map_are_not_mixed(tmp_path: Path) -> None:
    torch.manual_seed(0)
    both = Net(nn.Identity(), 8, lambda maps: torch.cat([maps.flatten(1), F.relu(maps).flatten(1)], 1)).eval()
    with pytest.raises(AlambicError, match=r"Concat.*channels come first in its columns"):
        quantize_student(both, torch.randn(4, 3, 8, 8), (3, 8, 8), tmp_path)


def test_a_network_that_was_read_wrongly_is_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    images = torch.randn(16, 3, 8, 8)
    done = quantize_student(build_net("flattened maps"), images, (3, 8, 8), tmp_path)
    graph = read_graph(done.onnx_int8)
    check_device(graph, done.onnx_int8, images.numpy())
    dense = graph.tensors[graph.ops[-1].inputs[1]]
    assert dense.data is not None
    graph.tensors[dense.name] = replace(dense, data=dense.data[:, ::-1].copy())
    with pytest.raises(AlambicError, match=r"answer as this file does.*an operator was read otherwise"):
        check_device(graph, done.onnx_int8, images.numpy())


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (F.softplus, "Softplus"),
        (lambda x: F.leaky_relu(x, 0.1), "LeakyRelu.*try ReLU or ReLU6"),
        (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), "Resize.*it interpolates.*nearest"),
        (lambda x: x.clamp(-1, 1) + 0 * x, "Clip.*clamps to"),
        (lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True), "MaxPool.*hangs over the edge"),
        (lambda x: F.avg_pool2d(x, 3, 2, ceil_mode=True), "AveragePool.*hangs over the edge"),
        (lambda x: F.max_pool2d(x, 2, 1, dilation=2), "MaxPool.*has gaps"),
    ],
)
def test_what_no_target_runs_is_refused_by_name(body: Callable[[Tensor], Tensor], message: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    with pytest.raises(AlambicError, match=message):
        quantize_student(Net(body, 8).eval(), torch.randn(4, 3, 8, 8), (3, 8, 8), tmp_path)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(0, 1, 28, 28), "N >= 1"),
        (torch.full((2, 1, 28, 28), torch.nan), "finite"),
        (torch.zeros(2, 1, 27, 28), "N x 1 x 28 x 28"),
    ],
)
def test_bad_calibration_images_are_named(images: Tensor, message: str, tmp_path: Path) -> None:
    with pytest.raises(AlambicError, match=message):
        quantize_student(create_student("dscnn_24x3"), images, (1, 28, 28), tmp_path)


def test_unknown_calibration_is_named(tmp_path: Path) -> None:
    with pytest.raises(AlambicError, match="minmax, percentile, entropy, got 'mse'"):
        quantize_student(create_student("dscnn_24x3"), torch.zeros(1, 1, 28, 28), (1, 28, 28), tmp_path, True, "mse")  # type: ignore[arg-type]
