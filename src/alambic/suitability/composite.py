"""Many estimators as one: oriented z-scores over a pool of teachers, and their plain mean. Nothing is fitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from alambic.suitability.base import Sign, all_estimators, sign_of

Array = np.ndarray[Any, Any]


def orient(values: Array, sign: Sign, pool: Array | None = None) -> Array:
    """T values so that higher promises more gain; NaN stays NaN.

    "+" as they are, "-" negated, "peak" minus the distance from the median of the pool: of all, or of those T places
    where ``pool`` is true.
    """
    if sign == "+":
        return np.asarray(values, dtype=float)
    if sign == "-":
        return -np.asarray(values, dtype=float)
    inside = np.asarray(values if pool is None else values[pool], dtype=float)
    if np.isnan(inside).all():
        return np.full(len(values), np.nan)
    return -np.abs(np.asarray(values, dtype=float) - np.nanmedian(inside))


def standardise(values: Array, pool: Array | None = None) -> Array:
    """z-scores over the teachers of the ``pool`` that have a value, all unless told; zeros where these are equal, NaN
    where missing."""
    known = ~np.isnan(values)
    z = np.full(len(values), np.nan)
    inside = values[known if pool is None else known & pool]
    if len(inside):
        spread = inside.std()
        z[known] = (values[known] - inside.mean()) / spread if spread > 1e-12 * max(1.0, np.abs(inside).max()) else 0.0
    return z


def score_pool(values: Mapping[str, Array], pool: Array | None = None) -> dict[str, Array]:
    """Estimator (or ``estimator.variant``) -> oriented z-scores of T teachers, from its raw values.

    ``pool``: T truth values, the teachers whose mean, spread and median count; all of them unless told. The others are
    scored beside them, so that a control moves no honest teacher's score.
    """
    return {name: standardise(orient(given, sign_of(name), pool), pool) for name, given in values.items()}


def combine(scores: Mapping[str, Array], pilot: bool = True) -> Array:
    """The composite: mean over the survey's estimators of a teacher's z-scores, those that it has; NaN without any.

    Baselines, variants and the yardstick stay out; ``pilot=False`` leaves out what needs a pilot too.
    """
    known = all_estimators()
    chosen = [
        given
        for name, given in scores.items()
        if name in known and known[name].kind == "estimator" and (pilot or known[name].cost != "pilot")
    ]
    if not chosen:
        return np.full(len(next(iter(scores.values()), np.empty(0))), np.nan)
    table = np.stack(chosen)
    counts = (~np.isnan(table)).sum(0)
    return np.asarray(np.where(counts > 0, np.nansum(table, 0) / np.maximum(counts, 1), np.nan))
