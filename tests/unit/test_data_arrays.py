"""Arrays in memory, NumPy archives, torchvision's sets."""

from __future__ import annotations

import re
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from alambic.data import DataSpec, from_arrays, load_source
from alambic.errors import AlambicError

X = np.random.default_rng(0).integers(0, 256, (60, 6, 8, 3), dtype=np.uint8)
Y = np.arange(60) % 3


def test_layouts_give_the_same_source() -> None:
    first = from_arrays(X, Y)
    assert first.images.shape == (60, 3, 6, 8)
    assert first.hash == from_arrays(torch.from_numpy(X).permute(0, 3, 1, 2), torch.from_numpy(Y)).hash
    assert from_arrays(X[..., 0], Y).images.shape == (60, 1, 6, 8)
    assert np.array_equal(first.images[7, 1].numpy(), X[7, :, :, 1])


def test_source_does_not_share_memory_with_the_users_array() -> None:
    mine = X.transpose(0, 3, 1, 2).copy()
    source = from_arrays(mine, Y)
    mine[:] = 0
    assert source.images.max() > 0


def test_names_splits_groups_and_spec() -> None:
    split = ["train"] * 40 + ["val"] * 8 + ["test"] * 12
    source = from_arrays(X, [("cow", "ant", "bee")[y] for y in Y], split=split, name="farm", licence="mine")
    assert source.class_names == ("ant", "bee", "cow")
    assert source.labels[:3].tolist() == [2, 0, 1]
    assert source.splits["tune"].tolist() == list(range(40, 48))
    assert (source.name, source.licence) == ("farm", "mine")
    small = from_arrays(X, Y, spec=DataSpec("any", size=4, channels=1, tune=0.5), class_names=["a", "b", "c"])
    assert small.images.shape == (60, 1, 4, 4)
    assert len(small.splits["tune"]) == 24
    groups = [str(row % 12) for row in range(60)]
    grouped = from_arrays(X, Y, groups=groups)
    assert sum(len({groups[row] for row in rows.tolist()}) for rows in grouped.splits.values()) == 12


def test_labels_that_skip_numbers_are_packed_unless_names_are_given() -> None:
    source = from_arrays(X, np.where(Y == 2, 9, Y))
    assert source.class_names == ("0", "1", "9")
    assert source.labels[:3].tolist() == [0, 1, 2]
    with pytest.raises(AlambicError, match=r"\['c'\] have none"):
        from_arrays(X, Y % 2, class_names=["a", "b", "c"])


@pytest.mark.parametrize(
    ("images", "labels", "extra", "text"),
    [
        (X / 255.0, Y, {}, r"uint8 from 0 to 255, got float64.*\* 255"),
        (X[0], Y, {}, "expected 6 labels"),
        (X[..., :2], Y, {}, "1 or 3 channels"),
        (X, Y[:-1], {}, "expected 60 labels, one per image, got 59"),
        (X, Y / 2, {}, "whole number or a name"),
        (X, Y, {"class_names": ["a", "b"]}, "labels from -1"),
        (X, ["a", "q"] * 30, {"class_names": ["a", "b"]}, "got 'q'"),
        (X, Y, {"split": ["tain"] * 60}, "got 'tain'"),
        (X, Y, {"groups": ["a"]}, "expected 60 groups"),
        (X[:0], Y[:0], {}, "expected images, got none"),
        (X, Y * 0, {}, "at least two classes"),
        (X, Y * 0 - 1, {}, "at least two classes"),
        (X, Y, {"spec": DataSpec("any", size=10**6)}, "half of this machine's memory"),
    ],
)
def test_bad_arrays(images: Any, labels: Any, extra: dict[str, Any], text: str) -> None:
    with pytest.raises(AlambicError, match=text):
        from_arrays(images, labels, **extra)


def test_npz_plain_and_with_splits(tmp_path: Path) -> None:
    np.savez(tmp_path / "plain.npz", x=X, y=Y[:, None], class_names=np.array(["a", "b", "c"]))
    plain = load_source(DataSpec(str(tmp_path / "plain.npz")))
    assert plain.class_names == ("a", "b", "c")
    assert plain.hash == from_arrays(X, Y, class_names=["a", "b", "c"]).hash
    np.savez_compressed(
        tmp_path / "both.npz",
        train_images=X[:40], train_labels=Y[:40], val_images=X[40:50], val_labels=Y[40:50],
        test_images=X[50:], test_labels=Y[50:],
    )  # fmt: skip
    both = load_source(DataSpec("npz", path=str(tmp_path / "both.npz")))
    assert {name: rows.tolist() for name, rows in both.splits.items()} == {
        "train": list(range(40)), "tune": list(range(40, 50)), "test": list(range(50, 60)),
    }  # fmt: skip
    np.savez(tmp_path / "keras.npz", x_train=X[:40], y_train=Y[:40], x_test=X[40:], y_test=Y[40:])
    assert len(load_source(DataSpec(str(tmp_path / "keras.npz"))).splits["test"]) == 20


def test_npz_label_and_group_by_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=X, coarse=Y % 2, labels=Y, owner=np.arange(60) % 10)
    source = load_source(DataSpec(str(tmp_path / "x.npz"), label="coarse", group="owner"))
    assert source.num_classes == 2
    assert sum(len({row % 10 for row in rows.tolist()}) for rows in source.splits.values()) == 10


def test_npz_with_pickles_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=X, y=np.array([{"run": "me"}] * 60, dtype=object))
    with pytest.raises(AlambicError, match="unpickling, which could run code"):
        load_source(DataSpec(str(tmp_path / "x.npz")))


def test_bad_archives(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, a=X, b=Y)
    with pytest.raises(AlambicError, match=r"expected arrays x and y.*\['a', 'b'\]"):
        load_source(DataSpec(str(path)))
    np.savez(path, x=X)
    with pytest.raises(AlambicError, match="expected an array named label or y"):
        load_source(DataSpec(str(path)))
    np.savez(path, x_train=X, y_train=Y[:9])
    with pytest.raises(AlambicError, match="as many labels"):
        load_source(DataSpec(str(path)))
    np.savez(path, x_train=X, y_train=Y, x_test=X[:, :4], y_test=Y)
    with pytest.raises(AlambicError, match="one image shape"):
        load_source(DataSpec(str(path)))
    np.savez(path, x=X, y=Y)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(AlambicError, match="cut off or damaged"):
        load_source(DataSpec(str(path)))
    with pytest.raises(AlambicError, match="no such file"):
        load_source(DataSpec("npz", path=str(tmp_path / "nowhere.npz")))


def test_archives_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, x=X, y=Y, class_names=np.array("abc"))
    with pytest.raises(AlambicError, match="labels from -1"):  # one name is a list of one
        load_source(DataSpec(str(path)))
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("x.npy", "hello")
    with pytest.raises(AlambicError, match=r"expected a NumPy array in 'x.npy'"):
        load_source(DataSpec(str(path)))
    np.savez(path, x=X, y=Y)
    whole = path.read_bytes()
    for local, central, value in ((6, 8, 1), (8, 10, 99)):  # a password; a compression that nobody knows
        changed = bytearray(whole)
        for magic, offset in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
            for found in re.finditer(re.escape(magic), whole):
                changed[found.start() + offset] = value
        path.write_bytes(changed)
        with pytest.raises(AlambicError, match="another kind of zip"):
            load_source(DataSpec(str(path)))


class FakeSet:
    """Stands for a torchvision class: takes its arguments, gives (picture, label)."""

    classes = ("zero", "one", "two")

    def __init__(self, root: str, download: bool, split: str = "train") -> None:
        if not (Path(root) / "here").exists():
            if not download:
                raise RuntimeError("Dataset not found")
            (Path(root) / "here").touch()
        self.rows = list(range(40)) if split == "train" else list(range(40, 60))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return Image.fromarray(X[self.rows[index]]), int(Y[self.rows[index]])


def test_torchvision_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("torchvision.datasets")
    module.SVHN = FakeSet  # type: ignore[attr-defined]
    package = types.ModuleType("torchvision")
    package.datasets = module  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.datasets", module)
    monkeypatch.setenv("ALAMBIC_DATA", str(tmp_path))
    monkeypatch.delenv("ALAMBIC_DOWNLOAD", raising=False)
    spec = DataSpec("torchvision:SVHN", tune=5)
    with pytest.raises(AlambicError, match="no download is allowed"):
        load_source(spec)
    source = load_source(spec, download=True)
    assert source.class_names == ("zero", "one", "two")
    assert torch.equal(source.images, torch.from_numpy(X).permute(0, 3, 1, 2))
    assert source.labels.tolist() == Y.tolist()
    assert {name: len(rows) for name, rows in source.splits.items()} == {"train": 35, "tune": 5, "test": 20}
    with pytest.raises(AlambicError, match="did you mean 'torchvision:SVHN'"):
        load_source(DataSpec("torchvision:SVNH"))


def test_every_torchvision_set_exists_and_takes_its_arguments() -> None:
    import inspect

    from torchvision import datasets

    from alambic.data.torchvision_sets import SETS

    for name, parts in SETS.items():
        known = inspect.signature(getattr(datasets, name).__init__).parameters
        for chosen in parts:
            assert set(chosen or {}) | {"root", "download"} <= set(known), name
