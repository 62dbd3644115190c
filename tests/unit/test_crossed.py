"""The crossed mixed model and mean ranks, against closed forms, published numbers and a simulation."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats
from threadpoolctl import threadpool_info, threadpool_limits

from alambic.errors import AlambicError
from alambic.study import crossed
from alambic.study.crossed import fit_crossed, rank_arms


def draw(generator: np.random.Generator, teachers: int, students: int, spreads: tuple[float, float, float]) -> tuple:
    """A balanced table with one value for each teacher and student."""
    pairs = list(itertools.product(range(teachers), range(students)))
    t, s = generator.normal(0, spreads[0], teachers), generator.normal(0, spreads[1], students)
    values = [1.0 + t[i] + s[j] + generator.normal(0, spreads[2]) for i, j in pairs]
    return values, {"teacher": [f"t{i}" for i, _ in pairs], "student": [f"s{j}" for _, j in pairs]}


def test_one_factor_is_the_analysis_of_variance() -> None:
    # balanced, one factor: the mean's error is sqrt(MS between / n), its degrees of freedom levels - 1, exactly
    generator = np.random.default_rng(0)
    levels, each = 7, 4
    table = generator.normal(0, 2.0, (levels, 1)) + generator.normal(0, 0.5, (levels, each)) + 3
    found = fit_crossed(list(table.ravel()), {"teacher": [str(i) for i in range(levels) for _ in range(each)]})
    between = each * float(table.mean(1).var(ddof=1))
    within = float(table.var(1, ddof=1).mean())
    error = math.sqrt(between / (levels * each))
    assert found.mean == pytest.approx(float(table.mean()))
    assert found.freedom == pytest.approx(levels - 1, rel=1e-3)
    assert found.high - found.mean == pytest.approx(float(stats.t.ppf(0.975, levels - 1)) * error, rel=1e-3)
    assert found.rest == pytest.approx(math.sqrt(within), rel=1e-3)
    assert found.spreads["teacher"] == pytest.approx(math.sqrt((between - within) / each), rel=1e-3)


def test_two_crossed_factors_are_the_analysis_of_variance() -> None:
    # balanced, two crossed factors: variance of the mean (MSA + MSB - MSE) / n, Satterthwaite's formula over the three
    rng = np.random.default_rng(1)
    a, b = 6, 5
    values, factors = draw(rng, a, b, (2.0, 1.5, 0.5))
    table = np.array(values).reshape(a, b)
    rows, columns = table.mean(1), table.mean(0)
    rest = table - rows[:, None] - columns[None, :] + table.mean()
    msa, msb = b * float(rows.var(ddof=1)), a * float(columns.var(ddof=1))
    mse = float((rest**2).sum()) / ((a - 1) * (b - 1))
    variance = (msa + msb - mse) / (a * b)
    freedom = (msa + msb - mse) ** 2 / (msa**2 / (a - 1) + msb**2 / (b - 1) + mse**2 / ((a - 1) * (b - 1)))
    found = fit_crossed(values, factors)
    assert found.freedom == pytest.approx(freedom, rel=1e-2)
    reach = float(stats.t.ppf(0.975, found.freedom)) * math.sqrt(variance)
    assert found.high - found.mean == pytest.approx(reach, rel=1e-3)
    assert found.levels == {"teacher": 6, "student": 5}


@pytest.mark.parametrize("spreads", [(1.0, 0.5, 0.3), (0.0, 0.0, 1.0), (0.0, 1.0, 0.3)])
def test_intervals_cover_the_truth(spreads: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(150):
        values, factors = draw(rng, 8, 3, spreads)
        found = fit_crossed(values, factors)
        hits += found.low <= 1.0 <= found.high
    assert hits >= 135  # 95 % would be 142; under 135 in one of a hundred such tries


def test_as_if_cells_were_independent_would_be_too_sure() -> None:
    # the mistake that the model is for: five teachers, twenty trainings of each, no gain at all on average
    rng = np.random.default_rng(3)
    wrong = right = 0
    for _ in range(60):
        values, factors = draw(rng, 5, 20, (1.0, 0.0, 0.3))
        shifted = [value - 1 for value in values]
        wrong += stats.ttest_1samp(shifted, 0.0).pvalue < 0.05
        right += fit_crossed(shifted, factors).p < 0.05
    assert wrong > 30
    assert right <= 8


def test_what_cannot_be_told_apart_is_left_out() -> None:
    values = [0.1, 0.4, 0.2, 0.9]
    found = fit_crossed(values, {"teacher": ["a", "a", "b", "b"], "data": ["x", "x", "y", "y"], "student": ["s"] * 4})
    assert set(found.spreads) == {"teacher"}
    assert found.levels == {"teacher": 2, "data": 2, "student": 1}
    with pytest.raises(AlambicError, match="expected at least three values"):
        fit_crossed([1.0, 2.0], {"teacher": ["a", "b"]})
    # a teacher a value: plain t
    bare = fit_crossed([1.0, 2.0, 4.0], {"data": ["d"] * 3, "teacher": ["a", "b", "c"]})
    told = stats.ttest_1samp([1.0, 2.0, 4.0], 0.0)
    assert bare.spreads == {}
    assert bare.freedom == pytest.approx(2)
    assert bare.p == pytest.approx(told.pvalue, rel=1e-4)
    assert (bare.low, bare.high) == pytest.approx(tuple(told.confidence_interval()), rel=1e-4)


def test_images_widen_the_interval() -> None:
    # three values of one teacher each, judged on one set of images whose resamples move all of them together
    rng = np.random.default_rng(5)
    values, moved = [1.0, 2.0, 4.0], rng.normal(0, 2.0, 2000)
    bare, wide = fit_crossed(values, {}), fit_crossed(values, {}, [value + moved for value in values])
    assert wide.mean == bare.mean
    error = math.sqrt(float(np.var(values, ddof=1)) / 3 + float(moved.var(ddof=1)))
    assert wide.high - wide.mean == pytest.approx(float(stats.t.ppf(0.975, wide.freedom)) * error, rel=1e-3)
    assert wide.freedom > bare.freedom


def test_values_without_any_spread() -> None:
    found = fit_crossed([2.0] * 6, {"teacher": list("aabbcc")})
    assert found.mean == pytest.approx(2.0)
    assert found.high - found.low < 1e-3


def test_mean_ranks_of_a_published_table() -> None:
    # Demšar 2006, table 6: four variants of C4.5 on fourteen data sets; mean ranks 3.143, 2.000, 2.893, 1.964
    table = {
        "C4.5": [.763, .599, .954, .628, .882, .936, .661, .583, .775, 1.0, .940, .619, .972, .957],
        "+m": [.768, .591, .971, .661, .888, .931, .668, .583, .838, 1.0, .962, .666, .981, .978],
        "+cf": [.771, .590, .968, .654, .886, .916, .609, .563, .866, 1.0, .965, .614, .9751, .946],
        "+m+cf": [.798, .569, .967, .657, .898, .931, .685, .625, .875, 1.0, .962, .669, .975, .970],
    }  # fmt: skip
    found = rank_arms(table)
    assert found.means == pytest.approx({"+m+cf": 1.964, "+m": 2.0, "+cf": 2.893, "C4.5": 3.143}, abs=1e-3)
    assert found.critical == pytest.approx(2.569 * math.sqrt(4 * 5 / (6 * 14)), abs=1e-3)  # as the paper has it: 1.25
    assert found.alike == [("+m+cf", "+m", "+cf", "C4.5")]
    with pytest.raises(AlambicError, match="at least three arms"):
        rank_arms({"a": [1.0, 2.0], "b": [0.0, 1.0]})


def test_arms_that_are_told_apart() -> None:
    rng = np.random.default_rng(4)
    base = rng.normal(0, 1, 40)
    found = rank_arms({"low": list(base), "high": list(base + 1), "also high": list(base + 1 + rng.normal(0, 0.1, 40))})
    assert found.p < 1e-6
    assert found.alike == [tuple(name for name in found.means if name != "low")]


def test_small_matrices_are_not_spread_over_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    real = crossed.optimize.minimize

    def look(*args: Any, **kwargs: Any) -> Any:
        seen.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return real(*args, **kwargs)

    monkeypatch.setattr(crossed.optimize, "minimize", look)
    with threadpool_limits(2, user_api="blas"):
        fit_crossed([0.1, 0.4, 0.2, 0.9], {"teacher": ["a", "a", "b", "b"]})
    assert set(seen) == {1}
