"""The report's section on the chip tells what the rows hold, in both languages, and is left out without them."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from alambic.report.chip import describe_chip
from alambic.report.figures import Legend
from alambic.report.findings import find
from alambic.report.page import render_report
from report_ledger import make_ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A ledger whose rows were measured on a chip: kernels lose one point, 4-bit weights five."""
    path = make_ledger(tmp_path / "ledger.sqlite", seeds=3, images=400)
    with sqlite3.connect(path) as db:
        for key, text in db.execute("SELECT id, numbers FROM cells WHERE state = 'done'").fetchall():
            numbers = json.loads(text)
            score = numbers["test"]
            numbers |= {"test_fp32_same": score, "test_kernels": score - 0.01, "test_4bit": score - 0.05}
            numbers |= {"chip": "acc-32", "fits": False, "ram_bytes": 40_000, "flash_bytes": 3_400}
            db.execute("UPDATE cells SET numbers = ? WHERE id = ?", (json.dumps(numbers), key))
    return path


def test_losses_bytes_and_verdicts(ledger: Path) -> None:
    findings = find(ledger)
    section = describe_chip(findings, "en", Legend(findings))
    assert section is not None
    facts = {fact.name: fact for fact in findings.facts.all}
    falls = [fact for name, fact in facts.items() if name.startswith("fall 4bit/")]
    assert len(falls) == len(findings.groups)
    assert all(fact.value == pytest.approx(0.05) for fact in falls)
    with sqlite3.connect(ledger) as db:
        assert db.execute(falls[0].sql).fetchone()[0] == pytest.approx(0.05)
    assert [head[0] for head in section.table.heads][2:] == [
        "device kernels", "4-bit weights", "int8 weights", "Flash", "Arena", "RAM", "Fits",
    ]  # fmt: skip
    assert all(row[-1].text == "acc-32: no" for row in section.table.rows)


def test_the_page_holds_it_in_both_languages(ledger: Path) -> None:
    assert "On the chip" in render_report(find(ledger), "en")
    page = render_report(find(ledger), "fr")
    assert "Sur la puce" in page
    assert "acc-32: non" in page


def test_no_section_without_a_device(tmp_path: Path) -> None:
    path = make_ledger(tmp_path / "plain.sqlite", seeds=2, images=200)
    assert "On the chip" not in render_report(find(path), "en")
