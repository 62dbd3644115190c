"""A NumPy archive: ``x`` and ``y``, or one pair per split such as ``x_train``, ``y_train`` or ``train_images``."""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from alambic.data.arrays import as_images, as_labels
from alambic.data.decode import check_room
from alambic.data.raw import RawImages, need_path, split_of
from alambic.data.spec import DataSpec
from alambic.errors import AlambicError, nearest

NAME = "npz"
_IMAGE_WORDS = ("x", "images", "image", "data")
_LABEL_WORDS = ("label", "y", "labels", "targets")


def accepts(path: Path) -> bool:
    return path.suffix.lower() == ".npz" and path.is_file()


def read(spec: DataSpec, download: bool) -> RawImages:
    """Reads the arrays without unpickling anything. ``class_names`` in the archive names the classes."""
    path = need_path(spec, NAME)
    arrays = _load(path)
    # only who asked for no array by name gets one of the usual names: others would train on labels they did not ask for
    label_words = _LABEL_WORDS if spec.label == DataSpec.label else (spec.label,)
    pairs: dict[int | None, tuple[str, str]] = {}
    for name in arrays:
        word, split = _meaning(name)
        if word in _IMAGE_WORDS:
            if split in pairs:
                raise AlambicError(
                    f"{path}: expected one array of images for each split, got {pairs[split][0]!r} and {name!r}, "
                    "because only one of them would be read; try to save the other one under another name"
                )
            pairs[split] = (name, _partner(arrays, split, label_words, path))
    if not pairs:
        raise AlambicError(
            f"{path}: expected arrays x and y, or x_train, y_train, x_test, y_test, got {sorted(arrays)}"
        )
    if None in pairs and len(pairs) > 1:
        raise AlambicError(f"{path}: expected arrays of one kind, with or without splits, got {sorted(arrays)}")
    images, labels, groups, splits = [], [], [], []
    for split, (x, y) in pairs.items():
        images.append(as_images(arrays[x], f"{path} array {x!r}"))
        labels.append(arrays[y].reshape(-1))
        if len(images[-1]) != len(labels[-1]):
            raise AlambicError(f"{path}: expected as many labels in {y!r} as images in {x!r}, got {len(labels[-1])}")
        splits += [split] * len(labels[-1])
        if spec.group is not None:
            groups += [str(value) for value in arrays[_partner(arrays, split, (spec.group,), path)].reshape(-1)]
    if len({tuple(block.shape[1:]) for block in images}) > 1:
        raise AlambicError(f"{path}: expected splits of one image shape, got {[tuple(i.shape[1:]) for i in images]}")
    names = [str(title) for title in arrays["class_names"].reshape(-1)] if "class_names" in arrays else None
    numbers, classes = as_labels(np.concatenate(labels), names, str(path))
    return RawImages(
        torch.cat(images),
        numbers,
        classes,
        groups=groups or None,
        split=None if None in pairs else torch.tensor(splits),
    )


def _load(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            _check_sizes(archive, path)
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise AlambicError(f"{path}: expected an .npz archive, got no such file") from error
    except ValueError as error:
        raise AlambicError(
            f"{path}: expected plain arrays, got something that needs unpickling, which could run code ({error}); "
            "try np.savez with arrays of numbers and of fixed-width strings"
        ) from error
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise AlambicError(f"{path}: cut off or damaged ({error}); try to copy it again") from error
    except RuntimeError as error:  # zipfile's word on a password and, by NotImplementedError, on another compression
        raise AlambicError(
            f"{path}: expected an archive as np.savez writes it, got another kind of zip ({error}); try np.savez again"
        ) from error


def _check_sizes(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuses a bomb by the sizes that it declares: of its members, and of the array that each member's head claims."""
    members = archive.infolist()
    check_room(sum(member.file_size for member in members), str(path))
    for member in members:
        with archive.open(member) as stream:
            try:
                version = np.lib.format.read_magic(stream)
                read_head = np.lib.format.read_array_header_1_0 if version == (1, 0) else _read_head_2
                shape, _, dtype = read_head(stream)
            except ValueError as error:
                raise AlambicError(
                    f"{path}: expected a NumPy array in {member.filename!r}, got something else ({error}); "
                    "try np.savez with arrays only"
                ) from error
            claimed = stream.tell() + math.prod(shape) * dtype.itemsize
        if not dtype.hasobject and claimed != member.file_size:
            raise AlambicError(
                f"{path}: expected an array of {member.file_size:,} bytes in {member.filename!r}, but its head claims "
                f"{claimed:,}; the file is damaged or hostile"
            )


def _read_head_2(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    return np.lib.format.read_array_header_2_0(stream)


def _meaning(name: str) -> tuple[str, int | None]:
    """``x_train`` or ``train_x`` -> what it holds and of which split."""
    words = re.split(r"[_\-.]", name)
    splits = [split for split in map(split_of, words) if split is not None]
    rest = "_".join(word for word in words if split_of(word) is None)
    return rest, splits[0] if splits else None


def _partner(arrays: dict[str, np.ndarray[Any, Any]], split: int | None, words: tuple[str, ...], path: Path) -> str:
    for wanted in words:
        for name in arrays:
            if _meaning(name) == (wanted, split) or (split is None and name == wanted):
                return name
    told = {_meaning(name)[0] for name in arrays}
    raise AlambicError(
        f"{path}: expected an array named {' or '.join(words)} for each split, got {sorted(arrays)}; "
        f"try another label or group: {nearest(words[0], told)}"
    )
