"""The chapters beside the answer: classes, declared contrasts, teachers, agreement, calibration, CKA, advice."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import sqlite3
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alambic.errors import AlambicError
from alambic.report.chapters import classes as chapter_classes
from alambic.report.chapters import trust as chapter_trust
from alambic.report.chapters.blocks import Figure
from alambic.report.chapters.claims import SENTENCES, Claim, Words, check_sentences
from alambic.report.chapters.declared import describe_declared
from alambic.report.chapters.document import compose_document
from alambic.report.chapters.tables import Table
from alambic.report.chapters.teachers import draw_teachers
from alambic.report.check import check_report
from alambic.report.facts import classes
from alambic.report.facts.advice import decide
from alambic.report.facts.examined import rate_margins
from alambic.report.facts.fact import Fact
from alambic.report.facts.findings import find
from alambic.report.page.page import render_report, write_report
from alambic.report.talk.compose import compose_slides
from alambic.report.words.suitability import COVARIATES, ESTIMATORS, SCOPES
from alambic.report.words.texts import read_texts
from alambic.report.words.wording import LANGS
from alambic.study.ledger import Ledger, Predictions, Row
from alambic.suitability.base import all_estimators
from report_ledger import EFFECTS, chapters, keys, make_content, make_ledger, make_suited


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_ledger(tmp_path_factory.mktemp("chapters") / "ledger.sqlite").read_bytes()


@pytest.fixture
def ledger(made: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(made)
    return path


def test_half_a_sentence_stops_the_build() -> None:
    check_sentences(SENTENCES)
    with pytest.raises(AlambicError, match=r"'new': expected words in .* got none in \['fr'\]"):
        check_sentences({"new": {"en": "It gains {gain}."}})  # type: ignore[typeddict-item]
    with pytest.raises(AlambicError, match="same blanks"):
        check_sentences({"new": {"en": "It gains {gain}.", "fr": "Gain."}})
    for words in (SCOPES, COVARIATES, ESTIMATORS):
        assert all(set(by_lang) == set(LANGS) and all(by_lang.values()) for by_lang in words.values())
    assert set(all_estimators()) <= set(ESTIMATORS)


# -- classes ---------------------------------------------------------------------------------------------------------


def test_gains_by_class_are_those_of_a_loop(ledger: Path) -> None:
    findings = find(ledger)
    found = findings.students[0].classes
    assert found is not None
    assert found.contrast.gain.value == max(c.gain.value for c in findings.students[0].contrasts)
    held = Ledger(ledger, read_only=True)
    labels = json.loads(held.meta("labels_test") or "")
    for one in found.classes:
        label = int(one.name)
        shares = []
        for row, base in zip(found.contrast.group.rows, found.contrast.other.rows, strict=True):
            first, second = (held.predictions(r.id, "test", "int8") for r in (row, base))
            assert first is not None
            assert second is not None
            own = [i for i, value in enumerate(labels) if value == label]
            hits = [int(first.predicted[i] == label) - int(second.predicted[i] == label) for i in own]
            shares.append(sum(hits) / len(own))
        assert one.images == labels.count(label)
        assert one.gain.value == pytest.approx(np.mean(shares))
        assert one.gain.low is not None
        assert one.gain.high is not None
        assert one.gain.low <= one.gain.value <= one.gain.high
    assert [c.gain.value for c in found.classes] == sorted((c.gain.value for c in found.classes), reverse=True)
    assert found.clear.value == sum(c.gain.low * c.gain.high > 0 for c in found.classes)  # type: ignore[operator]
    text = render_report(findings, "fr")
    assert "Classe par classe" in text
    assert 'data-claim="classes_ends"' in text


def test_of_many_classes_the_ends_are_drawn_and_all_are_tabulated(tmp_path: Path) -> None:
    path, labels = tmp_path / "l.sqlite", np.arange(900) % 30
    ledger = Ledger(path)
    for arm in ("none", "kd"):
        for seed in range(3):
            rng = np.random.default_rng([seed, arm == "kd"])
            predicted = np.where(rng.random(900) < 0.6 + 0.2 * (labels == 7) * (arm == "kd"), labels, (labels + 1) % 30)
            content = make_content("dscnn_24x3", arm, "vit" if arm == "kd" else None, seed)
            numbers = {"tune": float((predicted == labels).mean())}
            kept = {("tune", "fp32"): Predictions(predicted, rng.random(900).astype(np.float32))}
            ledger.record(Row(f"{arm}{seed}", content, "done", "", numbers), [], kept)
    ledger.set_meta("labels_tune", json.dumps(labels.tolist()))
    ledger.set_meta("class_names", json.dumps([f"kind {label}" for label in range(30)]))
    ledger.close()
    chapter = chapters(path)["classes"]
    (table,) = [block for block in chapter.blocks if isinstance(block, Table)]
    (figure,) = [block for block in chapter.blocks if isinstance(block, Figure)]
    assert len(table.rows) == 30
    assert figure.drawing.count("point ") == 16
    assert "kind 7" in figure.drawing


def test_two_seeds_tell_nothing_of_single_classes(tmp_path: Path) -> None:
    assert "no_classes" not in keys(chapters(make_ledger(tmp_path / "three.sqlite", seeds=3))["classes"])
    assert keys(chapters(make_ledger(tmp_path / "two.sqlite", seeds=2))["classes"]) == ["no_classes"]


def test_seeds_that_agree_by_chance_are_no_certainty() -> None:
    """Three seeds, each ahead by 4 images of 25, were told as +16 points exactly."""
    part = np.zeros((3, 25))
    for seed in range(3):
        part[seed, 4 * seed : 4 * seed + 4] = 1.0
    weights = np.random.default_rng(0).multinomial(25, np.full(25, 1 / 25), 2000)
    low, high, source = classes._bound(part, weights)
    assert low < 0.16 < high
    assert high - low > 1 / 25
    assert "one image" in source
    part[0, :12] = 1.0
    assert classes._bound(part, weights)[2] == ""


def test_no_class_can_gain_more_than_what_it_lacks(tmp_path: Path) -> None:
    """60 images, six of a class, three seeds: the t bootstrap alone goes far beyond 100 %."""
    (student,) = find(make_ledger(tmp_path / "l.sqlite", seeds=3, images=60)).students
    assert student.classes is not None
    for one in student.classes.classes:
        assert one.gain.low is not None
        assert one.gain.high is not None
        assert -one.alone.value <= one.gain.low <= one.gain.value <= one.gain.high <= 1 - one.alone.value


def test_without_predictions_there_is_no_class(ledger: Path) -> None:
    with sqlite3.connect(ledger) as db:
        db.execute("DELETE FROM predictions")
    assert keys(chapters(ledger)["classes"]) == ["no_classes"]


# -- what was declared -----------------------------------------------------------------------------------------------


def declare(path: Path, *arms: str, teacher: str = "vit", against: str = "none") -> None:
    held = Ledger(path)
    wanted = [{"arm": arm, "student": "dscnn_24x3", "teacher": teacher, "against": against} for arm in arms]
    held.set_meta("confirm", json.dumps(wanted))
    held.set_meta("confirm_hash", "c0ffee" * 8)
    held.set_meta("purpose", "claim")
    held.close()


def test_declared_contrasts_stand_apart_with_a_correction_of_their_own(ledger: Path) -> None:
    assert keys(chapters(ledger)["declared"]) == ["nothing_declared", "declare_first"]
    assert decide(find(ledger))[0].confidence == "lead"
    declare(ledger, "rsd", "kd", "ofa")
    findings = find(ledger)
    assert findings.declared is not None
    first, second = findings.declared.contrasts
    assert {first.group.arm, second.group.arm} == {"rsd", "kd"}
    assert findings.declared.missing == ("dscnn_24x3: ofa (vit) – none",)
    assert first.p_holm is not None
    assert first.p_holm.value == pytest.approx(
        min(1.0, 3 * first.paired.p_t)
    )  # of three, the missing one too, not of the report's seven
    explored = next(c for c in findings.students[0].contrasts if c.group.key == first.group.key)
    assert explored.p_holm is not None
    assert explored.p_holm.value > first.p_holm.value
    made = decide(findings)[0]
    assert made.take is not None
    assert (made.take.group.arm, made.take.group.teacher, made.confidence) == ("rsd", "vit", "confirmed")
    said = keys(chapters(ledger)["declared"])
    assert said == ["declared_before", "declared_gain", "declared_tie", "declared_missing", "rest_explores"]
    assert second.paired.interval.low > 0 or second.paired.interval.high < 0
    titles = [s.title.key for s in compose_slides(findings, "en") if isinstance(s.title, Claim)]
    assert "slide_confirmed" in titles
    assert "take_confirmed" in titles
    declare(ledger, "rsd", "kd")  # of two, the second one's p is small enough
    said = keys(chapters(ledger)["declared"])
    assert said == ["declared_before", "declared_gain", "declared_clear", "rest_explores"]


def test_what_was_declared_and_cannot_be_tested_counts_in_the_correction(ledger: Path) -> None:
    """Neither what has no cells nor what has one seed makes the others more certain."""
    declare(ledger, "rsd", "kd", "at")
    whole = find(ledger).declared
    assert whole is not None
    expected = {c.group.arm: 3 * c.paired.p_t for c in whole.contrasts if c.group.arm == "rsd"}
    held = Ledger(ledger)
    for row in held.rows("done"):
        if row.content["teacher"] == "vit" and (row.content["arm"]["name"], row.content["seed"] > 0) == ("kd", True):
            held.record(dataclasses.replace(row, state="failed"))
    held.close()
    declare(ledger, "rsd", "kd", "ofa")
    declared = find(ledger).declared
    assert declared is not None
    first, second = declared.contrasts
    assert first.p_holm is not None
    assert first.p_holm.value == pytest.approx(min(1.0, expected["rsd"]))
    assert (second.group.arm, second.p_holm, second.verdict) == ("kd", None, "open")


@pytest.mark.parametrize("file", [f"version {number}" for number in range(4)])
def test_of_two_versions_of_a_declared_arm_none_is_picked_by_chance(ledger: Path, file: str) -> None:
    declare(ledger, "rsd", "kd")
    before = find(ledger).declared
    assert before is not None
    held = Ledger(ledger)
    older = [row for row in held.rows("done") if (row.content["arm"]["name"], row.content["teacher"]) == ("kd", "vit")]
    for row in older[:-1]:
        numbers = {name: value - 0.2 if name.startswith("test") else value for name, value in row.numbers.items()}
        held.record(Row("v" + row.id[1:], row.content | {"methods": {"kd": file}}, "done", "", numbers))
    held.close()
    part = find(ledger).declared  # one version has four seeds, the other three: the fuller one is judged
    assert part is not None
    assert [c.gain.value for c in part.contrasts] == pytest.approx([c.gain.value for c in before.contrasts])
    held = Ledger(ledger)
    held.record(Row("v" + older[-1].id[1:], older[-1].content | {"methods": {"kd": file}}, "done", "", numbers))
    held.close()
    both = find(ledger).declared
    assert both is not None
    assert [contrast.group.arm for contrast in both.contrasts] == ["rsd"]
    assert both.missing == both.unclear == ("dscnn_24x3: kd (vit) – none",)
    said = keys(chapters(ledger)["declared"])
    assert "declared_unclear" in said
    assert "declared_missing" not in said


def test_seeds_added_after_the_first_run_are_told(ledger: Path) -> None:
    declare(ledger, "rsd")
    for first, told in (("4", False), ("2", True)):
        held = Ledger(ledger)
        held.set_meta("seeds", "4")
        held.set_meta("seeds_first", first)
        held.close()
        section = chapters(ledger)["declared"]
        assert ("declared_extended" in keys(section)) == told
    (claim,) = [claim for claim in section.claims if claim.key == "declared_extended"]
    assert "The first run asked for 2 seeds; more were asked for" in claim.text("en")


def test_a_declared_contrast_may_compare_two_teachers(ledger: Path) -> None:
    held = Ledger(ledger)
    first, second = sorted({row.content["teacher"] for row in held.rows("done") if row.content["teacher"]})
    told = {"student": "dscnn_24x3", "arm": "kd", "teacher": first, "against": "kd", "against_teacher": second}
    held.set_meta("confirm", json.dumps([told, {**told, "against_teacher": "nobody"}]))
    held.close()
    declared = find(ledger).declared
    assert declared is not None
    (contrast,) = declared.contrasts
    assert (contrast.group.arm, contrast.group.teacher) == ("kd", first)
    assert (contrast.other.arm, contrast.other.teacher) == ("kd", second)
    assert declared.missing == (f"dscnn_24x3: kd ({first}) – kd (nobody)",)


def test_a_gain_below_the_declared_effect_is_too_small_to_matter(ledger: Path) -> None:
    declare(ledger, "rsd")
    for points, key, confidence in (("0.01", "declared_gain", "confirmed"), ("50", "declared_small", "lead")):
        held = Ledger(ledger)
        held.set_meta("smallest_effect", points)
        held.close()
        findings = find(ledger)
        assert findings.declared is not None
        assert findings.declared.smallest is not None
        assert findings.declared.smallest.value == pytest.approx(float(points) / 100)
        section = chapters(ledger)["declared"]
        assert keys(section)[1:3] == ["declared_smallest", key]
        assert decide(findings)[0].confidence == confidence
        (table,) = [block for block in section.blocks if isinstance(block, Table)]
        assert table.rows[0][-1].class_ == ("gain" if confidence == "confirmed" else "tie")
        titles = [s.title for s in compose_slides(findings, "en") if isinstance(s.title, Claim)]
        (title,) = [claim for claim in titles if claim.key == "slide_confirmed"]
        assert title.blanks["confirmed"] == (confidence == "confirmed")  # the slide counts as the text does


def test_a_declared_tie_says_below_what_also_without_the_student_alone(tmp_path: Path) -> None:
    effects = {"kd": 0.0, "rsd": 0.001, "at": -0.03}
    for name, given in (("with", EFFECTS), ("without", effects)):
        path = make_ledger(tmp_path / name, effects=given)
        declare(path, "rsd" if name == "without" else "kd", against="kd" if name == "without" else "none")
        (told,) = [claim for claim in chapters(path)["declared"].claims if "floor" in claim.blanks]
        floor = told.blanks["floor"]
        assert isinstance(floor, Fact)
        (contrast,) = find(path).declared.contrasts  # type: ignore[union-attr]
        assert abs(contrast.gain.value) < floor.value < 0.02


def test_a_tie_that_is_surely_not_zero_is_told_as_such(ledger: Path) -> None:
    """By the rule that is stated first it is a tie; its own interval and test say more, which nobody may hide."""
    declare(ledger, "rsd")
    declared = find(ledger).declared
    assert declared is not None
    (gain,) = declared.contrasts
    tied = dataclasses.replace(gain, verdict="tie", floor=gain.gain)
    assert gain.verdict == "gain"
    assert not declared.is_clear(gain)
    assert declared.name_verdict(tied) == "clear_tie"
    section = describe_declared(dataclasses.replace(declared, contrasts=(tied,)), "en")
    assert [block.key for block in section if isinstance(block, Claim)][1] == "declared_clear"
    zero = dataclasses.replace(gain.paired, interval=dataclasses.replace(gain.paired.interval, low=-0.01))
    assert declared.name_verdict(dataclasses.replace(tied, paired=zero)) == "tie"


def test_the_protocol_says_which_arms_have_a_recipe_of_their_own(tmp_path: Path) -> None:
    plain = make_ledger(tmp_path / "plain")
    assert "same_recipe" in keys(chapters(plain)["protocol"])
    with sqlite3.connect(plain) as db:
        db.execute(
            "UPDATE cells SET content = json_set(content, '$.recipe.lr', 0.3, '$.shared_recipe', "
            "json_extract(content, '$.recipe')) WHERE json_extract(content, '$.arm.name') = 'kd'"
        )
    (told,) = [claim for claim in chapters(plain)["protocol"].claims if claim.key == "own_recipes"]
    named = {"en": "kd: learning rate 0.3", "fr": "kd : taux d’apprentissage 0,3"}
    assert told.blanks["listing"] == (Words(named),)


def test_a_gain_over_another_arm_without_a_teacher_confirms_and_says_over_which(ledger: Path) -> None:
    declare(ledger, "rsd", against="kd")  # beating another teacher's arm says nothing of a teacher's worth
    assert decide(find(ledger))[0].confidence == "lead"
    declare(ledger, "rsd", against="label_smoothing")
    findings = find(ledger)
    made = decide(findings)[0]
    assert made.confirmed is not None
    assert (made.confidence, made.confirmed.other.arm) == ("confirmed", "label_smoothing")
    sections = compose_document(findings, "en")
    (told,) = [c for section in sections for c in section.claims if c.key == "take_confirmed_against"]
    assert told.blanks["gain"] == made.confirmed.gain  # not the one over the student alone, which was not declared
    table = next(
        block
        for section in sections
        for block in section.blocks
        if section.key == "recommendations" and isinstance(block, Table)
    )
    assert [entry.text for entry in table.rows[0]][5] == "confirmed, against label_smoothing"


def test_a_gain_that_was_not_declared_is_not_confirmed(ledger: Path) -> None:
    declare(ledger, "kd")
    made = decide(find(ledger))[0]
    assert made.confidence == "lead"
    assert made.take is not None
    assert made.take.group.arm == "rsd"


def test_a_claim_is_about_the_test_images_of_what_it_declared(ledger: Path) -> None:
    with sqlite3.connect(ledger) as db:  # half of the cells were not declared: tune scores only
        removed = "json_remove(numbers, '$.test', '$.test_int8')"
        db.execute(f"UPDATE cells SET numbers = {removed} WHERE json_extract(content, '$.arm.name') IN ('at', 'kd')")
    assert find(ledger).scored.number == "tune"
    declare(ledger, "rsd")
    findings = find(ledger)
    assert findings.scored.number == "test_int8"
    assert len(findings.scored.missing) == 16


# -- teachers --------------------------------------------------------------------------------------------------------


def test_without_scorecards_the_command_that_makes_them_is_named(ledger: Path) -> None:
    (claim,) = chapters(ledger)["suitability"].claims
    assert claim.key == "no_scorecards"
    assert "alambic teachers rank" in claim.text("en")
    assert "alambic teachers judge" in claim.text("fr")


def test_scorecards_alone_are_estimates(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    make_suited(path, judged=False)
    chapter = chapters(path)["suitability"]
    assert keys(chapter) == ["promised", "not_judged"]
    (table,) = [block for block in chapter.blocks if isinstance(block, Table)]
    assert len(table.rows) == 9


def test_a_judgement_is_told_with_intervals_regret_controls_and_families(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    make_suited(path)
    findings = find(path)
    suited = findings.suitability
    assert suited is not None
    assert suited.judgement is not None
    assert not suited.stale
    best = next(j for j in suited.verdicts if j.verdict.name == "absorbable")
    assert best.facts["spearman"].value == best.verdict.spearman
    assert (best.facts["spearman"].low, best.facts["spearman"].high) == (best.verdict.low, best.verdict.high)
    assert best.facts["regret_accuracy"].value == pytest.approx(best.verdict.regret_accuracy / 100)
    chapter = chapters(path)["suitability"]
    said = keys(chapter)
    assert said[0] == "judged_on"
    assert {"regret", "control_permuted", "control_nasty"} <= set(said)
    assert any(key.startswith("estimator_") for key in said)
    assert any(key.startswith("family_") for key in said)
    nasty = next(claim for claim in chapter.claims if claim.key == "control_nasty")
    assert "absorbable variance" in nasty.text("en")
    assert "variance absorbable" in nasty.text("fr")
    assert len([block for block in chapter.blocks if isinstance(block, Figure)]) == 2  # teachers, verdicts
    page = render_report(findings, "en")
    assert 'data-claim="judged_on"' in page


def test_a_nasty_teacher_that_taught_voids_the_control(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    make_suited(path, harm=9.0)
    chapter = chapters(path)["suitability"]
    (void,) = [claim for claim in chapter.claims if claim.key.startswith("control_") and "nasty" in claim.blanks]
    assert void.key == "control_void"
    assert "gives +2.9" in void.text("en")
    assert "apporte +2,9" in void.text("fr")
    assert not check_report(write_report(path, tmp_path), path).differences


def test_one_void_control_does_not_silence_another(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    make_suited(path, told=("nasty", "t1"))
    chapter = chapters(path)["suitability"]
    void, held = [claim for claim in chapter.claims if claim.key.startswith("control_") and "nasty" in claim.blanks]
    assert (void.key, void.blanks["nasty"]) == ("control_void", "t1")
    assert (held.key, held.blanks["nasty"]) == ("control_nasty", "nasty")
    assert "absorbable variance" in held.text("en")
    heads = [head[0] for block in chapter.blocks if isinstance(block, Table) for head in block.heads]
    assert read_texts("en")["judge_nasty_last"] in heads


def test_the_picture_of_teachers_has_a_mark_for_each_and_none_hides_another_name(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    make_suited(path, judged=False)
    drawn = draw_teachers(find(path), "en", read_texts("en"))
    assert drawn is not None
    root = ET.fromstring(str(drawn))
    names = {el.text: (float(el.get("x", 0)), float(el.get("y", 0))) for el in root.iter("text")}
    told = [name for name in names if re.fullmatch(r"\d (t\d|nasty)", name or "")]  # the key
    assert {(name or "")[2:] for name in told} == {f"t{i}" for i in range(8)} | {"nasty"}
    boxes = [names[(name or "")[0]] for name in told]  # the numbers beside the marks
    lines = [
        [float(el.get(key, 0)) for key in ("x1", "y1", "y2")]
        for el in root.iter("line")
        if el.get("x1") == el.get("x2")
    ]
    for index, (x, y) in enumerate(boxes):
        assert not any(abs(x - far) < 4 and abs(y - low) < 10 for far, low in boxes[:index])
        assert not any(abs(x - at) < 4 and min(one, two) < y and max(one, two) > y - 8 for at, one, two in lines)
    marks = [el for el in root.iter("a") for el in el if el.tag in ("circle", "polygon")]
    assert len(marks) == 9
    assert sum(el.tag == "polygon" for el in marks) == 1  # the one that another teacher taught
    assert {"resnet", "vit", "trained on labels"} <= set(names)
    numbers = {(name or "")[2:]: int((name or "")[0]) for name in told}
    assert numbers["t1"] < numbers["t7"]  # by its own score
    few = tmp_path / "few.sqlite"
    assert draw_teachers(find(make_ledger(few, seeds=2, images=200)), "en", read_texts("en")) is None


def test_a_verdict_changed_by_hand_is_found_by_judging_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    make_suited(path)
    page = write_report(path, tmp_path)
    checked = check_report(page, path)
    assert not checked.differences
    told = json.loads((tmp_path / "suitability.json").read_text())
    verdict = next(v for v in told["judgement"]["verdicts"] if v["name"] == "absorbable")
    verdict["regret"] += 0.5
    (tmp_path / "suitability.json").write_text(json.dumps(told))
    page = write_report(path, tmp_path)  # the report agrees with the file: the file itself is wrong
    found = check_report(page, path).differences
    assert any("judged again" in line and ".regret" in line for line in found)


def test_a_judgement_by_other_gains_says_so(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    make_suited(path)
    held = Ledger(path)
    row = held.rows("done")[0]
    held.record(Row(row.id, row.content, "done", "", {key: value + 0.01 for key, value in row.numbers.items()}))
    held.close()
    assert "judged_elsewhere" in keys(chapters(path)["suitability"])
    checked = check_report(write_report(path, tmp_path), path)
    assert not checked.differences
    assert "not judged again" in checked.notice


# -- agreement, calibration, CKA -------------------------------------------------------------------------------------


def examination(path: Path) -> dict[str, Any]:
    rows = Ledger(path, read_only=True).rows("done")
    cells: dict[str, Any] = {}
    for index, row in enumerate(rows):
        taught = row.content["teacher"]
        cells[row.id] = {"ece": 0.01 * (1 + index % 5), "nll": 0.5, "accuracy": 0.8}
        cells[row.id] |= {"agreement": 0.9} if taught else {}
        if row.content["seed"] == 0:
            table = {"before": [[0.1, 0.2]], "after": [[0.3, 0.4 + 0.1 * (taught is None)]]}
            cells[row.id]["cka"] = dict.fromkeys([taught] if taught else ["vit", "convnext"], table)
    return {
        "version": 1,
        "split": "tune",
        "images": 500,
        "cka_images": 256,
        "cells": cells,
        "left_out": {},
        "teachers": {},
    }


def test_without_an_examination_its_command_is_named(ledger: Path) -> None:
    found = chapters(ledger)
    assert "alambic examine" in found["alignment"].claims[0].text("en")
    assert keys(found["alignment"]) == ["not_aligned"]
    assert keys(found["trust"]) == ["agreement", "not_examined"]


def test_arms_that_were_not_examined_are_counted(ledger: Path) -> None:
    told = examination(ledger)
    (ledger.parent / "examination.json").write_text(json.dumps(told))
    assert "examined_partly" not in keys(chapters(ledger)["trust"])
    for key in find(ledger).students[0].groups[0].ids:
        del told["cells"][key]
    (ledger.parent / "examination.json").write_text(json.dumps(told))
    (said,) = [claim for claim in chapters(ledger)["trust"].claims if claim.key == "examined_partly"]
    assert said.text("en").endswith(": 1.")


def test_an_examination_is_told_and_drawn(ledger: Path) -> None:
    told = examination(ledger)
    (ledger.parent / "examination.json").write_text(json.dumps(told))
    findings = find(ledger)
    assert findings.examination is not None
    found = chapters(ledger)
    assert {"agreement", "calibrated", "copied", "examined_on"} <= set(keys(found["trust"]))
    assert keys(found["alignment"]) == ["aligned_alone"] * 2
    (convnext, vit) = findings.examination.alignments["dscnn_24x3"]
    assert (convnext.teacher, vit.teacher) == ("convnext", "vit")
    assert vit.group.arm == "rsd"  # of its arms, the one with the highest score
    assert vit.means["before"].value == pytest.approx(0.15)
    assert vit.means["alone"].value == pytest.approx(0.4)
    group = findings.students[0].groups[0]
    expected = np.mean([told["cells"][key]["ece"] for key in group.ids])
    assert findings.examination.numbers[group.key]["ece"].value == pytest.approx(expected)
    assert "agreement" not in findings.examination.numbers[group.key]  # it has no teacher
    drawn = next(block for block in found["alignment"].blocks if isinstance(block, Figure)).drawing
    assert drawn.count("<rect") == 6
    page = write_report(ledger, ledger.parent)
    checked = check_report(page, ledger)
    assert not checked.differences
    assert "examination.json was read" in checked.notice


def test_of_many_teachers_likeness_is_a_table_and_two_pictures(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (ledger.parent / "examination.json").write_text(json.dumps(examination(ledger)))
    assert not any(isinstance(block, Table) for block in chapters(ledger)["alignment"].blocks)
    monkeypatch.setattr(chapter_trust, "MOST_PAIRS", 1)
    table, *rest = chapters(ledger)["alignment"].blocks
    assert isinstance(table, Table)
    rises = [row[-1].value - row[-2].value for row in table.rows]  # distilled, trained alone
    assert len(rises) == 2
    assert rises == sorted(rises, reverse=True)
    pictures = [block for block in rest if isinstance(block, Figure)]
    assert len(pictures) == 2
    assert all("most and least alike" in picture.caption for picture in pictures)


def test_a_foreign_examination_is_refused(ledger: Path) -> None:
    for text in ("no json", "[]", '{"version": 9}', '{"version": 1, "cells": 3}'):
        (ledger.parent / "examination.json").write_text(text)
        with pytest.raises(AlambicError, match="examin"):
            find(ledger)


def test_margins_of_two_classes_are_probabilities() -> None:
    rng = np.random.default_rng(0)
    logits, labels = 2 * rng.normal(size=(300, 2)), rng.integers(-1, 2, 300)
    predicted, margin = logits.argmax(1), np.abs(logits[:, 1] - logits[:, 0])
    bins: dict[int, list[tuple[float, float]]] = {}
    lost = []
    for row, label in zip(logits, labels, strict=True):
        if label < 0:
            continue
        p = np.exp(row) / np.exp(row).sum()
        lost.append(-math.log(p[label]))
        bins.setdefault(min(int(p.max() * 15), 14), []).append((float(p.argmax() == label), float(p.max())))
    ece = sum(abs(sum(right - sure for right, sure in found)) for found in bins.values()) / len(lost)
    assert rate_margins(predicted, margin, labels) == pytest.approx((ece, np.mean(lost)))
    # one logit: its sign goes with the predicted class, only its size is the odds
    signed = np.where(predicted == 1, margin, -margin)
    assert rate_margins(predicted, signed, labels) == pytest.approx((ece, np.mean(lost)))


def test_two_classes_are_calibrated_from_the_ledger_alone(tmp_path: Path) -> None:
    path, labels = tmp_path / "l.sqlite", np.arange(200) % 2
    ledger = Ledger(path)
    for arm in ("none", "kd"):
        for seed in range(2):
            rng = np.random.default_rng([seed, arm == "kd"])
            predicted = np.where(rng.random(200) < 0.8, labels, 1 - labels)
            content = make_content(
                "s", arm, "vit" if arm == "kd" else None, seed, task={"classes": 2, "metric": "accuracy"}
            )
            kept = {("tune", "fp32"): Predictions(predicted, rng.random(200).astype(np.float32))}
            ledger.record(Row(f"{arm}{seed}", content, "done", "", {"tune": 0.8}), [], kept)
    ledger.set_meta("labels_tune", json.dumps(labels.tolist()))
    ledger.close()
    findings = find(path)
    assert len(findings.two_classes) == 2
    assert all({"ece", "nll"} == set(numbers) for numbers in findings.two_classes.values())
    assert "calibrated" in keys(chapters(path)["trust"])


# -- advice and titles -----------------------------------------------------------------------------------------------


def test_recommendations_name_settings_and_what_not_to_do(ledger: Path) -> None:
    chapter = chapters(ledger)["recommendations"]
    assert keys(chapter) == ["take_lead", "not_worse", "avoid"]
    (table,) = [block for block in chapter.blocks if isinstance(block, Table)]
    texts = " ".join(cell.text for cell in table.rows[0])
    for part in ("toy, 5,000\u202fimages, 8 epochs", "rsd", "learning rate 0.1", "at from"):
        assert part in texts
    page = render_report(find(ledger), "fr")
    for part in ('id="recommendations"', 'id="limits"', 'id="references"', "arXiv", "À éviter"):
        assert part in page


@pytest.mark.parametrize("students", [("dscnn_24x3",), ("dscnn_24x3", "resnet8_w8")])
def test_each_slide_is_one_message_with_its_evidence(tmp_path: Path, students: tuple[str, ...]) -> None:
    path = make_ledger(tmp_path / "ledger.sqlite", students=students)
    (tmp_path / "examination.json").write_text(json.dumps(examination(path)))
    findings = find(path)
    slides = compose_slides(findings, "en")
    assert 12 <= len(slides) <= 15
    assert all(slide.notes for slide in slides)
    assert all(isinstance(slide.title, Claim) for slide in slides[1:])
    titles = [slide.title.text("en") for slide in slides if isinstance(slide.title, Claim)]
    assert len(set(titles)) == len(titles)
    assert any(title.startswith("rsd from") and "points" in title and "[" in title for title in titles)
    french = [slide.title.text("fr") for slide in compose_slides(findings, "fr") if isinstance(slide.title, Claim)]
    assert not set(titles) & set(french)


def test_many_classes_are_tabulated_at_both_ends(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = chapters(ledger)["classes"]
    assert "classes_cut" not in keys(whole)
    monkeypatch.setattr(chapter_classes, "TABLED", 3)
    cut = chapters(ledger)["classes"]
    assert "classes_cut" in keys(cut)
    tables = [next(block for block in section.blocks if isinstance(block, Table)) for section in (whole, cut)]
    names = [[str(row[0].text) for row in table.rows] for table in tables]
    assert names[1] == [*names[0][:3], *names[0][-3:]]


def test_curves_of_one_point_are_not_drawn(ledger: Path) -> None:
    findings = find(ledger)
    figures = [b.caption for b in compose_document(findings, "en")[4].blocks if isinstance(b, Figure)]
    last = {key: curve[-1:] for key, curve in findings.curves.items()}
    without = compose_document(dataclasses.replace(findings, curves=last), "en")[4]
    less = [b.caption for b in without.blocks if isinstance(b, Figure)]
    assert len(less) == len(figures) - 1
    assert render_report(dataclasses.replace(findings, curves=last), "en")
