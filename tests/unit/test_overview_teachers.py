"""The answer over all studies on teachers, curves, methods, alternatives, words: no sentence beyond its condition."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alambic.methods import all_methods
from alambic.report.chapters.claims import Claim
from alambic.report.chapters.rows import DotRow, draw_dots
from alambic.report.chapters.tables import Table
from alambic.report.chapters.teachers import draw_parts
from alambic.report.facts.across import Compared
from alambic.report.facts.fact import Fact, Facts
from alambic.report.facts.findings import find
from alambic.report.overview.alternatives import find_alternatives, say_alternatives, tabulate_alternatives
from alambic.report.overview.gather import Curved, Overview, Study
from alambic.report.overview.glossary import TERMS, describe_words
from alambic.report.overview.methods import compare_methods, say_by_teacher, tabulate_by_teacher
from alambic.report.overview.survey import describe_survey
from alambic.report.overview.tables import tabulate_judged
from alambic.report.overview.talk_when import tell_curves
from alambic.report.overview.teachers import keep_better, measure_accurate, say_accuracy
from alambic.report.overview.when import is_fading, is_seen_less, say_curve
from alambic.report.talk.slides import draw_deck
from alambic.report.words.overview_texts import read_overview_texts
from alambic.report.words.texts import read_texts
from alambic.report.words.wording import LANGS, Fine, Lang, show_fact, tell_apart
from alambic.study.ledger import Ledger, Row
from alambic.suitability.judge import Block
from report_ledger import make_content, make_ledger, make_suited


def view(*studies: Study, curves: tuple[Curved, ...] = (), **more: tuple[Study, ...]) -> Overview:
    """An overview of some studies, as ``gather`` gives it."""
    kept = {"claims": (), "judged": (), "ideas": (), **more}
    return Overview(studies, **kept, unfinished=(), curves=curves, cards={}, tuned=(), facts=Facts(), across=Compared())


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Study:
    path = tmp_path_factory.mktemp("judged") / "ledger.sqlite"
    make_suited(path)
    return Study("teachers", find(path), 2)


def test_the_most_accurate_is_told_by_what_it_gave(judged: Study) -> None:
    overview = view(judged, judged=(judged,))
    found = measure_accurate(judged, overview)
    assert found is not None
    cards = [card for card in judged.suitability.cards if card.teacher != "nasty"]
    gains = {c.group.teacher: c.gain.value for c in judged.findings.students[0].contrasts}
    first = max(cards, key=lambda card: card.values["accuracy"])
    assert found.gain.value == pytest.approx(gains[first.teacher])
    assert found.teachers.value == 8  # the one made to teach nothing is no teacher to take
    over = sum(gains[card.teacher] > 0 for card in cards)
    assert found.least.value == found.most.value == over
    assert found.best.value == (gains[first.teacher] == max(gains[card.teacher] for card in cards))
    half = sorted(cards, key=lambda card: -card.values["accuracy"])[:4]
    ranks = [
        np.argsort(np.argsort(v)) for v in ([c.values["accuracy"] for c in half], [gains[c.teacher] for c in half])
    ]
    assert found.half.value == pytest.approx(float(np.corrcoef(*ranks)[0, 1]))
    assert found.half.low is not None
    assert all(fact.how.startswith("the judge’s blocks") for fact in overview.facts.all)
    for lang in LANGS:
        (row,) = tabulate_judged(overview, lang).rows
        assert row[-1].text == (f"{over} of 8" if lang == "en" else f"{over} sur 8")


def test_accuracy_is_said_to_rank_only_where_it_does(judged: Study) -> None:
    """Here accuracy was drawn at random: no sentence may send anyone to the most accurate."""
    claims = say_accuracy(view(judged, judged=(judged,)))
    assert claims[0].key == "all_accuracy_some"
    assert {"all_accurate_gave", "all_teachers_gain"} <= {claim.key for claim in claims}
    assert say_accuracy(view()) == []


def test_the_better_half_has_the_middle_one() -> None:
    scores = {"accuracy": np.array([0.1, 0.9, 0.5])}
    block = Block("s", "d", "kd", ("low", "high", "middle"), np.zeros((3, 2)), scores)
    assert keep_better(block).teachers == ("high", "middle")


def curve(key: str = "images", **gains: tuple[tuple[float, float] | None, ...]) -> Curved:
    """Three amounts; bounds of each arm's gain in points, None where it was not run."""
    facts = Facts()

    def add(name: str, ends: tuple[float, float] | None) -> Fact | None:
        bounds = None if ends is None else (ends[0] / 100, ends[1] / 100)
        return None if bounds is None else facts.add(name, sum(bounds) / 2, "points", (), "", "", bounds)

    amounts = ({"images": 100, "labels": 5}, {"images": 1000, "labels": 50}, {"images": 10000, "labels": 500})
    contents = []
    for amount in amounts:
        data = {"source": "toy", "hash": "", "split_hash": ""}
        data |= {"train_images": amount["images"]} if key == "images" else {"train_images": 10000}
        data |= {"unlabelled": 10000 - amount["labels"]} if key == "labels" else {}
        contents.append(make_content("s", "kd", "vit", 0, data=data))
    told = {
        (arm.replace("_", ", ", 1).replace("_", " "), "vit"): tuple(add(f"{arm}{i}", e) for i, e in enumerate(ends))
        for arm, ends in gains.items()
    }
    alone = tuple(facts.add(f"alone{i}", 0.5, "share", ()) for i in range(3))
    return Curved(key, tuple(contents), alone, told, ())


MUCH, SOME, NONE = (8.0, 9.0), (1.0, 2.0), (-1.0, 2.0)


@pytest.mark.parametrize(
    ("made", "key"),
    [
        (curve(kd=(MUCH, SOME, NONE)), "all_fading"),
        (curve(kd=(MUCH, SOME, NONE), vkd=(MUCH, SOME, SOME)), "all_shrinking"),  # one arm still gains
        (curve(kd=(SOME, SOME, SOME)), "all_lasting"),
        (curve(kd=(NONE, SOME, SOME)), "all_amounts"),
        (curve(kd=(MUCH, SOME, NONE), vkd=(None, SOME, SOME)), "all_fading"),  # the other was not run everywhere
        (curve("labels", kd=(MUCH, SOME, NONE), kd_labelled_only=(SOME, SOME, SOME)), "all_unlabelled"),
        (curve("labels", kd=(MUCH, SOME, NONE), kd_labelled_only=(SOME, SOME, NONE)), "all_fading"),
    ],
)
def test_a_curve_says_what_all_of_its_arms_show(made: Curved, key: str) -> None:
    (claim,) = say_curve(made)
    assert claim.key == key
    assert is_fading(made) == (key == "all_fading")
    assert all("{" not in claim.text(lang) for lang in LANGS)


def test_amounts_at_which_only_the_student_alone_was_run_are_left_out() -> None:
    made = curve(kd=(SOME, SOME, None), vkd=(SOME, SOME, None))
    assert made.taught == [0, 1]
    assert {arm for arm, _ in made.whole} == {"kd", "vkd"}
    assert "1,000 images" in say_curve(made)[0].text("en")
    assert say_curve(replace(made, gains={})) == []


@pytest.mark.parametrize("lang", LANGS)
def test_a_chart_a_curve_names_each_bar_and_what_it_is_measured_on(lang: Lang) -> None:
    pptx = pytest.importorskip("pptx")
    labels = replace(curve("labels", kd=(MUCH, SOME, SOME), kd_labelled_only=(SOME, SOME, SOME)), number="test_int8")
    made = view(curves=(curve(kd=(MUCH, SOME, NONE)), labels))
    (slide,) = tell_curves(made, "key", lang, read_overview_texts(lang))
    told = {"en": ("accuracy on the tune images, in fp32", "images, by the int8"), "fr": ("en fp32", "réseau int8")}
    deck = pptx.Presentation(io.BytesIO(draw_deck("x", [slide], made.facts.all, lang)))
    frames = [shape for shape in deck.slides[0].shapes if shape.has_chart]
    words = [shape.text_frame.text for shape in deck.slides[0].shapes if shape.has_text_frame]
    assert len(frames) == 2
    assert frames[0].top + frames[0].height < frames[1].top  # room for a head
    for frame, expected in zip(frames, told[lang], strict=True):
        assert any(expected in one for one in words)
        axis = frame.chart.category_axis
        assert axis._element.find(".//{*}bodyPr").get("rot") == "0"  # or LibreOffice leaves names out
        assert axis._element.find("{*}tickLblSkip").get("val") == "1"
        assert frame.chart.font.size.pt >= 14
        code = frame.chart.value_axis.tick_labels.number_format
        assert code.startswith({"en": "[$-409]", "fr": "[$-40C]"}[lang])
        assert "−" in code


def test_fewer_epochs_at_more_images_are_told() -> None:
    made = curve(kd=(MUCH, SOME, NONE))
    less = [
        content | {"recipe": {"epochs": epochs}} for content, epochs in zip(made.contents, (96, 24, 8), strict=True)
    ]
    assert not is_seen_less(made)
    assert is_seen_less(replace(made, contents=tuple(less)))


def test_methods_are_compared_teacher_by_teacher(tmp_path: Path) -> None:
    names = [f"t{place}" for place in range(6)]
    path = make_teachers(tmp_path / "l.sqlite", names)
    overview = view(Study("many", find(path), 3))
    (pair,) = compare_methods(overview)
    assert (pair.arm, pair.other) == ("vkd", "kd")
    assert pair.teachers.value == 6
    assert pair.gain.value == pytest.approx(0.02, abs=0.004)
    assert [claim.key for claim in say_by_teacher(overview)] == ["all_by_teacher"]
    assert [entry.text for entry in tabulate_by_teacher(overview, "en").rows[0]][1:3] == ["vkd", "kd"]
    assert say_by_teacher(view(Study("few", find(make_ledger(tmp_path / "few.sqlite", images=100)), 4))) == []


def make_teachers(path: Path, names: list[str]) -> Path:
    """A ledger in which vkd gives two points more than kd with each teacher."""
    held = Ledger(path)
    for seed in range(3):
        held.record(Row(f"none{seed}", make_content("s", "none", None, seed), "done", "", {"test": 0.5}))
        for arm, more in (("kd", 0.0), ("vkd", 0.02)):
            for place, name in enumerate(names):
                taught = {"teacher": name, "teacher_hash": f"h {name}", "teacher_family": "vit"}
                content = make_content("s", arm, None, seed) | taught
                score = 0.5 + 0.01 * place + more + 0.001 * (place % 2) * seed
                held.record(Row(f"{arm}{name}{seed}", content, "done", "", {"test": score}))
    held.close()
    return path


def test_what_helps_without_a_teacher_has_seeds_and_no_teacher_that_teaches_nothing(tmp_path: Path) -> None:
    path = make_ledger(tmp_path / "l.sqlite", images=1000, students=("dscnn_24x3", "dscnn_28x3"))
    controls = Study("somewhere/controls", find(path), 4)
    overview = view(controls)
    found = find_alternatives(overview)
    assert {one.name.by_lang["en"] for one in found if not one.taught} == {
        "dscnn_24x3: label_smoothing",
        "dscnn_28x3: label_smoothing",
    }
    assert all(one.seeds == 4 for one in found)
    assert [one.taught for one in found] == sorted(one.taught for one in found)
    assert say_alternatives(overview)[0].key == "all_alternatives_none"
    assert len(tabulate_alternatives(overview, "fr").rows) == len(found)
    assert find_alternatives(view(replace(controls, place="somewhere"))) == []


def test_a_wider_student_alone_is_another_way(tmp_path: Path) -> None:
    path = make_teachers(tmp_path / "l.sqlite", ["t0"])
    held = Ledger(path)
    for seed in range(3):
        content = make_content("wide", "none", None, seed)
        held.record(Row(f"wide{seed}", content, "done", "", {"test": 0.55 + 0.001 * seed}))
    held.close()
    found = find_alternatives(view(Study("controls", find(path), 3)))
    assert [one.name.by_lang["en"] for one in found] == ["s: wide in its place", "s: kd from t0", "s: vkd from t0"]
    assert found[0].gain.value == pytest.approx(0.051)
    assert (found[0].seeds, found[0].gain.low is not None) == (3, True)


@pytest.mark.parametrize("lang", LANGS)
def test_each_method_is_named_by_its_paper_and_each_word_explained(tmp_path: Path, lang: Lang) -> None:
    study = Study("claim", find(make_ledger(tmp_path / "l.sqlite", seeds=2, images=100)), 2)
    blocks = describe_words(view(study, claims=(study,)), lang)
    students, teachers, terms = (block for block in blocks if isinstance(block, Table))
    told, methods = describe_survey(view(study, claims=(study,)), lang)
    assert isinstance(told, Claim)
    assert isinstance(methods, Table)
    assert len(methods.rows) == 4
    assert told.blanks["declared"] == told.blanks["tried"] == 3  # label smoothing is a control
    papers = {row[0].text: row[1].text for row in methods.rows}
    assert papers == {name: all_methods()[name].paper.title for name in ("at", "kd", "label_smoothing", "rsd")}
    assert [row[0].text for row in students.rows] == ["dscnn_24x3"]
    assert "3" in students.rows[0][2].text
    assert {row[0].text for row in teachers.rows} == {"vit", "convnext"}
    assert len(terms.rows) == len(TERMS)
    assert describe_words(view(study), lang) == []
    assert all(set(by_lang) == set(LANGS) for by_lang in TERMS.values())


def test_a_chip_is_told_by_its_budget(tmp_path: Path) -> None:
    path = make_ledger(tmp_path / "l.sqlite", seeds=2, images=100)
    held = Ledger(path)
    for row in held.rows("done"):
        held.record(replace(row, numbers={**row.numbers, "chip": "acc-32"}))
    held.close()
    study = Study("claim", find(path), 2)
    terms = [block for block in describe_words(view(study, claims=(study,)), "fr") if isinstance(block, Table)][-1]
    assert (terms.rows[-1][0].text, len(terms.rows)) == ("acc-32", len(TERMS) + 1)
    assert terms.rows[-1][1].text.count("32 Kio") == 2


def test_a_gain_that_reads_as_its_floor_has_a_third_digit() -> None:
    facts = Facts()
    gain, floor = facts.add("gain", 0.00308, "points", ()), facts.add("floor", 0.00312, "effect", ())
    shown = [str(show_fact(fact, "en", noun=False)) for fact in tell_apart(gain, floor)]
    assert ["+0.308" in shown[0], "0.312" in shown[1]] == [True, True]
    far = facts.add("far", 0.0040, "effect", ())
    assert tell_apart(gain, far) == (gain, far)
    assert not any(isinstance(fact, Fine) for fact in tell_apart(gain, facts.add("none", float("inf"), "effect", ())))


def test_no_claim_is_left_without_words(judged: Study) -> None:
    overview = view(judged, judged=(judged,))
    said: list[Claim] = [*say_accuracy(overview), *say_by_teacher(overview), *say_alternatives(overview)]
    assert all(claim.text(lang) for claim in said for lang in LANGS)


def test_the_line_at_zero_strikes_through_no_head() -> None:
    rows = [DotRow("a", head=True), DotRow("a1", 1.0), DotRow("b", head=True), DotRow("b1", 2.0), DotRow("b2", -1.0)]
    root = ET.fromstring(str(draw_dots(rows, "x", "y", lambda ticks: [str(tick) for tick in ticks])))
    heads = [float(el.get("y", 0)) for el in root.iter("text") if el.get("class") == "head"]
    zeros = [(float(el.get("y1", 0)), float(el.get("y2", 0))) for el in root.iter("line") if el.get("class") == "zero"]
    assert len(heads) == len(zeros) == 2
    assert not any(start < head < stop for head in heads for start, stop in zeros)


def test_panels_of_teachers_have_ranges_and_names_of_their_own(tmp_path: Path) -> None:
    path = make_teachers(tmp_path / "l.sqlite", [f"t{place}" for place in range(5)])
    held = Ledger(path)
    for row in held.rows("done"):
        if row.content["teacher"]:
            score = row.numbers["test"] + 0.2 * (row.content["arm"]["name"] == "vkd")
            held.record(replace(row, content={**row.content, "teacher_score": 0.6}, numbers={"test": score}))
    held.close()
    drawn = draw_parts(find(path), "en", read_texts("en"))
    roots = [ET.fromstring(str(part)) for part in drawn]
    for root in roots:
        upright = [el.text for el in root.iter("text") if "rotate(-90" in el.get("transform", "")]
        assert upright == [read_texts("en")["axis_points"]]
    kd, _ = (
        [float(el.get("cy", 0)) for el in root.iter("circle") if "point s" in el.get("class", "")] for root in roots
    )
    assert max(kd) - min(kd) > 50  # five points in twenty-five are not pressed together
