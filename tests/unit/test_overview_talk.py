"""The talk over all studies: titles made from facts, nothing cut best-first, nothing small, charts told in words."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from alambic.report.chapters.claims import Claim
from alambic.report.chapters.tables import Table
from alambic.report.facts.fact import Facts
from alambic.report.overview.claims import say_brief
from alambic.report.overview.document import compose_overview
from alambic.report.overview.gather import Overview, gather, list_facts
from alambic.report.overview.talk import compose_talk, shorten
from alambic.report.talk.parts import Bars, Slide
from alambic.report.talk.slides import draw_deck
from alambic.report.words.wording import LANGS, Lang
from alambic.study.archive import write_archive
from alambic.study.ledger import Ledger
from report_ledger import make_ledger

pptx = pytest.importorskip("pptx")


@pytest.fixture(scope="module")
def overview(tmp_path_factory: pytest.TempPathFactory) -> Overview:
    root = tmp_path_factory.mktemp("talk")
    arm = {"arm": "rsd", "student": "dscnn_24x3", "teacher": "vit"}
    wanted = [{**arm, "against": "none"}, {**arm, "against": "kd"}, {**arm, "arm": "kd", "against": "none"}]
    idea = {"idea": "I9 relations", "arm": "rsd", "against": ["kd"], "smallest_effect": 0.3}
    claim = {"confirm": json.dumps(wanted), "confirm_hash": "c0ffee", "purpose": "claim"}
    for place, meta in (("claim", claim), ("ideas", {"falsifiers": json.dumps([idea]), "purpose": "explore"})):
        folder = root / "studies" / place
        folder.mkdir(parents=True)
        made = make_ledger(folder / "ledger.sqlite", seeds=6, images=1000)
        held = Ledger(made)
        for key, value in {"study_name": place, "seeds": "6", **meta}.items():
            held.set_meta(key, value)
        held.close()
        write_archive(made, folder / "ledger")
        (folder / "report.html").touch()
    return gather(root, (), Facts())


def talk(overview: Overview, lang: Lang) -> dict[str, Slide]:
    slides = compose_talk(overview, compose_overview(overview, lang), lang)
    return {slide.title.key: slide for slide in slides if isinstance(slide.title, Claim)}


def test_titles_count_what_the_ledgers_hold(overview: Overview) -> None:
    slides = talk(overview, "en")
    sure = sum(study.is_confirmed(contrast) for study, contrast in overview.with_alone)
    told = f"{sure} of {len(overview.with_alone)}"
    assert told in slides["talk_short"].title.text("en")  # type: ignore[union-attr]
    assert "of 1 confirmations" in slides["talk_do"].title.text("en")  # type: ignore[union-attr]
    assert {"talk_decide", "talk_limits", "talk_between", "talk_ideas_none"} <= set(slides)


@pytest.mark.parametrize("lang", LANGS)
def test_the_answer_in_short_is_the_messages_of_the_slides_that_answer(overview: Overview, lang: Lang) -> None:
    """In numbers it stands in the notes."""
    slides = talk(overview, lang)
    short = slides["talk_short"]
    answers = [name for name in slides if name.startswith(("talk_alone", "talk_between", "talk_when", "talk_ideas"))]
    assert len(answers) >= 3
    assert {slides[name].title.text(lang) for name in answers} <= set(short.lines)  # type: ignore[union-attr]
    assert [claim.key for claim in short.notes] == [claim.key for claim in say_brief(overview)]


def test_the_slide_of_gains_names_the_largest_confirmed(overview: Overview) -> None:
    title = talk(overview, "en")["talk_alone"].title
    assert isinstance(title, Claim)
    sure = [contrast.gain for study, contrast in overview.with_alone if study.is_confirmed(contrast)]
    assert title.blanks["most"] == max(sure, key=lambda gain: gain.value)


def test_contrasts_of_two_arms_are_a_row_a_question_and_all_stand_in_the_notes(overview: Overview) -> None:
    slide = talk(overview, "en")["talk_between"]
    assert isinstance(slide.shown, Table)
    assert [[cell.text for cell in row[:3]] for row in slide.shown.rows] == [["rsd", "kd", "1"]]
    (listed,) = [claim for claim in slide.notes if claim.key == "all_listed"]
    assert listed.facts == tuple(contrast.gain for _, contrast in overview.between)


def test_ideas_are_a_row_each_whatever_their_fate(overview: Overview) -> None:
    slide = talk(overview, "en")["talk_ideas_none"]
    assert isinstance(slide.shown, Table)
    (row,) = slide.shown.rows
    assert row[0].text == "I9 relations"
    assert sum(cell.value or 0 for cell in row[2:]) == row[1].value == 1


@pytest.mark.parametrize("lang", LANGS)
def test_nothing_is_small_and_each_chart_is_told_in_words(overview: Overview, lang: Lang) -> None:
    slides = compose_talk(overview, compose_overview(overview, lang), lang)
    deck = pptx.Presentation(io.BytesIO(draw_deck("x", slides, list_facts(overview), lang)))
    for page, slide in zip(deck.slides, slides, strict=True):
        for shape in page.shapes:
            assert all(size >= 14 for size in sizes_of(shape)), slide.title
            if shape.has_chart:
                assert isinstance(slide.shown, Bars)
                told = shape._element.nvGraphicFramePr.cNvPr.get("descr")
                assert all(label in told for label in slide.shown.labels)


def sizes_of(shape: Any) -> list[float]:
    """Points of a table's letters and of a text's, the page's number left out."""
    if shape.has_table:
        cells = [cell for row in shape.table.rows for cell in row.cells]
        return [paragraph.font.size.pt for cell in cells for paragraph in cell.text_frame.paragraphs]
    if not shape.has_text_frame or shape.text_frame.text.startswith("alambic ·"):
        return []
    return [run.font.size.pt for paragraph in shape.text_frame.paragraphs for run in paragraph.runs]


def test_a_long_list_names_some_from_one_end_to_the_other_and_says_how_many_more() -> None:
    short = shorten(Claim("all_none_shown", {"listing": tuple("abcdefg")}))
    assert short.blanks["listing"][:3] == ("a", "d", "g")  # type: ignore[index]
    assert "4 more in the notes" in short.text("en")
    assert "4 de plus dans les notes" in short.text("fr")
    whole = Claim("all_none_shown", {"listing": tuple("abcd")})
    assert shorten(whole) == whole
