"""A ledger that was changed or damaged is refused with its row and field, and one without predictions says so."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alambic.cli import main
from alambic.errors import AlambicError
from alambic.report.chapters.answers import say_caveats
from alambic.report.chapters.claims import Claim
from alambic.report.facts.findings import Findings, find
from alambic.report.page.page import write_report
from alambic.study.ledger import Ledger, Row
from report_ledger import make_ledger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_ledger(tmp_path / "ledger.sqlite", seeds=3, images=300)


def change(path: Path, edit: Callable[[dict[str, Any], dict[str, Any]], object]) -> str:
    """Edits content and numbers of one finished cell; returns its id."""
    ledger = Ledger(path)
    row = next(row for row in ledger.rows("done") if row.content["arm"]["name"] == "kd")
    edit(row.content, row.numbers)
    ledger.record(Row(row.id, row.content, row.state, row.reason, row.numbers))
    ledger.close()
    return row.id


@pytest.mark.parametrize("value", [None, "0.9", float("nan"), float("inf"), True, 1.5, [0.9]])
def test_a_score_that_is_none_is_refused(path: Path, value: Any, capsys: pytest.CaptureFixture[str]) -> None:
    cell = change(path, lambda content, numbers: numbers.update(test_int8=value))
    assert main(["report", str(path)]) == 2
    assert f"cell {cell}: expected test_int8 to be a score from 0 to 1, got {value!r}" in capsys.readouterr().err
    assert not (path.parent / "report.html").exists()


@pytest.mark.parametrize("name", ["seconds", "weight_bytes", "test_kernels", "test_on_dark"])
def test_another_number_that_is_none_is_refused(path: Path, name: str) -> None:
    cell = change(path, lambda content, numbers: numbers.update({name: float("nan")}))
    with pytest.raises(AlambicError, match=f"cell {cell}: expected {name} to be a finite number, got nan"):
        find(path)


@pytest.mark.parametrize("name", ["arm", "student", "seed", "data", "recipe"])
def test_a_cell_without_a_field_is_refused(path: Path, name: str) -> None:
    cell = change(path, lambda content, numbers: content.pop(name))
    with pytest.raises(AlambicError, match=f"cell {cell}: expected {name} to be .*, got None"):
        find(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [("seed", "0"), ("seed", 0.5), ("student", 3), ("teacher", 3), ("task", []), ("arm", {"name": "kd"}), ("data", 3)],
)
def test_a_field_of_another_kind_is_refused(path: Path, name: str, value: Any) -> None:
    cell = change(path, lambda content, numbers: content.update({name: value}))
    with pytest.raises(AlambicError, match=f"cell {cell}: expected {name} to be"):
        find(path)


CONTRAST = {"student": "dscnn_24x3", "arm": "rsd", "teacher": "vit", "against": "none"}
IDEA = {"idea": "I1", "arm": "rsd", "against": ["kd"], "smallest_effect": 0.3}


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("confirm", "{"),
        ("confirm", "{}"),
        ("confirm", "[3]"),
        ("confirm", json.dumps([{**CONTRAST, "arm": None}])),
        ("confirm", json.dumps([{**CONTRAST, "against_teacher": 3}])),
        ("labels_test", "[0, 1, 2"),
        ("labels_test", '["0"]'),
        ("labels_test", "[-2]"),
        ("class_names", "3"),
        ("seeds", "ten"),
        ("seeds_first", "1.5"),
        ("smallest_effect", "much"),
        ("smallest_effect", "NaN"),
        ("falsifiers", json.dumps([{**IDEA, "against": "kd"}])),
        ("falsifiers", json.dumps([{**IDEA, "against_teacher": ["vit", "vit"]}])),
        ("falsifiers", json.dumps([{**IDEA, "smallest_effect": None}])),
    ],
)
def test_meta_that_cannot_be_read_is_refused(path: Path, key: str, text: str) -> None:
    ledger = Ledger(path)
    ledger.set_meta("confirm", json.dumps([CONTRAST]))
    ledger.set_meta("falsifiers", json.dumps([IDEA]))
    ledger.close()
    assert find(path).declared is not None
    ledger = Ledger(path)
    ledger.set_meta(key, text)
    ledger.close()
    with pytest.raises(AlambicError, match=f"meta: expected {key} to be JSON: a "):
        find(path)


def caveats(findings: Findings) -> dict[str, Claim]:
    return {claim.key: claim for claim in say_caveats(findings)}


def ask(path: Path, query: str) -> int:
    db = sqlite3.connect(path)
    with db:
        count = db.execute(query).rowcount
    db.close()
    return count


@pytest.mark.parametrize("lost", ["", ' WHERE cell IN (SELECT id FROM cells WHERE content LIKE \'%"name": "kd"%\')'])
def test_lost_predictions_are_told(path: Path, lost: str) -> None:
    whole = find(path)
    assert "score_unseen" not in caveats(whole)
    assert {contrast.gain.how for found in whole.students for contrast in found.contrasts} == {
        "95 % interval: alambic.study.stats.compare, 2000 draws over seeds and images, paired"
    }
    count = ask(path, f"DELETE FROM predictions{lost}") // 2  # fp32 and int8
    findings = find(path)
    claim = caveats(findings)["score_unseen"]
    assert claim.blanks["count"].value == count  # type: ignore[union-attr]
    assert len(claim.rows) == count
    assert f"{count} cells" in claim.text("en")
    assert f"{count} cellules" in claim.text("fr")
    for contrast in findings.students[0].contrasts:
        alone = not lost or contrast.group.arm == "kd"
        assert ("over seeds alone (no predictions stored)" in contrast.gain.how) == alone
        assert ("over seeds and images" in contrast.gain.how) != alone


def test_labels_of_other_images_are_told(path: Path) -> None:
    ask(path, "UPDATE meta SET value = '[0, 1, 2]' WHERE key = 'labels_test'")
    assert "score_unseen" in caveats(find(path))
    assert "too narrow" in write_report(path, path.parent).read_text("utf-8")


def test_a_margin_that_was_cut_is_told(path: Path) -> None:
    ask(path, "UPDATE predictions SET margin = substr(margin, 1, 20) WHERE cell = '0000000000000000'")
    claim = caveats(find(path))["score_unseen"]
    assert claim.rows == ("0000000000000000",)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (sqlite3.DatabaseError("database disk image is malformed"), "damaged; try a copy of it, or `alambic study exp"),
        (sqlite3.OperationalError("database or disk is full"), "untouched; try freeing disk space"),
        (sqlite3.OperationalError("attempt to write a readonly database"), "untouched$"),
    ],
)
def test_what_cannot_be_written_is_told(tmp_path: Path, error: sqlite3.Error, said: str) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    with pytest.raises(AlambicError, match=said), ledger._write():
        raise error


def test_a_damaged_page_is_told(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path)
    for index in range(200):
        ledger.record(Row(f"{index}", {"text": "x" * 200}, "done", "", {}))
    ledger.close()
    whole = path.read_bytes()
    ledger = Ledger(path)
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(AlambicError, match="damaged; try a copy"):
        ledger.record(Row("150", {"text": "y" * 200}, "done", "", {}))
