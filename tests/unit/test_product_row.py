"""The page beside products says what its ledger and the others' answers hold, by a plain count."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from alambic.errors import AlambicError
from alambic.study.ledger import Ledger
from script_tools import load_script

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("write_product_row")


def test_the_page_is_what_the_ledger_says(script: ModuleType) -> None:
    assert (ROOT / script.PAGE).read_text() == script.write_page(ROOT), "run python scripts/write_product_row.py"


def test_scores_by_a_plain_count(script: ModuleType) -> None:
    home = ROOT / script.HOME
    ledger = Ledger(home / "two_cores" / "ledger", read_only=True)
    truth = json.loads(ledger.meta("labels_test") or "[]")
    assert len(truth) == 10_000
    page = (ROOT / script.PAGE).read_text()
    for name, digits in json.loads((home / script.KEPT).read_text()).items():
        hits = sum(int(digit) == label for digit, label in zip(digits, truth, strict=True))
        assert re.search(rf"\| {re.escape(name)} \| – \| {hits / 100:.2f} \|", page)
    scores: dict[str, list[float]] = {}
    for row in ledger.rows("done"):
        found = ledger.predictions(row.id, "test", "int8")
        assert found is not None
        hits = sum(int(one) == label for one, label in zip(found.predicted, truth, strict=True))
        scores.setdefault(row.content["arm"]["name"], []).append(hits / 100)
    for arm, each in scores.items():
        name = "the student alone" if arm == "none" else f"`{arm}`"
        assert re.search(rf"\| ours, {name} \| [\d.]+ \| {sum(each) / len(each):.2f} \| {len(each)} \|", page)


def test_a_missing_file_of_another_is_named(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "other.tflite").write_bytes(b"not it")
    with pytest.raises(AlambicError, match=r"MLPerf Tiny's reference.*got 1 files"):
        script.score_rivals(tmp_path)
