"""Pooling and hierarchical distances for the references of map methods, written out in NumPy."""

from __future__ import annotations

import numpy as np


def pool(x: np.ndarray, size: tuple[int, int], reduce: object = np.mean) -> np.ndarray:
    """Adaptive pooling of one C x H x W array, cell by cell."""
    channels, height, width = x.shape
    out = np.empty((channels, *size))
    for i in range(size[0]):
        for j in range(size[1]):
            top, bottom = i * height // size[0], -(-(i + 1) * height // size[0])
            left, right = j * width // size[1], -(-(j + 1) * width // size[1])
            out[:, i, j] = reduce(x[:, top:bottom, left:right], axis=(1, 2))  # type: ignore[operator]
    return out


def hierarchical(student: np.ndarray, teacher: np.ndarray) -> np.ndarray:
    """Mean square at full size and pooled to 4, 2, 1 with weights 1, 1/2, 1/4, ... over their sum; B values."""
    rows = []
    for a, b in zip(student, teacher, strict=True):
        terms, weights, weight = [np.mean((a - b) ** 2)], [1.0], 1.0
        for side in (4, 2, 1):
            if side >= min(a.shape[1:]):
                continue
            weight = weight * 0.5
            terms.append(np.mean((pool(a, (side, side)) - pool(b, (side, side))) ** 2))
            weights.append(weight)
        rows.append(np.dot(terms, weights) / np.sum(weights))
    return np.array(rows)


def mean_square(student: np.ndarray, teacher: np.ndarray) -> np.ndarray:
    """Mean squared difference per sample; B values."""
    return np.array([np.mean((a - b) ** 2) for a, b in zip(student, teacher, strict=True)])


def amplitude(x: np.ndarray) -> np.ndarray:
    """Modulus of the orthonormal 2-D Fourier transform of one H x W array, zero frequency first; four loops."""
    height, width = x.shape
    out = np.empty((height, width))
    for u in range(height):
        for v in range(width):
            total = 0j
            for i in range(height):
                for j in range(width):
                    total += x[i, j] * np.exp(-2j * np.pi * (u * i / height + v * j / width))
            out[u, v] = abs(total) / np.sqrt(height * width)
    return out


def signed(index: int, count: int) -> int:
    """The signed frequency of a Fourier coefficient: 0, 1, ..., -2, -1; the middle one of an even count is negative."""
    return index if index < (count + 1) // 2 else index - count


def conv1x1(x: np.ndarray, layer: object) -> np.ndarray:
    """A 1x1 convolution without bias on B x C x H x W; reads the weight of a module."""
    weight = layer.weight.detach().numpy()[:, :, 0, 0]  # type: ignore[attr-defined]
    return np.einsum("oc,bchw->bohw", weight, x)


def stage_map(feature: object) -> np.ndarray:
    """B x C x H x W of a stage: prefix tokens left out, tokens in row order."""
    x = feature.tensor.detach().numpy().astype(np.float64)  # type: ignore[attr-defined]
    if feature.form == "map":  # type: ignore[attr-defined]
        return x
    height, width = feature.grid  # type: ignore[attr-defined]
    out = np.empty((len(x), x.shape[2], height, width))
    for k in range(height * width):
        out[:, :, k // width, k % width] = x[:, feature.prefix + k]  # type: ignore[attr-defined]
    return out
