"""The figures: whole names, nothing over anything else, no more rows than a page holds."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from alambic.report.chapters.figures import draw_differences, draw_heat
from alambic.report.chapters.rows import MOST, DotRow, draw_dots, split_rows
from alambic.report.chapters.teachers import FAMILIES, colour_families
from alambic.report.facts.contrasts import Contrast
from alambic.report.facts.findings import find
from alambic.report.words.texts import KNOWN, read_texts, tell_teacher
from alambic.report.words.wording import LANGS
from alambic.study.ledger import Ledger, Row
from report_ledger import make_content, make_ledger


def words(drawn: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(drawn).iter("text")]


def make_teachers(path: Path, teachers: tuple[str, ...], arms: tuple[str, ...]) -> None:
    ledger, count = Ledger(path), itertools.count()
    for seed in range(3):
        pairs = [("none", None), *itertools.product(arms, teachers)]
        for index, (arm, teacher) in enumerate(pairs):
            content = make_content("dscnn_24x3", arm, "vit" if teacher else None, seed) | {
                "teacher": teacher,
                "teacher_hash": teacher,
            }
            numbers = {"tune": 0.5 + 0.001 * index + 0.01 * seed + 0.0007 * ((index * seed) % 3)}
            ledger.record(Row(f"{next(count):016}", content, "done", "", numbers))
    ledger.close()


@pytest.mark.parametrize("lang", LANGS)
def test_many_teachers_stand_in_the_heat_map_with_their_whole_names(tmp_path: Path, lang: str) -> None:
    """They read "resne…" four times, and the verdict ran over the cell."""
    names = tuple(f"resnet_of_kind_{index:02}" for index in range(30))
    make_teachers(tmp_path / "l.sqlite", names, ("kd", "vkd"))
    findings = find(tmp_path / "l.sqlite")
    drawn = draw_heat(findings.students[0], findings, lang, read_texts(lang))  # type: ignore[arg-type]
    assert len(drawn) == 2  # pages
    told = [word for part in drawn for word in words(str(part))]
    assert set(names) <= set(told)
    assert not any("…" in word for word in told)


def test_names_wider_than_their_column_stand_upright(tmp_path: Path) -> None:
    names = tuple(f"a_teacher_with_a_name_{index}" for index in range(8))
    make_teachers(tmp_path / "l.sqlite", names, tuple(f"arm{index}" for index in range(9)))
    findings = find(tmp_path / "l.sqlite")
    (drawn,) = draw_heat(findings.students[0], findings, "en", read_texts("en"))
    heads = [element for element in ET.fromstring(str(drawn)).iter("text") if element.text in names]
    assert len(heads) == 8
    assert all("rotate(-90" in element.get("transform", "") for element in heads)
    assert all(float(element.get("y", 0)) > 7 * len(names[0]) for element in heads)  # room above the first row


def test_rows_are_split_by_student_and_keep_one_scale() -> None:
    rows = [DotRow("a", head=True)] + [DotRow(f"a{i}", i) for i in range(30)]
    rows += [DotRow("b", head=True)] + [DotRow(f"b{i}", i) for i in range(90)]
    parts = split_rows(rows)
    assert [len(part) for part in parts] == [31, MOST, MOST, 13]
    assert all(part[0].head for part in parts)
    assert [row.label for part in parts for row in part if not row.head] == [r.label for r in rows if not r.head]
    drawn = [draw_dots(part, "x", "y", lambda ticks: [str(tick) for tick in ticks], rows) for part in parts]
    ticks = [[word for word in words(str(part)) if word.endswith(".0")] for part in drawn]
    assert all(found == ticks[0] for found in ticks)


def test_long_labels_take_two_lines_and_stay_apart() -> None:
    labels = [f"kd, an assistant behind the sensor from a teacher, {end}" for end in ("per tensor", "4-bit weights")]
    told = words(str(draw_dots([DotRow(label) for label in labels], "x", "y", lambda t: [str(v) for v in t])))
    assert not any("…" in word for word in told)
    assert " ".join(told).count("4-bit weights") == 1


def test_a_family_has_its_colour_in_every_figure() -> None:
    def colour(*families: str) -> dict[str, str]:
        rows = [
            SimpleNamespace(group=SimpleNamespace(rows=[Row("", {"teacher_family": f}, "done", "", {})]))
            for f in families
        ]
        return colour_families(cast("list[Contrast]", rows))

    every = colour(*FAMILIES, "my own", "other")
    assert len(set(every.values())) == len(FAMILIES) + 2
    for family in FAMILIES:
        assert colour(family, "my own") == {family: every[family], "my own": every["my own"]}


def test_no_contrast_draws_nothing(tmp_path: Path) -> None:
    findings = find(make_ledger(tmp_path / "l.sqlite", seeds=2, images=100, effects={"none": 0.0}))
    assert draw_differences(findings, "en", read_texts("en")) == []
    assert draw_heat(findings.students[0], findings, "en", read_texts("en")) == []


def test_what_a_ledger_says_of_teachers_is_told_in_both_languages() -> None:
    assert all(set(by_lang) == set(LANGS) for by_lang in KNOWN.values())
    assert tell_teacher("distilled from resnet", "fr") == "distillé de resnet"
    assert tell_teacher("distilled from resnet", "en") == "distilled from resnet"
    assert tell_teacher("labels", "fr") == "étiquettes"
    assert tell_teacher("distilled from resnet and labels", "fr") == "distillé de resnet et étiquettes"
    assert tell_teacher("somewhere", "fr") == "somewhere"
