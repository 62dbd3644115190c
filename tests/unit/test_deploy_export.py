"""The ONNX file says what the network says: parity, batch axis, vendor limits, and every operator of the table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alambic.errors import AlambicError
from alambic.models.students import create_student

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from alambic.deploy.export import export_onnx  # noqa: E402
from alambic.deploy.measure import (  # noqa: E402
    measure_accuracy,
    measure_agreement,
    predict_classes,
    predict_onnx,
)


def settle(net: nn.Module, channels: int, size: int | tuple[int, int] = 16) -> nn.Module:
    """Gives BatchNorm statistics and affine parameters that are not the neutral ones."""
    height, width = (size, size) if isinstance(size, int) else size
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    net.train()
    with torch.no_grad():
        net(torch.randn(8, channels, height, width) * 2 + 0.5)
    return net.eval()


@pytest.mark.parametrize("name", ["dscnn_24x3", "resnet8_w8", "mbv1_0125_96g", "mcunetish_64"])
@pytest.mark.parametrize("size", [(28, 28), (33, 20), (65, 96)])
def test_students_export_folded_and_equal(name: str, size: tuple[int, int], tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = settle(create_student(name, 1, size, 3), 1, size)
    done = export_onnx(net, (1, *size), tmp_path / "a.onnx")
    assert done.exporter == "alambic"
    assert set(done.operators) <= {"Conv", "Relu", "Clip", "Add", "GlobalAveragePool", "Flatten", "Gemm"}
    images = torch.randn(5, 1, *size)
    with torch.no_grad():
        expected = net(images).numpy()
    found = predict_onnx(done.path, images.numpy(), batch=2)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_file_keeps_to_what_vendors_read(tmp_path: Path) -> None:
    done = export_onnx(create_student("dscnn_24x3"), (1, 28, 28), tmp_path / "a.onnx")
    model = onnx.load(str(done.path))
    assert model.ir_version <= 9
    assert [(item.domain, item.version) for item in model.opset_import] == [("", 17)]
    assert not list(tmp_path.glob("*.data"))


def test_export_leaves_the_network_alone(tmp_path: Path) -> None:
    net = create_student("dscnn_24x3").train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    export_onnx(net, (1, 28, 28), tmp_path / "a.onnx")
    assert net.training
    assert all(module.training for module in net.modules())
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


class Body(nn.Module):
    """A convolution, then whatever ``body`` does to its map, then mean and linear layer."""

    def __init__(self, body: Callable[[Tensor], Tensor], width: int = 8) -> None:
        super().__init__()
        self.conv, self.body, self.head = nn.Conv2d(3, 8, 3, padding=1), body, nn.Linear(width, 4)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(self.conv(images)).mean((2, 3)))


OPERATORS: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "relu in place": (lambda x: F.relu_(x) + x, 8),
    "relu6 twice": (lambda x: F.relu6(F.relu6(x - 1)), 8),
    "clamp": (lambda x: x.clamp(-1, 2), 8),
    "clamp_min": (lambda x: x.clamp(min=0.25), 8),
    "hardswish": (F.hardswish, 8),
    "hardsigmoid gate": (lambda x: x * F.hardsigmoid(x.mean((2, 3), keepdim=True)), 8),
    "sigmoid": (torch.sigmoid, 8),
    "concat": (lambda x: torch.cat([x, x.relu()], 1), 16),
    "max pool": (lambda x: F.max_pool2d(x, 3, 2, 1), 8),
    "average pool": (lambda x: F.avg_pool2d(x, 2), 8),
    "padded average pool": (lambda x: F.avg_pool2d(x, 3, 2, 1), 8),
    "uncounted average pool": (lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), 8),
    "upsample": (lambda x: F.interpolate(x, scale_factor=2), 8),
    "padding alone": (lambda x: F.pad(x, (1, 2, 3, 4)), 8),
    "padding read twice": (lambda x: (lambda y: y + F.relu(y))(F.pad(x, (0, 1, 0, 1))), 8),
    "constants": (lambda x: (x - 0.25) / 3 * 0.5 + torch.arange(8.0).view(1, 8, 1, 1), 8),
    "reshape to maps": (lambda x: x.reshape(x.shape[0], 16, 8, 16), 16),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_each_operator_is_equal(name: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    body, width = OPERATORS[name]
    done = export_onnx(Body(body, width), (3, 16, 16), tmp_path / "a.onnx")
    assert (done.exporter, done.max_error < 1e-5) == ("alambic", True)


def test_norm_is_not_folded_where_something_else_reads_the_convolution(tmp_path: Path) -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm, self.head = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 2)

        def forward(self, images: Tensor) -> Tensor:
            maps = self.conv(images)
            return self.head((maps + self.norm(maps).relu()).mean((2, 3)))

    torch.manual_seed(0)
    done = export_onnx(settle(Shared(), 3), (3, 16, 16), tmp_path / "a.onnx")
    assert done.operators["Conv"] == 2


def test_other_operators_go_through_torch_and_say_so(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    done = export_onnx(Body(torch.sin), (3, 8, 8), tmp_path / "a.onnx")
    assert (done.exporter, done.reason) == ("torch", "the operator aten::sin")
    assert done.max_error < 1e-4


def test_a_network_that_depends_on_its_batch_is_refused(tmp_path: Path) -> None:
    class Sly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(48, 2)

        def forward(self, images: Tensor) -> Tensor:
            return self.head(images.flatten(1)) * len(images)

    with pytest.raises(AlambicError, match="does not depend on the batch size"):
        export_onnx(Sly(), (3, 4, 4), tmp_path / "a.onnx")


def test_a_wrong_shape_is_named(tmp_path: Path) -> None:
    with pytest.raises(AlambicError, match=r"runs on images of shape \(1, 3, 28, 28\)"):
        export_onnx(create_student("dscnn_24x3"), (3, 28, 28), tmp_path / "a.onnx")
    done = export_onnx(create_student("dscnn_24x3"), (1, 28, 28), tmp_path / "a.onnx")
    with pytest.raises(AlambicError, match="expected images N x 1 x 28 x 28"):
        predict_onnx(done.path, np.zeros((2, 1, 27, 28), np.float32))


def test_accuracy_and_agreement_by_hand() -> None:
    logits = np.array([[1.0, 2.0], [3.0, 0.0], [0.0, 1.0], [5.0, 4.0]])
    assert measure_accuracy(logits, np.array([1, 0, 0, 0])) == 0.75
    assert measure_agreement(logits, logits[:, ::-1]) == 0.0
    assert measure_agreement(logits, logits * 2) == 1.0
    assert predict_classes(np.array([[-0.1], [0.1]])).tolist() == [0, 1]
    with pytest.raises(AlambicError, match="N labels"):
        measure_accuracy(logits, np.zeros(3))
    with pytest.raises(AlambicError, match="equal shape"):
        measure_agreement(logits, logits[:2])


def test_channels_last_training_layout_exports_the_same_operators(tmp_path):
    net = create_student("dscnn_8x2", 1, 28, 10).eval()
    plain = export_onnx(net, (1, 28, 28), tmp_path / "a.onnx")
    turned = export_onnx(net.to(memory_format=torch.channels_last), (1, 28, 28), tmp_path / "b.onnx")
    assert turned.operators == plain.operators
    assert turned.exporter == "alambic"
