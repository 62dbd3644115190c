"""Distances, angles and pooling for the references, in loops."""

from __future__ import annotations

import numpy as np


def unit(vector: np.ndarray) -> np.ndarray:
    """Scaled to length 1; zeros stay zeros."""
    length = np.sqrt((vector * vector).sum())
    return vector / length if length else vector


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((unit(a) * unit(b)).sum())


def distance_matrix(rows: np.ndarray) -> np.ndarray:
    return np.array([[np.sqrt(((a - b) ** 2).sum()) for b in rows] for a in rows])


def huber(gap: float) -> float:
    return gap * gap / 2 if abs(gap) < 1 else abs(gap) - 0.5


def pool(x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Adaptive average pooling of one C x H x W array, cell by cell."""
    channels, height, width = x.shape
    if (height, width) == size:
        return x
    out = np.empty((channels, *size))
    for c in range(channels):
        for i in range(size[0]):
            for j in range(size[1]):
                top, bottom = i * height // size[0], -(-(i + 1) * height // size[0])
                left, right = j * width // size[1], -(-(j + 1) * width // size[1])
                out[c, i, j] = x[c, top:bottom, left:right].mean()
    return out


def smaller(a: np.ndarray, b: np.ndarray) -> tuple[int, int]:
    """The smaller height and width of two C x H x W arrays."""
    return min(a.shape[1], b.shape[1]), min(a.shape[2], b.shape[2])


def contrast(student: np.ndarray, teacher: np.ndarray, temperature: float) -> np.ndarray:
    """InfoNCE of each row of B x D against all rows of the teacher."""
    values = []
    for b in range(len(student)):
        scores = np.array([cosine(student[b], other) for other in teacher]) / temperature
        values.append(np.log(np.exp(scores).sum()) - scores[b])
    return np.array(values)


def numbers(value) -> np.ndarray:
    """A tensor as float64 NumPy."""
    return value.detach().double().numpy()
