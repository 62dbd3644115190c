"""Ideas beside the controls that the study file declared: fates, what is missing, what was changed."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from alambic.report.chapters.blocks import Section
from alambic.report.chapters.tables import Table
from alambic.report.check import check_report
from alambic.report.facts.findings import find
from alambic.report.page.page import write_report
from alambic.report.talk.compose import compose_slides
from alambic.study.ledger import Ledger
from alambic.study.stats import bootstrap_interval
from report_ledger import chapters, keys, make_ledger

SCORED = tuple((split, precision) for split in ("tune", "test") for precision in ("fp32", "int8"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_ledger(tmp_path_factory.mktemp("ideas") / "ledger.sqlite").read_bytes()


@pytest.fixture
def ledger(made: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(made)
    return path


def judge_falsifiers(ledger: Path, *wanted: tuple[str, list[str]], effect: float = 0.3) -> dict[str, Section]:
    held = Ledger(ledger)
    tables = [{"idea": f"idea {arm}", "arm": arm, "against": a, "smallest_effect": effect} for arm, a in wanted]
    held.set_meta("falsifiers", json.dumps(tables))
    held.close()
    return chapters(ledger)


def test_ideas_are_judged_by_the_controls_that_were_declared(ledger: Path) -> None:
    wanted = [("rsd", ["kd", "at"]), ("at", ["kd"]), ("rsd", ["kd", "uhkd"]), ("uhkd", ["kd"])]
    found = judge_falsifiers(ledger, *wanted)["ideas"]
    assert keys(found) == [
        "ideas_judged",
        "idea_survives",
        "idea_refuted",
        "idea_unfinished",  # one of its controls is not there, and the other does not refute it
        "idea_not_run",
    ]
    (table,) = [block for block in found.blocks if isinstance(block, Table)]
    assert len(table.rows) == 2 * 4  # two teachers
    slides = [slide for slide in compose_slides(find(ledger), "en") if getattr(slide.title, "key", "") == "slide_ideas"]
    assert len(slides) == 1
    assert "1 surviving, 1 refuted, 2 undecided of 4" in slides[0].title.text("en")  # type: ignore[union-attr]
    assert {str(row[-1].text) for row in table.rows} == {"survives", "refuted"}


def test_one_control_that_does_as_well_refutes_an_idea(ledger: Path) -> None:
    assert "idea_refuted" in keys(judge_falsifiers(ledger, ("rsd", ["kd", "rsd"]), effect=0.3)["ideas"])
    assert "idea_refuted" in keys(judge_falsifiers(ledger, ("rsd", ["kd"]), effect=9.0)["ideas"])


def test_an_undecided_idea_is_told_by_what_leaves_it_so(ledger: Path) -> None:
    found = judge_falsifiers(ledger, ("kd", ["at", "label_smoothing"]), effect=0.01)["ideas"]
    (claim,) = [claim for claim in found.claims if claim.key == "idea_undecided"]
    assert claim.blanks["other"].arm == "label_smoothing"  # type: ignore[union-attr]  # it surely beats at


def test_one_seed_decides_no_idea(tmp_path: Path) -> None:
    path = make_ledger(tmp_path / "ledger.sqlite", seeds=1)
    assert "idea_undecided" in keys(judge_falsifiers(path, ("at", ["rsd"]))["ideas"])


def test_an_idea_meets_controls_of_its_own_setting(tmp_path: Path) -> None:
    """Twice as many epochs lift all arms alike: within each setting there is no difference."""
    path = tmp_path / "ledger.sqlite"
    make_ledger(path, effects={"none": 0.0, "rsd": 0.0, "kd": 0.0})
    recipe = {"epochs": 16, "batch": 128, "optimizer": "sgd", "lr": 0.1}
    other = make_ledger(tmp_path / "other.sqlite", effects={"none": 0.05, "rsd": 0.05, "kd": 0.05}, recipe=recipe)
    held, more = Ledger(path), Ledger(other, read_only=True)
    for row in more.rows("done"):
        found = {key: value for key in SCORED if (value := more.predictions(row.id, *key)) is not None}
        held.record(dataclasses.replace(row, id="o" + row.id[1:]), more.curve(row.id), found)
    held.close()
    judge_falsifiers(path, ("rsd", ["kd"]), effect=2.0)
    (idea,) = find(path).ideas
    assert len(idea.contrasts) == 4  # two teachers, two settings
    assert all(contrast.group.setting == contrast.other.setting for contrast in idea.contrasts)
    assert idea.fate == "refuted"
    assert max(abs(contrast.gain.value) for contrast in idea.contrasts) < 0.02


def test_a_control_is_missed_for_each_teacher(ledger: Path) -> None:
    with sqlite3.connect(ledger) as db:
        db.execute(
            "DELETE FROM cells WHERE json_extract(content, '$.arm.name') = 'kd' AND "
            "json_extract(content, '$.teacher') = 'vit'"
        )
    judge_falsifiers(ledger, ("rsd", ["kd"]))
    (idea,) = find(ledger).ideas
    assert idea.missing == ("kd (vit), dscnn_24x3",)
    assert idea.fate == "undecided"


def test_a_control_by_another_teacher_is_compared_where_it_was_declared(ledger: Path) -> None:
    held = Ledger(ledger)
    teachers = sorted({row.content["teacher"] for row in held.rows("done") if row.content.get("teacher")})
    one, each = {teachers[1]}, set(teachers)
    for told, expected in (
        ({"against_teacher": teachers[1]}, one),
        ({}, each),
        ({"against_teacher": [teachers[1]]}, one),
    ):
        table = {"idea": "privileged", "arm": "rsd", "against": ["kd"], "smallest_effect": 0.3, **told}
        held.set_meta("falsifiers", json.dumps([table]))
        (idea,) = find(ledger).ideas
        assert {contrast.other.teacher for contrast in idea.contrasts} == expected
        assert {contrast.group.teacher for contrast in idea.contrasts} == (each - one if told else each)
        assert not idea.missing
    held.close()


def test_controls_that_were_changed_after_the_first_run_are_told(ledger: Path) -> None:
    found = judge_falsifiers(ledger, ("rsd", ["kd"]))["ideas"]
    held = Ledger(ledger)
    held.set_meta("falsifiers_first", held.meta("falsifiers") or "")
    held.close()
    assert "ideas_changed" not in keys(found)
    assert "ideas_changed" not in keys(chapters(ledger)["ideas"])
    assert "ideas_changed" in keys(judge_falsifiers(ledger, ("rsd", ["at"]))["ideas"])


def test_an_idea_that_bets_on_a_cheaper_int8_is_judged_by_what_int8_costs(ledger: Path, tmp_path: Path) -> None:
    """``rsd`` scores four points more than ``kd`` in both precisions; int8 costs both the same but for chance."""
    held = Ledger(ledger)
    tables = [{"idea": "dear", "arm": "rsd", "against": ["kd"], "smallest_effect": 0.3}]
    tables.append({**tables[0], "idea": "cheap", "measure": "int8 cost"})
    held.set_meta("falsifiers", json.dumps(tables))
    rows = held.rows("done")
    held.close()
    dear, cheap = find(ledger).ideas
    assert [dear.fate, dear.by_cost, cheap.by_cost] == ["survives", False, True]
    for contrast in cheap.contrasts:
        cost = {
            (row.content["arm"]["name"], row.content["seed"]): row.numbers["test_int8"] - row.numbers["test"]
            for row in rows
            if row.content.get("teacher") == contrast.group.teacher
        }
        plain = [cost["rsd", seed] - cost["kd", seed] for seed in range(4)]
        assert contrast.gain.value == pytest.approx(np.mean(plain), abs=1e-12)
        assert abs(contrast.gain.value) < 0.01 < 0.03 < dear.contrasts[0].gain.value
        assert "over seeds and images" in contrast.gain.how
    assert "ideas_by_cost" in keys(chapters(ledger)["ideas"])
    page = write_report(ledger, tmp_path / "report.html")
    assert not check_report(page, ledger).differences


def test_each_number_of_an_idea_is_computed_again(ledger: Path, tmp_path: Path) -> None:
    judge_falsifiers(ledger, ("rsd", ["kd"]))
    page = write_report(ledger, tmp_path / "report.html")
    assert not check_report(page, ledger).differences
    judge_falsifiers(ledger, ("rsd", ["at"]), effect=1.0)
    assert check_report(page, ledger).differences


def test_an_idea_with_many_controls_does_not_fall_by_the_bad_luck_of_one(ledger: Path) -> None:
    """The upper bound of each of its contrasts counts them all, those that are missing too."""
    judge_falsifiers(ledger, ("rsd", ["at"]))
    (alone,) = find(ledger).ideas
    assert len(alone.contrasts) == 2  # two teachers
    own = 100 * min(contrast.paired.interval.high for contrast in alone.contrasts) + 0.01
    both = 100 * min(fact.value for fact in alone.highs.values()) + 0.01
    for effect, more, fate in ((own, [], "undecided"), (both, [], "refuted"), (both, ["uhkd", "dist"], "undecided")):
        said = keys(judge_falsifiers(ledger, ("rsd", ["at", *more]), effect=effect)["ideas"])
        (idea,) = find(ledger).ideas
        assert idea.fate == fate
        assert any(contrast.paired.interval.high < idea.smallest.value for contrast in idea.contrasts)
        assert ("idea_near" in said) == (fate == "undecided")
    (contrast, _) = alone.contrasts
    draws = find(ledger).scored.draws
    sides = [[draws[row.id] for row in side.rows] for side in (contrast.group, contrast.other)]
    differences = np.array(contrast.paired.differences)
    plain = bootstrap_interval(differences, np.subtract(*np.array(sides)), 1 - 0.05 / 2)
    assert alone.highs[contrast.gain.name].value == pytest.approx(plain.high, abs=1e-12)
