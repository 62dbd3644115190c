"""One way to turn an image into a canvas: grey or colour, size x size. Every source goes through it."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def fit_channels(image: Image.Image, channels: int) -> Image.Image:
    """An 8-bit image in mode L (1 channel) or RGB (3). Grey follows ITU-R 601; transparent pixels become white."""
    if image.mode.startswith("I;16"):
        deep = np.asarray(image).astype(np.uint16)
        image = Image.fromarray((deep >> 8).astype(np.uint8))
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image.convert("L" if channels == 1 else "RGB")


def resize(image: Image.Image, size: int) -> Image.Image:
    """size x size by bilinear resampling, antialiased when it shrinks; the aspect ratio is not kept."""
    return image if image.size == (size, size) else image.resize((size, size), Image.Resampling.BILINEAR)


def to_tensor(image: Image.Image) -> Tensor:
    """uint8, C x H x W, of an image in mode L or RGB."""
    array = np.array(image, dtype=np.uint8)
    return torch.from_numpy(array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1)))


def fit_images(images: Tensor, size: int | None, channels: int | None) -> Tensor:
    """Images N x C x H x W, uint8, brought to the canvas asked for; returned as they are where nothing changes."""
    count, had, height, width = images.shape
    channels = channels or had
    if size is None and channels == 3 and had == 1:
        return images.expand(-1, 3, -1, -1).contiguous()
    if channels == had and (size is None or (height, width) == (size, size)):
        return images
    fitted = torch.empty(count, channels, size or height, size or width, dtype=torch.uint8)
    for row in range(count):
        pixels = images[row, 0] if had == 1 else images[row].permute(1, 2, 0)
        image = fit_channels(Image.fromarray(pixels.contiguous().numpy()), channels)
        fitted[row] = to_tensor(image if size is None else resize(image, size))
    return fitted
