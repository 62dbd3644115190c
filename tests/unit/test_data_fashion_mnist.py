"""Fashion-MNIST's files: what is read, and what is refused."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from alambic.data import DataSpec, load_source
from alambic.data.fashion_mnist import DEBIAN
from alambic.errors import AlambicError


def write_idx(path: Path, array: np.ndarray, magic: int | None = None) -> None:
    header = struct.pack(f">{1 + array.ndim}I", magic or 0x800 + array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for part, count in (("train", 200), ("t10k", 40)):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", rng.integers(0, 256, (count, 28, 28), dtype=np.uint8))
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", np.arange(count, dtype=np.uint8) % 10)
    return tmp_path


def test_small_files_are_read_in_order(folder: Path) -> None:
    source = load_source(DataSpec("fashion-mnist", path=str(folder)))
    assert source.images.shape == (240, 1, 28, 28)
    assert {name: len(rows) for name, rows in source.splits.items()} == {"train": 180, "tune": 20, "test": 40}
    assert source.splits["test"].tolist() == list(range(200, 240))
    assert source.labels.tolist() == [i % 10 for i in range(200)] + [i % 10 for i in range(40)]
    content = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())
    assert source.images[200].numpy().tobytes() == content[16 : 16 + 784]


def test_canvas(folder: Path) -> None:
    source = load_source(DataSpec("fashion-mnist", path=str(folder), size=14, channels=3))
    assert source.images.shape == (240, 3, 14, 14)
    assert torch.equal(source.images[:, 0], source.images[:, 2])


@pytest.mark.parametrize("file", ["train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"])
def test_truncated_gzip_is_refused(folder: Path, file: str) -> None:
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(AlambicError, match="cut off or damaged"):
        load_source(DataSpec("fashion-mnist", path=str(folder)))


def test_wrong_magic_is_refused(folder: Path) -> None:
    write_idx(folder / "train-images-idx3-ubyte.gz", np.zeros((200, 28, 28), np.uint8), magic=0x0D03)
    with pytest.raises(AlambicError, match="magic"):
        load_source(DataSpec("fashion-mnist", path=str(folder)))


def test_short_body_and_unequal_counts_are_refused(folder: Path) -> None:
    header = struct.pack(">4I", 0x803, 200, 28, 28)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + bytes(10)))
    with pytest.raises(AlambicError, match="expected 156800 bytes"):
        load_source(DataSpec("fashion-mnist", path=str(folder)))
    write_idx(folder / "train-images-idx3-ubyte.gz", np.zeros((199, 28, 28), np.uint8))
    with pytest.raises(AlambicError, match="199 images and 200 labels"):
        load_source(DataSpec("fashion-mnist", path=str(folder)))


def test_absent_files_name_both_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALAMBIC_DATA", str(tmp_path))
    monkeypatch.delenv("ALAMBIC_DOWNLOAD", raising=False)
    monkeypatch.setattr("alambic.data.fashion_mnist.DEBIAN", tmp_path / "nowhere")
    with pytest.raises(AlambicError, match=r"dataset-fashion-mnist.*ALAMBIC_DOWNLOAD"):
        load_source(DataSpec("fashion-mnist"))


@pytest.mark.skipif(not DEBIAN.exists(), reason="needs the Debian package dataset-fashion-mnist")
def test_the_real_set() -> None:
    source = load_source(DataSpec("fashion-mnist"))
    assert {name: len(rows) for name, rows in source.splits.items()} == {"train": 55000, "tune": 5000, "test": 10000}
    assert source.labels.bincount().tolist() == [7000] * 10
    assert source.mean[0] == pytest.approx(0.2860, abs=2e-3)
    assert source.std[0] == pytest.approx(0.3530, abs=2e-3)
