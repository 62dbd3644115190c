"""Teachers in one picture: what each gave its student against how right it is itself, coloured by architecture."""

from __future__ import annotations

import math

from markupsafe import Markup

from alambic.report.answers import name_student
from alambic.report.contrasts import Contrast
from alambic.report.figures import COLOURS, draw_entries, tell
from alambic.report.findings import Findings
from alambic.report.rows import WIDTH
from alambic.report.svg import CHARACTER, Scale, clip, drawing, line, mark, round_ticks, tag, text
from alambic.report.texts import Texts
from alambic.report.wording import Lang, show_ticks

FEWEST = 4  # teachers of one arm: fewer are read off the other figures
TALL, GAP, LINE = 250.0, 62.0, 12.0
LABELS, TAUGHT = "circle", "triangle"


def draw_teachers(findings: Findings, lang: Lang, texts: Texts) -> Markup | None:
    """A panel for each student and arm with many teachers: gain over the student alone by the teacher's own score.

    Colour is the family; a triangle is a teacher that another one taught, a circle one taught by labels. None where no
    arm has four teachers whose score is known.
    """
    panels: dict[str, list[Contrast]] = {}
    for found in findings.students:
        for contrast in found.contrasts:
            score = contrast.group.rows[0].content.get("teacher_score")
            if score is not None and math.isfinite(score):
                panels.setdefault(f"{name_student(found, findings)}, {contrast.group.arm}", []).append(contrast)
    panels = {name: own for name, own in panels.items() if len(own) >= FEWEST}
    if not panels:
        return None
    every = [contrast for own in panels.values() for contrast in own]
    scores = [_score(contrast) for contrast in every]
    ends = [v for c in every for v in (c.gain.value, c.gain.low, c.gain.high) if v is not None] + [0.0]
    wide, tall = max(0.01, 0.05 * (max(scores) - min(scores))), (max(ends) - min(ends)) or 0.01
    x = Scale(min(scores) - wide, max(scores) + wide, 64.0, WIDTH - 100)
    families = sorted({_told(contrast, "teacher_family") for contrast in every})
    colours = {family: f"s{index % COLOURS}" for index, family in enumerate(families)}
    parts: list[Markup] = []
    for index, (name, own) in enumerate(panels.items()):
        top = 26.0 + index * (TALL + GAP)
        y = Scale(min(ends) - 0.06 * tall, max(ends) + 0.06 * tall, top + TALL, top)
        parts += [text(0, top - 8, name, class_="head"), *_frame(x, y, lang, texts)]
        parts += _points(own, x, y, colours, lang)
    legend = {family: ("square", colour) for family, colour in colours.items()}
    legend |= {texts[key]: (shape, "plainmark") for key, shape in (("taught_labels", LABELS), ("taught_other", TAUGHT))}
    bottom = 30.0 + len(panels) * (TALL + GAP)
    drawn, high = draw_entries(legend, bottom)
    return drawing(WIDTH, bottom + high - 8, texts["teachers_figure"], *parts, drawn)


def _score(contrast: Contrast) -> float:
    return float(contrast.group.rows[0].content["teacher_score"])


def _told(contrast: Contrast, name: str) -> str:
    return str(contrast.group.rows[0].content.get(name) or "?")


def _frame(x: Scale, y: Scale, lang: Lang, texts: Texts) -> list[Markup]:
    parts = []
    across, up = round_ticks(x.low, x.high), round_ticks(y.low, y.high, 5)
    for tick, told in zip(up, show_ticks(up, "effect", lang), strict=True):
        parts += [line(x.start, y(tick), x.stop, y(tick), "zero" if tick == 0 else "grid")]
        parts += [text(x.start - 8, y(tick) + 4, told, "end", "tick")]
    for tick, told in zip(across, show_ticks(across, "share", lang), strict=True):
        parts.append(text(x(tick), y.start + 16, told, "middle", "tick"))
    parts.append(text((x.start + x.stop) / 2, y.start + 32, texts["teachers_axis"], "middle", "axis"))
    return parts


def _points(own: list[Contrast], x: Scale, y: Scale, colours: dict[str, str], lang: Lang) -> list[Markup]:
    """Marks with whiskers, then names at their right, moved up or down where they would lie on each other."""
    parts, taken = [], list[tuple[float, float, float]]()
    for contrast in sorted(own, key=_score):
        group, gain = contrast.group, contrast.gain
        colour = colours[_told(contrast, "teacher_family")]
        shape = TAUGHT if _told(contrast, "teacher_provenance").startswith("distilled") else LABELS
        across, name = x(_score(contrast)), clip(group.teacher or "", 18)
        inside = []
        if gain.low is not None and gain.high is not None:
            inside.append(line(across, y(gain.low), across, y(gain.high), f"whisker {colour}"))
        inside.append(
            mark(shape, across, y(gain.value), 5.0, f"point {colour}", f"{group.teacher}: {tell(gain, lang)}")
        )
        parts.append(tag("a", *inside, href=f"#{gain.anchor}"))
        start, end, height = across + 8, across + 8 + CHARACTER * len(name), y(gain.value) + 4
        near = sorted((height + step * LINE for step in range(-8, 9)), key=lambda place: abs(place - height))
        free = (place for place in near if not any(_meet((start, end, place), other) for other in taken))
        place = next(free, height)
        taken.append((start, end, place))
        parts.append(text(start, place, name, class_="tick"))
    return parts


def _meet(one: tuple[float, float, float], other: tuple[float, float, float]) -> bool:
    """Whether two names (start, end, baseline) would lie on each other."""
    return one[0] < other[1] and other[0] < one[1] and abs(one[2] - other[2]) < LINE
