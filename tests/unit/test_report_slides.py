"""The slides: charts with intervals and a key, evidence of their own in the notes, teachers that were judged."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from alambic.report.chapters.claims import Claim
from alambic.report.chapters.tables import Entry, Table
from alambic.report.check import check_report
from alambic.report.facts.fact import Fact
from alambic.report.facts.findings import find
from alambic.report.talk.compose import compose_slides
from alambic.report.talk.layout import SIZES, fit_lines, lay_table, tell_rows
from alambic.report.talk.parts import BARS, Bars, Scatter, Slide, make_bars
from alambic.report.talk.slides import render_slides
from alambic.report.talk.tables import choose, drop_repeated, turn
from alambic.report.words.wording import LANGS, NO_BREAK, Lang, hold
from alambic.study.ledger import Ledger
from report_ledger import make_ledger, make_suited

pptx = pytest.importorskip("pptx")


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_ledger(tmp_path_factory.mktemp("slides") / "ledger.sqlite", images=400)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("judged") / "ledger.sqlite"
    make_suited(path)
    return path


def key_of(slide: Slide) -> str:
    return slide.title.key if isinstance(slide.title, Claim) else ""


def read_ends(drawn: Iterable[Any]) -> list[list[tuple[float, float]]]:
    """Of each series its points' intervals, as the file draws them."""
    ends = []
    for series in drawn:
        sides = []
        for side in ("minus", "plus"):
            (found,) = series._element.iter(f"{{*}}{side}")
            sides.append([float(node.text) for node in found.iter("{*}v")])
        ends.append([(y - less, y + more) for y, less, more in zip(series.values, *sides, strict=True)])
    return ends


@pytest.mark.parametrize("lang", LANGS)
def test_each_chart_draws_the_intervals_of_its_facts_and_has_a_key(ledger: Path, lang: Lang) -> None:
    findings = find(ledger)
    slides = [slide for slide in compose_slides(findings, lang) if isinstance(slide.shown, Bars)]
    deck = pptx.Presentation(io.BytesIO(render_slides(findings, lang)))
    pages = [page for page in deck.slides if any(shape.has_chart for shape in page.shapes)]
    assert len(slides) == len(pages) >= 3
    for slide, page in zip(slides, pages, strict=True):
        assert isinstance(slide.shown, Bars)
        (chart,) = [shape.chart for shape in page.shapes if shape.has_chart]
        (drawn,) = read_ends(chart.plots[0].series)
        for (low, high), fact in zip(drawn, slide.shown.facts, strict=True):
            assert fact.low is not None
            assert fact.high is not None
            assert (low, high) == pytest.approx((100 * fact.low, 100 * fact.high), abs=0.01)
            assert chart.value_axis.minimum_scale <= low
            assert high <= chart.value_axis.maximum_scale
        assert any(
            shape.has_text_frame and shape.text_frame.text == hold(slide.shown.key, lang) for shape in page.shapes
        )
    keys = {key_of(slide): slide.shown.key for slide in slides if isinstance(slide.shown, Bars)}
    (gains,) = [told for key, told in keys.items() if key.startswith("slide_gains")]
    for colour in {"en": ("Green", "red", "grey", "brown"), "fr": ("Vert", "rouge", "gris", "brun")}[lang]:
        assert colour in gains


@pytest.mark.parametrize("lang", LANGS)
def test_the_question_and_what_was_compared_share_a_slide_that_speaks_of_slides(ledger: Path, lang: Lang) -> None:
    slides = compose_slides(find(ledger), lang)
    asked = slides[1]
    assert key_of(asked) == "slide_asked"
    assert isinstance(asked.shown, Table)
    assert asked.lines[0].startswith({"en": "These slides answer from", "fr": "Ces diapositives répondent"}[lang])
    texts = [text for slide in slides for text in (*slide.lines, *(claim.text(lang) for claim in slide.notes))]
    assert not any("This document" in text or "Ce document" in text for text in texts)


def test_no_two_slides_have_the_same_notes(ledger: Path, judged: Path) -> None:
    for path in (ledger, judged):
        notes = [slide.notes for slide in compose_slides(find(path), "en")]
        assert all(notes)
        assert len(set(map(str, notes))) == len(notes)


def test_a_chart_changed_by_hand_is_found(ledger: Path, tmp_path: Path) -> None:
    path = tmp_path / "slides.pptx"
    path.write_bytes(render_slides(find(ledger), "en"))
    assert not check_report(path, ledger).differences
    deck = pptx.Presentation(str(path))
    chart = next(shape.chart for page in deck.slides for shape in page.shapes if shape.has_chart)
    next(chart.plots[0].series[0]._element.iter("{*}plus")).find(".//{*}v").text = "0.0001"
    deck.save(str(path))
    assert check_report(path, ledger).differences


@pytest.mark.parametrize("lang", LANGS)
def test_a_judged_study_shows_families_and_gain_by_accuracy_with_intervals(judged: Path, lang: Lang) -> None:
    findings = find(judged)
    slides = {key_of(slide): slide for slide in compose_slides(findings, lang)}
    families = slides["slide_families"].shown
    assert isinstance(families, Bars)
    assert findings.suitability is not None
    assert families.facts == tuple(family.gain for family in findings.suitability.families if family.main)
    (points,) = [slide.shown for key, slide in slides.items() if key.startswith("slide_accuracy_")]
    assert isinstance(points, Scatter)
    assert {series.name for series in points.series} == {"resnet", "vit"}
    assert sum(len(series.facts) for series in points.series) == 8  # the one made to teach nothing is left out
    deck = pptx.Presentation(io.BytesIO(render_slides(findings, lang)))
    charts = [shape.chart for page in deck.slides for shape in page.shapes if shape.has_chart]
    (drawn,) = [chart for chart in charts if "scatter" in chart.plots[0]._element.tag]
    *taught, alone = drawn.plots[0].series
    assert points.upright is not None
    assert alone.name == points.upright[0]
    across = [float(node.text) for node in alone._element.find("{*}xVal").iter("{*}v")]
    assert across == [round(100 * points.upright[1].value, 2)] * 2
    for series, ends in zip(points.series, read_ends(taught), strict=True):
        known = [(100 * fact.low, 100 * fact.high) for fact in series.facts if fact.low is not None and fact.high]
        assert [end for pair in ends for end in pair] == pytest.approx([e for pair in known for e in pair], abs=0.01)


def test_many_students_of_a_judged_study_share_a_table(judged: Path, tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(judged.read_bytes())
    (tmp_path / "suitability.json").write_bytes((judged.parent / "suitability.json").read_bytes())
    held = Ledger(path)
    for row in held.rows("done"):
        held.record(type(row)(f"other {row.id}", {**row.content, "student": "other"}, "done", "", row.numbers))
    held.close()
    slides = compose_slides(find(path), "en")
    (table,) = [slide for slide in slides if key_of(slide) == "slide_students"]
    assert isinstance(table.shown, Table)
    assert [row[0].text for row in table.shown.rows] == ["other", "s"]
    assert not any(key_of(slide).startswith(("headline", "slide_gains")) for slide in slides)


def test_a_study_without_scorecards_has_no_slide_on_them(ledger: Path) -> None:
    keys = [key_of(slide) for slide in compose_slides(find(ledger), "en")]
    assert sum(key.startswith(("slide_teachers", "slide_estimator", "slide_no_")) for key in keys) == 1


def test_what_is_chosen_keeps_the_share_of_each_verdict() -> None:
    """The first eight of ten confirmed and thirteen ties would all be confirmed."""
    tones = ["gain"] * 10 + ["tie"] * 13
    kept = choose(tones, 8)
    assert len(kept) == 8
    assert [tones[place] for place in kept].count("tie") in (4, 5)
    assert {0, 9, 10, 22} <= set(kept)  # both ends of each
    assert choose(["gain"] * 20 + ["loss"], 4)[-1] == 20  # a verdict that is rare is not left out
    assert choose(tones, 30) == list(range(23))


@pytest.mark.parametrize("lang", LANGS)
def test_a_table_too_long_for_a_slide_says_what_it_leaves_to_the_notes(lang: Lang) -> None:
    rows = [[Entry(f"arm {place}"), Entry("x", class_="gain" if place < 20 else "tie")] for place in range(40)]
    table = Table((("Arm", "", False), ("Verdict", "", False)), rows)
    laid = lay_table(table, (4.0,), lang)
    assert laid.size >= SIZES[-1] >= 14
    assert sum(laid.tall) <= 4.0
    (told,) = laid.left_out
    assert str(len(laid.cells) - 1) in told
    assert "40" in told
    shown = [cells[0] for cells in laid.cells[1:]]
    assert abs(sum(int(name.split()[1].split(NO_BREAK)[0]) < 20 for name in shown) - len(shown) / 2) <= 1
    assert len(tell_rows(table)) == 41


def test_sentences_that_do_not_fit_are_counted_not_set_smaller() -> None:
    size, kept = fit_lines(("word " * 60,) * 6, 250, under=False, lang="en")
    assert size == 16
    assert kept[-1] == f"In the notes: {6 - len(kept) + 1} more."


def test_a_chart_of_more_bars_than_it_holds_says_how_many_it_shows() -> None:
    named = [(f"arm {place}", Fact(place, "x", 0.01 * place, "points", (), low=0.0, high=0.5)) for place in range(40)]
    bars = make_bars(named, "axis", ["gain"] * 10 + ["tie"] * 30, "Key.", "en")
    assert len(bars.labels) == BARS
    assert bars.colours.count("gain") == 4
    assert bars.key == f"Key. {BARS} of 40 are shown; the notes hold all."
    assert len(bars.every) == 40


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("vkd avec mixer (2); vkd", "vkd avec mixer (2)_; vkd"),
        ("acc-32: oui", "acc-32_: oui"),
        ("le reste ; 95 % ?", "le reste_; 95_%_?"),
        ("95% à 12:30", "95_% à 12:30"),
    ],
)
def test_french_signs_have_their_space_and_stay_on_the_line(text: str, told: str) -> None:
    assert hold(text, "fr") == told.replace("_", NO_BREAK)
    assert ";" not in text or hold("a; b", "en") == "a; b"


def test_tables_without_what_repeats_and_of_one_row() -> None:
    table = Table((("Student", "", False), ("Arm", "", False), ("Score", "", True)))
    table.rows.append([Entry("s"), Entry("kd"), Entry("1")])
    assert [[cell.text for cell in row] for row in turn(table).rows] == [["Arm", "kd"], ["Score", "1"]]
    assert drop_repeated(table) is table
    table.rows.append([Entry("s"), Entry("vkd"), Entry("2")])
    assert [head for head, _, _ in drop_repeated(table).heads] == ["Arm", "Score"]
    assert turn(table) is table
