"""``slides.pptx``: one message a slide, native charts that one can edit, the evidence in the speaker's notes.

Made with python-pptx (extra ``report``). Titles and notes are the report's own claims.
"""

from __future__ import annotations

import datetime
import io
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

from alambic.errors import AlambicError
from alambic.report.chapters.claims import Claim
from alambic.report.chapters.tables import Table
from alambic.report.facts.fact import Fact
from alambic.report.facts.findings import Findings
from alambic.report.stamp import MARK, PART, write_stamp
from alambic.report.talk.charts import HEAD, describe, draw_chart, read_chart, share_place
from alambic.report.talk.compose import compose_slides
from alambic.report.talk.layout import Laid, fit_lines, lay_table, measure_lines, tell_rows
from alambic.report.talk.parts import Bars, Scatter, Slide
from alambic.report.words.slides import SLIDE_TEXTS
from alambic.report.words.wording import Lang, hold

TOP, WIDE, END = 1.6, 11.9, 6.85  # inches: where a table begins; of the text; where the page's number begins
SHORT = 3.4  # inches of a table above sentences


def render_slides(findings: Findings, lang: Lang) -> bytes:
    """The presentation, its facts stored in a custom XML part. Raises AlambicError where python-pptx is missing."""
    return draw_deck(findings.name, compose_slides(findings, lang), findings.facts.all, lang)


def draw_deck(title: str, slides: Sequence[Slide], facts: Sequence[Fact], lang: Lang) -> bytes:
    """Slides as a presentation. Raises AlambicError where python-pptx is missing."""
    try:
        from pptx import Presentation
        from pptx.opc.constants import RELATIONSHIP_TYPE
        from pptx.opc.package import Part
        from pptx.opc.packuri import PackURI
        from pptx.util import Inches
    except ImportError as error:
        told = 'slides expected the package python-pptx, got none; try pip install "alambic[report]"'
        raise AlambicError(told) from error
    deck = Presentation()
    deck.slide_width, deck.slide_height = Inches(13.333), Inches(7.5)
    for number, slide in enumerate(slides, start=1):
        _draw(deck, slide, number, len(slides), lang)
    core = deck.core_properties
    core.title, core.author, core.language = title, "alambic", lang
    core.created = core.modified = datetime.datetime(2000, 1, 1)  # equal ledgers give equal slides
    stamp = f"<{MARK} xmlns='urn:alambic:facts'>{escape(write_stamp(facts, lang))}</{MARK}>"
    part = Part(PackURI(f"/{PART}"), "application/xml", deck.part.package, stamp.encode())
    deck.part.relate_to(part, RELATIONSHIP_TYPE.CUSTOM_XML)
    held = io.BytesIO()
    deck.save(held)
    return held.getvalue()


def _draw(deck: Any, slide: Slide, number: int, total: int, lang: Lang) -> None:
    from pptx.dml.color import RGBColor
    from pptx.util import Inches, Pt

    page = deck.slides.add_slide(deck.slide_layouts[6])
    accent, ink, quiet = RGBColor(0x6B, 0x3A, 0x0E), RGBColor(0x1D, 0x21, 0x25), RGBColor(0x62, 0x6A, 0x72)

    def write(text: str, top: float, height: float, size: int, colour: Any, bold: bool = False) -> None:
        frame = page.shapes.add_textbox(Inches(0.7), Inches(top), Inches(11.9), Inches(height)).text_frame
        frame.word_wrap = True
        run = frame.paragraphs[0].add_run()
        run.text, run.font.size, run.font.bold, run.font.color.rgb = text, Pt(size), bold, colour

    first = number == 1
    title = hold(slide.title.text(lang) if isinstance(slide.title, Claim) else slide.title, lang)
    # two lines of a long message are as high as one of a short one
    large = 28 if len(title) <= 56 else 24 if len(title) <= 100 else 20
    write(title, 2.4 if first else 0.4, 1.0, 44 if first else large, accent, True)
    top, remarks, held = 3.6 if first else 1.65, [slide.remark] * bool(slide.remark), []
    for table in (slide.shown, slide.also):
        if isinstance(table, Table):
            room, one = END - top - 0.35 * bool(slide.remark), measure_lines(slide.lines[:1])
            laid = lay_table(
                table, (SHORT, room - 0.25 - one, room - 0.35) if slide.lines else (room, room - 0.35), lang
            )
            top = _draw_table(page, laid, top, title, lang) + 0.25
            remarks += laid.left_out
            held += tell_rows(table) if laid.left_out else []
    lines = tuple(hold(line, lang) for line in slide.lines)
    if lines:
        size, kept = fit_lines(lines, (END - 0.35 * bool(remarks) - top) * 72, bool(slide.shown), lang)
        box = page.shapes.add_textbox(Inches(0.7), Inches(top), Inches(11.9), Inches(max(END - top, 0.3))).text_frame
        box.word_wrap = True
        for index, text in enumerate(kept):
            paragraph = box.paragraphs[0] if index == 0 else box.add_paragraph()
            paragraph.space_after = Pt(size * 0.6)
            run = paragraph.add_run()
            run.text, run.font.size, run.font.color.rgb = text, Pt(size), ink
    if isinstance(slide.shown, Bars | Scatter):
        charts = slide.shown, *slide.below
        for chart, place in zip(charts, share_place(len(charts)), strict=True):
            draw_chart(page, chart, title, lang, place)
            held += chart.every if isinstance(chart, Bars) else ()
            if isinstance(chart, Bars) and chart.head:
                write(hold(chart.head, lang), place[1] - HEAD, HEAD, 14, ink)
        write(hold(" ".join(chart.key for chart in charts).strip(), lang), 6.38, 0.5, 14, quiet)
    if remarks:
        write(" ".join(remarks), END - 0.4, 0.4, 14, quiet)
    write(f"alambic · {number} / {total}", 6.95, 0.4, 11, quiet)
    noted = [hold(claim.text(lang), lang) for claim in slide.notes]
    noted += [line for line in lines if line not in noted and line not in kept] if lines else []
    page.notes_slide.notes_text_frame.text = "\n".join([*noted, *(hold(line, lang) for line in held)])


def _draw_table(page: Any, laid: Laid, top: float, title: str, lang: Lang) -> float:
    """Draws a table as it was laid out; returns where it ends."""
    from pptx.dml.color import RGBColor
    from pptx.util import Inches, Pt

    across, down = len(laid.cells[0]), len(laid.cells)
    place = Inches(0.7), Inches(top), Inches(WIDE), Inches(sum(laid.tall))
    frame = page.shapes.add_table(down, across, *place)
    describe(frame, f"{SLIDE_TEXTS['table_told'][lang]}. {title}.")
    for index, width in enumerate(laid.widths):
        frame.table.columns[index].width = Inches(width)
    for y, row in enumerate(laid.cells):
        frame.table.rows[y].height = Inches(laid.tall[y])
        for x, text in enumerate(row):
            cell = frame.table.cell(y, x)
            cell.text = text
            if y == 0:
                cell.fill.solid()
                cell.fill.fore_color.rgb = RGBColor(0x6B, 0x3A, 0x0E)
            for paragraph in cell.text_frame.paragraphs:
                paragraph.font.size = Pt(laid.size)
    return top + sum(laid.tall)


def read_words(content: bytes) -> str:
    """Every word and number of a presentation: shapes, tables, charts and notes; a line each."""
    from pptx import Presentation

    found: list[str] = []
    for index, page in enumerate(Presentation(io.BytesIO(content)).slides, start=1):
        for shape in page.shapes:
            if shape.has_text_frame:
                found.append(f"{index}: {shape.text_frame.text}")
            elif shape.has_table:
                found += [f"{index}: {cell.text}" for row in shape.table.rows for cell in row.cells]
            elif shape.has_chart:
                found += [f"{index}: {line}" for line in read_chart(shape.chart)]
        found.append(f"{index}: {page.notes_slide.notes_text_frame.text}")
    return "\n".join(found)
