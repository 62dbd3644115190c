"""What a report recommends: what may do as well as the arm that it names, and what is simpler."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alambic.report.chapters.decisions import say_decision, say_decisions, tabulate_decisions
from alambic.report.facts.advice import Decision, decide
from alambic.report.facts.findings import Findings, find
from alambic.report.talk.compose import compose_slides
from alambic.report.words.wording import Lang
from alambic.study.ledger import Ledger
from report_ledger import make_ledger

PLAIN, ADDED = "kd", "kd behind the sensor"


def make(path: Path, effects: dict[str, float], *declared: tuple[str, str], purpose: str = "claim") -> Path:
    """A ledger of one teacher whose arm ADDED has a treatment; ``declared``: an arm and what it stands against."""
    make_ledger(path, images=2000, effects={"none": 0.0, **effects}, purpose=purpose)
    held = Ledger(path)
    for row in held.rows("done"):
        treatments = ["same_sensor"] if row.content["arm"]["name"] == ADDED else []
        row.content["arm"] |= {"treatments": treatments, "methods": [row.content["arm"]["name"].split(" ")[0]]}
        if row.content["teacher"] == "vit":
            held.record(type(row)(row.id, row.content, "failed", "one teacher is enough", {}))
        else:
            held.record(row, held.curve(row.id), held_predictions(held, row.id))
    wanted = [{"arm": a, "student": "dscnn_24x3", "teacher": "convnext", "against": b} for a, b in declared]
    held.set_meta("confirm", json.dumps(wanted))
    held.set_meta("purpose", purpose)
    held.close()
    return path


def held_predictions(held: Ledger, key: str) -> dict:
    found = {("test", precision): held.predictions(key, "test", precision) for precision in ("fp32", "int8")}
    return {place: value for place, value in found.items() if value is not None}


def decide_one(findings: Findings) -> Decision:
    (made,) = decide(findings)
    assert made.take is not None
    return made


def test_a_tie_with_a_simpler_arm_gives_the_simpler_one(tmp_path: Path) -> None:
    """The report took the adapted teacher, although a declared contrast found it no better than the plain one."""
    declared = [(ADDED, "none"), (ADDED, PLAIN)]
    findings = find(make(tmp_path / "l.sqlite", {PLAIN: 0.05, ADDED: 0.051}, *declared))
    made = decide_one(findings)
    assert made.take is not None
    assert made.simpler is not None
    assert (made.take.group.arm, made.simpler.group.arm, made.sure) == (ADDED, PLAIN, False)
    said = {claim.key: claim for claim in say_decisions(findings)}
    assert said["take_confirmed_simpler"].text("en").startswith(f"Take {PLAIN} from convnext for dscnn_24x3: {ADDED}")
    assert "confirmed) was not shown to be better" in said["take_confirmed_simpler"].text("en")
    gain = f"{100 * made.simpler.gain.value:+.2f}"
    assert f"Not shown to be worse than {ADDED} from convnext for dscnn_24x3: {PLAIN} from convnext {gain}" in said[
        "not_worse"
    ].text("en")
    (row,) = tabulate_decisions(findings, "en").rows
    assert row[2].text == f"{PLAIN} from convnext"
    assert gain in row[4].text
    assert row[5].text.startswith(f"a lead, to confirm; {ADDED} from convnext, ")
    for lang in ("en", "fr"):
        titles = [getattr(slide.title, "key", "") for slide in compose_slides(findings, lang)]
        assert {"headline_simpler", "take_confirmed_simpler"} <= set(titles)


@pytest.mark.parametrize(("lang", "words"), [("en", "Try kd from"), ("fr", "Essayer kd avec")])
def test_a_lead_is_told_likewise_without_any_declared_contrast(tmp_path: Path, lang: Lang, words: str) -> None:
    findings = find(make(tmp_path / "l.sqlite", {PLAIN: 0.05, ADDED: 0.051}, purpose="explore"))
    said = say_decision(decide_one(findings), findings)
    assert said.key == "take_lead_simpler"
    assert said.text(lang).startswith(words)


def test_an_arm_that_is_shown_to_be_better_has_no_rival(tmp_path: Path) -> None:
    findings = find(make(tmp_path / "l.sqlite", {PLAIN: 0.03, ADDED: 0.08}, (ADDED, "none"), (ADDED, PLAIN)))
    made = decide_one(findings)
    assert (made.rivals, made.simpler) == ((), None)
    assert say_decision(made, findings).key == "take_confirmed"
    findings = find(make(tmp_path / "explore.sqlite", {PLAIN: 0.03, ADDED: 0.08}, purpose="explore"))
    assert decide_one(findings).rivals == ()


def test_a_higher_gain_that_was_not_declared_is_told_beside_the_confirmed_one(tmp_path: Path) -> None:
    findings = find(make(tmp_path / "l.sqlite", {PLAIN: 0.04, ADDED: 0.08}, (PLAIN, "none")))
    made = decide_one(findings)
    assert made.take is not None
    assert made.take.group.arm == PLAIN
    assert [rival.group.arm for rival in made.rivals] == [ADDED]
    assert made.simpler is None  # it is not simpler
    assert [claim.key for claim in say_decisions(findings)] == ["take_confirmed", "not_worse"]


def test_the_table_tells_the_task(tmp_path: Path) -> None:
    task = {"classes": 2, "metric": "balanced_accuracy"}
    data = {"source": "toy", "hash": "d" * 64, "split_hash": "e" * 64, "train_images": 5000, "unlabelled": 4500}
    seen = {"class_names": ["b", "a"], "input": [1, 96, 96], "task": task, "data": data}
    path = make_ledger(tmp_path / "l.sqlite", images=400, effects={"none": 0.0, "kd": 0.1}, **seen)
    told = {
        "en": "a or b, 96 × 96 grey, 5,000\u202fimages, 500 with a label, balanced accuracy, 8 epochs",
        "fr": "a ou b, 96 × 96 gris, 5\u202f000\u202fimages, 500 étiquetées, exactitude équilibrée, 8 époques",
    }
    for lang, words in told.items():
        (row,) = tabulate_decisions(find(path), lang).rows  # type: ignore[arg-type]
        assert row[1].text == f"toy, {words}"
        assert "epochs" not in row[3].text  # once
