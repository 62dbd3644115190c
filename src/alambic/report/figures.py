"""The figures of a report, each from its findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from markupsafe import Markup

from alambic.report.answers import name_student
from alambic.report.contrasts import Contrast
from alambic.report.facts import Fact, Unit
from alambic.report.findings import Findings, StudentFindings
from alambic.report.gather import Group
from alambic.report.rows import WIDTH, BarRow, DotRow, draw_bars, draw_dots
from alambic.report.svg import CHARACTER, SHAPES, clip, drawing, mark, tag, text
from alambic.report.texts import Texts
from alambic.report.wording import Lang, name_group, show_bounds, show_number, show_ticks

COLOURS = 8


class Legend:
    """A colour per arm and a shape per teacher, the same in every figure."""

    def __init__(self, findings: Findings) -> None:
        arms = sorted({group.arm for group in findings.groups if not group.is_baseline})
        teachers = sorted({group.teacher for group in findings.groups if group.teacher})
        self.arms = {arm: f"s{index % COLOURS}" for index, arm in enumerate(arms)}
        self.shapes = {name: SHAPES[1 + index % (len(SHAPES) - 1)] for index, name in enumerate(teachers)}

    def colour(self, group: Group) -> str:
        return "base" if group.is_baseline else self.arms[group.arm]

    def shape(self, group: Group) -> str:
        return self.shapes[group.teacher] if group.teacher else "circle"

    def draw(self, groups: list[Group], shapes: bool, y: float) -> tuple[Markup, float]:
        """Entries in lines from ``y`` on; returns them and the height used."""
        entries: dict[str, tuple[str, str]] = {}
        for group in sorted(groups, key=lambda g: (not g.is_baseline, g.arm)):
            entries.setdefault(group.arm, ("circle", self.colour(group)))
        for name in sorted({group.teacher for group in groups if group.teacher} if shapes else ()):
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


def draw_differences(findings: Findings, lang: Lang, texts: Texts) -> Markup | None:
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
    return draw_dots(rows, texts["differences"], texts["axis_points"], _ticks("points", lang)) if rows else None


def draw_falls(findings: Findings, lang: Lang, texts: Texts, legend: Legend) -> Markup | None:
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
    return draw_dots(rows, texts["falls"], texts["axis_falls"], _ticks("effect", lang)) if rows else None


def draw_costs(findings: Findings, lang: Lang, texts: Texts, legend: Legend) -> Markup | None:
    """Training time of each group, mean over seeds."""
    rows: list[BarRow] = []
    for found in findings.students:
        groups = [group for group in found.groups if "seconds" in group.numbers]
        if groups:
            rows.append(BarRow(name_student(found, findings), 0, "", head=True))
        for group in groups:
            seconds, slow = group.numbers["seconds"], found.slow.get(group.key)
            told = show_number(seconds.value, "seconds", lang)
            told += f" ({show_number(slow.value, 'ratio', lang)})" if slow else ""
            rows.append(BarRow(name_group(group, lang), seconds.value, told, legend.colour(group)))
    return draw_bars(rows, texts["costs"]) if rows else None


def draw_heat(found: StudentFindings, findings: Findings, lang: Lang, texts: Texts) -> Markup | None:
    """Gain by arm (rows) and teacher (columns); what cannot be told from zero is pale and marked."""
    if not found.contrasts:
        return None
    arms = sorted({contrast.group.arm for contrast in found.contrasts})
    teachers = sorted({contrast.group.teacher or "" for contrast in found.contrasts})
    by: dict[tuple[str, str], Contrast] = {}
    for contrast in found.contrasts:
        by.setdefault((contrast.group.arm, contrast.group.teacher or ""), contrast)
    left = 16 + CHARACTER * min(34, max(len(arm) for arm in arms) + 1)
    cell, tall, top = min(130.0, (WIDTH - left) / len(teachers)), 38.0, 28.0
    most = max(abs(contrast.gain.value) for contrast in found.contrasts) or 1.0
    parts = []
    room = int(cell / CHARACTER)
    for column, teacher in enumerate(teachers):
        name = teacher or texts["no_teacher"]
        parts.append(text(left + cell * (column + 0.5), top - 10, clip(name, room), "middle", "label"))
    for row, arm in enumerate(arms):
        y = top + tall * row
        starred = any(c.group.starred for c in found.contrasts if c.group.arm == arm)
        parts.append(text(left - 8, y + tall / 2 + 4, clip(arm + "*" * starred, 34), "end", "label"))
        for column, teacher in enumerate(teachers):
            parts.append(_heat_cell(by.get((arm, teacher)), left + cell * column, y, cell, tall, most, lang, texts))
    label = f"{texts['heat']}: {name_student(found, findings)}"
    return drawing(WIDTH, top + tall * len(arms) + 6, label, *parts)


def _heat_cell(
    contrast: Contrast | None, x: float, y: float, wide: float, tall: float, most: float, lang: Lang, texts: Texts
) -> Markup:
    place = {"x": x + 1.5, "y": y + 1.5, "width": wide - 3, "height": tall - 3, "rx": 3}
    if contrast is None:
        return tag("rect", **place, class_="heat empty")
    gain = contrast.gain
    sign = "gain" if gain.value > 0 else "loss"
    title = f"{name_group(contrast.group, lang)}: {tell(gain, lang)}, {texts[contrast.verdict]}"
    clear = contrast.verdict in ("gain", "loss")
    strength = f"{(0.15 + 0.6 * abs(gain.value) / most):.2f}"
    return tag(
        "a",
        tag("title", title),
        tag("rect", **place, class_=f"heat {sign} {'clear' if clear else 'unclear'}", fill_opacity=strength),
        text(
            x + wide / 2,
            y + tall / 2 - 1,
            show_number(gain.value, "points", lang, noun=False),
            "middle",
            "heatnumber" if clear else "heatpale",
        ),
        text(
            x + wide / 2,
            y + tall / 2 + 12,
            texts[contrast.verdict],
            "middle",
            "heatnote" if not clear else "heatnote strong",
        ),
        href=f"#{gain.anchor}",
    )
