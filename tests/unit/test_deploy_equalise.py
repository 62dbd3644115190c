"""Outlier channels between two layers: scaled down, the float network as before, the int8 one whole again."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from deploy_nets import make_stripes, train_stripes
from torch import nn

from alambic.errors import AlambicError

pytest.importorskip("onnxruntime")

from alambic.deploy import equalise
from alambic.deploy.equalise import OUTLIER, equalise_onnx
from alambic.deploy.export import export_onnx
from alambic.deploy.int8 import quantize_student
from alambic.deploy.layers import compare
from alambic.deploy.measure import measure_accuracy, measure_agreement, predict_onnx

FACTOR = 2000.0


def make_outlier() -> nn.Module:
    """A trained network, the same in float: one channel of its stem 2000 times as wide, the next takes it back."""
    net = copy.deepcopy(train_stripes())  # every test of this process shares the trained one
    convs = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    images, _ = make_stripes(64, 1)
    with torch.no_grad():
        stem = norms[0](convs[0](images)).relu()
        loud = int(stem.amax((0, 2, 3)).argsort()[12])  # an ordinary one
        norms[0].weight[loud] *= FACTOR
        norms[0].bias[loud] *= FACTOR
        convs[1].weight[loud] /= FACTOR
    return net


def test_an_outlier_channel_no_longer_breaks_int8(tmp_path: Path) -> None:
    images, labels = make_stripes(512, 2)
    calibration, _ = make_stripes(128, 3)
    plain = quantize_student(make_outlier(), calibration, (1, 16, 16), tmp_path / "plain")
    scaled = quantize_student(make_outlier(), calibration, (1, 16, 16), tmp_path / "scaled", equalise=True)
    real = predict_onnx(plain.onnx_fp32, images.numpy())
    again = predict_onnx(scaled.onnx_fp32, images.numpy())
    np.testing.assert_allclose(again, real, rtol=0, atol=1e-5 * float(np.abs(real).max()))
    broken, whole = (predict_onnx(item.onnx_int8, images.numpy()) for item in (plain, scaled))
    assert compare(real, broken) < 10 < 20 < compare(real, whole)  # dB of the logits
    assert measure_agreement(whole, real) > 0.97
    assert measure_accuracy(whole, labels.numpy()) > measure_accuracy(broken, labels.numpy()) + 0.1
    (stem, *_) = scaled.equalised
    assert (stem.first, stem.second, stem.channels) == ("stem.conv", "blocks.0.depthwise.conv", 24)
    assert stem.before > FACTOR / 4
    assert stem.after == pytest.approx(OUTLIER, rel=0.05)
    assert plain.equalised == ()


def test_a_healthy_network_stays_to_the_byte(tmp_path: Path) -> None:
    """No channel beyond the limit: nothing is scaled."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.Flatten(), nn.Linear(64, 5)).eval()
    images = torch.randn(16, 3, 8, 8)
    with torch.no_grad():
        ranges = net[1](net[0](images)).amax((0, 2, 3))
    assert ranges.max() < OUTLIER * ranges.median()
    export_onnx(net, (3, 8, 8), tmp_path / "a.onnx")
    before = predict_onnx(tmp_path / "a.onnx", images.numpy())
    (pair,) = equalise_onnx(tmp_path / "a.onnx", images.numpy())  # not across the flattened map of 4 x 4 pixels
    assert pair.before == pair.after
    assert np.array_equal(predict_onnx(tmp_path / "a.onnx", images.numpy()), before)


def test_a_refused_file_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.onnx"
    export_onnx(make_outlier(), (1, 16, 16), path)
    before = path.read_bytes()
    monkeypatch.setattr(equalise, "TOLERANCE", -1.0)
    with pytest.raises(AlambicError, match=r"a\.onnx: expected equal answers after equalisation, got a difference of"):
        equalise_onnx(path, make_stripes(64, 1)[0].numpy())
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["a.onnx"]


class Joined(nn.Module):
    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.activation, self.skip = activation, False

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        here = self.activation(self.first(images))
        there = self.second(here)
        return (there + here if self.skip else there).mean((2, 3))


@pytest.mark.parametrize("per_channel", [True, False])
def test_groups_are_scaled_and_relu6_and_branches_left_alone(per_channel: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    images = torch.randn(16, 3, 8, 8)
    net = Joined(nn.ReLU()).eval()
    with torch.no_grad():
        net.first.weight[5] *= 300
        net.second.weight[:, 1] /= 300
    path = tmp_path / "a.onnx"
    export_onnx(net, (3, 8, 8), path)
    before = predict_onnx(path, images.numpy())
    (pair,) = equalise_onnx(path, images.numpy(), per_channel)
    assert pair.after < pair.before / 10
    np.testing.assert_allclose(predict_onnx(path, images.numpy()), before, rtol=1e-4, atol=1e-4)
    net.skip = True
    export_onnx(net, (3, 8, 8), path)
    assert equalise_onnx(path, images.numpy(), per_channel) == []
    export_onnx(Joined(nn.ReLU6()).eval(), (3, 8, 8), path)
    assert equalise_onnx(path, images.numpy(), per_channel) == []
