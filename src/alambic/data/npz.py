"""A NumPy archive: ``x`` and ``y``, or one pair per split such as ``x_train``, ``y_train`` or ``train_images``."""

from __future__ import annotations

import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from alambic.data.arrays import as_images, as_labels
from alambic.data.raw import RawImages, need_path, split_of
from alambic.data.spec import DataSpec
from alambic.errors import AlambicError

NAME = "npz"
_IMAGE_WORDS = ("x", "images", "image", "data")
_LABEL_WORDS = ("y", "labels", "label", "targets")


def accepts(path: Path) -> bool:
    return path.suffix.lower() == ".npz" and path.is_file()


def read(spec: DataSpec, download: bool) -> RawImages:
    """Reads the arrays without unpickling anything. ``class_names`` in the archive names the classes."""
    path = need_path(spec, NAME)
    arrays = _load(path)
    label_words = (spec.label, *_LABEL_WORDS)
    pairs = {}
    for name in arrays:
        word, split = _meaning(name)
        if word in _IMAGE_WORDS:
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
    names = [str(title) for title in arrays["class_names"]] if "class_names" in arrays else None
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
    raise AlambicError(f"{path}: expected an array named {' or '.join(words)} for each split, got {sorted(arrays)}")
