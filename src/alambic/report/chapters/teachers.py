"""Teachers in one picture: what each gave its student against how right it is itself, coloured by architecture."""

from __future__ import annotations

import math
from collections.abc import Iterable

from markupsafe import Markup

from alambic.report.chapters.answers import name_student
from alambic.report.chapters.figures import COLOURS, draw_entries, tell
from alambic.report.chapters.rows import WIDTH
from alambic.report.facts.contrasts import Contrast
from alambic.report.facts.fact import Fact
from alambic.report.facts.findings import Findings
from alambic.report.svg import CHARACTER, Scale, drawing, line, mark, round_ticks, tag, text
from alambic.report.words.texts import Texts
from alambic.report.words.wording import Lang, show_number, show_ticks

FAMILIES = ("convnext", "mixer", "resnet", "swin", "vit", "efficientnet")  # each of one colour in all figures
FEWEST = 4  # teachers of one arm: fewer are read off the other figures
TALL, GAP = 250.0, 62.0
LINE, DIGIT, MARK = 11.0, 7.0, 7.0  # px: of a number's height and of each digit's width; half a mark's size
LABELS, TAUGHT = "circle", "triangle"

Box = tuple[float, float, float, float]  # left, right, top, bottom


def draw_teachers(findings: Findings, lang: Lang, texts: Texts) -> Markup | None:
    """A panel for each student and arm with many teachers: gain over the student alone by the teacher's own score.

    Colour is the family; a triangle is a teacher that another one taught, a circle one taught by labels. Each mark has
    a number, the key under the panels its name: names would lie on marks and whiskers. An upright line is the student
    alone. None where no arm has four teachers whose score is known.
    """
    panels = gather_panels(findings)
    return _draw_panels(panels, lang, texts) if panels else None


def draw_parts(findings: Findings, lang: Lang, texts: Texts) -> list[Markup]:
    """The same in a figure a panel: of print, where a tall one would leave half of the page before it empty."""
    return [_draw_panels({name: own}, lang, texts) for name, own in gather_panels(findings).items()]


def _draw_panels(panels: dict[str, list[Contrast]], lang: Lang, texts: Texts) -> Markup:
    every = sorted((contrast for own in panels.values() for contrast in own), key=read_score)
    scores = [read_score(contrast) for contrast in every]
    scores += [alone.value for own in panels.values() if (alone := score_alone(own))]
    wide = max(0.01, 0.05 * (max(scores) - min(scores)))
    x = Scale(min(scores) - wide, max(scores) + wide, 64.0, WIDTH - 16)
    colours = colour_families(every)
    names = list(dict.fromkeys(str(contrast.group.teacher) for contrast in every))
    key: dict[str, tuple[str, str]] = {}
    for contrast in every:
        number = names.index(str(contrast.group.teacher)) + 1
        key.setdefault(f"{number} {contrast.group.teacher}", (_shape(contrast), _colour(contrast, colours)))
    parts: list[Markup] = []
    for index, (name, own) in enumerate(panels.items()):
        top = 32.0 + index * (TALL + GAP)
        y = _scale_gains(own, top)
        parts += [text(0, top - 14, name, class_="head"), *_frame(x, y, lang, texts)]
        drawn, taken = _mark_alone(own, x, y, lang, texts)
        parts += [*drawn, *_points(own, names, x, y, colours, taken, lang)]
    legend = {family: ("square", colour) for family, colour in colours.items()}
    legend |= {texts[key]: (shape, "plainmark") for key, shape in (("taught_labels", LABELS), ("taught_other", TAUGHT))}
    bottom = 36.0 + len(panels) * (TALL + GAP)
    named, high = draw_entries(key, bottom)
    told, low = draw_entries(legend, bottom + high + 8)
    return drawing(WIDTH, bottom + high + low, texts["teachers_figure"], *parts, named, told)


def _scale_gains(own: list[Contrast], top: float) -> Scale:
    """A panel's own: one student's worst teacher would press all others' marks into a corner."""
    ends = [v for c in own for v in (c.gain.value, c.gain.low, c.gain.high) if v is not None] + [0.0]
    room = 0.12 * ((max(ends) - min(ends)) or 0.01)  # for numbers over and under the whiskers
    return Scale(min(ends) - room, max(ends) + room, top + TALL, top)


def gather_panels(findings: Findings) -> dict[str, list[Contrast]]:
    """Student and arm -> its contrasts with the student alone, of teachers whose score is known; at least FEWEST."""
    panels: dict[str, list[Contrast]] = {}
    for found in findings.students:
        for contrast in found.contrasts:
            score = contrast.group.rows[0].content.get("teacher_score")
            if score is not None and math.isfinite(score):
                panels.setdefault(f"{name_student(found, findings)}, {contrast.group.arm}", []).append(contrast)
    return {name: own for name, own in panels.items() if len(own) >= FEWEST}


def colour_families(contrasts: Iterable[Contrast]) -> dict[str, str]:
    """One colour a family, in the alphabet's order: those of FAMILIES have theirs in every figure."""
    found = {tell_of(contrast, "teacher_family") for contrast in contrasts}
    places = {family: index for index, family in enumerate([*FAMILIES, *sorted(found - set(FAMILIES))])}
    return {family: f"s{places[family] % COLOURS}" for family in sorted(found)}


def _shape(contrast: Contrast) -> str:
    return TAUGHT if tell_of(contrast, "teacher_provenance").startswith("distilled") else LABELS


def _colour(contrast: Contrast, colours: dict[str, str]) -> str:
    return colours[tell_of(contrast, "teacher_family")]


def read_score(contrast: Contrast) -> float:
    return float(contrast.group.rows[0].content["teacher_score"])


def score_alone(own: list[Contrast]) -> Fact | None:
    """What the student alone of a panel scores where its teachers' own scores are taken: on the tune images."""
    return own[0].other.numbers.get("tune")


def tell_of(contrast: Contrast, name: str) -> str:
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
    parts.append(text(12, (y.start + y.stop) / 2, texts["axis_points"], "middle", "axis", turn=-90))
    return parts


def _mark_alone(own: list[Contrast], x: Scale, y: Scale, lang: Lang, texts: Texts) -> tuple[list[Markup], list[Box]]:
    """An upright line at the student's own score, named at its top; the boxes that both take."""
    alone = score_alone(own)
    if alone is None:
        return [], []
    across, name = x(alone.value), f"{texts['alone']} {show_number(alone.value, 'share', lang)}"
    right = across < (x.start + x.stop) / 2
    start, wide = (across + 4, CHARACTER * len(name)) if right else (across - 4, -CHARACTER * len(name))
    told = text(start, y.stop + LINE, name, "start" if right else "end", "tick")
    ends = sorted((start, start + wide))
    boxes = [(across - 1, across + 1, y.stop, y.start), (ends[0], ends[1], y.stop, y.stop + LINE + 2)]
    return [line(across, y.stop, across, y.start, "zero"), told], boxes


def _points(
    own: list[Contrast], names: list[str], x: Scale, y: Scale, colours: dict[str, str], taken: list[Box], lang: Lang
) -> list[Markup]:
    """Marks with whiskers, then the teachers' numbers over or under them, clear of all that is drawn, ``taken`` too."""
    parts, places = list[Markup](), list[tuple[str, float, float, float]]()
    taken = [*taken, (x.start, x.stop, y(0) - 1, y(0) + 1)]
    for contrast in sorted(own, key=read_score):
        group, gain, colour = contrast.group, contrast.gain, _colour(contrast, colours)
        across, high, low = x(read_score(contrast)), y(gain.value), y(gain.value)
        inside = []
        if gain.low is not None and gain.high is not None:
            high, low = y(gain.high), y(gain.low)
            inside.append(line(across, low, across, high, f"whisker {colour}"))
        told = f"{group.teacher}: {tell(gain, lang)}"
        inside.append(mark(_shape(contrast), across, y(gain.value), 5.0, f"point {colour}", told))
        parts.append(tag("a", *inside, href=f"#{gain.anchor}"))
        taken += [(across - 1, across + 1, high, low)]
        taken += [(across - MARK, across + MARK, y(gain.value) - MARK, y(gain.value) + MARK)]
        high, low = min(high, y(gain.value) - MARK), max(low, y(gain.value) + MARK)
        places.append((str(names.index(str(group.teacher)) + 1), across, high, low))
    for number, across, high, low in places:
        half = DIGIT * len(number) / 2
        steps = [step * LINE / 2 for step in range(2 * int(TALL / LINE))]
        # the baseline over the whisker or under it, the nearest that is free and in the frame
        ends = [end for step in steps for end in (high - 3 - step, low + LINE + step)]
        inside_frame = [end for end in ends if y.stop + LINE < end < y.start]
        boxes = [(across - half, across + half, end - LINE + 2, end + 1) for end in inside_frame]
        free = next((box for box in boxes if not any(_meet(box, other) for other in taken)), boxes[0])
        taken.append(free)
        parts.append(text(across, free[3] - 1, number, "middle", "tick strong"))
    return parts


def _meet(one: Box, other: Box) -> bool:
    """Whether two boxes (left, right, top, bottom) lie on each other."""
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]
