"""``slides.pptx``: one message a slide, native charts that one can edit, the evidence in the speaker's notes.

Made with python-pptx (extra ``report``). Titles and notes are the report's own claims.
"""

from __future__ import annotations

import datetime
import io
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from alambic.errors import AlambicError
from alambic.report import tables
from alambic.report.advice import Decision, decide
from alambic.report.answers import name_student, say_answers, say_caveats, say_purpose, say_sight
from alambic.report.claims import Claim
from alambic.report.document import compose_document, tabulate_decisions, tabulate_methods
from alambic.report.document_words import HEADINGS
from alambic.report.findings import Findings
from alambic.report.gather import Group
from alambic.report.print_svg import print_palette
from alambic.report.stamp import MARK, PART, write_stamp
from alambic.report.svg import round_ticks
from alambic.report.tables import Table
from alambic.report.texts import read_texts
from alambic.report.wording import Lang, name_group

BARS = 9  # bars of one chart that stay readable on a wall
ROWS = 8


@dataclass(frozen=True)
class Bars:
    """A native bar chart: labels, values in points or percent, the axis' title, digits shown."""

    labels: tuple[str, ...]
    values: tuple[float, ...]
    axis: str
    colours: tuple[str, ...] = ()  # names of the page's palette, one a bar


@dataclass(frozen=True)
class Slide:
    """Title (the message), then lines, a chart or a table; ``notes`` are claims."""

    title: str
    lines: tuple[str, ...] = ()
    shown: Bars | Table | None = None
    notes: tuple[Claim, ...] = ()


def compose_slides(findings: Findings, lang: Lang) -> list[Slide]:
    """The slides in order: 12 to 15 for a study of one or two students."""
    texts, words = read_texts(lang), {key: by_lang[lang] for key, by_lang in HEADINGS.items()}
    sections = {section.key: section for section in compose_document(findings, lang)}

    def claims_of(key: str) -> tuple[Claim, ...]:
        return tuple(block for block in sections[key].blocks if isinstance(block, Claim))

    def said(key: str, most: int = 4) -> tuple[str, ...]:
        return tuple(claim.text(lang) for claim in claims_of(key)[:most])

    sight = tuple(claim for claims in say_sight(findings) for claim in claims)
    asked = claims_of("question")
    made = [
        Slide(findings.name, (texts["report"], say_purpose(findings).text(lang)), notes=asked),
        Slide(words["question"], (asked[0].text(lang),), notes=asked),
        Slide(words["survey"], (), tabulate_methods(findings, lang), claims_of("survey")),
        Slide(words["protocol"], said("protocol"), notes=claims_of("protocol")),
        Slide(texts["sight_title"], tuple(claim.text(lang) for claim in sight[:4]), notes=sight),
    ]
    for found, claims in say_answers(findings)[:2]:
        student = name_student(found, findings)
        lead = tuple(c for c in claims if c.key in ("none_helps", "helps", "hurts", "ties", "opens"))
        ordered = sorted(found.contrasts, key=lambda c: (-c.gain.value, c.group.key))[:BARS]
        names = tuple(name_group(c.group, lang) for c in ordered)
        colours = tuple("warn" if c.verdict == "open" else c.verdict for c in ordered)
        gains = Bars(names, tuple(100 * c.gain.value for c in ordered), texts["axis_points"], colours)
        title = f"{student} · {texts['answer_title']}"
        if found.contrasts:
            title = _headline(student, next((d for d in decide(findings) if d.found is found), None)).text(lang)
        made.append(Slide(title, tuple(c.text(lang) for c in claims[:4]), notes=tuple(claims)))
        if ordered:
            made.append(Slide(f"{student} · {texts['differences']}", (), gains, lead))
        made += _chart(found.groups, "fall", f"{student} · {texts['falls']}", texts["axis_falls"], lang, tuple(claims))
        if len(findings.students) == 1:
            title = f"{student} · {texts['score']}"
            made += _chart(found.groups, "score", title, texts["score"] + ", %", lang, tuple(claims))
    costs = tables.tabulate_costs(findings, lang, texts)
    made += [
        Slide(texts["costs_title"], (), costs, claims_of("results")),
        Slide(texts["teachers_title"], (), tables.tabulate_teachers(findings, lang, texts), claims_of("suitability")),
        Slide(words["recommendations"], (), tabulate_decisions(findings, lang), asked),
        Slide(words["limits"], tuple(c.text(lang) for c in say_caveats(findings)[:5]), notes=claims_of("limits")),
    ]
    return made


def _headline(student: str, decision: Decision | None) -> Claim:
    if decision is None or decision.take is None:
        return Claim("headline_none", {"student": student})
    return Claim("headline_gain", {"student": student, "arm": decision.take.group, "gain": decision.take.gain})


def _chart(
    groups: tuple[Group, ...], number: str, title: str, axis: str, lang: Lang, notes: tuple[Claim, ...]
) -> list[Slide]:
    known = [(g, g.score if number == "score" else g.numbers.get(number)) for g in groups]
    found = [(name_group(g, lang), 100 * fact.value) for g, fact in known if fact is not None][:BARS]
    if not found:
        return []
    return [Slide(title, (), Bars(tuple(n for n, _ in found), tuple(v for _, v in found), axis), notes)]


def render_slides(findings: Findings, lang: Lang) -> bytes:
    """The presentation, its facts stored in a custom XML part. Raises AlambicError where python-pptx is missing."""
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
    slides = compose_slides(findings, lang)
    for number, slide in enumerate(slides, start=1):
        _draw(deck, slide, number, len(slides), lang)
    core = deck.core_properties
    core.title, core.author, core.language = findings.name, "alambic", lang
    core.created = core.modified = datetime.datetime(2000, 1, 1)  # equal ledgers give equal slides
    stamp = f"<{MARK} xmlns='urn:alambic:facts'>{escape(write_stamp(findings.facts.all, lang))}</{MARK}>"
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
    write(slide.title, 2.4 if first else 0.45, 1.0, 44 if first else 28, accent, True)
    if slide.lines:
        # the text shrinks in steps so that the longest claims still fit above the footer
        size = next((s for s in (22, 20, 18, 16, 14) if _lines_used(slide.lines, s) * s * 1.25 <= 5.2 * 72), 12)
        box = page.shapes.add_textbox(
            Inches(0.7), Inches(3.6 if first else 1.65), Inches(11.9), Inches(3.2 if first else 5.2)
        ).text_frame
        box.word_wrap = True
        for index, text in enumerate(slide.lines):
            paragraph = box.paragraphs[0] if index == 0 else box.add_paragraph()
            paragraph.space_after = Pt(size * 0.6)
            run = paragraph.add_run()
            run.text, run.font.size, run.font.color.rgb = text, Pt(size), ink
    if isinstance(slide.shown, Bars):
        _draw_bars(page, slide.shown)
    if isinstance(slide.shown, Table):
        _draw_table(page, slide.shown)
    write(f"alambic · {number} / {total}", 6.95, 0.4, 11, quiet)
    page.notes_slide.notes_text_frame.text = "\n".join(claim.text(lang) for claim in slide.notes)


def _lines_used(lines: tuple[str, ...], size: int) -> float:
    across = int(11.7 * 72 / (size * 0.53))
    return sum(-(-len(text) // across) + 0.6 for text in lines)


def _draw_bars(page: Any, bars: Bars) -> None:
    from pptx.chart.data import CategoryChartData
    from pptx.dml.color import RGBColor
    from pptx.enum.chart import XL_CHART_TYPE, XL_LABEL_POSITION, XL_TICK_LABEL_POSITION
    from pptx.util import Inches, Pt

    data = CategoryChartData(number_format="0.00")
    data.categories = list(bars.labels)
    data.add_series(bars.axis, [round(value, 2) for value in bars.values])
    frame = page.shapes.add_chart(
        XL_CHART_TYPE.BAR_CLUSTERED, Inches(0.7), Inches(1.4), Inches(11.9), Inches(5.4), data
    )
    chart = frame.chart
    chart.has_legend, chart.has_title = False, False
    chart.font.size = Pt(16)
    chart.category_axis.reverse_order = True
    chart.category_axis.tick_label_position = XL_TICK_LABEL_POSITION.LOW
    chart.category_axis.has_major_gridlines = False
    chart.value_axis.has_major_gridlines = False
    chart.value_axis.has_title = True
    chart.value_axis.axis_title.text_frame.text = bars.axis
    plot = chart.plots[0]
    plot.gap_width, plot.has_data_labels = 60, True
    plot.data_labels.position = XL_LABEL_POSITION.OUTSIDE_END
    plot.data_labels.font.size = Pt(14)
    plot.data_labels.number_format, plot.data_labels.number_format_is_linked = "0.00", False
    plot.series[0].invert_if_negative = False
    # from zero, with room for the numbers: a cut axis makes small differences look large
    least, most = 1.15 * min(0.0, *bars.values), 1.15 * max(0.0, *bars.values) or 1.0
    ticks = round_ticks(least, most)
    step = ticks[1] - ticks[0]
    axis = chart.value_axis
    axis.major_unit, axis.minimum_scale, axis.maximum_scale = step, step * (least // step), -step * (-most // step)
    axis.tick_labels.number_format, axis.tick_labels.number_format_is_linked = "General", False
    palette = print_palette()
    for index in range(len(bars.values)):
        name = bars.colours[index] if bars.colours else "s0"
        fill = plot.series[0].points[index].format.fill
        fill.solid()
        fill.fore_color.rgb = RGBColor.from_string(palette[name].removeprefix("#").upper())


def _draw_table(page: Any, table: Table) -> None:
    from pptx.dml.color import RGBColor
    from pptx.util import Inches, Pt

    rows = table.rows[:ROWS]
    if not rows:
        return
    cells = [[head for head, _, _ in table.heads], *([f"{c.text} {c.note}".strip() for c in row] for row in rows)]
    widths = [max(8, min(60, max(len(row[i]) for row in cells) + 3)) for i in range(len(cells[0]))]
    size = int(max(11, min(18, 11.9 * 72 / (0.62 * sum(widths)))))
    frame = page.shapes.add_table(len(cells), len(cells[0]), Inches(0.7), Inches(1.6), Inches(11.9), Inches(0.4))
    for index, width in enumerate(widths):
        frame.table.columns[index].width = Inches(11.9 * width / sum(widths))
    for y, row in enumerate(cells):
        for x, text in enumerate(row):
            cell = frame.table.cell(y, x)
            cell.text = text
            if y == 0:
                cell.fill.solid()
                cell.fill.fore_color.rgb = RGBColor(0x6B, 0x3A, 0x0E)
            for paragraph in cell.text_frame.paragraphs:
                paragraph.font.size = Pt(size)


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
                plot = shape.chart.plots[0]
                found += [
                    f"{index}: {name} {value}"
                    for name, value in zip(plot.categories, plot.series[0].values, strict=True)
                ]
        found.append(f"{index}: {page.notes_slide.notes_text_frame.text}")
    return "\n".join(found)
