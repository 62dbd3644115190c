"""The trivial rival of a fitted score: what the same teachers gave other students, without any estimator.

A model of one student's gains that ranks teachers for another may merely remember them; this does so openly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from alambic.suitability.judge import Block

Array = np.ndarray[Any, Any]
# name -> whether only gains by the block's own method count, where another student has any: a fitted model sees all
OTHERS = {"other_students": False, "other_students_method": True}


def add_others(blocks: Sequence[Block]) -> list[Block]:
    """The blocks with the scores ``OTHERS``, if any other student had the same data.

    A score that is everywhere the same as an earlier one, as with a single method, is left out.
    """
    found = list(blocks)
    seen: list[Array] = []
    for name, same_method in OTHERS.items():
        scores = [_mean_elsewhere(block, blocks, same_method) for block in blocks]
        told = np.concatenate(scores)
        if np.isnan(told).all() or any(np.array_equal(told, earlier, equal_nan=True) for earlier in seen):
            continue
        seen.append(told)
        found = [replace(block, scores={**block.scores, name: s}) for block, s in zip(found, scores, strict=True)]
    return found


def _mean_elsewhere(block: Block, blocks: Sequence[Block], same_method: bool) -> Array:
    """T: a teacher's mean gain, in points, in the blocks of other students; NaN where it was in none."""
    elsewhere = [other for other in blocks if other.student != block.student and other.data == block.data]
    if same_method:
        elsewhere = [other for other in elsewhere if other.method == block.method] or elsewhere
    gains: dict[str, list[float]] = {}
    for other in elsewhere:
        for teacher, gain in zip(other.teachers, other.gain, strict=True):
            gains.setdefault(teacher, []).append(float(gain))
    return np.array([np.mean(gains[t]) if t in gains else np.nan for t in block.teachers])
