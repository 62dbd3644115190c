"""Weights that depend on the progress of a training."""

from __future__ import annotations

import math
from collections.abc import Callable


def ramp(progress: float, share: float) -> float:
    """Rises from 0 to 1 over the first ``share`` of the training and stays there; "20 epochs of 240" is 20 / 240."""
    return min(progress / share, 1.0) if share > 0 else 1.0


# A method's factor over the progress of the training, by the names that study files use.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "rise": lambda progress: progress,
    "fall": lambda progress: 1.0 - progress,
    "cosine_fall": lambda progress: 0.5 * (1.0 + math.cos(math.pi * progress)),
    "first_half": lambda progress: float(progress < 0.5),
    "second_half": lambda progress: float(progress >= 0.5),
}
