"""The page of an exploration says what its ledger holds, and its stars are where a plain count puts them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from alambic.study.ledger import Ledger
from script_tools import load_script

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "studies" / "cifar100-explore"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("write_exploration")


def test_the_page_is_what_the_ledger_says(script: ModuleType) -> None:
    page = (FOLDER / "README.md").read_text()
    assert page == script.write_readme(FOLDER), "run python scripts/write_exploration.py studies/cifar100-explore"


def test_differences_and_stars_by_a_plain_count(script: ModuleType) -> None:
    ledger = Ledger(FOLDER / "ledger", read_only=True)
    labels = json.loads(ledger.meta("labels_tune") or "[]")
    rows = {row.content["arm"]["name"]: row for row in ledger.rows("done")}
    scores = script.read_scores(ledger)
    for arm in ("kd x1", "ab x0.1", "rsd x1, random teacher"):
        pair = [ledger.predictions(rows[name].id, "tune", "fp32") for name in (arm, "none")]
        changes = []
        for own, plain, label in zip(pair[0].predicted, pair[1].predicted, labels, strict=True):
            changes.append(int(own == label) - int(plain == label))
        mean = sum(changes) / len(changes)
        error = math.sqrt(sum((c - mean) ** 2 for c in changes) / (len(changes) - 1) / len(changes))
        assert script.tell(scores, arm) == f"{100 * mean:+.2f}" + (" ★" if abs(mean) > 2 * error else "")
        assert rows[arm].numbers["tune"] == pytest.approx(np.mean(pair[0].predicted == labels))
    assert script.tell(scores, "lelp x1") == "skipped"
    assert script.tell(scores, "no such arm") == "not run yet"
