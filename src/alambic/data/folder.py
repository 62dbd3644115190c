"""A folder of pictures: one sub-folder per class, under ``train``, ``val`` and ``test`` folders or without them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import torch
from PIL import Image

from alambic.data.decode import collect, opener
from alambic.data.raw import RawImages, need_path, split_of
from alambic.data.spec import DataSpec
from alambic.errors import AlambicError

NAME = "folder"
SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pnm")
)
# pictures too, of formats that cameras and browsers write and Pillow alone may not know
UNKNOWN = frozenset((".avif", ".avifs", ".heic", ".heif", ".hif", ".jxl"))
# what Pillow knows and nobody takes for pictures of a class: documents, films, tables, icons that programs leave behind
DOCUMENTS = (".pdf", ".ps", ".eps", ".emf", ".wmf", ".mpg", ".mpeg", ".h5", ".hdf", ".bufr", ".grib", ".fit", ".fits")
NO_PICTURES = frozenset((*DOCUMENTS, ".ico", ".icns", ".cur", ".iim", ".ftc", ".ftu"))


def accepts(path: Path) -> bool:
    """A folder that holds a picture anywhere."""
    return path.is_dir() and any(True for _ in _pictures(path))


def read(spec: DataSpec, download: bool) -> RawImages:
    """Reads every picture below the class folders, in the order of its relative path.

    Files that are named as pictures of formats that are not read count as unreadable.
    """
    root = need_path(spec, NAME)
    if not root.is_dir():
        raise AlambicError(f"{root}: expected a folder with one sub-folder per class, got a file or nothing")
    parts = _parts(root)
    classes = sorted({folder.name for part in parts for folder in _folders(part)})
    files, labels, splits = [], [], []
    named = (SUFFIXES | UNKNOWN | set(Image.registered_extensions())) - NO_PICTURES
    for part, split in parts.items():
        for folder in _folders(part):
            found = sorted(_pictures(folder, named))
            if not found:
                raise AlambicError(f"{folder}: expected pictures of class {folder.name!r}, got none; try to remove it")
            if not any(file.suffix.lower() in SUFFIXES for file in found):
                raise AlambicError(
                    f"{folder}: expected pictures of class {folder.name!r}, got {len(found)} such as {found[0].name}, "
                    "because none is of a format that is read; try to save them as PNG or JPEG"
                )
            files += found
            labels += [classes.index(folder.name)] * len(found)
            splits += [split] * len(found)
    if not files:
        raise AlambicError(
            f"{root}: expected one sub-folder per class, got no sub-folders; try {root}/<class>/<picture>.png, "
            "or the same below train, val and test"
        )
    names = [file.relative_to(root).as_posix() for file in files]
    groups = None if spec.group is None else _groups(names, spec.group)
    decoded = collect(
        ((name, opener(file)) for name, file in zip(names, files, strict=True)), len(files), spec, str(root)
    )
    rows = decoded.kept.tolist()
    return RawImages(
        decoded.images,
        torch.tensor(labels)[decoded.kept],
        tuple(classes),
        groups=None if groups is None else [groups[row] for row in rows],
        split=None if None in parts.values() else torch.tensor(splits)[decoded.kept],
        unreadable=decoded.unreadable,
    )


def _pictures(folder: Path, suffixes: Collection[str] = SUFFIXES) -> Iterator[Path]:
    """Files below a folder that are named as pictures; hidden ones and caches are copies that programs left there."""
    for file in folder.rglob("*"):
        *folders, name = file.relative_to(folder).parts
        hidden = name.startswith(".") or any(part.startswith((".", "__")) for part in folders)
        if file.suffix.lower() in suffixes and not hidden and file.is_file():
            yield file


def _folders(root: Path) -> list[Path]:
    return sorted(item for item in root.iterdir() if item.is_dir() and not item.name.startswith((".", "__")))


def _parts(root: Path) -> dict[Path, int | None]:
    """Folder that holds class folders -> its split, None where the set has none."""
    known = {folder: split_of(folder.name) for folder in _folders(root)}
    if not any(split is not None and _folders(folder) for folder, split in known.items()):
        return {root: None}
    others = [folder.name for folder, split in known.items() if split is None]
    if others:
        raise AlambicError(
            f"{root}: expected only train, val and test folders beside each other, got {others[:5]} too; "
            "try to move them away"
        )
    return dict(known)


def _groups(names: Sequence[str], pattern: str) -> list[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise AlambicError(f"data group: expected a regular expression, got {pattern!r} ({error})") from error
    if compiled.groups < 1:
        raise AlambicError(f"data group: expected a bracket around what names the group, got {pattern!r}")
    groups = []
    for name in names:
        match = compiled.search(name)
        if match is None or match.group(1) is None:
            raise AlambicError(f"data group: expected {pattern!r} to match every picture's path, but not {name!r}")
        groups.append(match.group(1))
    return groups
