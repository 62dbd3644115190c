"""``scripts/write_reports.py``: which ledgers get reports, in which formats and languages."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from alambic.report.check import check_report
from alambic.study.archive import write_archive
from report_ledger import make_ledger
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


def test_each_format_in_each_language_says_what_its_ledger_says(script: ModuleType, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    write_archive(make_ledger(tmp_path / "ledger.sqlite", seeds=3, images=300), ledger)
    (tmp_path / "ledger.sqlite").unlink()
    script.write_reports(ledger)
    for folder in (tmp_path, tmp_path / "fr"):
        for name in ("report.html", "report.pdf", "slides.pptx"):
            checked = check_report(folder / name, ledger)  # one format's facts must not stand in another's stamp
            assert checked.differences == []
            assert checked.notice == ""
