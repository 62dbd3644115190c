"""The report's section on the chip tells what the rows hold, in both languages, and is left out without them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from alambic.report.chapters.blocks import Figure, Section
from alambic.report.chapters.chip import describe_chip
from alambic.report.chapters.claims import Claim
from alambic.report.chapters.document import compose_document
from alambic.report.chapters.figures import Legend
from alambic.report.chapters.plots import draw_sizes
from alambic.report.chapters.tables import Table
from alambic.report.chapters.widening import describe_widening, equal_bytes, find_wider
from alambic.report.facts.findings import find
from alambic.report.page.page import render_report
from alambic.report.words.texts import read_texts
from alambic.report.words.wording import Lang
from report_ledger import make_ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A ledger whose rows were measured on a chip: kernels lose one point, 4-bit weights five."""
    path = make_ledger(tmp_path / "ledger.sqlite", seeds=4, images=400)
    with sqlite3.connect(path) as db:
        for key, text in db.execute("SELECT id, numbers FROM cells WHERE state = 'done'").fetchall():
            numbers = json.loads(text)
            score = numbers["test"]
            numbers |= {"test_fp32_same": score, "test_kernels": score - 0.01, "test_4bit": score - 0.05}
            numbers |= {"chip": "acc-32", "fits": False, "ram_bytes": 40_000, "flash_bytes": 3_400}
            db.execute("UPDATE cells SET numbers = ? WHERE id = ?", (json.dumps(numbers), key))
    return path


def read_table(section: Section) -> Table:
    """The table of scores, bytes and verdicts."""
    tables = [block for block in section.blocks if isinstance(block, Table)]
    return next(table for table in tables if table.heads[-1][0] == "Fits")


def change_rows(path: Path, change: Callable[[dict, dict], dict]) -> None:
    """Rewrites the numbers of each finished cell from its content and numbers."""
    with sqlite3.connect(path) as db:
        told = db.execute("SELECT id, content, numbers FROM cells WHERE state = 'done'").fetchall()
        for key, content, numbers in told:
            made = json.dumps(change(json.loads(content), json.loads(numbers)))
            db.execute("UPDATE cells SET numbers = ? WHERE id = ?", (made, key))


def test_losses_bytes_and_verdicts(ledger: Path) -> None:
    findings = find(ledger)
    section = describe_chip(findings, "en", Legend(findings, "en"))
    assert section is not None
    facts = {fact.name: fact for fact in findings.facts.all}
    falls = [fact for name, fact in facts.items() if name.startswith("fall 4bit/")]
    assert len(falls) == len(findings.groups)
    assert all(fact.value == pytest.approx(0.05) for fact in falls)
    with sqlite3.connect(ledger) as db:
        assert db.execute(falls[0].sql).fetchone()[0] == pytest.approx(0.05)
    table = read_table(section)
    assert [head[0] for head in table.heads][1:] == [
        "device kernels", "4-bit weights", "int8 weights", "Flash", "Arena", "RAM", "Fits",
    ]  # fmt: skip
    assert all(row[-1].text == "acc-32: no" for row in table.rows)


@pytest.mark.parametrize(("lang", "title"), [("en", "Points lost by method"), ("fr", "Points perdus par méthode")])
def test_losses_stand_in_a_table_by_method_and_arithmetic(ledger: Path, lang: Lang, title: str) -> None:
    def lose(content: dict, numbers: dict) -> dict:
        more = (0.018 + 0.004 * (content["seed"] % 2)) * (content["arm"]["name"] == "kd")
        return {**numbers, "test_per_tensor": numbers["test"] - 0.1 - more, "test_power_of_two": numbers["test"] - 0.2}

    change_rows(ledger, lose)
    findings = find(ledger)
    section = describe_chip(findings, lang, Legend(findings, lang))
    assert section is not None
    place = next(i for i, block in enumerate(section.blocks) if isinstance(block, str) and block.startswith(title))
    table = section.blocks[place + 1]
    assert isinstance(table, Table)
    beyond = section.blocks[place + 3]
    assert isinstance(beyond, Table)
    for row in beyond.rows:  # the student alone loses .1 per tensor
        more = 0.02 if row[0].text.split(" ")[0] == "kd" else 0.0
        assert [entry.value for entry in row[1:]] == pytest.approx([0.0, more, 0.0, 0.0], abs=1e-9)
    assert len(beyond.rows) == len(findings.groups) - 1
    told = [block for block in section.blocks if isinstance(block, Claim)]
    assert {(claim.key, claim.blanks["arm"].arm) for claim in told} == {("loses_more", "kd")}
    assert len(table.rows) == len(findings.groups)
    assert len(table.heads) == 5  # arm (one student alone needs no column), kernels, per tensor, powers of two, 4 bits
    for row in table.rows:
        per_tensor = 12 if row[0].text.split(" ")[0] == "kd" else 10
        assert [entry.value for entry in row[1:]] == pytest.approx([0.01, per_tensor / 100, 0.2, 0.05])
        assert all(entry.link for entry in row[1:])  # each leads to its query


def test_only_what_is_beyond_chance_among_all_arithmetics_is_told(ledger: Path) -> None:
    """One of 28 by itself at p = .03 was told as if it were certain."""

    def lose(content: dict, numbers: dict) -> dict:
        clear, chance = content["arm"]["name"] == "at", content["arm"]["name"] == "kd"
        noise = 0.001 * (content["seed"] % 2) - 0.0005
        more = (0.02 + noise) * clear + (0.002 + 2 * noise) * chance
        return {**numbers, "test_kernels": numbers["test"] - 0.01 - more, "test_4bit": numbers["test"] - 0.05}

    change_rows(ledger, lose)
    findings = find(ledger)
    section = describe_chip(findings, "en", Legend(findings, "en"))
    assert section is not None
    told = [block for block in section.blocks if isinstance(block, Claim)]
    assert {claim.blanks["arm"].arm for claim in told} == {"at"}  # type: ignore[union-attr]
    excess = [fact for fact in findings.facts.all if fact.name.startswith("excess kernels/")]
    alone = next(fact for fact in excess if 0.001 < fact.value < 0.01)
    assert alone.low is not None
    assert alone.low > 0  # by itself it would be told
    assert "(Holm over this table)" in told[0].text("en")


def test_paper_names_no_width_to_add(tmp_path: Path) -> None:
    findings = find(widen(tmp_path, "dscnn_24x3"))
    told = describe_widening(findings, "en", Legend(findings, "en"))
    assert told is not None
    assert "add dscnn_28x3" in told[1].rows[0][3].text
    assert describe_widening(findings, "en", Legend(findings, "en"), hints=False) is None
    chapter = next(section for section in compose_document(findings, "en") if section.key == "chip")
    texts = [cell.text for block in chapter.blocks if isinstance(block, Table) for row in block.rows for cell in row]
    assert not any("add dscnn" in text for text in texts)


def test_the_page_holds_it_in_both_languages(ledger: Path) -> None:
    assert "On the chip" in render_report(find(ledger), "en")
    page = render_report(find(ledger), "fr")
    assert "Sur la puce" in page
    assert "acc-32: non" in page


def test_no_section_without_a_device(tmp_path: Path) -> None:
    path = make_ledger(tmp_path / "plain.sqlite", seeds=2, images=200)
    assert "On the chip" not in render_report(find(path), "en")


def test_finalists_lose_against_the_whole_split(ledger: Path) -> None:
    """QAT and the whole split are compared with fp32 on the whole split, not on 500 images."""

    def finish(content: dict, numbers: dict) -> dict:
        best = content["arm"]["name"] in ("none", "rsd")
        whole = {"test_kernels_whole": numbers["test"] - 0.02, "test_qat_int8": numbers["test"] + 0.01}
        return {**numbers, "test_fp32_same": numbers["test"] - 0.1, **(whole if best else {})}

    change_rows(ledger, finish)
    findings = find(ledger)
    section = describe_chip(findings, "en", Legend(findings, "en"))
    assert section is not None
    table = read_table(section)
    column = [head[0] for head in table.heads].index("QAT")
    told = {row[0].text.split(" ")[0]: row[column].text for row in table.rows}
    assert {name for name, text in told.items() if text != "–"} == {"none", "rsd"}
    facts = {fact.name: fact for fact in findings.facts.all}
    for name, value in (("kernels_whole", 0.02), ("qat_int8", -0.01)):
        falls = [fact for key, fact in facts.items() if key.startswith(f"fall {name}/")]
        assert len(falls) == 3  # none, and rsd of two teachers
        assert all(fact.value == pytest.approx(value) for fact in falls)
        with sqlite3.connect(ledger) as db:
            assert db.execute(falls[0].sql).fetchone()[0] == pytest.approx(value)


def test_score_against_ram(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path / "l.sqlite", seeds=4, images=400, students=("dscnn_24x3", "dscnn_28x3"))

    def measure(content: dict, numbers: dict) -> dict:
        bytes_ = 40_000 if content["student"] == "dscnn_24x3" else 50_000
        told = {"test_fp32_same": numbers["test"], "test_kernels": numbers["test"], "chip": "acc-32", "fits": False}
        return {**numbers, **told, "ram_bytes": bytes_, "arena_bytes": bytes_}

    change_rows(ledger, measure)
    findings = find(ledger)
    section = describe_chip(findings, "en", Legend(findings, "en"))
    assert section is not None
    (figure,) = [block for block in section.blocks if isinstance(block, Figure) and "acc-32" in block.caption]
    assert figure.drawing.count("<a ") == len(findings.groups)
    assert "40,000" in figure.drawing
    # two chips, as in rows that a changed study left: the arena is the same for both
    change_rows(ledger, lambda content, numbers: {**numbers, "chip": f"chip {content['seed'] % 2}"})
    findings = find(ledger)
    section = describe_chip(findings, "en", Legend(findings, "en"))
    assert section is not None
    assert [block for block in section.blocks if isinstance(block, Figure) and "arena" in block.caption]


def test_bytes_that_are_the_same_for_all_are_no_picture(ledger: Path) -> None:
    findings = find(ledger)
    assert draw_sizes(findings, "en", read_texts("en"), Legend(findings, "en")) is None
    section = describe_chip(findings, "en", Legend(findings, "en"))
    assert section is not None
    assert not [block for block in section.blocks if isinstance(block, Figure) and "acc-32" in block.caption]


def widen(tmp_path: Path, *students: str) -> Path:
    path = make_ledger(tmp_path / "wide.sqlite", seeds=3, images=2000, students=students)
    change_rows(
        path, lambda _, numbers: {**numbers, "test_fp32_same": numbers["test"], "test_kernels": numbers["test"]}
    )
    return path


def mean_score(path: Path, student: str, arm: str, teacher: str | None) -> dict[int, float]:
    """Seed -> int8 test score, straight from the ledger."""
    with sqlite3.connect(path) as db:
        rows = [(json.loads(c), json.loads(n)) for c, n in db.execute("SELECT content, numbers FROM cells")]
    found = {
        content["seed"]: numbers["test_int8"]
        for content, numbers in rows
        if (content["student"], content["arm"]["name"], content["teacher"]) == (student, arm, teacher)
    }
    assert len(found) == 3
    return found


def test_distillation_against_the_next_width(tmp_path: Path) -> None:
    """The wider student gains five points for 9,000 bytes; rsd gains four for none."""
    path = widen(tmp_path, "dscnn_24x3", "dscnn_28x3")
    findings = find(path)
    narrow = next(found for found in findings.students if found.student == "dscnn_24x3")
    widened = find_wider(narrow, findings)
    assert widened is not None
    plain, wider = (mean_score(path, student, "none", None) for student in ("dscnn_24x3", "dscnn_28x3"))
    rsd = mean_score(path, "dscnn_24x3", "rsd", "vit")
    assert widened.wider.student == "dscnn_28x3"
    assert [fact.value for fact in widened.bytes] == [3400, 12_400]
    assert widened.gain.value == pytest.approx(np.mean([wider[seed] - plain[seed] for seed in range(3)]))
    told = describe_widening(findings, "en", Legend(findings, "en"))
    assert told is not None
    figure, table = told
    assert figure is not None
    assert "dscnn_28x3, +265 %" in figure
    row = next(
        row for row in table.rows if row[0].text == "dscnn_24x3" and "rsd" in row[1].text and "vit" in row[1].text
    )
    assert row[6].value == pytest.approx(np.mean([rsd[seed] - wider[seed] for seed in range(3)]))
    means = [float(np.mean(list(scores.values()))) for scores in (plain, rsd, wider)]
    share = (means[1] - means[0]) / (means[2] - means[0])
    assert row[7].value == pytest.approx(3400 ** (1 - share) * 12_400**share)
    with sqlite3.connect(path) as db:
        fact = next(fact for fact in findings.facts.all if f"#{fact.anchor}" == row[6].link)
        assert db.execute(fact.sql).fetchone()[0] == pytest.approx(fact.value)
    wide = next(row for row in table.rows if row[0].text == "dscnn_28x3")
    assert wide[3].text == "none in this study: add dscnn_32x3"
    assert "Width for bytes" in render_report(find(path), "en")
    assert "La largeur au prix des octets" in render_report(find(path), "fr")


@pytest.mark.parametrize("other", ["resnet8_w8", "dscnn_24x4"])
def test_another_family_is_no_control(tmp_path: Path, other: str) -> None:
    findings = find(widen(tmp_path, "dscnn_24x3", other))
    assert all(find_wider(found, findings) is None for found in findings.students)


def test_bytes_of_equal_score() -> None:
    assert equal_bytes(0.5, [100, 10_000], [0.4, 0.6]) == pytest.approx(1000)
    assert equal_bytes(0.6, [100, 10_000], [0.4, 0.6]) == pytest.approx(10_000)
    assert equal_bytes(0.7, [100, 10_000], [0.4, 0.6]) is None
    assert equal_bytes(0.3, [100, 10_000], [0.4, 0.6]) is None
    assert equal_bytes(0.5, [1, 10, 100], [0.4, 0.4, 0.6]) == pytest.approx(10**1.5)
