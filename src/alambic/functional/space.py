"""Functions of maps: distances per sample, pooling pyramids, channel statistics, frequencies and wavelets."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def mean_square(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference per sample; B x ... -> B values >= 0."""
    return (student - teacher).square().flatten(1).mean(1)


def hierarchical_mse(student: Tensor, teacher: Tensor, sizes: Sequence[int] = (4, 2, 1)) -> Tensor:
    """Mean square at full size and average-pooled to each smaller size, the k-th level weighing 2^-k, weights summing
    to 1 (ReviewKD's hierarchical context loss, arXiv 2104.09044).

    Args:
        student, teacher: B x C x H x W.
        sizes: sides of the pooled maps; those not below the shorter side are left out.

    Returns: B values >= 0.
    """
    side = min(int(student.shape[2]), int(student.shape[3]))
    value, weight, total = mean_square(student, teacher), 1.0, 1.0
    for size in sizes:
        if size >= side:
            continue
        weight /= 2
        total += weight
        # pooling is linear: the pooled difference is the difference of the pooled maps
        value = value + weight * F.adaptive_avg_pool2d(student - teacher, size).square().flatten(1).mean(1)
    return value / total


def spatial_kl(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """T² KL(teacher || student) of each channel's softmax over positions, mean over channels.

    B x C x H x W -> B values >= 0 (channel-wise distillation, arXiv 2011.13256).
    """
    log_s = F.log_softmax(student.flatten(2) / temperature, dim=2)
    log_t = F.log_softmax(teacher.flatten(2) / temperature, dim=2)
    return temperature**2 * (log_t.exp() * (log_t - log_s)).sum(2).mean(1)


def channel_gram(x: Tensor) -> Tensor:
    """Products of channels summed over positions; B x C x H x W -> B x C x C."""
    flat = x.flatten(2)
    return flat @ flat.transpose(1, 2)


def flow_matrix(bottom: Tensor, top: Tensor) -> Tensor:
    """FSP matrix: products of the channels of two maps, mean over positions; the larger map is max-pooled.

    B x C1 x H1 x W1 and B x C2 x H2 x W2 -> B x C1 x C2.
    """
    size = (min(bottom.shape[2], top.shape[2]), min(bottom.shape[3], top.shape[3]))
    low, high = (F.adaptive_max_pool2d(x, size).flatten(2) for x in (bottom, top))
    return low @ high.transpose(1, 2) / low.shape[2]


def without_mean(x: Tensor) -> Tensor:
    """The map less its mean over positions: a DCT, its DC coefficient set to zero, and the inverse DCT give just that.

    B x C x H x W, shape kept.
    """
    return x - x.mean((2, 3), keepdim=True)


def match_directions(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared distance between the channel vectors scaled to length 1, summed over positions.

    B x C x H x W -> B values in [0, 4 H W].
    """
    return (F.normalize(student, dim=1) - F.normalize(teacher, dim=1)).square().flatten(1).sum(1)


def negative_sums(x: Tensor) -> tuple[Tensor, Tensor]:
    """Per channel over batch and positions: (sum of negative values, how many); B x C x H x W -> C and C, float64."""
    below = x.clamp_max(0).double().sum((0, 2, 3))
    return below, (x < 0).double().sum((0, 2, 3))


def amplitude(x: Tensor) -> Tensor:
    """Modulus of the orthonormal 2-D Fourier transform, zero frequency in the centre; B x C x H x W, shape kept.

    The gradient at a coefficient that vanishes is 0.
    """
    spectrum = torch.fft.fftshift(torch.fft.fft2(x, norm="ortho"), dim=(2, 3))
    power = spectrum.real.square() + spectrum.imag.square()
    # sqrt has an infinite slope at 0
    return torch.where(power > 0, power.clamp_min(torch.finfo(x.dtype).tiny).sqrt(), power)


def low_frequencies(spectrum: Tensor, size: int) -> Tensor:
    """The central ``size`` x ``size`` window of a centred spectrum, all of a shorter side; B x C x H x W -> smaller."""
    height, width = int(spectrum.shape[2]), int(spectrum.shape[3])
    rows, columns = min(size, height), min(size, width)
    top, left = height // 2 - rows // 2, width // 2 - columns // 2
    return spectrum[:, :, top : top + rows, left : left + columns]


def gaussian_window(height: int, width: int, sigma: float, like: Tensor) -> Tensor:
    """exp(-r² / 2 sigma²), r = distance to the centre of a centred spectrum over half its side; height x width."""
    rows = torch.arange(height, device=like.device, dtype=like.dtype) - height // 2
    columns = torch.arange(width, device=like.device, dtype=like.dtype) - width // 2
    radius = (rows / max(height / 2, 1)).square()[:, None] + (columns / max(width / 2, 1)).square()[None, :]
    return torch.exp(-radius / (2 * sigma**2))


def haar(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One level of the orthonormal Haar transform: (low-low, low-high, high-low, high-high).

    B x C x H x W -> four of B x C x ceil(H/2) x ceil(W/2); an odd side is completed by repeating its last row or
    column. The first letter is the direction of rows (down the image), the second that of columns.
    """
    if x.shape[2] % 2 or x.shape[3] % 2:
        x = F.pad(x, (0, int(x.shape[3]) % 2, 0, int(x.shape[2]) % 2), mode="replicate")
    a, b = x[:, :, ::2, ::2], x[:, :, ::2, 1::2]
    c, d = x[:, :, 1::2, ::2], x[:, :, 1::2, 1::2]
    return (a + b + c + d) / 2, (a - b + c - d) / 2, (a + b - c - d) / 2, (a - b - c + d) / 2
