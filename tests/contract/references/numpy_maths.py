"""Softmax and friends for the references, written out in NumPy."""

from __future__ import annotations

import numpy as np


def softmax(row: np.ndarray) -> np.ndarray:
    """Of one vector."""
    e = np.exp(row - row.max())
    return e / e.sum()


def log_softmax(row: np.ndarray) -> np.ndarray:
    """Of one vector."""
    return row - row.max() - np.log(np.exp(row - row.max()).sum())


def kl(p: np.ndarray, q: np.ndarray) -> float:
    """sum p log(p / q) of two distributions; 0 log 0 = 0."""
    return float(sum(a * np.log(a / b) for a, b in zip(p, q, strict=True) if a > 0))
