"""Parquet files in the Hugging Face layout, written here."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from alambic.data import DataSpec, load_source
from alambic.errors import AlambicError


def encode(seed: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def write(path: Path, count: int, names: list[str] | None = None, first: int = 0, **columns: list[Any]) -> None:
    images = [{"bytes": encode(first + row), "path": None} for row in range(count)]
    values: dict[str, Any] = {"image": images, "label": [row % 2 for row in range(count)]} | columns
    table = pa.table({name: column for name, column in values.items() if column is not None})
    if names is not None:
        label = {"_type": "ClassLabel", "names": names}
        info = {"info": {"features": {"image": {"_type": "Image"}, "label": label}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    pq.write_table(table, path, row_group_size=7)


def test_splits_and_class_names(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", 20, ["no", "yes"])
    write(tmp_path / "validation.parquet", 6, ["no", "yes"], first=20)
    write(tmp_path / "test.parquet", 8, ["no", "yes"], first=26)
    source = load_source(DataSpec(str(tmp_path)))
    assert source.class_names == ("no", "yes")
    assert {name: len(rows) for name, rows in source.splits.items()} == {"train": 20, "tune": 6, "test": 8}
    for split, first in (("train", 0), ("tune", 20), ("test", 26)):
        row = int(source.splits[split][3])
        wanted = np.asarray(Image.open(io.BytesIO(encode(first + 3))))
        assert np.array_equal(source.images[row].permute(1, 2, 0).numpy(), wanted)
        assert source.labels[row] == 1


def test_a_relative_path_may_start_at_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "set").mkdir()
    write(tmp_path / "set" / "train.parquet", 20)
    write(tmp_path / "set" / "test.parquet", 6, first=100)
    monkeypatch.setenv("ALAMBIC_DATA", str(tmp_path))
    source = load_source(DataSpec("parquet", path="set", tune=4))
    assert source.name == "set"
    assert {name: len(rows) for name, rows in source.splits.items()} == {"train": 16, "tune": 4, "test": 6}
    monkeypatch.delenv("ALAMBIC_DATA")
    with pytest.raises(AlambicError, match="set"):
        load_source(DataSpec("parquet", path="set", tune=4))


def test_shards_below_data(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "train-00000-of-00002.parquet", 10)
    write(tmp_path / "data" / "train-00001-of-00002.parquet", 11)
    write(tmp_path / "data" / "test-00000-of-00001.parquet", 4)
    source = load_source(DataSpec("parquet", path=str(tmp_path), tune=3))
    assert {name: len(rows) for name, rows in source.splits.items()} == {"train": 18, "tune": 3, "test": 4}
    assert source.class_names == ("0", "1")


def test_one_file_is_split_by_hash_even_when_its_name_is_a_split(tmp_path: Path) -> None:
    write(tmp_path / "test.parquet", 50)
    source = load_source(DataSpec(str(tmp_path / "test.parquet")))
    assert {name: len(rows) for name, rows in source.splits.items()} == {"train": 36, "tune": 4, "test": 10}


def test_text_labels_null_labels_and_plain_bytes(tmp_path: Path) -> None:
    labels = ["b", "a", None] * 10
    write(tmp_path / "x.parquet", 30, label=labels, image=[encode(row) for row in range(30)])
    source = load_source(DataSpec(str(tmp_path / "x.parquet")))
    assert source.class_names == ("a", "b")
    assert source.labels.tolist() == [1, 0, -1] * 10


def test_images_by_path(tmp_path: Path) -> None:
    for row in range(30):
        (tmp_path / f"{row}.png").write_bytes(encode(row))
    write(tmp_path / "x.parquet", 30, image=[{"bytes": None, "path": f"{row}.png"} for row in range(30)])
    assert len(load_source(DataSpec(str(tmp_path / "x.parquet"))).images) == 30


def test_group_column(tmp_path: Path) -> None:
    owners = [f"owner {row % 9}" for row in range(60)]
    write(tmp_path / "x.parquet", 60, owner=owners)
    source = load_source(DataSpec(str(tmp_path / "x.parquet"), group="owner"))
    seen = [{owners[row] for row in rows.tolist()} for rows in source.splits.values()]
    assert all(seen)
    assert sum(map(len, seen)) == 9
    write(tmp_path / "x.parquet", 60, owner=[None, *owners[1:]])
    with pytest.raises(AlambicError, match=r"got none in row 0"):
        load_source(DataSpec(str(tmp_path / "x.parquet"), group="owner"))


def test_missing_label_column_names_the_columns(tmp_path: Path) -> None:
    write(tmp_path / "x.parquet", 10, label=None, fine_label=[0, 1] * 5, source=["s"] * 10)
    with pytest.raises(AlambicError, match=r"column 'label', got the columns \['image', 'fine_label', 'source'\]"):
        load_source(DataSpec(str(tmp_path / "x.parquet")))
    assert len(load_source(DataSpec(str(tmp_path / "x.parquet"), label="fine_label", tune=1)).images) == 10
    with pytest.raises(AlambicError, match="'owner'"):
        load_source(DataSpec(str(tmp_path / "x.parquet"), label="fine_label", group="owner"))


def test_class_map_that_names_an_unknown_class(tmp_path: Path) -> None:
    write(tmp_path / "x.parquet", 10, ["cat", "dog"])
    with pytest.raises(AlambicError, match=r"names 'dgo', which is no class of it; did you mean 'dog'"):
        load_source(DataSpec(str(tmp_path / "x.parquet"), classes={"pet": ["cat", "dgo"]}))


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"image": [1] * 10}, "expected an image column"),
        ({"label": [0.5] * 10}, "whole numbers or names, got float"),
        ({"label": [0, 7] * 5}, "labels from -1"),
    ],
)
def test_bad_columns(tmp_path: Path, columns: dict[str, list[Any]], text: str) -> None:
    write(tmp_path / "x.parquet", 10, None if "image" in columns else ["a", "b"], **columns)
    with pytest.raises(AlambicError, match=text):
        load_source(DataSpec(str(tmp_path / "x.parquet")))


def test_files_without_a_split_beside_others_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", 10)
    write(tmp_path / "more.parquet", 10)
    with pytest.raises(AlambicError, match=r"more\.parquet"):
        load_source(DataSpec(str(tmp_path)))


def test_damaged_and_absent_files(tmp_path: Path) -> None:
    write(tmp_path / "x.parquet", 10)
    content = (tmp_path / "x.parquet").read_bytes()
    for damaged in (content[:200], content[:100] + bytes(600) + content[700:]):
        (tmp_path / "x.parquet").write_bytes(damaged)
        with pytest.raises(AlambicError, match=r"cut off, damaged|unreadable"):
            load_source(DataSpec(str(tmp_path / "x.parquet")))
    with pytest.raises(AlambicError, match=r"expected \.parquet files"):
        load_source(DataSpec("parquet", path=str(tmp_path / "nowhere")))
