"""The page on curves says what its ledgers hold, and its numbers are those of a plain count."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from alambic.study.ledger import Ledger
from script_tools import load_script

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("write_curves")


def test_the_page_is_what_the_ledgers_say(script: ModuleType) -> None:
    assert (ROOT / script.PAGE).read_text() == script.write_page(ROOT), "run python scripts/write_curves.py"


def test_means_and_gains_by_a_plain_count(script: ModuleType) -> None:
    """Of a ledger with unlabelled images, whose student alone leaves them out."""
    folder = ROOT / script.PRESENCE / "people"
    found = script.read_scores(folder, "tune")
    seen: dict[str, dict[int, float]] = {}
    for row in Ledger(folder / "ledger", read_only=True).rows("done"):
        seen.setdefault(row.content["arm"]["name"], {})[row.content["seed"]] = row.numbers["tune"]
    assert found.alone == ("none, labelled only", None)
    gains = [seen["kd"][seed] - seen["none, labelled only"][seed] for seed in seen["kd"]]
    assert len(gains) == 10
    assert found.gain(("kd", "mixer"), found).mean == pytest.approx(sum(gains) / 10)
    assert found.taught_on == ("superset",)
    fresh = script.read_scores(ROOT / script.PRESENCE / "fresh", "tune")
    alone = fresh.values[fresh.alone]
    over = [seen["kd"][seed] - alone[seed] for seed in alone]
    assert found.gain(("kd", "mixer"), fresh).mean == pytest.approx(sum(over) / len(over))
    assert sum(over) / len(over) < sum(gains) / 10  # the student alone is better with fresh views


def test_a_plateau_is_claimed_only_below_the_margin(script: ModuleType) -> None:
    def make(score: float) -> object:
        values = {("none", None): {seed: score + 1e-4 * seed for seed in range(3)}}
        draws = {side: {seed: np.full(50, value) for seed, value in own.items()} for side, own in values.items()}
        return script.Scores(values, draws, ("none", None), ())

    few, flat, higher = make(0.5), make(0.5005), make(0.51)
    (line,) = script.tell_steps({"24 epochs": few, "48 epochs": flat}, True)
    assert "is at its plateau at 24 epochs" in line
    (line,) = script.tell_steps({"24 epochs": few, "48 epochs": higher}, True)
    assert "is not shown to be at its plateau" in line
