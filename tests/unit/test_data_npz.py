"""Which array of an .npz archive is read as labels: the one that is asked for, never another in its place."""

from pathlib import Path

import numpy as np
import pytest

from alambic.data import DataSpec, load_source
from alambic.errors import AlambicError

X = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
Y = np.arange(60) % 3
FINE = np.arange(60) % 6


def test_a_mistyped_label_is_refused_with_the_nearest_array(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=X, y=Y, fine=FINE)
    with pytest.raises(AlambicError, match=r"expected an array named fien.*did you mean 'fine'\?"):
        load_source(DataSpec(str(tmp_path / "x.npz"), label="fien"))
    assert load_source(DataSpec(str(tmp_path / "x.npz"), label="fine")).num_classes == 6
    assert load_source(DataSpec(str(tmp_path / "x.npz"))).num_classes == 3


def test_a_label_that_one_split_lacks_is_not_replaced(tmp_path: Path) -> None:
    arrays = {"x_train": X[:40], "y_train": Y[:40], "fine_train": FINE[:40], "x_test": X[40:], "y_test": Y[40:]}
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(AlambicError, match="expected an array named fine for each split"):
        load_source(DataSpec(str(tmp_path / "x.npz"), label="fine"))
    np.savez(tmp_path / "x.npz", **arrays, fine_test=FINE[40:])
    assert load_source(DataSpec(str(tmp_path / "x.npz"), label="fine")).num_classes == 6
    with pytest.raises(AlambicError, match=r"expected an array named fien.*did you mean 'fine'\?"):
        load_source(DataSpec(str(tmp_path / "x.npz"), label="fien"))


def test_a_mistyped_group_is_told_the_nearest_array(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=X, y=Y, owner=np.arange(60) % 10)
    with pytest.raises(AlambicError, match=r"expected an array named ownr.*did you mean 'owner'\?"):
        load_source(DataSpec(str(tmp_path / "x.npz"), group="ownr"))


def test_without_labels_the_usual_names_are_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=X, klass=Y)
    with pytest.raises(AlambicError, match=r"expected an array named label or y or labels or targets.*'klass'"):
        load_source(DataSpec(str(tmp_path / "x.npz")))


@pytest.mark.parametrize("split", ["", "_train"])
def test_two_arrays_of_images_of_one_split_are_refused(split: str, tmp_path: Path) -> None:
    arrays = {f"x{split}": X, f"y{split}": Y, f"images{split}": X[:30], f"labels{split}": FINE[:30]}
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(AlambicError, match=rf"one array of images for each split, got 'x{split}' and 'images{split}'"):
        load_source(DataSpec(str(tmp_path / "x.npz")))
