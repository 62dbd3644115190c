"""The arithmetic of mixup and cutmix: Beta draws from uniform ones, and boxes of whole pixels."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

Box = tuple[Tensor, Tensor, Tensor, Tensor]

_NODES = 4096


@functools.lru_cache(maxsize=32)
def _beta_table(alpha: float, device: torch.device) -> Tensor:
    """Quantiles of Beta(alpha, alpha) at 0, 1/4096, ..., 1; float32.

    With x = t^(1/alpha) / 2 the density of t on the lower half is (1 - x)^(alpha - 1), smooth where that of x has a
    pole, so the trapezoid rule is enough; the upper half is its mirror image.
    """
    t = np.linspace(0.0, 1.0, 8 * _NODES + 1)
    x = t ** (1 / alpha) / 2
    density = (1 - x) ** (alpha - 1)
    mass = np.concatenate(([0.0], np.cumsum(density[1:] + density[:-1])))
    lower = np.interp(np.linspace(0.0, 1.0, _NODES // 2 + 1), mass / mass[-1], t) ** (1 / alpha) / 2
    quantiles = np.concatenate((lower, 1 - lower[-2::-1]))
    return torch.from_numpy(quantiles).to(torch.float32).to(device)


def beta(draws: Tensor, alpha: float) -> Tensor:
    """Draws of Beta(alpha, alpha) from uniform ones in [0, 1); by table, so equal on every device."""
    table = _beta_table(alpha, draws.device)
    place = draws * _NODES
    low = place.long()
    rest = place - low
    return table[low] * (1 - rest) + table[low + 1] * rest


def cut_box(keep: Tensor, centre: Tensor, canvas: tuple[int, int]) -> Box:
    """The box of cutmix (arXiv 1905.04899, as in the authors' code): sides sqrt(1 - keep), clipped at the border.

    Args:
        keep: B in [0, 1], the drawn share. centre: B x 2 in [0, 1), (row, column).

    Returns: top, left, bottom, right in whole pixels, as float32.
    """
    height, width = canvas
    side = (1 - keep).clamp_min(0).sqrt()
    edges = []
    for axis, length in enumerate((height, width)):
        long = (side * length).floor()
        middle = (centre[:, axis] * length).floor()
        start = middle - (long * 0.5).floor()
        edges.append((start.clamp(0, length), (start + long).clamp(0, length)))
    (top, bottom), (left, right) = edges
    return top, left, bottom, right
