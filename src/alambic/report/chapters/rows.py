"""Figures made of rows: paired differences, int8 falls. One row a group, a dot a seed, a bar an interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from alambic.report.svg import CHARACTER, Scale, clip, drawing, fold, line, mark, round_ticks, tag, text

WIDTH, ROW, TOP = 760.0, 24.0, 10.0
LABEL, LONGEST = 34, 52  # characters that fit a line; of a line of two
MOST = 40  # rows of one figure: more would be too small to read on a page, and their axis too far away


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


def split_rows(rows: Sequence[DotRow]) -> list[list[DotRow]]:
    """The rows of several figures of at most ``MOST``, each under its head, said again where its rows go on."""
    starts = [index for index, row in enumerate(rows) if row.head] or [0]
    parts: list[list[DotRow]] = [[]]
    for start, stop in pairwise([*starts, len(rows)]):
        section = list(rows[start:stop])
        head, own = section[: section[0].head], section[section[0].head :]
        for first in range(0, len(own), MOST - 1):
            shown = [*head, *own[first : first + MOST - 1]]
            if first or len(parts[-1]) + len(head) + len(own) > MOST:
                parts.append([])
            parts[-1] += shown
    return [part for part in parts if part]


def draw_dots(
    rows: list[DotRow],
    label: str,
    axis: str,
    show: Callable[[list[float]], list[str]],
    among: list[DotRow] | None = None,
) -> Markup:
    """Rows of dots over one axis with a line at zero; the axis is that of all rows ``among`` which these stand.

    ``blind`` of a head row shades what the design could not see, from the row under it to the next head.
    """
    among = among or rows
    values = [v for r in among if not r.head for v in (r.mean, r.low, r.high, *r.dots) if v is not None] + [0.0]
    bands = [row.blind for row in among if row.blind is not None]
    low, high = min(values + [-b for b in bands]), max(values + bands)
    pad = 0.04 * ((high - low) or 1.0)
    left = _start(among)
    right = WIDTH - 12 - CHARACTER * max(len(row.told) for row in among)
    scale = Scale(low - pad, high + pad, left + 8, right - 12)
    bottom = TOP + ROW * len(rows)
    parts = [_bands(rows, scale)]
    ticks = round_ticks(low - pad, high + pad)
    for tick, told in zip(ticks, show(ticks), strict=True):
        parts += [line(scale(tick), TOP, scale(tick), bottom, "grid")]
        parts += [text(scale(tick), bottom + 16, told, "middle", "tick")]
    # nothing may strike through a head
    parts += [line(scale(0), start, scale(0), stop, "zero") for start, stop in _stretches(rows)]
    parts.append(text((left + right) / 2, bottom + 36, axis, "middle", "axis"))
    for index, row in enumerate(rows):
        parts.append(_draw_row(row, TOP + ROW * (index + 0.5), left, scale))
    return drawing(WIDTH, bottom + 44, label, *parts)


def _start(rows: Sequence[DotRow]) -> float:
    """Where the rows' labels end."""
    return 12 + CHARACTER * min(LONGEST, max(len(part) for row in rows for part in fold(row.label, LABEL)))


def _label(label: str, left: float, y: float) -> Markup:
    """A row's label, in two small lines where it is long: two rows must not read alike."""
    lines = [clip(part, LONGEST) for part in fold(label, LABEL)]
    if len(lines) == 1:
        return text(left, y + 4, lines[0], "end", "label")
    return text(left, y - 2, lines[0], "end", "tick strong") + text(left, y + 9, lines[1], "end", "tick strong")


def _draw_row(row: DotRow, y: float, left: float, scale: Scale) -> Markup:
    if row.head:
        return text(0, y + 4, row.label, "start", "head")
    parts = [_label(row.label, left, y)]
    if row.low is not None and row.high is not None:
        parts.append(line(scale(row.low), y, scale(row.high), y, f"whisker {row.class_}"))
    parts += [mark("circle", scale(value), y, 2.8, f"seed {row.class_}") for value in row.dots]
    parts.append(mark("diamond", scale(row.mean), y, 4.5, f"point {row.class_}", f"{row.label}: {row.told}"))
    parts.append(text(WIDTH - 4, y + 4, row.told, "end", f"told {row.class_}"))
    return tag("a", *parts, href=f"#{row.anchor}") if row.anchor else tag("g", *parts)


def _stretches(rows: Sequence[DotRow]) -> list[tuple[float, float]]:
    """Top and bottom of each run of rows between heads."""
    heads = [-1, *(index for index, row in enumerate(rows) if row.head), len(rows)]
    runs = [(before + 1, after) for before, after in pairwise(heads) if after > before + 1]
    return [(TOP + ROW * start, TOP + ROW * stop) for start, stop in runs]


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
