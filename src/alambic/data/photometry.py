"""What a view looks like: colour jitter, erasing, and the sensor of the device. Each side has its own."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from alambic.data.geometry import choose
from alambic.errors import AlambicError

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


@dataclass(frozen=True)
class Sensor:
    """A small camera, applied to every image, clean ones included.

    In this order: ``grey``, ``blur``, ``down``, noise amplified by ``gain``, clipping, ``bits``. It works on the
    file's encoded values, not on linear light.

    Attributes:
        grey: one channel, ITU-R BT.601.
        down: whole factor by which each side shrinks; a pixel is the mean of down x down. Must divide the canvas. A
            student behind it is a network for the small image: its MACs and memory are those of that size.
        shot: standard deviation of photon noise at full white and gain 1, on [0, 1]; grows with the root of brightness.
        read: standard deviation of read-out noise at gain 1, on [0, 1].
        blur: standard deviation of the lens's Gaussian blur, in canvas pixels.
        gain: amplification that makes up for a dark scene. Mean brightness stays; shot noise grows by its root, read
            noise by itself.
        bits: depth of the converter.
    """

    grey: bool = False
    down: int = 1
    shot: float = 0.0
    read: float = 0.0
    blur: float = 0.0
    gain: float = 1.0
    bits: int = 8

    def __post_init__(self) -> None:
        noise = all(0 <= value < math.inf for value in (self.shot, self.read, self.blur))
        if self.down < 1 or not 1 <= self.bits <= 16 or not 0 < self.gain < math.inf or not noise:
            raise AlambicError(
                "sensor: expected down of at least 1, bits from 1 to 16, gain above 0, no negative noise or blur, all "
                f"of them finite; got {self}"
            )


@dataclass(frozen=True)
class Photometry:
    """Random changes of brightness and colour, for one side.

    Attributes:
        brightness, contrast, saturation: strength s in [0, 1]; the factor is uniform in [1 - s, 1 + s].
        erase: probability of random erasing (Zhong et al., arXiv 1708.04896): a rectangle of 2 to 40 % of the area
            and a shape ratio up to 10 : 3 is filled with the image's mean (the authors' RE-M takes ImageNet's).
        sensor: the camera; applied last.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    erase: float = 0.0
    sensor: Sensor | None = None

    def __post_init__(self) -> None:
        strengths = (self.brightness, self.contrast, self.saturation, self.erase)
        if not all(0 <= value <= 1 for value in strengths):
            raise AlambicError(f"photometry: expected strengths and erase from 0 to 1, got {self}")

    @property
    def random(self) -> bool:
        """Whether anything but the sensor is drawn."""
        return any((self.brightness, self.contrast, self.saturation, self.erase))


def to_grey(images: Tensor) -> Tensor:
    """B x 1 x H x W."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.unbind(1)
    return (red * _LUMA[0]).add_(green, alpha=_LUMA[1]).add_(blue, alpha=_LUMA[2]).unsqueeze(1)


def jitter(images: Tensor, photometry: Photometry, draws: Tensor, active: Tensor) -> Tensor:
    """Brightness, contrast, saturation in this order, clipped to [0, 1] after each. Overwrites ``images``.

    Args:
        images: float32 in [0, 1], B x C x H x W.
        draws: uniform, B x 3.
        active: bool, B; where False the image stays as it is, exactly.
    """

    def factor(column: int, strength: float) -> Tensor:
        drawn = 1 + strength * (2 * draws[:, column] - 1)
        return torch.where(active, drawn, torch.ones_like(drawn)).view(-1, 1, 1, 1)

    if photometry.brightness:
        images.mul_(factor(0, photometry.brightness)).clamp_(0, 1)
    if photometry.contrast:
        _blend(images, to_grey(images.mean(dim=(2, 3), keepdim=True)), factor(1, photometry.contrast))
    if photometry.saturation and images.shape[1] == 3:
        _blend(images, to_grey(images), factor(2, photometry.saturation))
    return images


def _blend(images: Tensor, other: Tensor, factor: Tensor) -> None:
    # Written so that a factor of 1 gives back each value exactly; in place, since memory is what takes the time.
    images.mul_(factor).add_(other * (1 - factor)).clamp_(0, 1)


def erase(images: Tensor, draws: Tensor, active: Tensor) -> Tensor:
    """Fills one rectangle of each active image with its mean. Overwrites ``images``.

    Args:
        draws: uniform, B x 4. active: bool, B.
    """
    height, width = images.shape[2:]
    area = 0.02 + 0.38 * draws[:, 0]
    lean = 2 * draws[:, 1] - 1
    ratio = 1 + lean.abs() * (10 / 3 - 1)
    ratio = torch.where(lean < 0, torch.ones_like(ratio) / ratio, ratio)  # a division of tensors: equal on each device
    tall = ((area * ratio).sqrt() * height).round().clamp_(1, height)
    wide = ((area / ratio).sqrt() * width).round().clamp_(1, width)
    top = (draws[:, 2] * (height - tall + 1)).floor()
    left = (draws[:, 3] * (width - wide + 1)).floor()
    inside = box_mask(top, left, top + tall, left + wide, (height, width)) * active.view(-1, 1, 1, 1)
    return choose(inside, images.mean(dim=(2, 3), keepdim=True), images)


def box_mask(top: Tensor, left: Tensor, bottom: Tensor, right: Tensor, size: tuple[int, int]) -> Tensor:
    """float32, B x 1 x H x W: 1 for pixels with top <= row < bottom and left <= column < right, else 0."""
    rows = torch.arange(size[0], device=top.device).unsqueeze(0)
    columns = torch.arange(size[1], device=top.device).unsqueeze(0)
    tall = ((rows >= top.unsqueeze(1)) & (rows < bottom.unsqueeze(1))).float()
    wide = ((columns >= left.unsqueeze(1)) & (columns < right.unsqueeze(1))).float()
    return (tall.unsqueeze(2) * wide.unsqueeze(1)).unsqueeze(1)


def optics(images: Tensor, sensor: Sensor) -> Tensor:
    """The part of the sensor without chance: grey, blur, down-sampling."""
    if sensor.grey:
        images = to_grey(images)
    if sensor.blur:
        images = _gaussian(_gaussian(images, sensor.blur, 2), sensor.blur, 3)
    if sensor.down > 1:
        count, channels, height, width = images.shape
        if height % sensor.down or width % sensor.down:
            raise AlambicError(
                f"sensor: expected a canvas whose sides are multiples of down = {sensor.down}, got {height} x {width}; "
                "try another size of the data, or another down"
            )
        blocks = (count, channels, height // sensor.down, sensor.down, width // sensor.down, sensor.down)
        images = images.reshape(blocks).mean(dim=(3, 5))
    return images


def _gaussian(images: Tensor, sigma: float, dim: int) -> Tensor:
    """Blur along one axis as a sum of shifted copies: a convolution would run in TF32 on some devices."""
    length = images.shape[dim]
    radius = min(math.ceil(3 * sigma), length - 1)
    weights = [math.exp(-0.5 * (step / sigma) ** 2) for step in range(-radius, radius + 1)]
    total = sum(weights)
    padding = (0, 0, radius, radius) if dim == 2 else (radius, radius, 0, 0)
    padded = F.pad(images, padding, mode="reflect")
    blurred = torch.zeros_like(images)
    for start, weight in enumerate(weights):
        blurred.add_(padded.narrow(dim, start, length), alpha=weight / total)
    return blurred


def expose(images: Tensor, sensor: Sensor, noise: Tensor | None) -> Tensor:
    """Noise, clipping and the converter's steps. ``noise``: standard normal, shaped as the images, or None."""
    if noise is not None:
        # Shot and read noise are independent, so one normal of the summed variance is the same as two.
        variance = (images * (sensor.gain * sensor.shot**2)).add_((sensor.gain * sensor.read) ** 2)
        images = variance.sqrt_().mul_(noise).add_(images)
    levels = 2**sensor.bits - 1
    return images.clamp(0, 1).mul_(levels).round_().mul_(1 / levels)
