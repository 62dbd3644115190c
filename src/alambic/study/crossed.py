"""Differences of two arms over many teachers, students and data: what another teacher, student or data set would give.

A difference measured with one teacher speaks of that teacher. Where several were tried, each of them, each student and
each data set is one draw of its kind; the mean's error is mostly theirs, and a hundred trainings with five teachers are
five teachers. So each kind has random intercepts, crossed with each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, stats
from threadpoolctl import threadpool_limits

from alambic.errors import AlambicError
from alambic.study.stats import LEVEL

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Crossed:
    """The mean of n values over crossed factors.

    Attributes:
        mean, low, high: with its 95 % interval, of a new draw of each factor. p: two-sided, of a mean of zero.
        freedom: degrees of freedom (Satterthwaite). spreads: factor -> standard deviation of its levels, of those with
            more than one. levels: factor -> how many. rest: standard deviation of what no factor explains.
    """

    mean: float
    low: float
    high: float
    p: float
    freedom: float
    spreads: dict[str, float]
    levels: dict[str, int]
    rest: float
    count: int


def fit_crossed(
    values: Sequence[float], factors: Mapping[str, Sequence[str]], draws: Sequence[Array] | None = None
) -> Crossed:
    """y = mean + one random intercept for each factor's level + rest, by restricted maximum likelihood.

    The mean's interval is by t, its degrees of freedom by Satterthwaite's formula from the expected information on the
    variances (Kuznetsova, Brockhoff and Christensen 2017, doi 10.18637/jss.v082.i13); those that are estimated as zero
    count there too, since a handful of levels cannot show that they do not differ. A factor with one level, with as
    many as values, or with the levels of an earlier factor is left out: nothing can be told of it apart. Where none is
    left the values are draws by themselves, and this is the t interval of their mean. All were judged on the same few
    images, which no factor can tell: the mean's variance over resamples of them is added.

    Args:
        values: n. factors: name -> n labels, by importance. draws: of each value B, on resamples of the images, the
            b-th of the same images for all; None takes the images as given.

    Raises AlambicError under three values.
    """
    y = np.asarray(values, dtype=np.float64)
    levels = {name: len(set(labels)) for name, labels in factors.items()}
    kernels = _read_kernels(factors, len(y))
    if len(y) < 3:
        raise AlambicError(f"expected at least three values, got {len(y)}, because fewer show no spread; try more")
    scale = float(y.std()) or 1.0
    shapes = np.stack([*kernels.values(), np.eye(len(y))])

    def loss(logs: Array) -> tuple[float, Array]:
        value, slope = _restricted_loss(np.exp(logs), shapes, y / scale)
        return value, slope * np.exp(logs)

    starts = (np.full(len(shapes), -1.0), np.array([*[-6.0] * len(kernels), 0.0]))
    bounds = [(-16.0, 6.0)] * len(shapes)
    # small matrices: beside a training, threads that wait for a core cost a hundredfold
    with threadpool_limits(1, user_api="blas"):
        found = min(
            (optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds) for start in starts),
            key=lambda one: float(one.fun),
        )
    variances = np.where(found.x < -14.0, 0.0, np.exp(found.x)) * scale**2
    variances[-1] = max(variances[-1], 1e-16 * scale**2)
    weights, variance, freedom = _mean(variances, shapes)
    mean = float(weights @ y)
    images = float((weights @ np.stack(draws)).var(ddof=1)) if draws is not None else 0.0
    error = math.sqrt(variance + images)
    freedom *= ((variance + images) / variance) ** 2  # Satterthwaite's again: the images' part is known from many
    reach = float(stats.t.ppf(0.5 + LEVEL / 2, freedom)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, freedom))
    spreads = {name: math.sqrt(value) for name, value in zip(kernels, variances[:-1], strict=True)}
    return Crossed(
        mean, mean - reach, mean + reach, p, freedom, spreads, levels, math.sqrt(float(variances[-1])), len(y)
    )


def _read_kernels(factors: Mapping[str, Sequence[str]], count: int) -> dict[str, Array]:
    """Factor -> n x n, 1 where two values share a level."""
    kernels: dict[str, Array] = {}
    for name, labels in factors.items():
        told = np.asarray(labels, dtype=object)
        kernel = (told[:, None] == told[None, :]).astype(np.float64)
        told_already = any(np.array_equal(kernel, other) for other in kernels.values())
        if 1 < len(set(labels)) < count and not told_already:
            kernels[name] = kernel
    return kernels


def _invert(variances: Array, shapes: Array) -> tuple[Array, float]:
    """(V⁻¹, log |V|) of V = sum of variance times shape."""
    lower = np.linalg.cholesky(np.tensordot(variances, shapes, 1))
    half = np.linalg.inv(lower)
    return half.T @ half, 2 * float(np.log(np.diag(lower)).sum())


def _restricted_loss(variances: Array, shapes: Array, y: Array) -> tuple[float, Array]:
    """(minus twice the restricted log-likelihood, less a constant; its derivative by each variance)."""
    inverse, determinant = _invert(variances, shapes)
    row = inverse.sum(0)
    weight = float(row.sum())
    projected = inverse - np.outer(row, row) / weight
    rest = projected @ y
    slope = np.einsum("ij,kji->k", projected, shapes) - np.einsum("i,kij,j->k", rest, shapes, rest)
    return determinant + math.log(weight) + float(y @ rest), slope


def _mean(variances: Array, shapes: Array) -> tuple[Array, float, float]:
    """(weights of the values in the mean, its variance, degrees of freedom) by generalised least squares."""
    inverse, _ = _invert(variances, shapes)
    row = inverse.sum(0)
    variance = 1 / float(row.sum())
    projected = inverse - np.outer(row, row) * variance
    moved = np.einsum("ij,kjl->kil", projected, shapes)
    information = 0.5 * np.einsum("kij,lji->kl", moved, moved)
    slope = variance**2 * np.einsum("i,kij,j->k", row, shapes, row)
    spread = float(slope @ np.linalg.pinv(information) @ slope)
    freedom = max(1.0, 2 * variance**2 / spread) if spread > 0 else float(len(row) - 1)
    return row * variance, variance, freedom


@dataclass(frozen=True)
class Ranks:
    """Arms by their mean rank over blocks, 1 the best.

    Attributes:
        means: arm -> mean rank, the best first. critical: two arms whose mean ranks differ by less are not told apart.
        p: of no difference between any. blocks: how many.
    """

    means: dict[str, float]
    critical: float
    p: float
    blocks: int

    @property
    def alike(self) -> list[tuple[str, ...]]:
        """The longest runs of neighbours that are not told apart."""
        names = list(self.means)
        runs: list[tuple[str, ...]] = []
        for first in range(len(names)):
            run = [name for name in names[first:] if self.means[name] - self.means[names[first]] < self.critical]
            if len(run) > 1 and (not runs or run[-1] != runs[-1][-1]):
                runs.append(tuple(run))
        return runs


def rank_arms(table: Mapping[str, Sequence[float]]) -> Ranks:
    """Mean ranks, Friedman's test and Nemenyi's critical difference (Demšar, JMLR 7, 2006).

    Blocks that share a teacher, a student or data are not independent: an illustration, not a test of this package.

    Args:
        table: arm -> its score in each block, higher is better; equal scores share a rank.

    Raises AlambicError under three arms or two blocks.
    """
    scores = np.array(list(table.values()), dtype=np.float64)
    if len(scores) < 3 or scores.ndim != 2 or scores.shape[1] < 2:
        raise AlambicError(
            f"expected scores of at least three arms in two blocks, got shape {scores.shape}, because two arms have no "
            "order of ranks beyond who wins; try fit_crossed for two"
        )
    arms, blocks = scores.shape
    ranks = stats.rankdata(-scores, axis=0).mean(1)
    reach = float(stats.studentized_range.ppf(LEVEL, arms, np.inf)) / math.sqrt(2)
    order = np.argsort(ranks, kind="stable")
    names = list(table)
    p = float(stats.friedmanchisquare(*scores).pvalue)
    means = {names[place]: float(ranks[place]) for place in order}
    return Ranks(means, reach * math.sqrt(arms * (arms + 1) / (6 * blocks)), 1.0 if math.isnan(p) else p, blocks)
