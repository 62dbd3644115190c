"""The labelled sets of torchvision, by name: ``torchvision:CIFAR10`` and the others of the table below.

Files lie in ``spec.path`` or ``ALAMBIC_DATA``, as torchvision lays them out; it checks and fetches them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from alambic.data.decode import Opener, collect
from alambic.data.raw import RawImages, data_root
from alambic.data.spec import DataSpec
from alambic.errors import AlambicError

# What makes each split (train, tune, test) in the constructor; None where the set does not have it.
_FLAG = ({"train": True}, None, {"train": False})
_TWO = ({"split": "train"}, None, {"split": "test"})
_THREE = ({"split": "train"}, {"split": "val"}, {"split": "test"})
_PREFIX = "torchvision:"

SETS: dict[str, tuple[dict[str, Any] | None, ...]] = {
    "CIFAR10": _FLAG,
    "CIFAR100": _FLAG,
    "DTD": _THREE,
    "EuroSAT": ({}, None, None),
    "FashionMNIST": _FLAG,
    "FGVCAircraft": _THREE,
    "Flowers102": _THREE,
    "Food101": _TWO,
    "GTSRB": _TWO,
    "Imagenette": ({"split": "train"}, None, {"split": "val"}),
    "KMNIST": _FLAG,
    "MNIST": _FLAG,
    "OxfordIIITPet": ({"split": "trainval"}, None, {"split": "test"}),
    "STL10": _TWO,
    "SVHN": _TWO,
    "USPS": _FLAG,
}
NAMES = tuple(_PREFIX + name for name in SETS)


def read(spec: DataSpec, download: bool) -> RawImages:
    """Reads the official splits through torchvision's own class."""
    from torchvision import datasets  # slow to import, and needed only here

    if spec.group is not None:
        raise AlambicError(f"{spec.source}: expected no group, since torchvision's sets name none, got {spec.group!r}")
    title = spec.source.removeprefix(_PREFIX)
    root = Path(spec.path).expanduser() if spec.path else data_root()
    parts, splits = [], []
    for split, chosen in enumerate(SETS[title]):
        if chosen is None:
            continue
        parts.append(_construct(getattr(datasets, title), title, root, download, chosen))
        splits += [split] * len(parts[-1])
    labels = [-1] * len(splits)
    decoded = collect(_items(parts, labels), len(splits), spec, spec.source)
    numbers = torch.tensor(labels)[decoded.kept]
    names = getattr(parts[0], "classes", None) or [str(index) for index in range(int(numbers.max()) + 1)]
    return RawImages(
        decoded.images,
        numbers,
        tuple(name if isinstance(name, str) else ", ".join(name) for name in names),
        split=torch.tensor(splits)[decoded.kept],
        unreadable=decoded.unreadable,
    )


def _construct(kind: Any, title: str, root: Path, download: bool, chosen: dict[str, Any]) -> Any:
    try:
        return kind(str(root), **chosen, download=download)
    except (RuntimeError, OSError) as error:
        allowed = "the download failed" if download else "no download is allowed"
        raise AlambicError(
            f"{_PREFIX}{title}: expected its files in {root}, where torchvision finds none whole, and {allowed} "
            f"({error}); try download=True or ALAMBIC_DOWNLOAD=1, or set path or ALAMBIC_DATA to where they are"
        ) from error


def _items(parts: list[Any], labels: list[int]) -> Iterator[tuple[str, Opener]]:
    row = 0
    for part in parts:
        for index in range(len(part)):
            yield f"image {row}", _opener(part, index, row, labels)
            row += 1


def _opener(part: Any, index: int, row: int, labels: list[int]) -> Opener:
    """torchvision gives image and label in one go: the label is left in its place on the way."""

    def open_image() -> Image.Image:
        image, label = part[index]
        labels[row] = int(label)
        return image

    return open_image
