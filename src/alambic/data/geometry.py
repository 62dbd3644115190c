"""Where the pixels of a view come from: crop, shift, flip. Shared by teacher and student."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor


@functools.lru_cache(maxsize=64)
def _ramp(start: int, stop: int, step: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.arange(start, stop, step, dtype=dtype, device=device)


def shift_and_flip(
    images: Tensor, down: Tensor, right: Tensor, flip: Tensor | None, reach: int, reflect: bool
) -> Tensor:
    """Moves each image by whole pixels, then mirrors left and right where ``flip``. A gather: no value is computed.

    Args:
        images: any dtype, B x C x H x W.
        down, right: int32 or int64, B, within ±reach; positive moves the content down or to the right.
        flip: bool, B, or None.
        reflect: what enters at the border is the mirrored image instead of zeros.
    """
    count, channels, height, width = images.shape
    padded = F.pad(images, (reach,) * 4, mode="reflect" if reflect else "constant")
    tall, wide = height + 2 * reach, width + 2 * reach
    dtype = torch.int32 if padded.numel() < 2**31 else torch.int64  # half the memory traffic
    device = images.device
    rows = _ramp(reach * wide, (reach + height) * wide, wide, dtype, device) - (down * wide).unsqueeze(1)
    columns = _ramp(reach, reach + width, 1, dtype, device)
    if flip is not None:
        columns = torch.where(flip.unsqueeze(1), _ramp(reach + width - 1, reach - 1, -1, dtype, device), columns)
    columns = columns - right.unsqueeze(1)
    planes = _ramp(0, padded.numel(), tall * wide, dtype, device).view(count, channels, 1, 1)
    index = (planes + rows.view(count, 1, height, 1)) + columns.view(-1, 1, 1, width)
    return padded.view(-1).index_select(0, index.view(-1)).view(images.shape)


def crop(images: Tensor, area: Tensor, top: Tensor, left: Tensor) -> Tensor:
    """Cuts a window of the image's own shape ratio and scales it back to the whole canvas, bilinearly.

    Args:
        images: float32, B x C x H x W.
        area: B, share of the image's area, in (0, 1].
        top, left: B, in [0, 1): where the window lies in the room that it leaves.
    """
    height, width = images.shape[2:]
    side = area.sqrt()
    room = 1 - side
    # affine_grid's coordinates run from -1 to 1, so the window's centre is 2 * (corner + side / 2) - 1.
    ys, xs = (2 * (corner * room) + side - 1 for corner in (top, left))
    zero = torch.zeros_like(side)
    matrix = torch.stack((side, zero, xs, zero, side, ys), dim=1).view(-1, 2, 3)
    grid = F.affine_grid(matrix, [len(images), images.shape[1], height, width], align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """float32 images at (height, width), bilinear; antialiased where a side shrinks."""
    if tuple(images.shape[2:]) == tuple(size):
        return images
    shrinks = size[0] < images.shape[2] or size[1] < images.shape[3]
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=shrinks)
