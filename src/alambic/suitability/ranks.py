"""Rank statistics of T teachers: correlations, also weighted ones for the bootstrap, regret, noise ceiling, Holm."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

Array = np.ndarray[Any, Any]
SPLITS = 60


def rank_middle(values: Array, weights: Array | None = None) -> Array:
    """Mid-ranks of T values; with weights B x T (how often each counts) B x T ranks of the values so repeated."""
    values = np.asarray(values, dtype=float)
    if weights is None:
        return np.asarray(stats.rankdata(values))
    below = values[:, None] < values[None, :]
    same = values[:, None] == values[None, :]
    return np.asarray(weights @ below + (weights @ same + 1) / 2)


def spearman(first: Array, second: Array) -> float:
    """Spearman's rho with mid-ranks for ties; 0 where one side is constant: it ranks nothing."""
    return _pearson(rank_middle(first), rank_middle(second))


def spearman_weighted(first: Array, second: Array, weights: Array) -> Array:
    """rho of each of B resamples; weights B x T count how often each teacher was drawn. NaN under three teachers."""
    x, y = rank_middle(first, weights), rank_middle(second, weights)
    total = weights.sum(1, keepdims=True)
    safe = np.maximum(total, 1)
    x = x - (weights * x).sum(1, keepdims=True) / safe
    y = y - (weights * y).sum(1, keepdims=True) / safe
    covariance = (weights * x * y).sum(1)
    norm = np.sqrt((weights * x * x).sum(1) * (weights * y * y).sum(1))
    rho = np.where(norm > 1e-9, covariance / np.maximum(norm, 1e-9), 0.0)
    return np.asarray(np.where((weights > 0).sum(1) >= 3, rho, np.nan))


def kendall(first: Array, second: Array) -> float:
    """Kendall's tau b; 0 where one side is constant."""
    tau = float(stats.kendalltau(first, second).statistic)
    return 0.0 if math.isnan(tau) else tau


def partial_spearman(first: Array, second: Array, others: Sequence[Array]) -> float:
    """Spearman of two rankings after both are cleared of the others by least squares on ranks.

    NaN where fewer than three teachers more than others are there.
    """
    count = len(first)
    if count < len(others) + 4:
        return math.nan
    design = np.column_stack([np.ones(count), *[rank_middle(other) for other in others]])
    cleared = [
        rank - design @ np.linalg.lstsq(design, rank, rcond=None)[0]
        for rank in (rank_middle(first), rank_middle(second))
    ]
    return _pearson(*cleared)


def _pearson(x: Array, y: Array) -> float:
    x, y = x - x.mean(), y - y.mean()
    norm = math.sqrt(float(x @ x) * float(y @ y))
    return float(x @ y) / norm if norm > 1e-9 else 0.0


def regret(score: Array, gain: Array) -> float:
    """Best gain minus the gain of the teacher with the best score; the mean over teachers that share it."""
    return float(gain.max() - gain[score == score.max()].mean())


def top_hit(score: Array, gain: Array, count: int = 3) -> float:
    """Probability that the teacher with the best gain is among ``count`` picked by score, ties drawn at random."""
    best = score[int(gain.argmax())]
    above, equal = int((score > best).sum()), int((score == best).sum())
    return min(1.0, max(0.0, (count - above) / equal))


def spearman_brown(half: float) -> float:
    """Reliability of the whole from the correlation of its halves; 0 where that is not positive."""
    return 2 * half / (1 + half) if half > 0 else 0.0


def noise_ceiling(gains: Array, seed: int = 0) -> float:
    """The highest rho that a perfect estimator could reach against the measured mean gains, T teachers x S seeds.

    Seeds are split in halves (all ways up to 60, else 60 random ones), the halves' mean gains rank-correlated, and the
    mean brought to S seeds by Spearman-Brown: that is the reliability; its root is the ceiling (attenuation). NaN with
    one seed.
    """
    seeds = gains.shape[1]
    if seeds < 2:
        return math.nan
    half = seeds // 2
    ways: list[tuple[int, ...]] = list(itertools.islice(itertools.combinations(range(seeds), half), SPLITS + 1))
    if len(ways) > SPLITS:
        generator = np.random.default_rng(seed)
        ways = [tuple(generator.permutation(seeds)[:half]) for _ in range(SPLITS)]
    found = []
    for way in ways:
        chosen = np.zeros(seeds, dtype=bool)
        chosen[list(way)] = True
        found.append(spearman(gains[:, chosen].mean(1), gains[:, ~chosen].mean(1)))
    return math.sqrt(spearman_brown(float(np.mean(found))))


def adjust_holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p values, in the given order; NaN stays NaN and does not count as a test."""
    known = [index for index, value in enumerate(p) if not math.isnan(value)]
    adjusted, floor = list(p), 0.0
    for rank, index in enumerate(sorted(known, key=lambda i: p[i])):
        floor = max(floor, min(1.0, (len(known) - rank) * p[index]))
        adjusted[index] = floor
    return adjusted


def step_over(orders: Array, kept: Sequence[int]) -> Array:
    """draws x K: permutations of K kept things out of N that permutations of all N imply.

    A thing goes where the whole permutation sends it; what is left out on the way is stepped over. So blocks that lack
    some teachers still share one permutation.

    Args:
        orders: draws x N permutations. kept: K places among the N.
    """
    local = np.full(orders.shape[1], -1)
    local[list(kept)] = np.arange(len(kept))
    found = orders[:, list(kept)]
    while (outside := local[found] < 0).any():
        found = np.where(outside, np.take_along_axis(orders, found, 1), found)
    return np.asarray(local[found])
