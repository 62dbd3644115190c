"""The generated pages are those of the methods as they are now; the bibliography holds every paper."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from alambic.methods import all_methods
from alambic.study.study_file import TABLES
from alambic.training.costs import read_cost
from alambic.treatments import all_modifiers, all_treatments
from script_tools import load_script

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    load_script("study_page")  # which it imports
    return load_script("make_docs")


def test_generated_pages_are_up_to_date(script: ModuleType) -> None:
    pages = script.make_all()
    stale = [
        str(path.relative_to(ROOT)) for path, text in pages.items() if not path.exists() or path.read_text() != text
    ]
    assert not stale, f"run python scripts/make_docs.py: {stale}"
    assert set((DOCS / "methods").glob("*.md")) == {path for path in pages if path.parent.name == "methods"}


def test_a_changed_formula_would_be_seen(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(all_methods()["kd"], "formula", "another")
    assert script.make_all()[DOCS / "methods" / "kd.md"] != (DOCS / "methods" / "kd.md").read_text()


def test_check_says_what_is_stale(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["make_docs", "--check"])
    assert script.main() == 0
    monkeypatch.setattr(all_methods()["kd"], "evidence", "another")
    assert script.main() == 1
    assert "out of date: methods/kd.md" in capsys.readouterr().out


def test_every_method_has_a_measured_cost() -> None:
    missing = [name for name in all_methods() if read_cost(name) is None]
    assert not missing, f"run scripts/method_costs.py {' '.join(missing)}"


def read_entries() -> dict[str, str]:
    text = (DOCS / "references.bib").read_text()
    return dict(re.findall(r"^@\w+\{(\w+),\n(.*?)^\}$", text, re.S | re.M))


def test_bibliography_is_whole() -> None:
    entries = read_entries()
    text = (DOCS / "references.bib").read_text()
    assert len(entries) == text.count("\n@")
    assert len(entries) >= 60
    for key, fields in entries.items():
        for field in ("title", "author", "year"):
            assert re.search(rf"^  {field} = \{{.+\}},$", fields, re.M), f"{key} has no {field}"
    titles = [re.search(r"title = \{\{(.+)\}\}", fields)[1] for fields in entries.values()]  # type: ignore[index]
    assert len(set(titles)) == len(titles)


WITH_PAPER = {n: c.paper for n, c in {**all_methods(), **all_modifiers(), **all_treatments()}.items() if c.paper.year}


@pytest.mark.parametrize("name", sorted(WITH_PAPER))
def test_every_paper_is_in_the_bibliography(name: str, script: ModuleType) -> None:
    paper = WITH_PAPER[name]
    fields = read_entries()[script.cite(paper)]
    assert f"year = {{{paper.year}}}" in fields
    if paper.arxiv:
        assert f"eprint = {{{paper.arxiv}}}" in fields


def test_survey_cites_only_what_is_there() -> None:
    cited = set(re.findall(r"`([a-z]+\d{4}[a-z]+)`", (DOCS / "survey.md").read_text()))
    assert cited
    assert cited <= set(read_entries())


def test_reference_table_names_commits() -> None:
    rows = [line for line in (DOCS / "references.md").read_text().splitlines() if re.match(r"\| [a-z]\w* ?[(+|]", line)]
    methods = {re.split(r" \(| \+ ", row.strip("| "))[0].split(" |")[0] for row in rows[1:]}
    assert len(methods & set(all_methods())) >= 25
    for row in rows[1:]:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert re.fullmatch(r"[\w.-]+/[\w.+-]+@[0-9a-f]{7,40}", cells[4]), row
        ours, theirs = float(cells[1]), float(cells[2])
        assert abs(ours - theirs) <= 2e-6 * abs(theirs), row


def test_every_key_of_a_study_file_is_explained() -> None:
    page = load_script("study_page")
    read = {*TABLES, "falsifiers"} - {"arms", "teachers", "test_sensors"}
    headings = " ".join(page.TABLES)
    for table in read | {"arms", "teachers.NAME", "test_sensors.NAME"}:
        assert f"[{table}]" in headings
    for heading, classes in page.TABLES.items():
        for cls in classes:
            told = page.describe_fields(cls)
            fields = {field.name for field in dataclasses.fields(cls)} - page.FILLED_IN
            assert not fields - set(told), f"{heading}: {cls.__name__} does not explain {sorted(fields - set(told))}"
            assert all(len(text) > 3 for text in told.values())
