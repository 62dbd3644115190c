"""The chapter on classes: whom the best arm helps and whom it harms."""

from __future__ import annotations

from alambic.report.chapters.answers import name_student
from alambic.report.chapters.blocks import Block, Figure
from alambic.report.chapters.claims import Blank, Claim
from alambic.report.chapters.rows import DotRow, draw_dots
from alambic.report.chapters.tables import Entry, Table, fact_entry
from alambic.report.facts.classes import ClassFindings, ClassGain
from alambic.report.facts.findings import Findings
from alambic.report.words.texts import read_texts
from alambic.report.words.wording import Lang, name_group, show_bounds, show_number, show_ticks

MOST, ENDS = 20, 8  # classes drawn one by one; of more, so many at either end
TABLED = 20  # classes of the table, at either end


def say_classes(student: str, found: ClassFindings) -> list[Claim]:
    """How many classes move, and which most."""
    first, last = found.classes[0], found.classes[-1]
    blanks: dict[str, Blank] = {
        "student": student,
        "arm": found.contrast.group,
        "count": len(found.classes),
        "clear": found.clear,
    }
    ends: dict[str, Blank] = {"best": first.name, "most": first.gain, "worst": last.name, "least": last.gain}
    return [Claim("classes_clear", blanks), Claim("classes_ends", ends)]


def describe_classes(findings: Findings, lang: Lang) -> list[Block]:
    """Claims, a figure and a table for each student that has them."""
    texts = read_texts(lang)
    each = [(name_student(f, findings), f.classes) for f in findings.students if f.classes is not None]
    blocks: list[Block] = []
    for student, found in each:
        blocks += [student] if len(each) > 1 else []
        blocks += say_classes(student, found)
        rows = [DotRow(name_group(found.contrast.group, lang), head=True)]
        shown = found.classes if len(found.classes) <= MOST else (*found.classes[:ENDS], *found.classes[-ENDS:])
        for place, one in enumerate(shown):
            if len(found.classes) > MOST and place == ENDS:
                rows.append(DotRow("…", head=True))
            rows.append(_draw(one, lang))
        label = f"{texts['classes']}: {student}"
        drawn = draw_dots(rows, label, texts["axis_points"], lambda ticks: show_ticks(ticks, "points", lang))
        blocks.append(Figure(drawn, texts["classes_caption"]))
        if len(found.classes) > 2 * TABLED:
            blocks.append(Claim("classes_cut", {"shown": TABLED, "count": len(found.classes)}))
        blocks.append(_tabulate(found, lang))
    return blocks or [Claim("no_classes", {})]


def _draw(one: ClassGain, lang: Lang) -> DotRow:
    gain = one.gain
    clear = gain.low is not None and gain.high is not None and gain.low * gain.high > 0
    verdict = ("gain" if gain.value > 0 else "loss") if clear else "tie"
    told = f"{show_number(gain.value, gain.unit, lang, noun=False)} {show_bounds(gain, lang)}"
    return DotRow(one.name, gain.value, gain.low, gain.high, (), told, verdict, gain.anchor)


def _tabulate(found: ClassFindings, lang: Lang) -> Table:
    texts = read_texts(lang)
    names = ("class", "images", "alone_column", "gain_column")
    table = Table(tuple((texts[name], "", name != "class") for name in names))
    all_of_them = len(found.classes) <= 2 * TABLED
    for one in found.classes if all_of_them else (*found.classes[:TABLED], *found.classes[-TABLED:]):
        middle = [Entry(str(one.images), one.images), fact_entry(one.alone, lang)]
        table.rows.append([Entry(one.name), *middle, fact_entry(one.gain, lang, noun=False)])
    return table
