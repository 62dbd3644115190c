"""Sets that do not fit in memory: decoded once, by workers, into one file on disk that is mapped instead of read.

``Source.images`` of a stored set is a tensor over that file: a batch touches the pages of its own images, the system
keeps what fits and drops the rest, and every process of this machine shares them. Ids, views, hashes and banks are
those of the same set in memory, to the bit, since nothing but the place of the pixels differs.

A set takes N x C x size x size bytes. The store is keyed by the spec and by names, sizes and dates of the set's files.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from alambic.data.raw import data_root
from alambic.data.source import SPLITS, Source
from alambic.data.spec import DataSpec
from alambic.errors import AlambicError
from alambic.files import make_folder

VERSION = 2
_IMAGES, _CARD = "images.u8", "card.json"
_BLOCK = 4096  # rows moved at once


def load_stored(spec: DataSpec, load: Callable[[DataSpec], Source]) -> Source:
    """The source of a spec with ``store``; ``load`` reads it into the store where it is not there yet.

    Raises: AlambicError without a canvas, for a full disk, or for a store that is not whole.
    """
    assert spec.store is not None
    if spec.size is None or spec.channels is None:
        raise AlambicError(
            f"data store: expected size and channels, got {spec.size} and {spec.channels}, because the file's shape is "
            "set before the first image is decoded; try size = 96 and channels = 3"
        )
    folder = Path(spec.store).expanduser()
    target = folder / _key(spec)
    if not (target / _CARD).exists():
        make_folder(folder)
        part = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=folder))
        try:
            write_store(part, load(replace(spec, store=str(part))))
            if not (target / _CARD).exists():  # else another process was faster
                part.replace(target)
        except OSError as error:
            told = error.strerror or error
            raise AlambicError(f"cannot write the store {target}: {told}; try another folder") from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return open_store(target)


def make_canvas(folder: Path, shape: tuple[int, ...]) -> Tensor:
    """uint8 of a shape, over a new file of a store; its room on the disk is taken at once."""
    path, count = folder / _IMAGES, int(np.prod(shape))
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):  # everywhere but on macOS
            os.posix_fallocate(file.fileno(), 0, count)
        else:
            file.truncate(count)
    return _map(path, shape)


def keep_rows(images: Tensor, kept: Tensor) -> Tensor:
    """``images[kept]`` in place, a block at a time, for images over a store's file. ``kept``: bool, N."""
    rows, done = kept.nonzero().flatten(), 0
    for block in rows.split(_BLOCK):
        images[done : done + len(block)] = images[block]  # rows move down only: none is written before it is read
        done += len(block)
    return images[:done]


def _map(path: Path, shape: tuple[int, ...]) -> Tensor:
    return torch.from_file(str(path), shared=True, size=int(np.prod(shape)), dtype=torch.uint8).view(shape)


def _key(spec: DataSpec) -> str:
    known = {name: value for name, value in asdict(spec).items() if name not in ("store", "train")}
    named = [Path(spec.path).expanduser(), data_root() / spec.path] if spec.path else [Path(spec.source).expanduser()]
    root = next((path for path in named if path.exists()), None)
    text = json.dumps([VERSION, known, _dates(root) if root is not None else []], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _dates(root: Path) -> list[tuple[str, int, int]]:
    files = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
    told = [(path, path.stat()) for path in files]
    return [(path.relative_to(root).as_posix(), stat.st_size, stat.st_mtime_ns) for path, stat in told]


def write_store(part: Path, source: Source) -> None:
    """Lays a source into a folder, for ``open_store``. Raises OSError for a full disk."""
    if not (part / _IMAGES).exists():  # a source that holds arrays, not pictures
        source.images.numpy().tofile(part / _IMAGES)
    os.truncate(part / _IMAGES, source.images.numel())
    np.save(part / "labels.npy", source.labels.numpy())
    for split in SPLITS:
        np.save(part / f"{split}.npy", source.splits[split].numpy())
    card = {
        "version": VERSION,
        "name": source.name,
        "shape": list(source.images.shape),
        "class_names": list(source.class_names),
        "mean": list(source.mean),
        "std": list(source.std),
        "hash": source.hash,
        "split_hash": source.split_hash,
        "unreadable": [list(item) for item in source.unreadable],
        "licence": source.licence,
        "origin": source.origin,
        "merged": source.merged,
    }
    (part / _CARD).write_text(json.dumps(card, indent=2) + "\n")
    with (part / _IMAGES).open("rb") as file:
        os.fsync(file.fileno())


def open_store(target: Path) -> Source:
    """The source in a folder, its images mapped. Raises AlambicError where the folder is not whole."""
    try:
        card: dict[str, Any] = json.loads((target / _CARD).read_text())
        shape = tuple(card["shape"])
        there = (target / _IMAGES).stat().st_size
        if there != int(np.prod(shape)):
            raise ValueError(f"{there:,} bytes of images where {int(np.prod(shape)):,} should be")
        arrays = {name: torch.from_numpy(np.load(target / f"{name}.npy")) for name in ("labels", *SPLITS)}
        return Source(
            card["name"],
            _map(target / _IMAGES, shape),
            arrays["labels"],
            {split: arrays[split] for split in SPLITS},
            tuple(card["class_names"]),
            tuple(card["mean"]),
            tuple(card["std"]),
            card["hash"],
            card["split_hash"],
            tuple((name, reason) for name, reason in card["unreadable"]),
            card["licence"],
            card["origin"],
            tuple(tuple(old) for old in card["merged"]),
        )
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise AlambicError(
            f"expected a whole store at {target}, got: {error}; try to delete it and run again"
        ) from error
