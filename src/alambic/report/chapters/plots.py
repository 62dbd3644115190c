"""Figures with two axes: score against bytes, learning curves."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from alambic.report.chapters.answers import name_student
from alambic.report.chapters.claims import name_metric
from alambic.report.chapters.figures import Legend, tell
from alambic.report.chapters.rows import WIDTH
from alambic.report.facts.findings import Findings, StudentFindings
from alambic.report.facts.gather import Array, Group
from alambic.report.svg import CHARACTER, Scale, clip, drawing, line, mark, round_ticks, tag, text
from alambic.report.words.texts import Texts
from alambic.report.words.wording import Lang, name_group, show_number, show_ticks

Curve = tuple[Array, Array, Array, Array]  # epochs; mean, lowest, highest tune score over seeds


def draw_sizes(findings: Findings, lang: Lang, texts: Texts, legend: Legend) -> Markup | None:
    """Score against bytes of int8 weights."""
    groups = [group for group in findings.groups if "weight_bytes" in group.numbers]
    sizes = {group.key: group.numbers["weight_bytes"].value for group in groups}
    return draw_against(groups, sizes, texts["sizes"], name_scale(findings, lang, texts), lang, legend)


def name_scale(findings: Findings, lang: Lang, texts: Texts) -> str:
    """The title of an axis of scores: the metric, and of which network."""
    scored = findings.scored
    return texts["sizes_axis"].format(metric=name_metric(scored.metric, lang), precision=scored.precision)


def draw_against(
    groups: list[Group], sizes: dict[str, float], label: str, axis: str, lang: Lang, legend: Legend
) -> Markup | None:
    """Score against bytes by group key; groups of one student and size stand side by side. None where all are of one
    size."""
    if len({sizes[group.key] for group in groups}) < 2:
        return None
    clusters = sorted({(sizes[group.key], group.student) for group in groups})
    ends = [v for g in groups for v in (g.score.value, g.score.low, g.score.high) if v is not None]
    low, high = min(ends), max(ends)
    pad = 0.06 * ((high - low) or 0.01)
    left, right, top, bottom = 64.0, WIDTH - 12, 12.0, 300.0
    y = Scale(low - pad, high + pad, bottom, top)
    wide = (right - left) / len(clusters)
    parts = []
    ticks = round_ticks(low - pad, high + pad)
    for tick, told in zip(ticks, show_ticks(ticks, "share", lang), strict=True):
        parts += [line(left, y(tick), right, y(tick), "grid")]
        parts += [text(left - 8, y(tick) + 4, told, "end", "tick")]
    for index, (size, student) in enumerate(clusters):
        members = [g for g in groups if (sizes[g.key], g.student) == (size, student)]
        members.sort(key=lambda g: (not g.is_baseline, g.arm, g.teacher or ""))
        x = Scale(-1, len(members), left + wide * index, left + wide * (index + 1))
        if index:
            parts.append(line(left + wide * index, top, left + wide * index, bottom, "grid"))
        for place, group in enumerate(members):
            parts.append(_size_point(group, x(place), y, lang, legend))
        middle = left + wide * (index + 0.5)
        parts.append(text(middle, bottom + 18, show_number(size, "bytes", lang), "middle", "tick"))
        parts.append(text(middle, bottom + 34, clip(student, int(wide / CHARACTER)), "middle", "label"))
    parts.append(line(left, bottom, right, bottom, "zero"))
    parts.append(text(12, (top + bottom) / 2, axis, "middle", "axis", turn=-90))
    drawn, tall = legend.draw(groups, shapes=True, y=bottom + 60)
    return drawing(WIDTH, bottom + 50 + tall, label, *parts, drawn)


def _size_point(group: Group, x: float, y: Scale, lang: Lang, legend: Legend) -> Markup:
    score, colour = group.score, legend.colour(group)
    parts = []
    if score.low is not None and score.high is not None:
        parts.append(line(x, y(score.low), x, y(score.high), f"whisker {colour}"))
    title = f"{name_group(group, lang)}: {tell(score, lang)}"
    parts.append(mark(legend.shape(group), x, y(score.value), 5.5, f"point {colour}", title))
    return tag("a", *parts, href=f"#{score.anchor}")


def draw_curves(found: StudentFindings, findings: Findings, lang: Lang, texts: Texts, legend: Legend) -> Markup | None:
    """Tune score by epoch: a panel per teacher, mean line and the seeds' range; the student alone in each panel.

    None where no cell was evaluated at more than one epoch.
    """
    curves: dict[str, Curve] = {}
    for group in found.groups:
        curve = mean_curve(group, findings)
        if curve is not None:
            curves[group.key] = curve
    if not any(len(curve[0]) > 1 for curve in curves.values()):  # a study that looked at its last epoch alone
        return None
    groups = [group for group in found.groups if group.key in curves]
    plain = [group for group in groups if group.is_baseline]
    taught = [group for group in groups if not group.is_baseline]
    panels = sorted({legend.teachers[group.key] for group in taught}) or [""]
    last = max(float(curve[0][-1]) for curve in curves.values())
    late = [v for c in curves.values() for v in c[1][c[0] >= last / 3]]
    high = max(float(curve[3].max()) for curve in curves.values())
    low = float(min(late))
    pad = 0.05 * ((high - low) or 0.01)
    across = min(len(panels), 3)
    wide, tall = WIDTH / across, 210.0
    parts = []
    for index, teacher in enumerate(panels):
        members = plain + [group for group in taught if legend.teachers[group.key] == teacher]
        x0, y0 = wide * (index % across), 8 + (tall + 46) * (index // across)
        x = Scale(0, last, x0 + 52, x0 + wide - 10)
        y = Scale(low - pad, high + pad, y0 + tall, y0 + 22)
        title = teacher or texts["no_teacher"]
        name = f"clip-{found.groups[0].key}-{index}"
        parts.append(_draw_panel(title, members, curves, x, y, name, lang, legend))
    bottom = 8 + (tall + 46) * ((len(panels) - 1) // across + 1)
    drawn, height = legend.draw(groups, shapes=False, y=bottom + 12)
    label = f"{texts['curves']}: {name_student(found, findings)}"
    return drawing(WIDTH, bottom + height, label, *parts, drawn)


def mean_curve(group: Group, findings: Findings) -> Curve | None:
    """Epochs, mean, lowest and highest tune score over seeds, at the epochs that every seed was evaluated at."""
    found = [{r["epoch"]: r["tune"] for r in findings.curves.get(i, []) if "tune" in r} for i in group.ids]
    epochs = sorted(set.intersection(*(set(curve) for curve in found))) if found else []
    if not epochs:
        return None
    values = np.array([[curve[epoch] for epoch in epochs] for curve in found])
    return np.array(epochs), values.mean(0), values.min(0), values.max(0)


def _draw_panel(
    title: str, groups: list[Group], curves: dict[str, Curve], x: Scale, y: Scale, name: str, lang: Lang, legend: Legend
) -> Markup:
    frame = {"x": x.start, "y": y.stop, "width": x.stop - x.start + 4, "height": y.start - y.stop}
    parts = [tag("clipPath", tag("rect", **frame), id=name)]
    parts.append(text(x.start, y.stop - 8, clip(title, 30), "start", "head"))
    ticks = round_ticks(y.low, y.high, 5)
    for tick, told in zip(ticks, show_ticks(ticks, "share", lang), strict=True):
        parts += [line(x.start, y(tick), x.stop, y(tick), "grid")]
        parts += [text(x.start - 6, y(tick) + 4, told, "end", "tick")]
    for tick in round_ticks(x.low, x.high, 5):
        parts.append(text(x(tick), y.start + 16, show_number(tick, "number", lang), "middle", "tick"))
    inside = []
    for group in groups:
        epochs, mean, low, high = curves[group.key]
        there = [f"{x(e):.1f},{y(v):.1f}" for e, v in zip(epochs, high, strict=True)]
        back = [f"{x(e):.1f},{y(v):.1f}" for e, v in zip(epochs[::-1], low[::-1], strict=True)]
        inside.append(tag("polygon", points=" ".join(there + back), class_=f"range {legend.colour(group)}"))
        named = tag("title", name_group(group, lang))
        path = " ".join(f"{x(e):.1f},{y(v):.1f}" for e, v in zip(epochs, mean, strict=True))
        inside.append(tag("polyline", named, points=path, class_=f"curve {legend.colour(group)}"))
        if len(epochs) <= 12:
            colour = f"point {legend.colour(group)}"
            inside += [mark("circle", x(e), y(v), 2.2, colour) for e, v in zip(epochs, mean, strict=True)]
    parts.append(tag("g", *inside, clip_path=f"url(#{name})"))
    parts.append(line(x.start, y.start, x.stop, y.start, "zero"))
    return tag("g", *parts)
