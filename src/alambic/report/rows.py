"""Figures made of rows: paired differences, int8 falls, costs. One row a group, a dot a seed, a bar an interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from alambic.report.svg import CHARACTER, Scale, clip, drawing, line, mark, round_ticks, tag, text

WIDTH, ROW, TOP = 760.0, 24.0, 10.0
LABEL = 34  # characters


@dataclass(frozen=True)
class DotRow:
    """One row: label, mean, bounds, the seeds' values, what stands at the right. A ``head`` has its label only.

    ``class_`` colours it: gain, loss, tie or s0 to s7. ``anchor`` is where a click leads.
    """

    label: str
    mean: float = 0.0
    low: float | None = None
    high: float | None = None
    dots: tuple[float, ...] = ()
    told: str = ""
    class_: str = ""
    anchor: str = ""
    head: bool = False
    blind: float | None = None


def draw_dots(rows: list[DotRow], label: str, axis: str, show: Callable[[list[float]], list[str]]) -> Markup:
    """Rows of dots over one axis with a line at zero.

    ``blind`` of a head row shades what the design could not see, from the row under it to the next head.
    """
    values = [v for r in rows if not r.head for v in (r.mean, r.low, r.high, *r.dots) if v is not None] + [0.0]
    bands = [row.blind for row in rows if row.blind is not None]
    low, high = min(values + [-b for b in bands]), max(values + bands)
    pad = 0.04 * ((high - low) or 1.0)
    left = 12 + CHARACTER * min(LABEL, max(len(row.label) for row in rows))
    right = WIDTH - 12 - CHARACTER * max(len(row.told) for row in rows)
    scale = Scale(low - pad, high + pad, left + 8, right - 12)
    bottom = TOP + ROW * len(rows)
    parts = [_bands(rows, scale)]
    ticks = round_ticks(low - pad, high + pad)
    for tick, told in zip(ticks, show(ticks), strict=True):
        parts += [line(scale(tick), TOP, scale(tick), bottom, "grid")]
        parts += [text(scale(tick), bottom + 16, told, "middle", "tick")]
    parts.append(line(scale(0), TOP - 4, scale(0), bottom + 4, "zero"))
    parts.append(text((left + right) / 2, bottom + 36, axis, "middle", "axis"))
    for index, row in enumerate(rows):
        parts.append(_draw_row(row, TOP + ROW * (index + 0.5), left, scale))
    return drawing(WIDTH, bottom + 44, label, *parts)


def _draw_row(row: DotRow, y: float, left: float, scale: Scale) -> Markup:
    if row.head:
        return text(0, y + 4, row.label, "start", "head")
    parts = [text(left, y + 4, clip(row.label, LABEL), "end", "label")]
    if row.low is not None and row.high is not None:
        parts.append(line(scale(row.low), y, scale(row.high), y, f"whisker {row.class_}"))
    parts += [mark("circle", scale(value), y, 2.8, f"seed {row.class_}") for value in row.dots]
    parts.append(mark("diamond", scale(row.mean), y, 4.5, f"point {row.class_}", f"{row.label}: {row.told}"))
    parts.append(text(WIDTH - 4, y + 4, row.told, "end", f"told {row.class_}"))
    return tag("a", *parts, href=f"#{row.anchor}") if row.anchor else tag("g", *parts)


def _bands(rows: list[DotRow], scale: Scale) -> Markup:
    """Shaded regions of effects too small to be seen."""
    found = Markup("")
    heads = [index for index, row in enumerate(rows) if row.head] + [len(rows)]
    for start, stop in pairwise(heads):
        blind = rows[start].blind
        if blind is not None:
            x, y = scale(-blind), TOP + ROW * (start + 1)
            found += tag("rect", x=x, y=y, width=scale(blind) - x, height=ROW * (stop - start - 1), class_="blind")
    return found


@dataclass(frozen=True)
class BarRow:
    """One bar with a label and what stands at its end."""

    label: str
    value: float
    told: str
    class_: str = "s0"
    head: bool = False


def draw_bars(rows: list[BarRow], label: str) -> Markup:
    """Horizontal bars from zero."""
    left = 12 + CHARACTER * min(LABEL, max(len(row.label) for row in rows))
    right = WIDTH - 16 - CHARACTER * max(len(row.told) for row in rows)
    scale = Scale(0, max(row.value for row in rows) or 1.0, left + 8, right)
    parts = []
    for index, row in enumerate(rows):
        y = TOP + ROW * (index + 0.5)
        if row.head:
            parts.append(text(0, y + 4, row.label, "start", "head"))
            continue
        parts.append(text(left, y + 4, clip(row.label, LABEL), "end", "label"))
        size = max(1.0, scale(row.value) - scale(0))
        parts.append(tag("rect", x=scale(0), y=y - 7, width=size, height=14.0, rx=2, class_=f"bar {row.class_}"))
        parts.append(text(scale(row.value) + 6, y + 4, row.told, "start", "told"))
    return drawing(WIDTH, TOP + ROW * len(rows) + 8, label, *parts)
