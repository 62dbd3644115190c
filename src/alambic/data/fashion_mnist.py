"""Fashion-MNIST (Xiao, Rasul, Vollgraf, arXiv 1708.07747): 60,000 + 10,000 clothes, 28 x 28, grey, ten classes."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from alambic.data.decode import check_room
from alambic.data.raw import RawImages, data_root, official
from alambic.data.spec import DataSpec
from alambic.errors import AlambicError

NAME = "fashion-mnist"
CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
_FIRST_FILE = "train-images-idx3-ubyte.gz"


def read(spec: DataSpec, download: bool) -> RawImages:
    """Reads the four IDX files of ``spec.path``, or of the first usual place that has them."""
    folder = _find(spec, download)
    images, labels = [], []
    for part in ("train", "t10k"):
        images.append(read_idx(folder / f"{part}-images-idx3-ubyte.gz", 3))
        labels.append(read_idx(folder / f"{part}-labels-idx1-ubyte.gz", 1))
        if len(images[-1]) != len(labels[-1]):
            raise AlambicError(
                f"{folder}: expected one label per image, got {len(images[-1])} images and {len(labels[-1])} labels"
            )
    return RawImages(
        torch.cat(images).unsqueeze(1),
        torch.cat(labels).long(),
        CLASSES,
        split=official((len(images[0]), 0, len(images[1]))),
        licence="MIT (2017 Zalando SE)",
    )


def _find(spec: DataSpec, download: bool) -> Path:
    if spec.path is not None:
        folder = Path(spec.path).expanduser()
        if (folder / _FIRST_FILE).exists():
            return folder
        raise AlambicError(f"{NAME}: expected {_FIRST_FILE} in {folder}, got no such file; try without path")
    cache = data_root() / "FashionMNIST" / "raw"
    for folder in (data_root() / NAME, DEBIAN, cache):
        if (folder / _FIRST_FILE).exists():
            return folder
    if download:
        from torchvision.datasets import FashionMNIST  # slow to import, and needed only here

        try:
            FashionMNIST(str(data_root()), download=True)
        except (OSError, RuntimeError) as error:
            raise AlambicError(f"{NAME}: the download failed ({error}); try the Debian package") from error
        return cache
    raise AlambicError(
        f"{NAME}: expected its files in {data_root() / NAME} or {DEBIAN}, got none; "
        "try `apt-get install dataset-fashion-mnist`, or allow a download with download=True or ALAMBIC_DOWNLOAD=1"
    )


def read_idx(path: Path, dimensions: int) -> Tensor:
    """A gzipped IDX file of unsigned bytes as a uint8 tensor. Raises AlambicError where it is cut off or another."""
    start = 4 * (1 + dimensions)
    try:
        with gzip.open(path, "rb") as stream:
            content = stream.read(start)
            header = struct.unpack(f">{1 + dimensions}I", content) if len(content) == start else (0,)
            if header[0] != 0x800 + dimensions:
                raise AlambicError(
                    f"{path}: expected the IDX magic number {0x800 + dimensions:#010x}, got {header[0]:#010x}; "
                    "this is another kind of file"
                )
            shape = header[1:]
            check_room(math.prod(shape), str(path))
            body = np.frombuffer(stream.read(math.prod(shape) + 1), dtype=np.uint8)  # one more would be too many
    except FileNotFoundError as error:
        raise AlambicError(f"{path}: expected an IDX file, got no such file; try to fetch the set again") from error
    except (OSError, EOFError, zlib.error) as error:
        raise AlambicError(f"{path}: cut off or damaged ({error}); try to fetch the set again") from error
    if body.size != math.prod(shape):
        raise AlambicError(f"{path}: expected {math.prod(shape)} bytes for shape {shape}, got {body.size}")
    return torch.from_numpy(body.reshape(shape).copy())
