"""What a source file hands over, before splits, class map and hashes; and where data lies on a disk."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from alambic.data.spec import DataSpec
from alambic.errors import AlambicError

_SPLIT_WORDS = {
    "train": 0, "training": 0,
    "val": 1, "valid": 1, "validation": 1, "dev": 1, "tune": 1,
    "test": 2, "testing": 2,
}  # fmt: skip


@dataclass(frozen=True)
class RawImages:
    """The content of a data set as it lies on disk.

    Attributes:
        images: uint8, N x C x H x W, C in {1, 3}.
        labels: int64, N; -1 where the source gives no label.
        class_names: one per class.
        groups: one name per image, or None.
        split: int64, N, index into ``source.SPLITS`` (0 train, 1 tune, 2 test) where the source has official splits.
        unreadable: (file, reason) of each image that could not be decoded.
        licence: what the source states.
    """

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    groups: Sequence[str] | None = None
    split: Tensor | None = None
    unreadable: tuple[tuple[str, str], ...] = ()
    licence: str = ""


def data_root() -> Path:
    """The folder that holds downloaded data sets: ``ALAMBIC_DATA``, or a cache folder in the user's home."""
    chosen = os.environ.get("ALAMBIC_DATA")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "alambic" / "data"


def official(counts: tuple[int, int, int]) -> Tensor:
    """The split column of images that lie in the order train, tune, test."""
    return torch.repeat_interleave(torch.arange(3), torch.tensor(counts))


def split_of(title: str) -> int | None:
    """The split that a folder, file or array belongs to by its name, such as ``train-00000-of-00002`` or ``val``."""
    word = re.split(r"[^a-z]", title.lower(), maxsplit=1)[0]
    return _SPLIT_WORDS.get(word)


def need_path(spec: DataSpec, name: str) -> Path:
    """``spec.path``, which a source without a usual place needs; a relative one may also start at ``data_root()``."""
    if spec.path is None:
        raise AlambicError(f"source {name!r}: expected a path, got none; try path = '<where the files are>'")
    path = Path(spec.path).expanduser()
    return path if path.exists() or not (data_root() / path).exists() else data_root() / path
