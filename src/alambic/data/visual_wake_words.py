"""Visual Wake Words (Chowdhery et al., arXiv 1906.05721): is a person in the picture? Made from COCO.

An image is of class ``person`` where at least one of its persons covers more than .5 % of the image. The share is that
of the annotation's ``area``, as in the scripts that the authors released (the paper says: of its box), and that of the
box where an annotation gives no area.

``path`` is a folder as COCO unpacks: ``annotations/instances_X.json`` with the pictures in ``X`` (or ``images/X``,
``images``, ``all``), X such as ``train2014``, ``val2017``, ``maxitrain``, ``minival``. What is called ``val`` or
``minival`` is the test split, since accuracy is published on it; a tune split is cut from train.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from alambic.data.decode import check_room, collect, opener
from alambic.data.raw import RawImages, need_path
from alambic.data.spec import DataSpec
from alambic.errors import AlambicError

NAME = "visual-wake-words"
CLASSES = ("no person", "person")
SMALLEST_SHARE = 0.005  # of the image's area
_SPLITS = {"train": 0, "maxitrain": 0, "val": 2, "minival": 2, "test": 2}
_PYTHON_BYTES = 10  # that Python holds for each byte of JSON


@dataclass(frozen=True)
class _Picture:
    file: Path
    name: str
    person: bool


def read(spec: DataSpec, download: bool) -> RawImages:
    """Reads every picture that the annotation files name, in the order of their file names, train before test."""
    root = need_path(spec, NAME)
    if spec.group is not None:
        raise AlambicError(f"{NAME}: expected no group, since COCO names none, got {spec.group!r}")
    files = _annotation_files(root)
    pictures, splits = [], []
    for file, (title, split) in files.items():
        found = list(_pictures(root, file, title))
        pictures += found
        splits += [split] * len(found)
    items = ((picture.name, opener(picture.file)) for picture in pictures)
    decoded = collect(items, len(pictures), spec, str(root))
    return RawImages(
        decoded.images,
        torch.tensor([int(picture.person) for picture in pictures])[decoded.kept],
        CLASSES,
        split=torch.tensor(splits)[decoded.kept],
        unreadable=decoded.unreadable,
        licence="COCO: annotations CC BY 4.0; each picture has its own licence on Flickr",
    )


def _annotation_files(root: Path) -> dict[Path, tuple[str, int]]:
    """File -> (X of its name, split), train first."""
    found = {}
    for file in sorted(root.glob("annotations/instances_*.json")):
        title = file.stem.removeprefix("instances_")
        split = _SPLITS.get(re.split(r"[^a-z]", title, maxsplit=1)[0])
        if split is None:
            raise AlambicError(f"{file}: expected a name with {', '.join(_SPLITS)}, got {title!r}; try to move it away")
        found[file] = (title, split)
    if not found:
        raise AlambicError(
            f"{root}: expected COCO's annotations/instances_train2014.json or the like, got none; "
            "try path = '<the folder that holds annotations and train2014>'"
        )
    if len({split for _, split in found.values()}) < len(found):
        raise AlambicError(
            f"{root}: expected one annotation file a split, got {[title for title, _ in found.values()]}, because a "
            "picture would count twice; try to move all but one train and one val file away"
        )
    return dict(sorted(found.items(), key=lambda item: item[1][1]))


def _pictures(root: Path, file: Path, title: str) -> Iterator[_Picture]:
    content = _load(file)
    try:
        people = {entry["id"] for entry in content["categories"] if entry["name"] == "person"}
        sizes = {entry["id"]: float(entry["width"]) * float(entry["height"]) for entry in content["images"]}
        shown = {
            entry["image_id"]
            for entry in content["annotations"]
            if entry["category_id"] in people and _area(entry) > SMALLEST_SHARE * sizes[entry["image_id"]]
        }
        names = sorted((str(entry["file_name"]), entry["id"]) for entry in content["images"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AlambicError(
            f"{file}: expected COCO's tables images, categories and annotations, got others ({error!r}); "
            "try to fetch the file again"
        ) from error
    if not people:
        raise AlambicError(f"{file}: expected a category 'person', got none; this is another set's file")
    possible = (root / title, root / "images" / title, root / "images", root / "all")
    places = [place for place in possible if place.is_dir()]
    if not places:
        raise AlambicError(f"{root}: expected pictures of {file.name} in {title}, images or all, got no such folder")
    for name, identity in names:
        if "/" in name or "\\" in name or name in ("", ".", ".."):
            raise AlambicError(f"{file}: expected plain names of pictures, got {name!r}, which would leave its folder")
        chosen = next((place for place in places if (place / name).is_file()), places[0])
        yield _Picture(chosen / name, name, identity in shown)


def _area(annotation: dict[str, Any]) -> float:
    """Pixels that an object covers: its own area, else that of its box (x, y, width, height)."""
    if "area" in annotation:
        return float(annotation["area"])
    _, _, width, height = annotation["bbox"]
    return float(width) * float(height)


def _load(file: Path) -> dict[str, Any]:
    check_room(_PYTHON_BYTES * file.stat().st_size, str(file))
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise AlambicError(f"{file}: cut off, damaged, or no JSON ({error}); try to fetch it again") from error
    if not isinstance(content, dict):
        raise AlambicError(f"{file}: expected a JSON object, got {type(content).__name__}; this is another file")
    return content
