"""Images and labels that are in memory already: the checks, and the helper for users with tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from alambic.data.assemble import assemble
from alambic.data.raw import RawImages, split_of
from alambic.data.source import Source
from alambic.data.spec import DataSpec
from alambic.errors import AlambicError


def from_arrays(
    images: Tensor | np.ndarray[Any, Any],
    labels: Tensor | np.ndarray[Any, Any] | Sequence[int] | Sequence[str],
    *,
    class_names: Sequence[str] | None = None,
    split: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    name: str = "arrays",
    spec: DataSpec | None = None,
    licence: str = "",
) -> Source:
    """A source of your own images.

    Args:
        images: uint8, N x H x W, N x H x W x C or N x C x H x W, C in {1, 3}.
        labels: N whole numbers, -1 for an unlabelled image, or N class names.
        class_names: one per label, in order; the labels themselves where left out.
        split: ``train``, ``val`` or ``test`` for each image; where left out, splits are made by hash.
        groups: a name for each image; no group stands in two splits.
        spec: canvas, class map, sizes of splits and the rest; its source and path are not read.

    Raises: AlambicError, saying what was expected and what came.
    """
    pixels = as_images(np.asarray(images), name)
    numbers, names = as_labels(np.asarray(labels), class_names, name)
    for what, values in (("labels", numbers), ("split", split), ("groups", groups)):
        if values is not None and len(values) != len(pixels):
            raise AlambicError(f"{name}: expected {len(pixels)} {what}, one per image, got {len(values)}")
    places = None
    if split is not None:
        found = [split_of(title) for title in split]
        if None in found:
            raise AlambicError(f"{name}: expected split names train, val or test, got {split[found.index(None)]!r}")
        places = torch.tensor(found, dtype=torch.int64)
    raw = RawImages(pixels, numbers, names, groups, places, licence=licence)
    return assemble(name, raw, spec or DataSpec(name))


def as_images(array: np.ndarray[Any, Any], where: str) -> Tensor:
    """uint8, N x C x H x W, of an array of images in any of the three usual layouts."""
    if array.dtype != np.uint8:
        raise AlambicError(
            f"{where}: expected images as uint8 from 0 to 255, got {array.dtype}; "
            "try (images * 255).round().astype('uint8') if yours lie between 0 and 1"
        )
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and array.shape[3] in (1, 3):
        array = array.transpose(0, 3, 1, 2)
    elif array.ndim != 4 or array.shape[1] not in (1, 3):
        raise AlambicError(
            f"{where}: expected images N x H x W, N x H x W x C or N x C x H x W with 1 or 3 channels, "
            f"got shape {array.shape}"
        )
    return torch.from_numpy(np.array(array, order="C"))


def as_labels(
    values: np.ndarray[Any, Any], class_names: Sequence[str] | None, where: str
) -> tuple[Tensor, tuple[str, ...]]:
    """int64 labels and class names, of numbers or of names; without ``class_names`` the values that occur, sorted."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1 or values.dtype.kind not in "iuU":
        raise AlambicError(
            f"{where}: expected one label per image, a whole number or a name, "
            f"got {values.dtype} of shape {values.shape}"
        )
    if values.dtype.kind != "U" and class_names is not None:
        if len(values) and not -1 <= int(values.min()) <= int(values.max()) < len(class_names):
            raise AlambicError(
                f"{where}: expected labels from -1 (unlabelled) to {len(class_names) - 1} for {len(class_names)} "
                f"class names, got {int(values.min())} to {int(values.max())}"
            )
        return torch.from_numpy(values.astype(np.int64)), tuple(class_names)
    known = list(class_names) if class_names is not None else sorted({v for v in values.tolist() if v != -1})
    place = {value: index for index, value in enumerate(known)} | {-1: -1}
    unknown = [value for value in values.tolist() if value not in place]
    if unknown:
        raise AlambicError(f"{where}: expected labels among the class names {known[:10]}, got {unknown[0]!r}")
    numbers = torch.tensor([place[value] for value in values.tolist()], dtype=torch.int64)
    return numbers, tuple(str(value) for value in known)
