"""What teachers gave elsewhere, as an expectation for a new data set."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from alambic.suitability.prior import FILE, Known, expect_elsewhere, read_prior
from script_tools import load_script

ROOT = Path(__file__).parents[2]


def test_the_prior_is_what_the_committed_ledgers_hold():
    assert FILE.read_text() == load_script("write_prior").gather_prior(ROOT), "run python scripts/write_prior.py"


def test_the_interval_holds_the_gains_of_a_data_set_that_it_does_not_know():
    known = read_prior()
    sets = {one.data for one in known}
    assert len(sets) >= 3
    held = []
    for data in sets:
        others = [one for one in known if one.data != data]
        for one in known:
            for headroom, gain in zip(one.headroom, one.gain, strict=True) if one.data == data else ():
                expected = expect_elsewhere(headroom, others)
                held.append(expected.low <= gain <= expected.high)
    assert np.mean(held) >= 0.9


def test_lines_of_data_sets_are_what_was_drawn():
    lines = {"a": (0.0, 10.0), "b": (1.0, 12.0), "c": (-1.0, 8.0)}
    x = (0.0, 0.1, 0.2, 0.3)
    known = [Known(d, "s", x, tuple(start + slope * h for h in x)) for d, (start, slope) in lines.items()]
    expected = expect_elsewhere(0.2, known)
    told = np.array([start + slope * 0.2 for start, slope in lines.values()])
    half = stats.t.ppf(0.975, 2) * told.std(ddof=1) * np.sqrt(4 / 3)
    assert expected.gain == pytest.approx(told.mean())
    assert (expected.low, expected.high) == pytest.approx((told.mean() - half, told.mean() + half))
    assert expected.teachers == 12
    assert expect_elsewhere(0.2, known[:1]) is None
