"""An ONNX teacher's identity: its file, and what it keeps beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from alambic.files import hash_file
from alambic.models.onnx_net import OnnxNet, hash_onnx

onnx = pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("net") / "big.onnx"
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)).eval()
    torch.onnx.export(net, (torch.zeros(1, 1, 8, 8),), path, dynamo=False)
    return path


def test_one_file_is_itself(whole: Path) -> None:
    assert hash_onnx(whole) == hash_file(whole)


def test_weights_beside_the_file_count(whole: Path, tmp_path: Path) -> None:
    """Two teachers that differ in their weights alone would else be one, and take each other's trainings."""
    path = tmp_path / "big.onnx"
    onnx.save(onnx.load(whole), path, save_as_external_data=True, location="big.bin", size_threshold=0)
    (tmp_path / "other.bin").write_bytes(b"another's")
    first, answer = hash_onnx(path), OnnxNet(path)(torch.ones(1, 1, 8, 8))
    weights = bytearray((tmp_path / "big.bin").read_bytes())
    weights[3] ^= 0x20
    (tmp_path / "big.bin").write_bytes(weights)
    assert not torch.equal(OnnxNet(path)(torch.ones(1, 1, 8, 8)), answer)
    assert hash_onnx(path) != first
    moved = shutil.copytree(tmp_path, tmp_path / "elsewhere")
    (moved / "other.bin").unlink()
    assert hash_onnx(moved / "big.onnx") == hash_onnx(path)  # neither the place nor what else lies there counts
