"""From which architectures does a student learn more? Gain ~ family + what else differs between teachers + (1|teacher).

Teachers are what was drawn, so each teacher has an intercept of its own: a hundred cells of five teachers are five
observations of a family, not a hundred.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, stats

from alambic.errors import AlambicError
from alambic.suitability.ranks import adjust_holm

Array = np.ndarray[Any, Any]
LEVEL = 0.05
MATCHED = 0.02  # share of right answers within which teachers count as equally accurate


@dataclass(frozen=True)
class Taught:
    """One measured gain.

    Attributes:
        gain: points over the student alone. block: student, data and method: what else may move it. teacher: name.
        family, provenance: of the teacher. covariates: of the teacher, such as accuracy, calibration error, log size.
    """

    gain: float
    block: str
    teacher: str
    family: str
    provenance: str
    covariates: tuple[float, ...]


@dataclass(frozen=True)
class FamilyEffect:
    """Points that teachers of a family give more than those of the reference family, all else in the model equal.

    ``teachers`` of this family; the interval is at 95 %, by t with the degrees of freedom of teachers; ``p_holm`` is
    adjusted over the families of one answer.
    """

    family: str
    effect: float
    low: float
    high: float
    p: float
    teachers: int
    p_holm: float

    @property
    def is_clear(self) -> bool:
        """Whether the family differs from the reference beyond chance, all families counted."""
        return self.p_holm < LEVEL


@dataclass(frozen=True)
class FamilyAnswer:
    """All families against ``reference``.

    Attributes:
        teacher_spread, cell_spread: standard deviations of the teachers' intercepts and of cells, in points.
        freedom: degrees of freedom: teachers less the columns that differ between teachers.
    """

    reference: str
    effects: tuple[FamilyEffect, ...]
    teacher_spread: float
    cell_spread: float
    freedom: int
    teachers: int


def fit_families(rows: Sequence[Taught], reference: str = "") -> FamilyAnswer:
    """Mixed model by restricted maximum likelihood: fixed family, provenance, covariates, block; random teacher.

    Args:
        reference: the family that the others are compared with; the one with most teachers by default.

    Raises AlambicError where the teachers cannot tell families apart: too few, or families that are provenances.
    """
    names = sorted({row.teacher for row in rows})
    place = {name: index for index, name in enumerate(names)}
    group = np.array([place[row.teacher] for row in rows], dtype=np.int64)
    of = {row.teacher: row for row in rows}
    counts = {family: sum(of[n].family == family for n in names) for family in sorted({r.family for r in rows})}
    if len(counts) < 2:
        raise AlambicError(
            f"expected teachers of at least two families, got {list(counts) or 'none'}; try more teachers"
        )
    base = reference or max(counts, key=lambda family: counts[family])
    if base not in counts:
        raise AlambicError(f"expected a reference among {list(counts)}, got {base!r}")
    others = [family for family in counts if family != base]
    between = _between(rows, others)
    freedom = len(names) - _rank(np.column_stack([np.ones(len(rows)), between]))
    whole = np.column_stack([_blocks(rows), between])
    if freedom < 2 or _rank(whole) < whole.shape[1]:
        raise AlambicError(
            f"expected families that {len(names)} teachers can tell apart from accuracy, calibration, size and "
            f"provenance, got {counts}, because {between.shape[1]} effects are asked for and the columns repeat each "
            "other or leave under two degrees of freedom; try more teachers, one provenance, or fewer covariates"
        )
    gains = np.array([row.gain for row in rows])
    ratio = _choose_ratio(whole, gains, group)
    beta, covariance, cell = _solve(whole, gains, group, ratio)
    first = whole.shape[1] - between.shape[1]
    reach = float(stats.t.ppf(0.975, freedom))
    values = [float(beta[first + index]) for index in range(len(others))]
    errors = [math.sqrt(float(covariance[first + index, first + index])) for index in range(len(others))]
    chances = [
        float(2 * stats.t.sf(abs(v) / e, freedom)) if e > 0 else 1.0 for v, e in zip(values, errors, strict=True)
    ]
    effects = tuple(
        FamilyEffect(family, value, value - reach * error, value + reach * error, p, counts[family], adjusted)
        for family, value, error, p, adjusted in zip(others, values, errors, chances, adjust_holm(chances), strict=True)
    )
    return FamilyAnswer(base, effects, math.sqrt(ratio * cell), math.sqrt(cell), freedom, len(names))


def match_accuracy(rows: Sequence[Taught], column: int = 0, within: float = MATCHED) -> list[Taught]:
    """Only teachers whose accuracy (a covariate) lies in the densest window of a width: the most teachers are kept."""
    accuracy = {row.teacher: row.covariates[column] for row in rows}
    best: set[str] = set()
    for low in sorted(accuracy.values()):
        inside = {name for name, value in accuracy.items() if low <= value <= low + within + 1e-12}
        best = inside if len(inside) > len(best) else best
    return [row for row in rows if row.teacher in best]


def _blocks(rows: Sequence[Taught]) -> Array:
    blocks = sorted({row.block for row in rows})
    return np.array([[float(row.block == name) for name in blocks] for row in rows])


def _between(rows: Sequence[Taught], families: Sequence[str]) -> Array:
    """Columns that differ between teachers only: families first; constant ones are left out."""
    columns = [[float(row.family == family) for row in rows] for family in families]
    kinds = sorted({row.provenance for row in rows})[1:]
    columns += [[float(row.provenance == kind) for row in rows] for kind in kinds]
    table = np.array([row.covariates for row in rows], dtype=np.float64).reshape(len(rows), -1)
    for values in table.T:
        if float(np.ptp(values)) > 1e-12:
            columns.append(list((values - values.mean()) / values.std()))
    return np.array(columns, dtype=np.float64).T


def _rank(table: Array) -> int:
    return int(np.linalg.matrix_rank(table))


def _whiten(table: Array, group: Array, ratio: float) -> Array:
    """Rows as if independent: V = I + ratio Z Z', a shift of each teacher's mean."""
    sizes = np.bincount(group)
    sums = np.zeros((len(sizes), *table.shape[1:]))
    np.add.at(sums, group, table)
    means = (sums.T / sizes).T
    share = 1 - 1 / np.sqrt(1 + ratio * sizes)
    shift = (means.T * share).T
    return np.asarray(table - shift[group])


def _solve(x: Array, y: Array, group: Array, ratio: float) -> tuple[Array, Array, float]:
    """(coefficients, their covariance, variance of a cell) at a ratio of variances."""
    white, target = _whiten(x, group, ratio), _whiten(y, group, ratio)
    inverse = np.linalg.inv(white.T @ white)
    beta = inverse @ (white.T @ target)
    rest = target - white @ beta
    variance = float(rest @ rest) / max(len(y) - x.shape[1], 1)
    return beta, inverse * variance, variance


def _choose_ratio(x: Array, y: Array, group: Array) -> float:
    """Teacher variance over cell variance that maximises the restricted likelihood; 0 is allowed."""
    sizes = np.bincount(group)

    def loss(log_ratio: float) -> float:
        ratio = math.exp(log_ratio)
        white = _whiten(x, group, ratio)
        variance = _solve(x, y, group, ratio)[2]
        determinant = float(np.linalg.slogdet(white.T @ white)[1])
        return (
            (len(y) - x.shape[1]) * math.log(max(variance, 1e-300)) + float(np.log1p(ratio * sizes).sum()) + determinant
        )

    found = optimize.minimize_scalar(loss, bounds=(-12.0, 12.0), method="bounded")
    return 0.0 if loss(-12.0) <= found.fun else math.exp(float(found.x))
