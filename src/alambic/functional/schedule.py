"""Weights that depend on the progress of a training."""

from __future__ import annotations


def ramp(progress: float, share: float) -> float:
    """Rises from 0 to 1 over the first ``share`` of the training and stays there; "20 epochs of 240" is 20 / 240."""
    return min(progress / share, 1.0) if share > 0 else 1.0
