"""``slides.pptx``: one message a slide, native charts that one can edit, the evidence in the speaker's notes.

Made with python-pptx (extra ``report``). Titles and notes are the report's own claims.
"""

from __future__ import annotations

import datetime
import io
import textwrap
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

from alambic.errors import AlambicError
from alambic.report.claims import Claim
from alambic.report.facts import Fact
from alambic.report.findings import Findings
from alambic.report.slide_charts import draw_chart, read_chart
from alambic.report.stamp import MARK, PART, write_stamp
from alambic.report.tables import Table
from alambic.report.talk import compose_slides
from alambic.report.talk_parts import Bars, Scatter, Slide
from alambic.report.wording import Lang, hold

ROWS = 8  # of a table that stay readable on a wall
SIZES, LETTER, PADDING = (18, 16, 14, 12, 11), 0.6, 0.22  # of a table: pt; em a letter; inches beside a cell's text
TOP, WIDE = 1.6, 11.9  # inches: where a table begins; of the text


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
    title = hold(slide.title.text(lang) if isinstance(slide.title, Claim) else slide.title)
    under = _draw_table(page, slide.shown, 3.4 if slide.lines else 5.2) if isinstance(slide.shown, Table) else 0.0
    # two lines of a long message are as high as one of a short one
    large = 28 if len(title) <= 56 else 24 if len(title) <= 100 else 20
    write(title, 2.4 if first else 0.4, 1.0, 44 if first else large, accent, True)
    if slide.lines:
        # the text shrinks in steps so that the longest claims still fit above the footer
        top = 3.6 if first else under + 0.3 if under else 1.65
        room, sizes = (6.85 - top) * 72, (18, 16, 14) if under else (22, 20, 18, 16, 14)
        size = next((s for s in sizes if _lines_used(slide.lines, s) * s * 1.25 <= room), 12)
        box = page.shapes.add_textbox(Inches(0.7), Inches(top), Inches(11.9), Inches(6.85 - top)).text_frame
        box.word_wrap = True
        for index, text in enumerate(slide.lines):
            paragraph = box.paragraphs[0] if index == 0 else box.add_paragraph()
            paragraph.space_after = Pt(size * 0.6)
            run = paragraph.add_run()
            run.text, run.font.size, run.font.color.rgb = hold(text), Pt(size), ink
    if isinstance(slide.shown, Bars | Scatter):
        draw_chart(page, slide.shown)
        write(slide.shown.key, 6.5, 0.4, 12, quiet)
    write(f"alambic · {number} / {total}", 6.95, 0.4, 11, quiet)
    page.notes_slide.notes_text_frame.text = "\n".join(claim.text(lang) for claim in slide.notes)


def _lines_used(lines: tuple[str, ...], size: int) -> float:
    across = int(11.7 * 72 / (size * 0.53))
    return sum(-(-len(text) // across) + 0.6 for text in lines)


def _draw_table(page: Any, table: Table, high: float) -> float:
    """Draws a table in as large a size as ``high`` inches allow; returns where it ends."""
    from pptx.dml.color import RGBColor
    from pptx.util import Inches, Pt

    cells = [[head for head, _, _ in table.heads]]
    cells += [[hold(f"{c.text} {c.note}".strip()) for c in row] for row in table.rows[:ROWS]]
    if len(table.rows) > ROWS:
        cells.append([f"… +{len(table.rows) - ROWS}", *("" for _ in table.heads[1:])])
    fits = [_fit(cells, size) for size in SIZES]
    size, widths, tall = next((fit for fit in fits if sum(fit[2]) <= high), fits[-1])
    tall = [min(row, 0.6) for row in tall] if sum(tall) > high else tall  # the program makes the room
    frame = page.shapes.add_table(len(cells), len(cells[0]), Inches(0.7), Inches(TOP), Inches(WIDE), Inches(sum(tall)))
    for index, width in enumerate(widths):
        frame.table.columns[index].width = Inches(width)
    for y, row in enumerate(cells):
        frame.table.rows[y].height = Inches(tall[y])
        for x, text in enumerate(row):
            cell = frame.table.cell(y, x)
            cell.text = text
            if y == 0:
                cell.fill.solid()
                cell.fill.fore_color.rgb = RGBColor(0x6B, 0x3A, 0x0E)
            for paragraph in cell.text_frame.paragraphs:
                paragraph.font.size = Pt(size)
    return TOP + sum(tall)


def _fit(cells: list[list[str]], size: int) -> tuple[int, list[float], list[float]]:
    """The size with the columns' widths and the rows' heights in inches: no word is broken, long texts take lines.

    Without room for its words a size counts as endlessly high.
    """
    letter, columns = LETTER * size / 72, list(zip(*cells, strict=True))
    least = [PADDING + letter * max(len(word) for text in column for word in text.split(" ")) for column in columns]
    whole = [PADDING + letter * max(map(len, column)) for column in columns]
    share = max(0.0, min(1.0, (WIDE - sum(least)) / max(sum(whole) - sum(least), 1e-9)))
    given = [narrow + (wide - narrow) * share for narrow, wide in zip(least, whole, strict=True)]
    widths = [WIDE * width / sum(given) for width in given]
    room = [max(1, int((width - PADDING) / letter + 1e-6)) for width in widths]
    lines = [max(1, *(len(textwrap.wrap(text, most)) for text, most in zip(row, room, strict=True))) for row in cells]
    tall = [0.12 + count * 1.2 * size / 72 for count in lines]
    return size, widths, tall if sum(least) <= WIDE else [float("inf")] * len(cells)


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
