"""Altered images: what a network answers to them tells what it looks at. Pure functions of pixels B x C x H x W."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from alambic.data.geometry import resize
from alambic.errors import AlambicError
from alambic.models.taps import Tapped

LSB = 1 / 255  # of the student's 8-bit input
NOISE = (0.5 * LSB, 2 * LSB)
# shares of the largest spatial frequency of a source's images; the last lets all pass
CUTOFFS = tuple(k / 8 for k in range(1, 9))
TILES = 4
OCTAVES = (1.0, 2.0, 4.0, 8.0)  # upper ends of the bands of a map's spectrum, cycles per image; a last one is above
WINDOW_SHARE, WIDEST_WINDOW = 0.95, 7 / 8


def add_noise(pixels: Tensor, amplitude: float, generator: torch.Generator) -> Tensor:
    """Uniform noise in +-amplitude; not clipped, so that black and white move too."""
    noise = torch.rand(pixels.shape, generator=generator) * 2 - 1
    return pixels + amplitude * noise.to(pixels.device)


def cut_windows(pixels: Tensor, side: int) -> list[Tensor]:
    """Five windows of side x side pixels (the corners and the middle), each scaled back to H x W.

    Raises AlambicError where the side does not fit.
    """
    height, width = int(pixels.shape[2]), int(pixels.shape[3])
    if not 0 < side <= min(height, width):
        raise AlambicError(f"expected a window between 1 and {min(height, width)} pixels, got {side}")
    bottom, right = height - side, width - side
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
    return [resize(pixels[:, :, y : y + side, x : x + side], (height, width)) for y, x in corners]


def shuffle_tiles(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Permutes the 4 x 4 tiles of each image at random; rows and columns left over at the end stay."""
    count, channels, height, width = pixels.shape
    tall, wide = height // TILES, width // TILES
    inner = pixels[:, :, : tall * TILES, : wide * TILES]
    tiles = inner.reshape(count, channels, TILES, tall, TILES, wide).permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
    order = torch.stack([torch.randperm(TILES**2, generator=generator) for _ in range(count)]).to(pixels.device)
    tiles = tiles[torch.arange(count, device=pixels.device)[:, None], order]
    moved = pixels.clone()
    grid = tiles.unflatten(1, (TILES, TILES)).permute(0, 3, 1, 4, 2, 5)
    moved[:, :, : tall * TILES, : wide * TILES] = grid.reshape(inner.shape)
    return moved


def _radius(height: int, width: int, device: torch.device) -> Tensor:
    """Spatial frequency of each entry of ``rfft2`` in cycles per pixel; the largest is the root of one half."""
    down = torch.fft.fftfreq(height, device=device)[:, None]
    across = torch.fft.rfftfreq(width, device=device)[None]
    return (down.square() + across.square()).sqrt()


def low_pass(pixels: Tensor, cutoff: float) -> Tensor:
    """Keeps spatial frequencies up to a share of the largest, the mean always; 1 gives the images back."""
    if cutoff >= 1:
        return pixels
    keep = _radius(int(pixels.shape[2]), int(pixels.shape[3]), pixels.device) / math.sqrt(0.5) <= cutoff
    return torch.fft.irfft2(torch.fft.rfft2(pixels) * keep, s=pixels.shape[2:])


def band_energy(maps: Tensor) -> Tensor | None:
    """Energy of maps B x C x H x W in the bands ``OCTAVES`` of spatial frequency, B x 5; None for maps under 4 x 4.

    Frequencies are counted in cycles per image (its shorter side), not as shares of a map's own largest one, so that
    maps of different resolutions are compared at equal frequencies; what a map is too coarse to hold is none. The mean
    is left out: it says nothing of where things are.
    """
    height, width = int(maps.shape[2]), int(maps.shape[3])
    if min(height, width) < 4:
        return None
    power = torch.fft.rfft2(maps.float()).abs().square().mean(1)
    # rfft2 leaves out the mirrored half of the columns: they count twice, but the first and, of an even width, the last
    twice = torch.full((width // 2 + 1,), 2.0, device=maps.device)
    twice[0] = 1.0
    if width % 2 == 0:
        twice[-1] = 1.0
    power = power * twice
    power[:, 0, 0] = 0.0
    cycles = _radius(height, width, maps.device) * min(height, width)
    # the least that tells two frequencies apart is larger by far than rounding, which must not move one over an end
    band = torch.bucketize(cycles - 1e-4, torch.tensor(OCTAVES, device=maps.device))
    return torch.stack([power[:, band == index].sum(1) for index in range(len(OCTAVES) + 1)], 1)


def measure_window(tapped: Tapped, images: Tensor) -> int:
    """Side of a network's effective receptive field, after Luo et al. (NeurIPS 2016, arXiv 1701.04128).

    The gradient of the middle unit of the deepest stage (sum over channels) with respect to the input is squared and
    summed over images and colours; the side is that of the smallest square about its centre of mass that holds 95 %
    of it, and at most 7/8 of the shorter side, so that windows differ from the image.

    Args:
        tapped: reads stages; the deepest one must be a map. images: B x C x H x W, normalised.
    """
    images = images.detach().requires_grad_(True)
    deepest = tapped(images).stages[-1].as_map()
    middle = deepest[:, :, deepest.shape[2] // 2, deepest.shape[3] // 2]
    (slope,) = torch.autograd.grad(middle.sum(), images)
    energy = slope.double().square().sum((0, 1))
    height, width = energy.shape
    widest = max(1, int(WIDEST_WINDOW * min(height, width)))
    total = float(energy.sum())
    if total == 0:
        return widest
    rows, columns = torch.arange(height, dtype=torch.float64), torch.arange(width, dtype=torch.float64)
    y = float((energy.sum(1).cpu() * rows).sum()) / total
    x = float((energy.sum(0).cpu() * columns).sum()) / total
    for side in range(1, widest):
        top = min(max(0, round(y - (side - 1) / 2)), height - side)
        left = min(max(0, round(x - (side - 1) / 2)), width - side)
        if float(energy[top : top + side, left : left + side].sum()) >= WINDOW_SHARE * total:
            return side
    return widest
