"""Decodes encoded pictures into one uint8 tensor; counts what it cannot read, and refuses when that is too much."""

from __future__ import annotations

import io
import itertools
import os
import struct
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from alambic.data.pixels import fit_channels, resize, to_tensor
from alambic.data.spec import DataSpec
from alambic.data.store import make_canvas
from alambic.errors import AlambicError

MAX_PIXELS = 50_000_000  # a 50-megapixel phone; a header may claim far more than the file is worth
MAX_UNREADABLE = 0.05
FEW_BITS = 4096  # 16-bit pixels all below: of a sensor of 12 bits or fewer, which as 16 would be all but black
# Named, because trying every format takes half of the time, and some of Pillow's start other programs.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
_BLOCK = 512
_GREY_MODES = ("1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N")
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)


Opener = Callable[[], Image.Image]


@dataclass(frozen=True)
class Decoded:
    """``images``: uint8, M x C x H x W; ``kept``: int64, M, which items these are; ``unreadable``: (name, reason)."""

    images: Tensor
    kept: Tensor
    unreadable: tuple[tuple[str, str], ...]


def check_room(count: int, where: str) -> None:
    """Refuses data that would unpack to more than half of this machine's memory, before they are unpacked.

    Args:
        count: bytes, by what the file's own tables say.
    """
    limit = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    if count > limit:
        raise AlambicError(
            f"{where}: expected at most {limit:,} bytes once unpacked (half of this machine's memory), got {count:,}, "
            "so it is refused before it is unpacked; try a smaller size, or store = '<folder>' for images on disk"
        )


def opener(content: Path | bytes) -> Opener:
    """What opens an encoded picture; nothing is decoded yet."""
    return lambda: Image.open(
        io.BytesIO(content if isinstance(content, bytes) else content.read_bytes()), formats=FORMATS
    )


def collect(items: Iterable[tuple[str, Opener]], count: int, spec: DataSpec, where: str) -> Decoded:
    """Decodes up to ``count`` named pictures on the canvas of ``spec``.

    Without ``spec.channels`` the result is grey where every picture is, else colour.

    Raises: AlambicError where sizes differ and ``spec.size`` is None, or more than 5 % cannot be read.
    """
    if spec.size is not None:
        check_room(count * (spec.channels or 1) * spec.size**2, where)
    canvas: Tensor | None = None
    kept: list[int] = []
    unreadable: list[tuple[str, str]] = []
    numbered = enumerate(items)
    with warnings.catch_warnings(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # its limit is above ours
        while block := list(itertools.islice(numbered, _BLOCK)):
            handfuls = [[item[1][1] for item in block[start : start + 16]] for start in range(0, len(block), 16)]
            decoded = itertools.chain.from_iterable(
                pool.map(lambda some: [_decode(one, spec) for one in some], handfuls)
            )
            for (index, (name, _)), pixels in zip(block, decoded, strict=True):
                if isinstance(pixels, str):
                    unreadable.append((name, pixels))
                    continue
                canvas = _room(canvas, pixels, count, spec, name, where)
                canvas[len(kept)] = pixels
                kept.append(index)
    total = len(kept) + len(unreadable)
    if len(unreadable) > MAX_UNREADABLE * total or canvas is None:
        shown = "; ".join(f"{name}: {reason}" for name, reason in unreadable[:3]) or "there are no images"
        raise AlambicError(
            f"{where}: expected at most {MAX_UNREADABLE:.0%} unreadable images, got {len(unreadable)} of {total} "
            f"({shown}); try to copy the set again, or remove the files that are damaged"
        )
    return Decoded(canvas[: len(kept)], torch.tensor(kept), tuple(unreadable))


def _decode(open_image: Opener, spec: DataSpec) -> Tensor | str:
    """uint8, C x H x W, or the reason why not."""
    try:
        image = open_image()
        width, height = image.size
        if width * height > MAX_PIXELS:
            return f"{width} x {height} pixels, more than {MAX_PIXELS}: refused before decoding"
        if spec.size is not None:
            image.draft(None, (2 * spec.size, 2 * spec.size))  # a large JPEG need not be decoded in full
        image.load()
        image = ImageOps.exif_transpose(image)
        channels = spec.channels or (1 if image.mode in _GREY_MODES and "transparency" not in image.info else 3)
        if image.mode in ("I", "F"):
            return f"pixels of mode {image.mode!r}, whose range is not known"
        if image.mode.startswith("I;16") and (most := int(np.asarray(image).max())) < FEW_BITS:
            return f"16-bit pixels of at most {most}, so of fewer bits, whose range is not known; try 8-bit ones"
        image = fit_channels(image, channels)
        return to_tensor(image if spec.size is None else resize(image, spec.size))
    except UnidentifiedImageError as error:  # its own words name an object in memory, not the file
        return f"{type(error).__name__}: expected {', '.join(FORMATS)}, got something else"
    except _BROKEN as error:
        return f"{type(error).__name__}: {error}"


def _room(canvas: Tensor | None, pixels: Tensor, count: int, spec: DataSpec, name: str, where: str) -> Tensor:
    """The tensor that takes the next picture: made at the first one, widened to colour at the first coloured one."""
    if canvas is None and spec.store is not None:
        return make_canvas(Path(spec.store), (count, *pixels.shape))
    if canvas is None:
        check_room(count * pixels.numel(), where)
        return torch.empty(count, *pixels.shape, dtype=torch.uint8)
    if canvas.shape[2:] != pixels.shape[1:]:
        raise AlambicError(
            f"{where}: expected images of one size, got {tuple(canvas.shape[2:])} and {tuple(pixels.shape[1:])} "
            f"(height, width; {name}); try size = 32, or another number of pixels, to resize them all"
        )
    return canvas.expand(-1, 3, -1, -1).clone() if canvas.shape[1] < pixels.shape[0] else canvas
