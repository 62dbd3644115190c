"""What a report says of fitted scores, of other students, of doubled scorecards and of an old judgement."""

import dataclasses
import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from alambic.report.chapters.blocks import Figure
from alambic.report.chapters.claims import Claim
from alambic.report.chapters.suitability import best_estimator
from alambic.report.chapters.tables import Table
from alambic.report.facts.findings import find
from alambic.report.talk.compose import compose_slides
from alambic.report.talk.parts import Scatter
from alambic.report.words.suitability import ESTIMATORS, ORDERS
from alambic.report.words.wording import LANGS
from alambic.study.ledger import Ledger, Row
from alambic.suitability.base import all_estimators
from alambic.suitability.fitted import FITTED
from alambic.suitability.gains import measure_gains
from alambic.suitability.judgement import pass_judgement, save_judgement
from alambic.suitability.others import OTHERS
from alambic.suitability.scorecard import Scorecard, load_scorecards, save_scorecards
from report_ledger import chapters, keys, make_content

NAMES = [f"t{index}" for index in range(10)]
NOISE = [name for name, cls in all_estimators().items() if cls.kind == "estimator"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two students to whom each of ten teachers gives the same; no estimator has anything to do with it."""
    folder = tmp_path_factory.mktemp("suited")
    rng, ledger, cards = np.random.default_rng(3), Ledger(folder / "ledger.sqlite"), []
    gain = dict(zip(NAMES, rng.normal(size=10), strict=True))
    noise = {name: {estimator: float(rng.normal()) for estimator in NOISE} for name in NAMES}
    for student in ("s", "u"):
        for seed in range(2):
            row = Row(f"{student}{seed}", make_content(student, "none", None, seed), "done", "", {"test": 0.7})
            ledger.record(row)
        for name in NAMES:
            values = {"accuracy": float(rng.random()), "pilot_gain": float(rng.normal())}
            values |= noise[name] | {"headroom": 0.1 + float(rng.random())}
            family = "vit" if name > "t4" else "resnet"
            card = Scorecard(name, f"h {name}", family, "labels", 9, student, "toy 5,000", "e" * 64, values)
            cards.append(card)
            more = {"teacher": name, "teacher_hash": f"h {name}", "teacher_score": 0.6}
            more |= {"teacher_family": family, "teacher_provenance": "labels"}
            for seed in range(2):
                content = make_content(student, "kd", None, seed) | more
                score = 0.7 + 0.01 * (gain[name] + 0.05 * float(rng.normal()))
                ledger.record(Row(f"{student}{name}{seed}", content, "done", "", {"test": score}))
    found = pass_judgement(cards, measure_gains(ledger.rows("done"), "test"), refits=30)
    ledger.close()
    save_judgement(folder / "suitability.json", cards, found)
    return folder


@pytest.fixture
def suited(made, tmp_path):
    for name in ("ledger.sqlite", "suitability.json"):
        (tmp_path / name).write_bytes((made / name).read_bytes())
    return tmp_path


def test_every_score_and_order_has_words():
    assert {*FITTED, *OTHERS} <= set(ESTIMATORS)
    for words in (ESTIMATORS, ORDERS):
        assert all(set(by_lang) == set(LANGS) for by_lang in words.values())


def test_a_fitted_score_whose_chance_is_not_zero_fails_the_control_with_its_own_threshold(suited):
    chapter = chapters(suited / "ledger.sqlite")["suitability"]
    found = find(suited / "ledger.sqlite").suitability
    of = {judged.verdict.name: judged for judged in found.verdicts}
    fitted = of["ridge_new_student"]
    assert fitted.verdict.null > 0.2
    (failed,) = [c for c in chapter.claims if c.key == "control_refit_fails" and "new student" in c.text("en")]
    assert failed.blanks["visible"] == fitted.facts["visible"]
    assert f"+{fitted.verdict.null:.2f}" in failed.text("en")
    assert "élève nouveau" in failed.text("fr")
    permuted = next(c for c in chapter.claims if c.key == "control_permuted")
    assert abs(permuted.blanks["null"].value) < 0.1
    judged_on = next(c for c in chapter.claims if c.key == "judged_on")
    assert judged_on.blanks["visible"].value < fitted.verdict.visible


def test_what_other_students_gained_is_told_and_keeps_a_fitted_score_from_the_bar(suited):
    chapter = chapters(suited / "ledger.sqlite")["suitability"]
    found = find(suited / "ledger.sqlite").suitability
    rival = next(judged for judged in found.verdicts if judged.verdict.name == "other_students")
    (told,) = [claim for claim in chapter.claims if claim.key == "regret_others"]
    assert told.blanks["regret"].value == pytest.approx(rival.verdict.regret / 100)
    fitted = next(judged for judged in found.verdicts if judged.verdict.name == "ridge_new_student")
    assert fitted.verdict.regret_others == rival.verdict.regret
    assert not fitted.verdict.passes
    met = [claim.text("en") for claim in chapter.claims if claim.key == "bar_met"]
    assert not any("new student" in text or "other students, any" in text for text in met)


def test_the_composite_is_never_told_without_its_verdict(suited):
    path = suited / "ledger.sqlite"
    chapter = chapters(path)["suitability"]
    told = [claim for claim in chapter.claims if claim.key == "promised_composite"]
    assert [claim.blanks["student"] for claim in told] == ["s", "u"]
    composite = next(j for j in find(path).suitability.verdicts if j.verdict.name == "composite")
    assert all(claim.blanks["rho"].value == composite.verdict.spearman for claim in told)
    first = [claim for claim in chapter.claims if claim.key == "promised"]
    cards = [card for card in load_scorecards(suited / "suitability.json") if card.student == "s"]
    assert first[0].blanks["teacher"] == max(cards, key=lambda card: card.values["accuracy"]).teacher
    assert "accuracy puts" in first[0].text("en")
    told = json.loads((suited / "suitability.json").read_text())
    told["judgement"]["controls"] = [first[0].blanks["teacher"]]
    (suited / "suitability.json").write_text(json.dumps(told))
    again = next(claim for claim in chapters(path)["suitability"].claims if claim.key == "promised")
    assert again.blanks["teacher"] != first[0].blanks["teacher"]  # a control is not there to be taken
    save_scorecards(suited / "suitability.json", load_scorecards(suited / "suitability.json"))
    assert keys(chapters(path)["suitability"]) == ["promised", "promised", "not_judged"]


def test_the_best_estimator_is_none_that_restates_accuracy(suited):
    path = suited / "suitability.json"
    told = json.loads(path.read_text())
    verdicts = {one["name"]: one for one in told["judgement"]["verdicts"]}
    copied = {**verdicts["accuracy"], "name": "headroom"}
    told["judgement"]["verdicts"] = [one for name, one in verdicts.items() if name != "headroom"] + [copied]
    path.write_text(json.dumps(told))
    findings = find(suited / "ledger.sqlite")
    best = best_estimator(findings.suitability)
    assert best.verdict.name != "headroom"
    claims = chapters(suited / "ledger.sqlite")["suitability"].claims
    (same,) = [claim for claim in claims if claim.key == "same_as_accuracy"]
    assert "headroom, is accuracy under another name here" in same.text("en")
    copied["above_accuracy"] = [-0.1, 0.0]  # teachers below the student, whom it puts level
    path.write_text(json.dumps(told))
    assert "same_as_accuracy" not in keys(chapters(suited / "ledger.sqlite")["suitability"])
    (plain,) = [claim for claim in claims if claim.key == "accuracy_ranks"]
    assert plain.blanks["rho"].value == verdicts["accuracy"]["spearman"]


def test_where_accuracy_loses_nothing_the_bar_is_empty(suited):
    path = suited / "suitability.json"
    told = json.loads(path.read_text())
    for one in told["judgement"]["verdicts"]:
        one["regret"] = one["regret_accuracy"] = 0.0
    path.write_text(json.dumps(told))
    chapter = chapters(suited / "ledger.sqlite")["suitability"]
    assert "bar_empty" in keys(chapter)
    assert not {"bar_met", "bar_missed"} & set(keys(chapter))


@pytest.mark.parametrize(
    ("bounds", "key"),
    [((0.1, 0.2), "estimator_beats"), ((-0.1, 0.2), "estimator_ties"), ((-0.2, -0.1), "estimator_worse")],
)
def test_an_estimator_surely_worse_than_accuracy_is_told_so(suited, bounds, key):
    path = suited / "suitability.json"
    told = json.loads(path.read_text())
    for one in told["judgement"]["verdicts"]:
        one["above_accuracy"], one["surely_above"] = bounds, bounds[0]
    path.write_text(json.dumps(told))
    findings = find(suited / "ledger.sqlite")
    assert key in keys(chapters(suited / "ledger.sqlite")["suitability"])
    titles = [slide.title.key for slide in compose_slides(findings, "en") if isinstance(slide.title, Claim)]
    assert f"slide_{key}" in titles


def test_estimators_that_rank_the_wrong_way_round_are_named(suited):
    path = suited / "suitability.json"
    told = json.loads(path.read_text())
    for one in told["judgement"]["verdicts"]:
        low, high, p = {"locality": (-0.9, -0.5, 0.01), "margin": (-0.8, -0.1, 0.3)}.get(one["name"], (-0.2, 0.3, 1.0))
        one |= {"low": low, "high": high, "p_holm": p}
    path.write_text(json.dumps(told))
    claims = chapters(suited / "ledger.sqlite")["suitability"].claims
    (wrong,) = [claim for claim in claims if claim.key == "estimators_reversed"]
    assert [words.by_lang["en"] for words, _ in wrong.blanks["listing"]] == [ESTIMATORS["locality"]["en"]]


def test_what_was_judged_is_read_where_most_was(suited):
    """An estimator that few teachers have may lead; its own few teachers and blocks are not the study's."""
    path = suited / "suitability.json"
    told = json.loads(path.read_text())
    for one in told["judgement"]["verdicts"]:
        one["regret_accuracy"] = 0.5
        if one["name"] == "locality":
            one |= {"spearman": 1.0, "teachers": 4, "blocks": 1, "visible": 1.0, "regret_accuracy": 0.0}
    path.write_text(json.dumps(told))
    chapter = chapters(suited / "ledger.sqlite")["suitability"]
    (judged,) = [claim for claim in chapter.claims if claim.key == "judged_on"]
    assert judged.blanks["teachers"].value == 10
    assert "bar_empty" not in keys(chapter)


def test_every_estimator_is_drawn(suited):
    chapter = chapters(suited / "ledger.sqlite")["suitability"]
    verdicts = find(suited / "ledger.sqlite").suitability.verdicts
    drawn = [block for block in chapter.blocks if isinstance(block, Figure)][-1]
    root = ET.fromstring(str(drawn.drawing))
    assert len(verdicts) > 16
    names = {element.text for element in root.iter("text")}
    assert {ESTIMATORS[judged.verdict.name]["en"] for judged in verdicts} <= names


def test_an_earlier_card_of_the_same_teacher_moves_no_z_score(suited):
    """A file keeps every card ever made; the judge takes one for each teacher, so the chapter must."""
    path = suited / "suitability.json"
    before = rows(suited)
    cards = load_scorecards(path)
    doubles = [
        dataclasses.replace(card, teacher=f"old {card.teacher}", values={**card.values, "margin": 50.0 + index})
        for index, card in enumerate(cards[:7])
    ]
    told = json.loads(path.read_text())
    told["cards"] = [dataclasses.asdict(card) for card in (*doubles, *cards)]
    path.write_text(json.dumps(told))
    assert rows(suited) == before
    assert len(before) == 20


def rows(folder):
    tables = [b for b in chapters(folder / "ledger.sqlite")["suitability"].blocks if isinstance(b, Table)]
    return [[cell.text for cell in row] for row in tables[-1].rows]


def test_a_judgement_of_another_version_is_not_told(suited):
    path = suited / "suitability.json"
    told = json.loads(path.read_text())
    del told["judgement"]["version"]
    path.write_text(json.dumps(told))
    chapter = chapters(suited / "ledger.sqlite")["suitability"]
    assert keys(chapter) == ["promised", "promised", "judged_before"]
    assert "alambic teachers judge again" in chapter.claims[-1].text("en")
    slides = compose_slides(find(suited / "ledger.sqlite"), "en")
    texts = [text for slide in slides for text in (*slide.lines, *(claim.text("en") for claim in slide.notes))]
    assert not any("judge again" in text for text in texts)
    assert find(suited / "ledger.sqlite").suitability.judgement is None


def test_old_cells_without_a_task_are_of_accuracy(suited):
    held = Ledger(suited / "ledger.sqlite")
    for row in held.rows("done"):
        held.record(Row(row.id, {k: v for k, v in row.content.items() if k != "task"}, "done", "", row.numbers))
    held.close()
    assert find(suited / "ledger.sqlite").suitability.metric == "accuracy"


def test_families_with_most_teachers_come_first_on_the_slide(suited):
    """LibreOffice leaves out the points of a series that stands before a longer one."""
    slides = compose_slides(find(suited / "ledger.sqlite"), "en")
    (shown,) = [slide.shown for slide in slides if isinstance(slide.shown, Scatter)]
    counts = [len(series.facts) for series in shown.series]
    assert len(counts) > 1
    assert counts == sorted(counts, reverse=True)
