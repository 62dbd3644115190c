"""The figures of a report, each from its findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from markupsafe import Markup

from alambic.report.chapters.answers import name_student
from alambic.report.chapters.rows import WIDTH, DotRow, draw_dots, split_rows
from alambic.report.facts.contrasts import Contrast
from alambic.report.facts.fact import Fact, Unit
from alambic.report.facts.findings import Findings, StudentFindings
from alambic.report.facts.gather import Group
from alambic.report.svg import CHARACTER, SHAPES, clip, drawing, mark, tag, text
from alambic.report.words.french_names import tell_arm
from alambic.report.words.texts import Texts
from alambic.report.words.wording import Lang, name_arm, name_group, name_teacher, show_bounds, show_number, show_ticks

COLOURS = 8
LONG_NAME, NARROW = 40, 52.0  # characters of a name in the heat map; px of a column that holds a gain
MOST_DOWN = 24  # rows of a heat map: what a page holds
LETTER, NOTE = 7.4, 6.2  # px of a letter of a name and of a verdict, in the widest font that may show them


class Legend:
    """A colour per arm and a shape per teacher, the same in every figure."""

    def __init__(self, findings: Findings, lang: Lang) -> None:
        arms, self.lang = sorted({group.arm for group in findings.groups if not group.is_baseline}), lang
        self.teachers = {group.key: name_teacher(group.rows[0].content, lang) for group in findings.groups}
        teachers = sorted({name for name in self.teachers.values() if name})
        self.arms = {arm: f"s{index % COLOURS}" for index, arm in enumerate(arms)}
        self.shapes = {name: SHAPES[1 + index % (len(SHAPES) - 1)] for index, name in enumerate(teachers)}

    def colour(self, group: Group) -> str:
        return "base" if group.is_baseline else self.arms[group.arm]

    def shape(self, group: Group) -> str:
        return self.shapes.get(self.teachers[group.key], "circle")

    def draw(self, groups: list[Group], shapes: bool, y: float) -> tuple[Markup, float]:
        """Entries in lines from ``y`` on; returns them and the height used."""
        entries: dict[str, tuple[str, str]] = {}
        for group in sorted(groups, key=lambda g: (not g.is_baseline, g.arm)):
            entries.setdefault(tell_arm(group.arm, self.lang), ("circle", self.colour(group)))
        for name in sorted({self.teachers[group.key] for group in groups} - {""} if shapes else ()):
            entries[f"\u2190 {name}"] = (self.shapes[name], "plainmark")
        return draw_entries(entries, y)


def draw_entries(entries: Mapping[str, tuple[str, str]], y: float) -> tuple[Markup, float]:
    """A legend, name -> (shape, colour), in lines from ``y`` on; returns it and the height used."""
    x, parts, start = 8.0, Markup(""), y
    for name, (shape, colour) in entries.items():
        size = 32 + CHARACTER * len(clip(name, 40))
        if x + size > WIDTH:
            x, y = 8.0, y + 20
        parts += mark(shape, x, y - 4, 4.5, f"point {colour}") + text(x + 10, y, clip(name, 40), "start", "label")
        x += size
    return parts, y - start + 20


def _ticks(unit: Unit, lang: Lang) -> Callable[[list[float]], list[str]]:
    return lambda values: show_ticks(values, unit, lang)


def tell(fact: Fact, lang: Lang) -> str:
    """A fact with its interval as bare text."""
    return f"{show_number(fact.value, fact.unit, lang, noun=False)} {show_bounds(fact, lang)}".strip()


def draw_differences(findings: Findings, lang: Lang, texts: Texts) -> list[Markup]:
    """Paired differences to the student alone, one row a group, with what the design could not see shaded."""
    rows: list[DotRow] = []
    for found in findings.students:
        if not found.contrasts:
            continue
        blind = found.sight.effect.value if found.sight and found.sight.effect else None
        rows.append(DotRow(name_student(found, findings), head=True, blind=blind))
        for contrast in sorted(found.contrasts, key=lambda c: (c.group.teacher or "", c.group.arm, c.group.key)):
            gain = contrast.gain
            rows.append(
                DotRow(
                    name_group(contrast.group, lang),
                    gain.value,
                    gain.low,
                    gain.high,
                    contrast.paired.differences,
                    tell(gain, lang),
                    contrast.verdict,
                    gain.anchor,
                )
            )
    told = (texts["differences"], texts["axis_points"], _ticks("points", lang))
    return [draw_dots(part, *told, rows) for part in split_rows(rows)] if rows else []


def draw_falls(findings: Findings, lang: Lang, texts: Texts, legend: Legend) -> list[Markup]:
    """Points that int8 costs each group."""
    rows: list[DotRow] = []
    for found in findings.students:
        groups = [group for group in found.groups if "fall" in group.numbers]
        if groups:
            rows.append(DotRow(name_student(found, findings), head=True))
        for group in groups:
            fall = group.numbers["fall"]
            split = "test" if "test_int8" in group.numbers else "tune"
            small = group.values(f"{split}_int8")
            seeds = tuple(value - small[seed] for seed, value in group.values(split).items())
            label = name_group(group, lang)
            bounds = (fall.low, fall.high)
            rows.append(DotRow(label, fall.value, *bounds, seeds, tell(fall, lang), legend.colour(group), fall.anchor))
    told = (texts["falls"], texts["axis_falls"], _ticks("effect", lang))
    return [draw_dots(part, *told, rows) for part in split_rows(rows)] if rows else []


def draw_heat(found: StudentFindings, findings: Findings, lang: Lang, texts: Texts) -> list[Markup]:
    """Gain by arm and teacher, the more numerous of them downwards; what cannot be told from zero is pale and marked.

    Names across stand upright where one is wider than its column.
    """
    if not found.contrasts:
        return []
    by: dict[tuple[str, str], Contrast] = {}
    for contrast in found.contrasts:
        teacher = name_teacher(contrast.group.rows[0].content, lang) or texts["no_teacher"]
        by.setdefault((name_arm(contrast.group, lang), teacher), contrast)
    arms, teachers = sorted({arm for arm, _ in by}), sorted({teacher for _, teacher in by})
    if min(len(arms), len(teachers)) == 1:
        return []  # one row tells no more than the figure of gains
    flipped = len(teachers) > len(arms)
    down, across = (teachers, arms) if flipped else (arms, teachers)
    left = 16 + LETTER * min(LONG_NAME, max(len(name) for name in down))
    cell, tall = max(NARROW, min(130.0, (WIDTH - left) / len(across))), 38.0
    longest = LETTER * min(LONG_NAME, max(len(name) for name in across))
    upright = longest > cell - 6
    top = longest + 18 if upright else 28.0
    most = max(abs(contrast.gain.value) for contrast in found.contrasts) or 1.0
    heads = []
    for column, name in enumerate(across):
        x, shown = left + cell * (column + 0.5), clip(name, LONG_NAME)
        place = (x + 4, top - 8, shown, "start") if upright else (x, top - 10, shown, "middle")
        heads.append(text(*place, "label", turn=-90 if upright else 0))
    label = f"{texts['heat']}: {name_student(found, findings)}"
    drawn = []
    for first in range(0, len(down), MOST_DOWN):
        shown_rows, parts = down[first : first + MOST_DOWN], list(heads)
        for row, name in enumerate(shown_rows):
            y = top + tall * row
            parts.append(text(left - 8, y + tall / 2 + 4, clip(name, LONG_NAME), "end", "label"))
            for column, other in enumerate(across):
                there = by.get((other, name) if flipped else (name, other))
                parts.append(_heat_cell(there, left + cell * column, y, cell, tall, most, lang, texts))
        wide, high = max(WIDTH, left + cell * len(across)), top + tall * len(shown_rows) + 6
        drawn.append(drawing(wide, high, label, *parts))
    return drawn


def _heat_cell(
    contrast: Contrast | None, x: float, y: float, wide: float, tall: float, most: float, lang: Lang, texts: Texts
) -> Markup:
    place = {"x": x + 1.5, "y": y + 1.5, "width": wide - 3, "height": tall - 3, "rx": 3}
    if contrast is None:
        return tag("rect", **place, class_="heat empty")
    gain, verdict = contrast.gain, texts[contrast.verdict]
    sign = "gain" if gain.value > 0 else "loss"
    clear = contrast.verdict in ("gain", "loss")
    strength = f"{(0.15 + 0.6 * abs(gain.value) / most):.2f}"
    number = show_number(gain.value, "points", lang, noun=False)
    middle, fits = x + wide / 2, NOTE * len(verdict) <= wide - 6  # frame and dashes tell a verdict without its word
    low = y + tall / 2 + (-1 if fits else 4)
    return tag(
        "a",
        tag("title", f"{name_group(contrast.group, lang)}: {tell(gain, lang)}, {verdict}"),
        tag("rect", **place, class_=f"heat {sign} {'clear' if clear else 'unclear'}", fill_opacity=strength),
        text(middle, low, number, "middle", "heatnumber" if clear else "heatpale"),
        *((text(middle, low + 13, verdict, "middle", f"heatnote{' strong' if clear else ''}"),) if fits else ()),
        href=f"#{gain.anchor}",
    )
