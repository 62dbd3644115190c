"""Visual Wake Words from COCO's files, and Wake Vision from Parquet, both written here."""

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

from alambic.data import DataSpec, Source, load_source, source_names
from alambic.errors import AlambicError

WIDTH, HEIGHT = 40, 25  # 1,000 pixels: a share of .5 % is 5 of them


def paint(level: int) -> Image.Image:
    return Image.fromarray(np.full((HEIGHT, WIDTH, 3), level, dtype=np.uint8))


def box(image: int, category: int, area: float | None, sides: tuple[float, float] = (1, 1)) -> dict[str, Any]:
    entry = {"image_id": image, "category_id": category, "bbox": [2, 3, *sides], "iscrowd": 0}
    return entry if area is None else {**entry, "area": area}


def write_part(root: Path, title: str, count: int, boxes: list[dict[str, Any]], first: int = 0) -> None:
    """Pictures whose grey level is their number; listed backwards, as COCO's are in no order."""
    (root / title).mkdir(parents=True)
    (root / "annotations").mkdir(exist_ok=True)
    images = []
    for number in reversed(range(count)):
        name = f"COCO_{title}_{number:06d}.png"
        paint(first + number).save(root / title / name)
        images.append({"id": 70 + number, "file_name": name, "width": WIDTH, "height": HEIGHT})
    categories = [{"id": 5, "name": "person"}, {"id": 9, "name": "dog"}]
    content = {"images": images, "annotations": boxes, "categories": categories}
    (root / "annotations" / f"instances_{title}.json").write_text(json.dumps(content))


BOXES = [
    box(70, 5, 5.0, (40, 25)),  # just not above .5 %, however large its box
    box(71, 5, 5.1),
    box(72, 9, 900.0),  # a dog
    box(73, 5, 1.0),
    box(73, 5, 40.0),  # the second person counts
    box(74, 5, None, (2, 2.5)),  # 5 pixels by the box
    box(75, 5, None, (2, 3)),
    box(76, 9, 500.0),
    box(76, 5, 6.0),
]
PERSONS = [0, 1, 0, 1, 0, 1, 1, 0, 0, 0]


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    write_part(tmp_path, "train2014", 10, BOXES)
    write_part(tmp_path, "val2014", 4, [box(71, 5, 30.0)], first=100)
    return tmp_path


def load(root: Path, source: str = "visual-wake-words", **more: Any) -> Source:
    return load_source(DataSpec(source, path=str(root), **{"tune": 2, **more}))


def test_a_person_counts_above_half_a_percent_of_the_image(coco: Path) -> None:
    source = load(coco)
    assert source.class_names == ("no person", "person")
    assert source.images[:, 0, 0, 0].tolist() == [*range(10), 100, 101, 102, 103]
    assert source.labels.tolist() == [*PERSONS, 0, 1, 0, 0]
    assert source.splits["test"].tolist() == [10, 11, 12, 13]
    assert {name: len(rows) for name, rows in source.splits.items()} == {"train": 8, "tune": 2, "test": 4}
    assert "CC BY" in source.licence


@pytest.mark.parametrize("place", ["images/train2014", "images", "all"])
def test_other_layouts_give_the_same_data(coco: Path, place: str) -> None:
    whole = load(coco)
    (coco / place).parent.mkdir(exist_ok=True)
    if place == "images/train2014":
        (coco / "train2014").rename(coco / place)
    else:  # one folder for both
        (coco / "train2014").rename(coco / place)
        for file in (coco / "val2014").iterdir():
            file.rename(coco / place / file.name)
        (coco / "val2014").rmdir()
    assert load(coco).hash == whole.hash


def test_a_missing_picture_is_counted_and_many_are_refused(coco: Path) -> None:
    write_part(coco, "train2017", 30, [box(70 + number, 5, 100.0) for number in range(0, 30, 2)])
    (coco / "annotations" / "instances_train2014.json").unlink()
    (coco / "train2017" / "COCO_train2017_000003.png").unlink()
    source = load(coco)
    assert [name for name, _ in source.unreadable] == ["COCO_train2017_000003.png"]
    assert source.labels[:30].tolist() == [int(n % 2 == 0) for n in range(30) if n != 3] + [0]
    for number in range(20):
        (coco / "train2017" / f"COCO_train2017_{number:06d}.png").unlink(missing_ok=True)
    with pytest.raises(AlambicError, match="unreadable"):
        load(coco)


def test_names_that_leave_the_folder_are_refused(coco: Path) -> None:
    file = coco / "annotations" / "instances_train2014.json"
    file.write_text(file.read_text().replace("COCO_train2014_000004.png", "../secret.png"))
    with pytest.raises(AlambicError, match="leave its folder"):
        load(coco)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text[:-40], "cut off"),
        (lambda text: "[1]", "JSON object"),
        (lambda text: text.replace('"annotations"', '"notes"'), "images, categories and annotations"),
        (lambda text: text.replace('"name": "person"', '"name": "cat"'), "no|none"),
        (lambda text: text.replace('"bbox": [2, 3, 2, 2.5]', '"bbox": [2]'), "images, categories and annotations"),
    ],
)
def test_damaged_annotations_are_a_named_error(coco: Path, change: Any, told: str) -> None:
    file = coco / "annotations" / "instances_train2014.json"
    file.write_text(change(file.read_text()))
    with pytest.raises(AlambicError, match=told):
        load(coco)


def test_two_files_for_one_split_and_unknown_ones_are_refused(coco: Path, tmp_path_factory: Any) -> None:
    write_part(coco, "train2017", 2, [])
    with pytest.raises(AlambicError, match="count twice"):
        load(coco)
    (coco / "annotations" / "instances_train2017.json").rename(coco / "annotations" / "instances_odd.json")
    with pytest.raises(AlambicError, match="odd"):
        load(coco)
    with pytest.raises(AlambicError, match="got none"):
        load(tmp_path_factory.mktemp("empty"))


def encode(level: int) -> bytes:
    stream = io.BytesIO()
    paint(level).save(stream, "PNG")
    return stream.getvalue()


def write_shard(path: Path, levels: range, named: bool = True) -> None:
    """A shard as the hub holds it: more columns than are read, ``label`` among them to lead astray."""
    table = pa.table(
        {
            "image": [{"bytes": encode(level), "path": f"{level}.jpg"} for level in levels],
            "filename": [f"{level}.jpg" for level in levels],
            "person": [int(level % 3 == 0) for level in levels],
            "depiction": [int(level % 2) for level in levels],
            "label": [0] * len(levels),
        }
    )
    if named:
        answer = {"_type": "ClassLabel", "names": ["No", "Yes"]}
        features = {"image": {"_type": "Image"}, "person": answer, "depiction": answer}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path, row_group_size=3)


@pytest.mark.parametrize("named", [True, False])
def test_wake_vision(tmp_path: Path, named: bool) -> None:
    data = tmp_path / "data"
    data.mkdir()
    write_shard(data / "train_quality-00000-of-00002.parquet", range(7), named)
    write_shard(data / "train_quality-00001-of-00002.parquet", range(7, 12), named)
    write_shard(data / "validation-00000-of-00001.parquet", range(50, 54), named)
    write_shard(data / "test-00000-of-00001.parquet", range(80, 86), named)
    write_shard(data / "train_large-00000-of-00001.parquet", range(100, 120), named)
    source = load(tmp_path, "wake-vision", tune=None)
    train = [*range(12)]
    assert source.class_names == ("no person", "person")
    assert source.images[source.splits["train"], 0, 0, 0].tolist() == train
    assert source.labels[source.splits["train"]].tolist() == [int(n % 3 == 0) for n in train]
    assert source.images[source.splits["tune"], 0, 0, 0].tolist() == [*range(50, 54)]
    assert source.images[source.splits["test"], 0, 0, 0].tolist() == [*range(80, 86)]
    large = load(tmp_path, "wake-vision:large", tune=None)
    assert large.images[large.splits["train"], 0, 0, 0].tolist() == [*range(100, 120)]
    assert large.labels[large.splits["test"]].tolist() == source.labels[source.splits["test"]].tolist()
    other = load(tmp_path, "wake-vision", tune=None, label="depiction")
    assert other.labels[other.splits["train"]].tolist() == [n % 2 for n in train]


def test_wake_vision_without_a_split_is_refused(tmp_path: Path) -> None:
    write_shard(tmp_path / "train_quality-00000-of-00001.parquet", range(7))
    write_shard(tmp_path / "test-00000-of-00001.parquet", range(7))
    with pytest.raises(AlambicError, match=r"got none of \['validation'\]"):
        load(tmp_path, "wake-vision", tune=None)
    with pytest.raises(AlambicError, match="train_large"):
        load(tmp_path, "wake-vision:large", tune=None)


def test_both_are_known_by_name() -> None:
    assert {"visual-wake-words", "wake-vision", "wake-vision:large"} <= set(source_names())
