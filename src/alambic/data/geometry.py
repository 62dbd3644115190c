"""Where the pixels of a view come from: crop, flip, shift. Shared by teacher and student."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor


@functools.lru_cache(maxsize=64)
def _multiples(count: int, step: int, first: int, device: torch.device) -> Tensor:
    return torch.arange(count, device=device) * step + first


@functools.lru_cache(maxsize=64)
def _centres(count: int, device: torch.device) -> Tensor:
    """The centres of ``count`` pixels on a side from 0 to 1."""
    return (torch.arange(count, dtype=torch.float32, device=device) + 0.5) * (1 / count)


def choose(inside: Tensor, there: Tensor, here: Tensor) -> Tensor:
    """``there`` where ``inside`` is 1, ``here`` where it is 0, exactly; a mixture between. Overwrites ``here``.

    All float32; the first two broadcast. ``torch.where`` takes several times as long on a CPU, and so does a fresh
    buffer for each step.
    """
    return here.mul_(1 - inside).addcmul_(there, inside)


def pad(images: Tensor, reach: int, reflect: bool) -> Tensor:
    """``reach`` pixels more on every side, of zeros or of the mirrored image; any dtype on any device."""
    if not reach:
        return images
    if not reflect:
        return F.pad(images, (reach,) * 4)
    for axis in (2, 3):
        last = images.shape[axis] - 1
        before = images.narrow(axis, 1, reach).flip(axis)
        after = images.narrow(axis, last - reach, reach).flip(axis)
        images = torch.cat((before, images, after), dim=axis)
    return images


def flip_and_shift(
    images: Tensor, flip: Tensor | None, down: Tensor, right: Tensor, reach: int, reflect: bool
) -> Tensor:
    """Mirrors left and right where ``flip``, then moves by whole pixels. A gather: no value is computed.

    Args:
        images: any dtype, B x C x H x W.
        flip: bool, B, or None.
        down, right: int64, B, within ±reach; positive moves the content down or to the right.
        reflect: what enters at the border is the mirrored image instead of zeros; reach must be below both sides.

    Returns: a view of the moved images, not contiguous.
    """
    count, channels, height, width = images.shape
    padded = pad(images, reach, reflect)
    tall, wide = height + 2 * reach, width + 2 * reach
    size = channels * tall * wide
    # A move by (down, right) is a move along the padded image's memory, so each result is one run of it: a copy in
    # one piece, several times as quick as a gather of pixels.
    start = _multiples(count, size, reach * (wide + 1), images.device) - down * wide - right
    if flip is not None:
        padded = torch.cat((padded, padded.flip(3)))
        start = start + flip * (count * size)
    run = size - 2 * reach * (wide + 1)
    windows = padded.view(-1).as_strided((padded.numel() - run + 1, run), (1, 1))
    strides = (run, tall * wide, wide, 1)
    return windows.index_select(0, start).as_strided(images.shape, strides)


def crop(images: Tensor, area: Tensor, top: Tensor, left: Tensor) -> Tensor:
    """Cuts a window of the image's own shape ratio and scales it back to the whole canvas, bilinearly.

    Args:
        images: float32, B x C x H x W.
        area: B, share of the image's area, in (0, 1].
        top, left: B, in [0, 1): where the window lies in the room that it leaves.
    """
    height, width = images.shape[2:]
    side = area.sqrt().unsqueeze(1)
    grid = images.new_empty(len(images), height, width, 2)
    for axis, (corner, length) in enumerate(((left, width), (top, height))):
        at = corner.unsqueeze(1) * (1 - side) + side * _centres(length, images.device)
        grid[..., axis] = (2 * at - 1).unsqueeze(1 if axis == 0 else 2)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """float32 images at (height, width), bilinear; antialiased where a side shrinks."""
    if tuple(images.shape[2:]) == tuple(size):
        return images
    shrinks = size[0] < images.shape[2] or size[1] < images.shape[3]
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=shrinks)
