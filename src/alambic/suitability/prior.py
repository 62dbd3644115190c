"""What teachers gave in the studies of this repository: what may be expected of one before anything is distilled.

``prior.json`` holds, of each data set and student whose teachers were judged, the headroom (estimator ``headroom``) and
the gain by ``kd`` of every honest teacher. ``scripts/write_prior.py`` writes it from the committed ledgers.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from alambic.suitability.advice import Expected

Array = np.ndarray[Any, Any]
FILE = Path(__file__).with_name("prior.json")
METHOD = "kd"


@dataclass(frozen=True)
class Known:
    """Of one data set and student: per teacher the headroom, a share, and the gain by ``METHOD``, points."""

    data: str
    student: str
    headroom: tuple[float, ...]
    gain: tuple[float, ...]


@functools.cache
def read_prior() -> tuple[Known, ...]:
    """What comes with the package; read once, since every teacher of a ranking asks."""
    told = json.loads(FILE.read_text())
    return tuple(Known(one["data"], one["student"], tuple(one["headroom"]), tuple(one["gain"])) for one in told)


def expect_elsewhere(headroom: float, known: Sequence[Known]) -> Expected | None:
    """Gain in points on a data set that is none of theirs, with a 95 % prediction interval; None without two of them.

    Gain rises with headroom along a line that is each data set's own (the mean of its students'), so data sets are what
    was drawn: the interval comes from how their lines differ at this headroom, and from how teachers scatter around
    them, by t with one degree of freedom less than there are data sets.
    """
    lines: dict[str, list[tuple[float, float]]] = {}
    for one in known:
        x, y = np.array(one.headroom), np.array(one.gain)
        slope, start = np.polyfit(x, y, 1)
        rest = y - start - slope * x
        lines.setdefault(one.data, []).append((float(start + slope * headroom), float(rest @ rest) / (len(x) - 2)))
    if len(lines) < 2:
        return None
    told = np.array([np.mean(found, axis=0) for found in lines.values()])
    spread = float(told[:, 0].var(ddof=1)) * (1 + 1 / len(told)) + float(told[:, 1].mean())
    half = float(stats.t.ppf(0.975, len(told) - 1)) * math.sqrt(spread)
    mean = float(told[:, 0].mean())
    return Expected(mean, mean - half, mean + half, sum(len(one.gain) for one in known))
