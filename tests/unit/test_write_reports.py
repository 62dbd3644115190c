"""``scripts/write_reports.py``: which ledgers get reports, in which formats and languages."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from script_tools import load_script


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("write_reports")


def make(root: Path, name: str, page: bool) -> Path:
    ledger = root / name / "ledger"
    ledger.mkdir(parents=True)
    (ledger / "cells.parquet").touch()
    if page:
        (root / name / "report.html").touch()
    return ledger


def test_ledgers_with_a_page_are_written_again_and_those_that_are_named(script: ModuleType, tmp_path: Path) -> None:
    told, bare = make(tmp_path, "told", page=True), make(tmp_path, "bare", page=False)
    assert script.find_ledgers([tmp_path]) == [told]
    assert script.find_ledgers([bare.parent]) == [bare]


def test_each_format_in_each_language(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = make(tmp_path, "study", page=True)
    asked: list[list[str]] = []
    monkeypatch.setattr(script, "main", lambda words: asked.append(words) or 0)
    script.write_reports(ledger)
    assert [(words[-3], words[-1]) for words in asked] == [
        ("en", str(ledger.parent)),
        ("fr", str(ledger.parent / "fr")),
    ]
    assert all({"html", "pdf", "slides"} <= set(words) for words in asked)
    monkeypatch.setattr(script, "main", lambda words: 1)
    with pytest.raises(SystemExit):
        script.write_reports(ledger)
