"""int8 keeps a trained network's predictions; its graph computes what the file says; what cannot be int8 is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alambic.errors import AlambicError
from alambic.models.students import create_student

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from alambic.deploy.export import export_onnx  # noqa: E402
from alambic.deploy.graph import Int8Graph, read_graph  # noqa: E402
from alambic.deploy.int8 import quantize_onnx, quantize_student  # noqa: E402
from alambic.deploy.measure import measure_accuracy, measure_agreement, predict_onnx  # noqa: E402


def make_stripes(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images 1 x 16 x 16 of four classes: noisy stripes of two widths in two directions."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 4, (count,), generator=generator)
    phase = torch.randint(0, 8, (count, 1), generator=generator)
    steps = torch.arange(16) + phase
    waves = torch.where((labels < 2)[:, None], steps // 2 % 2, steps // 4 % 2).float() * 2 - 1
    maps = torch.where((labels % 2 == 0)[:, None, None], waves[:, None, :], waves[:, :, None]).expand(-1, 16, 16)
    return (maps + 0.8 * torch.randn(count, 16, 16, generator=generator))[:, None], labels


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    torch.manual_seed(0)
    net = create_student("dscnn_24x3", 1, 16, 4)
    images, labels = make_stripes(1024, 0)
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    net.train()
    for step in range(60):
        batch = slice(step * 64 % 1024, step * 64 % 1024 + 64)
        loss = F.cross_entropy(net(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net.eval()


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


def run_float(graph: Int8Graph, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Independent reading of the graph: float64 operators on dequantised NHWC tensors, rounded after each operator."""
    values: dict[str, npt.NDArray[np.float64]] = {}

    def quantise(name: str, real: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        t = graph.tensors[name]
        scale = np.float64(t.scale[0])
        return (np.clip(np.rint(real / scale) + t.zero_point, -128, 127) - t.zero_point) * scale

    def value(name: str) -> npt.NDArray[np.float64]:
        t = graph.tensors[name]
        if t.data is None:
            return values[name]
        shape = [-1 if axis == t.axis and len(t.scale) > 1 else 1 for axis in range(len(t.shape))]
        return (t.data.astype(np.float64) - t.zero_point) * t.scale.astype(np.float64).reshape(shape)

    values[graph.input] = quantise(graph.input, image.transpose(0, 2, 3, 1).astype(np.float64))
    for op in graph.ops:
        x, s = value(op.inputs[0]), op.settings
        if op.kind in ("conv", "depthwise"):
            w = torch.from_numpy(value(op.inputs[1]))
            w = w.permute(0, 3, 1, 2) if op.kind == "conv" else w.permute(3, 0, 1, 2)
            maps = torch.from_numpy(x).permute(0, 3, 1, 2)
            if s["same"]:
                for axis, kernel, stride, dilation in zip((2, 3), w.shape[2:], s["stride"], s["dilation"], strict=True):
                    size = maps.shape[axis]
                    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
                    pads = [total // 2, total - total // 2]
                    maps = F.pad(maps, [0, 0, *pads] if axis == 2 else pads)
            bias = torch.from_numpy(value(op.inputs[2]))
            y = F.conv2d(maps, w, bias, s["stride"], 0, s["dilation"], maps.shape[1] // w.shape[1])
            y = y.permute(0, 2, 3, 1).numpy()
        elif op.kind == "dense":
            y = x @ value(op.inputs[1]).T + value(op.inputs[2])
        elif op.kind == "add":
            y = x + value(op.inputs[1])
        elif op.kind == "mul":
            y = x * value(op.inputs[1])
        elif op.kind == "pad":
            fill = (s["value"] - graph.tensors[op.inputs[0]].zero_point) * float(graph.tensors[op.inputs[0]].scale[0])
            y = np.pad(x, s["pads"], constant_values=fill)
        elif op.kind in ("average_pool", "max_pool"):
            assert not s["same"]
            windows = np.lib.stride_tricks.sliding_window_view(x, s["kernel"], (1, 2))
            windows = windows[:, :: s["stride"][0], :: s["stride"][1]]
            y = windows.mean((-2, -1)) if op.kind == "average_pool" else windows.max((-2, -1))
        elif op.kind == "reshape":
            y = x.reshape(graph.tensors[op.output].shape)
        elif op.kind == "concat":
            y = np.concatenate([value(name) for name in op.inputs], s["axis"])
        elif op.kind == "resize":
            rows = np.arange(s["size"][0]) * x.shape[1] // s["size"][0]
            columns = np.arange(s["size"][1]) * x.shape[2] // s["size"][1]
            y = x[:, rows][:, :, columns]
        else:
            y = {
                "quantize": lambda v: v,
                "relu": lambda v: v.clip(0),
                "relu6": lambda v: v.clip(0, 6),
                "hard_swish": lambda v: v * np.clip(v + 3, 0, 6) / 6,
                "logistic": lambda v: 1 / (1 + np.exp(-v)),
            }[op.kind](x)
        values[op.output] = quantise(op.output, y)
    return values[graph.output]


class Net(nn.Module):
    def __init__(self, body: Callable[[Tensor], Tensor], width: int, flat: bool = False) -> None:
        super().__init__()
        self.conv, self.body, self.flat = nn.Conv2d(3, 8, 3, padding=1), body, flat
        self.after, self.head = nn.Conv2d(width, 8, 1), nn.Linear(8 * 64 if flat else 8, 4)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.after(self.body(F.relu(self.conv(images))))
        return self.head(maps.flatten(1) if self.flat else maps.mean((2, 3)))


def widen(channels: int, multiplier: int) -> nn.Module:
    return nn.Conv2d(channels, channels * multiplier, 3, 2, 1, groups=channels)


BODIES: dict[str, tuple[Callable[[], Callable[[Tensor], Tensor]], int]] = {
    "symmetric stride 2": (lambda: nn.Conv2d(8, 12, 3, 2, 1), 12),
    "same stride 2": (lambda: lambda x: F.relu6(F.pad(x, (0, 1, 0, 1))), 8),
    "depthwise multiplier": (lambda: widen(8, 2), 16),
    "grouped": (lambda: nn.Conv2d(8, 8, 3, padding=1, groups=2), 8),
    "dilated": (lambda: nn.Conv2d(8, 8, 3, padding=2, dilation=2), 8),
    "concat of unequal ranges": (lambda: lambda x: torch.cat([x, x * 0.1], 1), 16),
    "scalar": (lambda: lambda x: x * 0.5, 8),
    "pre-activation norm": (lambda: nn.Sequential(nn.BatchNorm2d(8), nn.ReLU()), 8),
    "max pool": (lambda: lambda x: F.max_pool2d(x, 2), 8),
    "overlapping max pool": (lambda: lambda x: F.max_pool2d(x, 3, 2, 1), 8),
    "max pool of signed maps": (lambda: nn.Sequential(nn.Conv2d(8, 8, 1), nn.MaxPool2d(3, 2, 1)), 8),
    "average pool": (lambda: lambda x: F.avg_pool2d(x, 2), 8),
    "padded average pool": (lambda: lambda x: F.avg_pool2d(x, 3, 2, 1), 8),
    "average pool then relu6": (lambda: lambda x: F.relu6(F.avg_pool2d(x, 2)), 8),
    "hard-swish": (lambda: lambda x: F.hardswish(x - 1), 8),
    "squeeze-excite": (lambda: lambda x: x * F.hardsigmoid(x.mean((2, 3), keepdim=True) * 4 - 2), 8),
    "sigmoid gate": (lambda: lambda x: x * torch.sigmoid(x), 8),
    "upsample": (lambda: lambda x: F.interpolate(x, scale_factor=2), 8),
    "padding alone": (lambda: lambda x: F.pad(x, (1, 2, 3, 0)), 8),
}


@pytest.mark.parametrize("name", [*BODIES, "flattened maps"])
def test_the_graph_computes_what_the_file_says(name: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    make, width = BODIES.get(name, (nn.Identity, 8))
    net = Net(make(), width, flat=name == "flattened maps").eval()
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


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (F.softplus, "Softplus"),
        (lambda x: F.leaky_relu(x, 0.1), "LeakyRelu.*try ReLU or ReLU6"),
        (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), "Resize.*it interpolates.*nearest"),
        (lambda x: x.clamp(-1, 1) + 0 * x, "Clip.*clamps to"),
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
