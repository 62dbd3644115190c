"""What a contrast's floor is made of: of its own kind of difference, not of another."""

from __future__ import annotations

import math
import statistics
from types import SimpleNamespace
from typing import Any

import pytest
from scipy.stats import chi2

from alambic.report.facts.contrasts import Spread, find_spreads
from alambic.study.stats import Interval, Paired, detectable_effect


def group(arm: str, student: str = "dscnn_24x3") -> Any:
    return SimpleNamespace(setting=1, student=student, arm=arm, is_baseline=arm == "none")


def paired(spread: float, image_error: float, seeds: int = 5) -> Paired:
    return Paired(tuple(range(seeds)), (0.01,) * seeds, Interval(0.01, 0.0, 0.02, image_error), spread, 0.01, 0.06)


def test_two_taught_arms_are_measured_by_differences_of_their_own_kind() -> None:
    quiet = [0.002, 0.003, 0.004]
    compared = [(group("kd"), group("none"), paired(0.02, 0.009))]
    compared += [(group("vkd"), group(arm), paired(each, each / 2)) for arm, each in zip("abc", quiet, strict=True)]
    compared += [(group("vkd", "other"), group("kd", "other"), paired(0.5, 0.1))]  # another student says nothing here
    alone = Spread(0.02, 0.008)
    spreads = find_spreads(compared, {(1, "dscnn_24x3"): alone})
    assert spreads[0] == alone
    assert [spread.pooled for spread in spreads[1:]] == [3, 3, 3, 1]
    typical = statistics.median(quiet) / math.sqrt(chi2.ppf(0.5, 4) / 4)
    for each, spread, (_, _, contrast) in zip(quiet, spreads[1:4], compared[1:4], strict=True):
        assert spread.floor(contrast) == pytest.approx(detectable_effect(typical, 5, each / 2))
        assert spread.floor(contrast) < alone.floor(contrast) / 2


def test_without_the_student_alone_its_contrasts_count_apart_from_the_others() -> None:
    compared = [
        (group("kd"), group("none"), paired(0.02, 0.008, 11)),
        (group("vkd"), group("kd"), paired(0.002, 0.001, 11)),
    ]
    below = math.sqrt(chi2.ppf(0.5, 10) / 10)
    first, second = find_spreads(compared, {})
    assert (first.seeds, first.images) == (pytest.approx(0.02 / below), 0.008)
    assert (second.seeds, second.images) == (pytest.approx(0.002 / below), 0.001)


def test_a_contrast_is_not_its_own_measure() -> None:
    """One of five seeds says little of its kind: differences to the student alone count, where they are coarser."""
    compared = [(group("vkd"), group("kd"), paired(0.002, 0.001))]
    alone = Spread(0.02, 0.008, 4)
    assert find_spreads(compared, {(1, "dscnn_24x3"): alone}) == [alone]
    loud = [(group("vkd"), group("kd"), paired(0.2, 0.01))]
    (own,) = find_spreads(loud, {(1, "dscnn_24x3"): alone})
    assert own.seeds > 0.2
    (only,) = find_spreads(compared, {})  # nothing else to measure by
    assert only.pooled == 1
    many = [(group("vkd"), group("kd"), paired(0.002, 0.001, seeds=11))]
    (enough,) = find_spreads(many, {(1, "dscnn_24x3"): alone})
    assert enough.seeds < 0.003


def test_the_student_alone_as_the_best_is_still_the_student_alone() -> None:
    alone = Spread(0.02, 0.008)
    assert find_spreads([(group("none"), group("kd"), paired(0.001, 0.001))], {(1, "dscnn_24x3"): alone}) == [alone]


def test_one_seed_sees_nothing() -> None:
    compared = [(group("vkd"), group("kd"), paired(math.nan, 0.001, seeds=1))]
    (spread,) = find_spreads(compared, {})
    assert math.isinf(spread.floor(compared[0][2]))
