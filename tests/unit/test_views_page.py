"""The page on finite views says what the four ledgers hold, and its numbers are those of a plain count."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from alambic.errors import AlambicError
from alambic.study.ledger import Ledger, Row
from alambic.study.specs import DEFAULT_VIEWS
from alambic.study.study_file import read_study
from script_tools import load_script

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("write_views")


def test_the_page_is_what_the_ledgers_say(script: ModuleType) -> None:
    assert (ROOT / script.PAGE).read_text() == script.write_page(ROOT), "run python scripts/write_views.py"


def test_means_and_differences_by_a_plain_count(script: ModuleType) -> None:
    def count_right(name: str, arm: str) -> list[float]:
        ledger = Ledger(ROOT / script.STUDY / name / "ledger", read_only=True)
        labels = json.loads(ledger.meta("labels_tune") or "[]")
        found = []
        for row in ledger.rows("done"):
            if row.content["arm"]["name"] == arm:
                said = ledger.predictions(row.id, "tune", "fp32")
                assert said is not None
                right = [int(own == label) for own, label in zip(said.predicted, labels, strict=True)]
                found.append(100 * sum(right) / len(right))
        assert len(found) == 5
        return found

    page = script.write_page(ROOT)
    for arm in ("none", "dist"):
        means = [sum(scores) / len(scores) for scores in (count_right(name, arm) for name in script.NAMES)]
        assert f"| `{arm}` | {' | '.join(f'{mean:.2f}' for mean in means)} |" in page
        change = script.read_scores(ROOT).differ(("v4", arm), ("fresh", arm))
        assert 100 * change.mean == pytest.approx(means[1] - means[3])
        assert change.low < change.mean < change.high


def test_a_missing_cell_is_named(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Ledger.rows

    def all_but_one(ledger: Ledger, state: str | None = None) -> list[Row]:
        return [row for row in rows(ledger, state) if (row.content["arm"]["name"], row.content["seed"]) != ("kd", 3)]

    monkeypatch.setattr(Ledger, "rows", all_but_one)
    with pytest.raises(AlambicError, match=r"\('v1', 'kd', 3\)"):
        script.read_scores(ROOT)


@pytest.mark.parametrize(("table", "count"), [("", None), ("[views]\nshift = 1\n", None), ("[views]\ncount = 0\n", 0)])
def test_a_study_that_names_no_views_gets_those_of_the_page(
    script: ModuleType, tmp_path: Path, table: str, count: int | None
) -> None:
    path = tmp_path / "study.toml"
    head = 'name = "a"\npurpose = "explore"\nstudents = ["dscnn_8x2"]\nmethods = ["none"]\n'
    path.write_text(f'{head}[data]\nsource = "a.npz"\n{table}')
    found = read_study(path).views.count
    assert found == (DEFAULT_VIEWS if count is None else count)
    assert f"`views.count` gets {DEFAULT_VIEWS}." in script.write_page(ROOT)
