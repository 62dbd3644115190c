"""What a data source is: uint8 images in memory, labels, three splits, and a hash of all of it.

Floor: data. Nothing here knows a model. An image's **id** is its row in ``Source.images``; views, banks and the
ledger speak of images by id only, so that a cached output can never be paired with another image.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from alambic.errors import AlambicError, show_plainly

SPLITS = ("train", "tune", "test")
NAMED = 3  # unreadable images that are told by name


@dataclass(frozen=True)
class Source:
    """Images of one data set, resident in memory.

    Attributes:
        name: what the user called it, such as ``fashion-mnist`` or a folder's name.
        images: uint8, N x C x H x W, C in {1, 3}; every split together.
        labels: int64, N; -1 is an unlabelled image (no cross-entropy, distillation as ever).
        splits: ``train``, ``tune``, ``test`` -> int64 rows, disjoint.
        class_names: one per class, index = label.
        mean, std: per channel, on the [0, 1] scale, over the train split.
        unreadable: (file, reason) of each image that could not be decoded; counted, never silently dropped.
        licence: what the source states, "" if nothing.
        origin: the split hash before class map, hidden labels and canvas. A teacher that was trained on the set as it
            lies on the disk has this one: it saw these very training images and no other.
        merged: for each class the classes of the set on the disk that it is made of; empty without a class map.
    """

    name: str
    images: Tensor
    labels: Tensor
    splits: dict[str, Tensor]
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    hash: str
    split_hash: str
    unreadable: tuple[tuple[str, str], ...] = field(default=())
    licence: str = ""
    origin: str = ""
    merged: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        if not self.origin:
            object.__setattr__(self, "origin", self.split_hash)

    @property
    def channels(self) -> int:
        return int(self.images.shape[1])

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return int(self.images.shape[2]), int(self.images.shape[3])

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def tell_unreadable(self) -> str:
        """One line on the images that could not be decoded: how many, the first three and why; empty without any."""
        if not self.unreadable:
            return ""
        count = len(self.unreadable)
        shown = show_plainly("; ".join(f"{name} ({reason})" for name, reason in self.unreadable[:NAMED]))
        rest = f"; and {count - NAMED:,} more" if count > NAMED else ""
        what = "image cannot be read and is" if count == 1 else "images cannot be read and are"
        return " ".join(f"{count:,} {what} left out: {shown}{rest}".split())

    def subset(self, split: str, count: int | None = None, seed: int = 0) -> Tensor:
        """The ids of a split, or ``count`` of them chosen by ``seed``; smaller subsets lie inside larger ones.

        Returns: int64 ids, sorted. Raises AlambicError when the split holds fewer.
        """
        rows = self.splits[split]
        if count is None or count == len(rows):
            return rows
        if not 0 < count <= len(rows):
            raise AlambicError(
                f"expected between 1 and {len(rows)} images of split {split!r} of {self.name!r}, got {count}; "
                "try a smaller number, or leave it out to take them all"
            )
        return choose_rows(rows, count, seed)


def choose_rows(rows: Tensor, count: int, seed: int) -> Tensor:
    """``count`` of the rows by ``seed``, sorted; smaller choices lie inside larger ones."""
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    return rows[order[:count]].sort().values


def make_source(
    name: str,
    images: Tensor,
    labels: Tensor,
    splits: dict[str, Tensor],
    class_names: tuple[str, ...],
    unreadable: tuple[tuple[str, str], ...] = (),
    licence: str = "",
    origin: str = "",
    merged: tuple[tuple[int, ...], ...] = (),
) -> Source:
    """Checks the parts of a source, computes its statistics and hashes, and freezes it."""
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
        raise AlambicError(
            f"source {name!r}: expected uint8 images N x C x H x W with 1 or 3 channels, "
            f"got {images.dtype} of shape {tuple(images.shape)}"
        )
    if labels.shape != (len(images),):
        raise AlambicError(f"source {name!r}: expected {len(images)} labels, got shape {tuple(labels.shape)}")
    if len(labels) and (int(labels.max()) >= len(class_names) or int(labels.min()) < -1):
        raise AlambicError(
            f"source {name!r}: expected labels between -1 (unlabelled) and {len(class_names) - 1}, "
            f"got {int(labels.min())} to {int(labels.max())}"
        )
    hidden = [title for title in (name, *class_names) if not title.isprintable()]
    if hidden:
        raise AlambicError(
            f"source {name!r}: expected printable names of source and classes, got {hidden[0]!r}, which could move a "
            "terminal's cursor; try to rename it"
        )
    missing = [split for split in SPLITS if split not in splits]
    if missing:
        raise AlambicError(f"source {name!r}: expected splits {SPLITS}, {missing} missing")
    joined = torch.cat([splits[split] for split in SPLITS])
    if len(np.unique(joined.numpy())) != len(joined):
        raise AlambicError(f"source {name!r}: an image stands in two splits; splits must be disjoint")
    if len(splits["train"]) == 0:
        raise AlambicError(f"source {name!r}: the train split is empty")
    mean, std = _channel_statistics(images, splits["train"])
    content, division = hash_source(images, labels, splits, class_names)
    return Source(
        name,
        images,
        labels,
        dict(splits),
        class_names,
        mean,
        std,
        content,
        division,
        unreadable,
        licence,
        origin,
        merged,
    )


def hash_source(
    images: Tensor, labels: Tensor, splits: dict[str, Tensor], class_names: tuple[str, ...]
) -> tuple[str, str]:
    """Hex digests of the content (images, labels, names) and of its division into splits."""
    content = hashlib.sha256()
    content.update(str((tuple(images.shape), class_names)).encode())
    content.update(images.contiguous().numpy().reshape(-1).data)  # no copy: they may be larger than memory
    content.update(labels.contiguous().numpy().tobytes())
    division = hashlib.sha256()
    for split in SPLITS:
        division.update(split.encode())
        division.update(splits[split].contiguous().numpy().tobytes())
    division.update(content.digest())
    return content.hexdigest(), division.hexdigest()


def _channel_statistics(images: Tensor, rows: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel on [0, 1], from counts of the 256 values: exact, and no float copy."""
    counts = torch.zeros(images.shape[1], 256, dtype=torch.int64)
    for block in torch.split(rows, 2048):
        for channel, values in enumerate(images[block].unbind(1)):
            counts[channel] += torch.bincount(values.flatten(), minlength=256)
    levels = torch.arange(256, dtype=torch.float64) / 255
    share = counts.double() / counts.sum(dim=1, keepdim=True)
    mean = share @ levels
    std = (share @ levels.square() - mean.square()).clamp_min(1e-12).sqrt()
    return tuple(mean.tolist()), tuple(std.tolist())
