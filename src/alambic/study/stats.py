"""Statistics of paired comparisons: what a study can tell apart, and what it cannot.

Two things were drawn at random, the seeds and the test images, so both are resampled: an interval that resamples
seeds only speaks of this one test set, one that resamples images only speaks of these few trainings.
Arrays: S seeds, N images, B bootstrap draws. Scores and effects are shares (0.01 = one point).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, special, stats

from alambic.errors import AlambicError

Array = np.ndarray[Any, Any]
DRAWS, LEVEL, MOST_SEEDS = 2000, 0.95, 200
_BLOCK = 250  # draws whose image weights are held at once: 250 x 10,000 images x 4 bytes = 10 MB


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with its bounds; ``image_error`` is the standard error owed to the test images alone."""

    mean: float
    low: float
    high: float
    image_error: float

    def in_points(self) -> str:
        """Of shares: "+1.20 [−0.80, +3.60]", in hundredths, with the minus sign of print."""
        return f"{100 * self.mean:+.2f} [{100 * self.low:+.2f}, {100 * self.high:+.2f}]".replace("-", "−")


@dataclass(frozen=True)
class Paired:
    """Two arms compared seed by seed: first minus second.

    Attributes:
        seeds, differences: S of each, in the same order. interval: of the mean difference.
        spread: standard deviation of the differences (NaN with one seed).
        p_t: paired t test. p_flip: sign-flip permutation test. Both two-sided; NaN with one seed.
    """

    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    interval: Interval
    spread: float
    p_t: float
    p_flip: float


def compare(
    first: dict[int, float],
    second: dict[int, float],
    first_draws: dict[int, Array] | None = None,
    second_draws: dict[int, Array] | None = None,
) -> Paired:
    """Compares two arms on the seeds that both have.

    Args:
        first, second: seed -> score. first_draws, second_draws: seed -> B scores on resampled images, the same images
            for both arms (``resample_scores``); without them the interval speaks of this one test set.

    Raises AlambicError where no seed is in both.
    """
    seeds = tuple(sorted(first.keys() & second.keys()))
    if not seeds:
        raise AlambicError(f"expected seeds common to both arms, got {sorted(first)} and {sorted(second)}")
    difference = np.array([first[seed] - second[seed] for seed in seeds])
    draws = None
    if first_draws is not None and second_draws is not None:
        draws = np.stack([first_draws[seed] - second_draws[seed] for seed in seeds])
    p_flip = sign_flip_test(difference)
    return Paired(
        seeds,
        tuple(float(value) for value in difference),
        bootstrap_interval(difference, draws),
        float(difference.std(ddof=1)) if len(seeds) > 1 else math.nan,
        paired_t_test(difference),
        p_flip,
    )


def bootstrap_interval(values: Array, draws: Array | None = None, level: float = LEVEL, seed: int = 0) -> Interval:
    """Interval of the mean of S values by bootstrap over seeds and images.

    Seeds and images are resampled apart and their deviations added. The part of the seeds is widened by
    sqrt(S/(S-1)) t/z, since a few seeds resampled with replacement spread too little (expanded percentile, Hesterberg
    2015, arXiv 1411.5279). The part of the images is deflated by what the seeds already show of the same noise: the
    plain two-way bootstrap counts the seed x image interaction three times (Owen 2007, arXiv 0712.1111).

    Args:
        values: S. draws: S x B, each seed's value on B resamples of the images; None resamples seeds only.

    Returns NaN bounds with one seed and no draws; with one seed and draws the bounds speak of that training alone.
    """
    count, mean = len(values), float(np.mean(values))
    size = DRAWS if draws is None else draws.shape[1]
    deviation = np.zeros(size)
    image_error = 0.0
    if draws is not None:
        moved = draws.mean(0)
        share = _image_share(draws)
        image_error = float(moved.std(ddof=1)) * math.sqrt(share)
        deviation += (moved - moved.mean()) * math.sqrt(share)
    if count > 1:
        generator = np.random.default_rng(seed)
        chosen = np.asarray(values)[generator.integers(count, size=(size, count))].mean(1)
        normal = stats.norm.ppf(0.5 + level / 2)
        widen = math.sqrt(count / (count - 1)) * stats.t.ppf(0.5 + level / 2, count - 1) / normal
        deviation += widen * (chosen - mean)
    elif draws is None:
        return Interval(mean, math.nan, math.nan, 0.0)
    low, high = np.quantile(deviation, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean, mean + float(low), mean + float(high), image_error)


def _image_share(draws: Array) -> float:
    """Share in [0, 1] of the images' variance of the mean that is not the seed x image interaction."""
    count = len(draws)
    of_mean = float(draws.mean(0).var(ddof=1))
    if count < 2 or of_mean == 0:
        return 1.0
    interaction = (float(draws.var(1, ddof=1).mean()) - of_mean) * count / (count - 1)
    return min(1.0, max(0.0, 1 - interaction / (count * of_mean)))


def resample_scores(
    metric: str, predicted: Array, margin: Array, labels: Array, draws: int = DRAWS, seed: int = 0
) -> Array:
    """Scores of K cells on resampled images, K x B; the b-th resample is the same images for every cell.

    Args:
        metric: as in the study's task. predicted, margin: K x N. labels: N; -1 is left out.
    """
    known = labels >= 0
    predicted, margin, labels = predicted[:, known], margin[:, known], labels[known]
    generator, count = np.random.default_rng(seed), len(labels)
    found = []
    for start in range(0, draws, _BLOCK):
        size = min(_BLOCK, draws - start)
        chosen = generator.integers(count, size=(size, count)) + count * np.arange(size)[:, None]
        weights = np.bincount(chosen.ravel(), minlength=size * count).reshape(size, count).astype(np.float32)
        found.append(weigh_scores(metric, predicted, margin, labels, weights))
    return np.concatenate(found, axis=1)


def weigh_scores(metric: str, predicted: Array, margin: Array, labels: Array, weights: Array) -> Array:
    """The metric of K cells where image n counts weights[b, n] times: K x B. Labels are all known here."""
    right = (predicted == labels).astype(np.float32)
    if metric == "accuracy":
        return np.asarray(right @ weights.T / weights.sum(1), dtype=np.float64)
    if metric == "balanced_accuracy":
        recalls = []
        for label in np.unique(labels):
            own = labels == label
            mass = weights[:, own].sum(1)
            hits = right[:, own] @ weights[:, own].T
            # a resample without any image of a class says nothing of that class
            recalls.append(np.where(mass > 0, hits / np.maximum(mass, 1), np.nan))
        return np.asarray(np.nanmean(recalls, axis=0), dtype=np.float64)
    scores = np.where(predicted == 1, np.abs(margin), -np.abs(margin))
    one = {"average_precision": _average_precision, "recall_at_1_percent_false_alarms": _recall_at_one_percent}
    if metric not in one:
        raise AlambicError(
            f"cannot resample metric {metric!r}: expected one of accuracy, balanced_accuracy, {list(one)}"
        )
    return np.stack([one[metric](score, labels == 1, weights) for score in scores])


def _average_precision(score: Array, positive: Array, weights: Array) -> Array:
    """Precision changes the sum at hits alone, so images are summed between those: a hundredth of them, where few are
    positive. Tied scores are taken together."""
    order = np.argsort(-score, kind="stable")
    positive = positive[order]
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    found = np.add.reduceat(positive.astype(np.int64), np.append(0, ends[:-1] + 1)) > 0  # of each run of equal scores
    if not found.any():
        return np.zeros(len(weights))
    last = ends[found]
    starts = np.append(0, last[:-1] + 1)
    weights = np.take(weights, order[: last[-1] + 1], axis=1)
    # counts, whose sums are exact in fp32 up to 16 million
    hits = np.cumsum(np.add.reduceat(weights * positive[: last[-1] + 1], starts, axis=1), axis=1, dtype=np.float64)
    taken = np.cumsum(np.add.reduceat(weights, starts, axis=1), axis=1, dtype=np.float64)
    precision = hits / np.maximum(taken, 1)
    recall = hits / np.maximum(hits[:, -1:], 1)
    return np.asarray((np.diff(recall, axis=1, prepend=0.0) * precision).sum(1))


def _recall_at_one_percent(score: Array, positive: Array, weights: Array) -> Array:
    negatives, hits = score[~positive], score[positive]
    order = np.argsort(-negatives)
    mass = np.cumsum(weights[:, ~positive][:, order], axis=1)
    allowed = np.floor(0.01 * mass[:, -1])
    threshold = negatives[order][(mass <= allowed[:, None]).sum(1).clip(max=len(negatives) - 1)]
    own = weights[:, positive]
    return np.asarray((own * (hits > threshold[:, None])).sum(1) / np.maximum(own.sum(1), 1))


def paired_t_test(differences: Array) -> float:
    """Two-sided p of mean difference zero; NaN with one seed.

    Differences without any spread have no t: p is 1 when they are all zero, else that of the sign-flip test.
    """
    count = len(differences)
    if count < 2:
        return math.nan
    spread = float(np.std(differences, ddof=1))
    if spread <= 1e-12:
        return sign_flip_test(differences)
    t = float(np.mean(differences)) / (spread / math.sqrt(count))
    return float(2 * stats.t.sf(abs(t), count - 1))


def sign_flip_test(differences: Array, draws: int = 20000, seed: int = 0) -> float:
    """Two-sided p by flipping signs of the S differences: all 2^S up to 14 seeds, random ones beyond; NaN with one.

    Its smallest possible value is 2 / 2^S: under six seeds it cannot reach .05.
    """
    count = len(differences)
    if count < 2:
        return math.nan
    if count <= 14:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=count)))
    else:
        signs = np.random.default_rng(seed).choice([1.0, -1.0], size=(draws, count))
        signs[0] = 1.0  # the observed assignment is one of the draws, so that p is never zero
    observed = abs(float(np.mean(differences)))
    return float((np.abs(signs @ np.asarray(differences)) / count >= observed - 1e-12).mean())


def detectable_effect(
    spread: float, seeds: int, image_error: float = 0.0, power: float = 0.8, alpha: float = 0.05
) -> float:
    """Smallest true mean difference that a paired t test finds with the given power; infinite with one seed.

    Args:
        spread: standard deviation of one paired difference over seeds. image_error: standard error of the mean that
            more seeds would not lessen, because every seed is judged on the same images; it is known from many
            images, so its part has no small-sample penalty.
    """
    if seeds < 2:
        return math.inf
    critical = stats.t.ppf(1 - alpha / 2, seeds - 1)

    def missed(shift: float) -> float:
        # the far tail of a non-central t underflows to NaN in the library; it holds less than alpha / 2
        far = float(np.nan_to_num(special.nctdtr(seeds - 1, shift, -critical)))
        return float(special.nctdtr(seeds - 1, shift, critical)) - far - (1 - power)

    shift = optimize.brentq(missed, 1e-6, critical * 4 + 10)
    sure = stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power)
    return math.hypot(float(shift) * spread / math.sqrt(seeds), float(sure) * image_error)


def seeds_needed(effect: float, spread: float, image_error: float = 0.0, most: int = MOST_SEEDS) -> int | None:
    """Fewest seeds that would detect an effect; None where ``most`` are not enough."""
    for seeds in range(2, most + 1):
        if detectable_effect(spread, seeds, image_error) <= effect:
            return seeds
    return None


def pool_spread(spreads: list[float], seeds: int) -> float:
    """One standard deviation for several contrasts of ``seeds`` pairs each; NaN where none is known.

    It is their median, so that one arm that sometimes fails to train does not set what the design could see for all;
    divided by the median of chi over sqrt(seeds - 1), since the median of such estimates lies below the truth.
    """
    known = [value for value in spreads if not math.isnan(value)]
    if not known or seeds < 2:
        return math.nan
    below = math.sqrt(stats.chi2.ppf(0.5, seeds - 1) / (seeds - 1))
    return float(np.median(known)) / below
