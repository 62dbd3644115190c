"""Studies without the student alone, arms with recipes of their own, settings, arms that were never tested."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from alambic.report.chapters.answers import say_answers, say_caveats, say_sight
from alambic.report.chapters.blocks import HINTS
from alambic.report.chapters.claims import Words
from alambic.report.chapters.document import compose_document
from alambic.report.chapters.tables import Table, tabulate_teachers
from alambic.report.facts.findings import Findings, find
from alambic.report.page.page import render_report
from alambic.report.talk.compose import compose_slides
from alambic.report.words.texts import read_texts
from alambic.study.ledger import Ledger
from report_ledger import chapters, keys, make_ledger

RECIPE = {"epochs": 8, "batch": 128, "optimizer": "sgd", "lr": 0.1}


def change(path: Path, arm: str, treatments: tuple[str, ...] = (), **content: Any) -> None:
    """Gives the cells of an arm treatments and other content."""
    with sqlite3.connect(path) as db:
        for key, text in db.execute("SELECT id, content FROM cells").fetchall():
            told = json.loads(text)
            if told["arm"]["name"] == arm:
                told["arm"]["treatments"] = list(treatments)
                db.execute("UPDATE cells SET content = ? WHERE id = ?", (json.dumps({**told, **content}), key))


def make_arms(path: Path, **meta: object) -> Findings:
    """A study of arms that all have a teacher, with an idea's falsifier."""
    make_ledger(path, images=400, effects={"kd": 0.0, "rsd": 0.04})
    held = Ledger(path)
    told = {"idea": "our idea", "arm": "rsd", "against": ["kd"], "smallest_effect": 0.3}
    for key, value in {"falsifiers": json.dumps([told]), "purpose": "explore", **meta}.items():
        held.set_meta(key, str(value))
    held.close()
    return find(path)


def test_a_study_without_the_student_alone_says_what_it_could_see_between_its_arms(tmp_path: Path) -> None:
    """Its deck said that it could have told nothing from chance, then that one idea survives."""
    findings = make_arms(tmp_path / "l.sqlite")
    ((first, *_),) = say_sight(findings)
    assert first.key == "sight_between"
    (found,) = findings.students
    assert found.between is not None
    assert found.between.effect is not None
    for lang in ("en", "fr"):
        slides = compose_slides(findings, lang)
        titles = {getattr(slide.title, "key", ""): slide.title for slide in slides}
        assert "slide_sight_between" in titles
        assert not {"slide_blind", "headline_none", "shown_none"} & set(titles)
        limits = titles["slide_limits"]
        assert limits.blanks["seeds"] == found.between.seeds  # type: ignore[union-attr]
        words = [
            *(line for slide in slides for line in slide.lines),
            *(claim.text(lang) for slide in slides for claim in slide.notes),
            *(slide.title if isinstance(slide.title, str) else slide.title.text(lang) for slide in slides),
        ]
        assert not any("none was not" in text or "n’a pas été entraîné" in text for text in words)
        page = render_report(findings, lang)
        assert 'data-claim="no_baseline"' not in page
        assert 'id="recommendations"' not in page
    told = {section.key: section for section in compose_document(findings, "en")}
    assert keys(told["survey"]) == ["compared_arms"]
    assert not told["recommendations"].blocks
    assert "best_tied" in keys(told["results"])
    (table,) = [block for block in told["results"].blocks if isinstance(block, Table)]
    assert "Gain, points" not in [head for head, _, _ in table.heads]


def test_without_contrasts_the_seeds_are_counted_in_the_rows(tmp_path: Path) -> None:
    findings = make_arms(tmp_path / "l.sqlite", falsifiers="[]")
    last = compose_slides(findings, "en")[-1].title
    assert last.text("en") == "What holds on toy with 4 seeds may not hold elsewhere"  # type: ignore[union-attr]
    assert say_sight(findings)[0][0].key == "no_baseline"


def test_a_longer_schedule_is_a_recipe_of_its_own(tmp_path: Path) -> None:
    """It had no shared_recipe in its cells, so all arms were said to take the same steps."""
    path = make_ledger(tmp_path / "l.sqlite", images=200, effects={"none": 0.0, "kd": 0.0, "rsd": 0.0})
    assert "same_recipe" in keys(chapters(path)["protocol"])
    change(path, "rsd", recipe={**RECIPE, "epochs": 16})
    (told,) = [claim for claim in chapters(path)["protocol"].claims if claim.key == "own_recipes"]
    assert told.blanks["listing"] == (Words({"en": "rsd: epochs 16", "fr": "rsd : 16 époques"}),)
    titles = [getattr(slide.title, "key", "") for slide in compose_slides(find(path), "en")]
    assert "slide_protocol_tuned" in titles


def test_settings_are_compared_by_what_the_study_names_alone(tmp_path: Path) -> None:
    path = make_ledger(tmp_path / "l.sqlite", images=200, effects={"none": 0.0, "kd": 0.0, "rsd": 0.0})
    change(path, "rsd", ("longer_schedule",), recipe={**RECIPE, "epochs": 16})
    assert "settings" in {claim.key for claim in say_caveats(find(path))}
    held = Ledger(path)
    told = {"student": "dscnn_24x3", "arm": "rsd", "teacher": "vit", "against": "kd"}
    held.set_meta("confirm", json.dumps([told]))
    held.close()
    said = {claim.key: claim for claim in say_caveats(find(path))}
    assert "settings" not in said
    assert "only declared contrasts and ideas compare across them" in said["settings_declared"].text("en")


def test_an_arm_with_one_seed_in_common_was_never_tested(tmp_path: Path) -> None:
    """It stood among those large enough to be seen, but not beyond chance."""
    path = make_ledger(tmp_path / "l.sqlite", images=400)
    with sqlite3.connect(path) as db:
        db.execute(
            "DELETE FROM cells WHERE json_extract(content, '$.arm.name') = 'kd' AND json_extract(content, '$.seed') > 0"
            " AND json_extract(content, '$.teacher') = 'vit'"
        )
    for (_, claims), found in zip(say_answers(find(path)), find(path).students, strict=True):
        said = {claim.key: claim for claim in claims}
        assert "kd from vit" in said["untested"].text("en")
        assert "one seed in common" in said["untested"].text("en")
        assert "opens" not in said or "kd from vit" not in said["opens"].text("en")
        (contrast,) = [c for c in found.contrasts if (c.group.arm, c.group.teacher) == ("kd", "vit")]
        assert contrast.p_holm is None


def test_a_student_that_taught_itself_is_told_as_its_own_teacher(tmp_path: Path) -> None:
    path = make_ledger(tmp_path / "l.sqlite", images=400)
    own = {"teacher_family": "other", "teacher_provenance": "labels", "teacher_hash": "own", "teacher_score": 0.8}
    change(path, "kd", ("self_distillation",), **own)
    findings = find(path)
    names = [row[0].text for row in tabulate_teachers(findings, "en", read_texts("en")).rows]
    assert names == ["convnext", "dscnn_24x3 itself", "vit"]
    texts = [claim.text("en") for _, claims in say_answers(findings) for claim in claims]
    assert any("kd from dscnn_24x3 itself" in text for text in texts)
    assert not any("kd from vit" in text for text in texts)
    page = render_report(findings, "fr")
    assert "kd avec dscnn_24x3 lui-même" in page
    assert "kd avec vit" not in page


def test_wall_time_is_no_ratio(tmp_path: Path) -> None:
    """Cells run under other loads: by the clock kd seemed to take half the time of the student alone."""
    findings = find(make_ledger(tmp_path / "l.sqlite", seeds=2, images=100))
    page = render_report(findings, "en")
    assert "the time of the student alone" not in page
    assert not any(fact.name.startswith("slow/") for fact in findings.facts.all)
    assert "Training, under that day’s load" in page


def test_paper_and_slides_hold_no_hint_of_what_is_missing(tmp_path: Path) -> None:
    findings = find(make_ledger(tmp_path / "l.sqlite", images=400, seeds=2))
    page = {section.key: section for section in compose_document(findings, "en")}
    assert set(keys(page["suitability"])) | set(keys(page["alignment"])) <= HINTS
    assert all(not set(keys(section.without_hints())) & HINTS for section in page.values())
    for lang in ("en", "fr"):
        for slide in compose_slides(findings, lang):
            title = slide.title if isinstance(slide.title, str) else slide.title.text(lang)
            texts = [title, *slide.lines, *(claim.text(lang) for claim in slide.notes)]
            for told in ("alambic teachers", "alambic examine", "confirm.toml", "suitability.json"):
                assert not any(told in text for text in texts)
