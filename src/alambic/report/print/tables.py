"""Tables for paper: column widths from measured words, type that steps down with the width, repeats merged.

No word may lie over the next column, so each column is at least as wide as its longest word, measured by the typesetter
itself; what is left of the page goes where it saves most lines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from alambic.report.chapters.tables import Table
from alambic.report.print.measure import FREE, Piece, Ruler, count_lines, tell_heads, tell_row

PORTRAIT, LANDSCAPE = 470.0, 717.0  # points: A4 upright and across, without its margins
TALLEST, GROUP = 560.0, 200.0  # points: a row, and a group of rows or a short table, that must stay on one page
INSET_ROW, MARGIN = 8.0, 0.6
LEADING, LINE = 0.55, 0.74  # of a table's lines, as in report.typ, and a line without it; both times the size
FEW = 4  # columns that need no small type: the first style that fits is theirs
LONG = 30  # letters: a shorter repeat is merged below equal cells only, as under the name of one student
MOST_ROWS = 8  # that merged cells hold together
STEPS = (6.0, 15.0, 40.0, 100.0, math.inf)  # points that a column is given at once


class Style(NamedTuple):
    """How a table is set: points, percent of the letters' width, whether identifiers may break, page across."""

    size: float
    stretch: int = 100
    breaks: bool = False
    across: bool = False

    @property
    def inset(self) -> float:
        return 4.0 if self.size > 7.5 else 3.0

    def room(self, columns: int) -> float:
        return (LANDSCAPE if self.across else PORTRAIT) - 2 * self.inset * columns

    @property
    def cost(self) -> float:
        """Of a point of height: small, narrow or broken type must save much to be taken."""
        return (8 / self.size) ** 2.2 * (100 / self.stretch) ** 0.5 * (1.1 if self.breaks else 1.0)


BOTH = (False, True)
FAMILIES = (  # of these the first that has a style which fits
    tuple(Style(size, breaks=breaks) for size in (8, 7.5, 7) for breaks in BOTH),
    tuple(Style(size, 75, breaks) for size in (7.5, 7, 6.5) for breaks in BOTH),
    tuple(Style(size, stretch, True, True) for size in (8, 7, 6.5) for stretch in (100, 75)),
)


class Column(NamedTuple):
    """The texts of a column, head first, and over how many rows each spreads; 0 where it is merged with one above."""

    texts: tuple[str, ...]
    spans: tuple[int, ...]


def lay(table: Table, ruler: Ruler) -> dict[str, Any]:
    """What the template needs: style, widths in points, texts with the rows that they span."""
    rows = fill([tell_row(row) for row in table.rows])
    numeric = [is_number for _, _, is_number in table.heads]
    most = MOST_ROWS
    while True:
        spans = merge(rows, numeric, most)
        columns = [
            Column((head, *(row[x] for row in rows)), (1, *(span[x] for span in spans)))
            for x, head in enumerate(tell_heads(table))
        ]
        set_ = _choose(columns, ruler)
        if most == 1 or max(_group_heights(spans, set_.heights[1:]), default=0.0) <= GROUP:
            break
        most //= 2
    style = set_.style
    told = [[cell.set(width) for cell in cells] for cells, width in zip(set_.cells, set_.widths, strict=True)]
    return {
        "kind": "table",
        "size": style.size,
        "stretch": style.stretch,
        "across": style.across,
        "inset": style.inset,
        "whole": sum(set_.heights) <= GROUP,
        "widths": [round(style.size * width + MARGIN + 2 * style.inset, 2) for width in set_.widths],
        "heads": [column[0] for column in told],
        "numeric": numeric,
        "held": hold_ends(set_.heights[1:]),
        "rows": [
            [
                {"text": told[x][y], "span": columns[x].spans[y], "loose": set_.heights[y] > TALLEST}
                for x in range(len(told))
                if columns[x].spans[y]
            ]
            for y in range(1, len(rows) + 1)
        ],
    }


def hold_ends(heights: Sequence[float]) -> list[int]:
    """Of each row over how many rows an empty cell spreads, 0 where one above does: the first two rows stay together,
    and the last two, so that none stands alone on a page."""
    held = [1] * len(heights)
    for place in (0, len(heights) - 2):
        if 0 <= place < len(heights) - 1 and held[place] and sum(heights[place : place + 2]) <= GROUP:
            held[place], held[place + 1] = 2, 0
    return held


def fill(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Rows whose empty first cell says again what stands above: that is told anew where a page begins."""
    filled: list[list[str]] = []
    for row in rows:
        first = row[0] if row[0] or not filled else filled[-1][0]
        filled.append([first, *row[1:]])
    return filled


def merge(rows: Sequence[Sequence[str]], numeric: Sequence[bool], most: int = MOST_ROWS) -> list[list[int]]:
    """Of each cell how many rows it spreads over, 0 where it repeats the cell above: at most ``most`` rows together.

    A repeat is merged where all to its left repeats too, or where it is long and tells what the row is about, in the
    second column. Numbers stand by themselves, and so does a row that repeats the one above entirely.
    """
    spans = [[1] * len(row) for row in rows]
    top, began = [0] * len(numeric), 0
    for y in range(1, len(rows)):
        same, left = [], True
        for x, (text, above) in enumerate(zip(rows[y], rows[y - 1], strict=True)):
            equal = not numeric[x] and text == above and text not in ("", "–")
            same.append(equal and (left or (x == 1 and len(text) >= LONG)))
            left = left and equal
        if rows[y] == rows[y - 1] or not any(same) or y - began >= most:
            began, top = y, [y] * len(numeric)
            continue
        for x, repeats in enumerate(same):
            if repeats:
                spans[top[x]][x] += 1
                spans[y][x] = 0
            else:
                top[x] = y
    return spans


def _group_heights(spans: Sequence[Sequence[int]], heights: Sequence[float]) -> list[float]:
    """Of rows that merged cells hold together, how high all of them are."""
    groups: list[float] = []
    for span, height in zip(spans, heights, strict=True):
        if all(span):
            groups.append(height)
        else:
            groups[-1] += height
    return groups


class _Cell:
    """A text in pieces; words that are wider than the column are cut at their joints where that is allowed."""

    def __init__(self, text: str, strong: bool, style: Style, ruler: Ruler) -> None:
        self.whole = ruler.cut(text, strong, style.stretch)
        self.parts = {
            piece.text: ruler.cut(piece.text, strong, style.stretch, breaks=True) if style.breaks else [piece]
            for piece in self.whole
        }
        self.least = max((part.wide for parts in self.parts.values() for part in parts), default=0.0)
        self.widest = max((piece.wide for piece in self.whole), default=0.0)
        self.full = sum(piece.wide + piece.space for piece in self.whole)
        self.lines = lru_cache(maxsize=None)(self._lines)

    def at(self, width: float) -> list[Piece]:
        if self.widest <= width:
            return self.whole
        return [p for piece in self.whole for p in ([piece] if piece.wide <= width else self.parts[piece.text])]

    def _lines(self, width: float) -> int:
        return 1 if self.full <= width else count_lines(self.at(width), width)

    def set(self, width: float) -> str:
        """The text as set: with a place to break where a word is too wide, at any letter where nothing else helps."""
        return "".join(FREE.join(p.text) if p.wide > width else p.text for p in self.at(width))


class _Set:
    """Columns set in one style. Widths are at one point of size; ``fits`` says whether the page holds every piece."""

    def __init__(self, columns: Sequence[Column], style: Style, ruler: Ruler) -> None:
        self.columns, self.style = columns, style
        make = lru_cache(maxsize=None)(lambda text, strong: _Cell(text, strong, style, ruler))
        self.cells = [[make(text, y == 0) for y, text in enumerate(column.texts)] for column in columns]
        self.widths = [max(cell.least for cell in cells) for cells in self.cells]
        self.full = [max(cell.full for cell in cells) for cells in self.cells]
        room = (style.room(len(columns)) - MARGIN * len(columns)) / style.size
        self.spare = room - sum(self.widths)
        self.fits = self.spare >= 0
        if self.fits:
            self._share()
        else:
            self.widths = [width * room / sum(self.widths) for width in self.widths]
        pitch = (LEADING + LINE) * style.size
        rows = zip(*self._all_lines(), strict=True)
        self.heights = [INSET_ROW + math.ceil(max(row)) * pitch - LEADING * style.size for row in rows]

    @property
    def cost(self) -> float:
        return self.style.cost * sum(self.heights)

    def _all_lines(self) -> list[list[float]]:
        return [self._lines(x, width) for x, width in enumerate(self.widths)]

    def _lines(self, x: int, width: float) -> list[float]:
        """Of each row how many lines the column asks for; a merged cell spreads its own over its rows."""
        told: list[float] = []
        share = 1.0
        for cell, span in zip(self.cells[x], self.columns[x].spans, strict=True):
            share = cell.lines(width) / span if span else share
            told.append(share)
        return told

    def _share(self) -> None:
        """The rest of the page goes to the columns, step by step, where it saves most lines."""
        if sum(self.full) - sum(self.widths) <= self.spare:
            self.widths = list(self.full)
            return
        lines = self._all_lines()
        known: dict[tuple[int, float], list[float]] = {}
        while True:
            now, tallest = _weigh(lines), list(zip(*lines, strict=True))
            best: tuple[float, int, float] | None = None
            for x in range(len(lines)):
                rest = [max((*row[:x], *row[x + 1 :]), default=0.0) for row in tallest]
                others = 0.15 * sum(sum(row) - row[x] for row in tallest)
                for step in STEPS:
                    given = min(step / self.style.size, self.spare, self.full[x] - self.widths[x])
                    if given <= 0.02:
                        break
                    key = x, self.widths[x] + given
                    if key not in known:
                        known[key] = self._lines(*key)
                    tried = known[key]
                    weight = sum(map(max, zip(rest, tried, strict=True))) + others + 0.15 * sum(tried)
                    if now - weight > 1e-9 and (best is None or (now - weight) / given > best[0]):
                        best = (now - weight) / given, x, given
            if best is None:
                break
            _, x, given = best
            self.widths[x] += given
            self.spare -= given
            lines[x] = known[x, self.widths[x]]
        # what saves no line any more goes to the columns that still break theirs, by what they lack
        lacking = [full - width for full, width in zip(self.full, self.widths, strict=True)]
        share = min(1.0, self.spare / sum(lacking)) if sum(lacking) > 0 else 0.0
        self.widths = [width + share * lack for width, lack in zip(self.widths, lacking, strict=True)]


def _weigh(lines: Sequence[Sequence[float]]) -> float:
    """Lines of the whole table; a little for those that do not count yet, so that two tall cells shrink in turn."""
    return sum(map(max, zip(*lines, strict=True))) + 0.15 * sum(map(sum, lines))


def _choose(columns: Sequence[Column], ruler: Ruler) -> _Set:
    """What costs least of the styles that fit: upright, then in narrow letters, then across; else words are cut."""
    for styles in FAMILIES:
        found: list[_Set] = []
        for style in styles:
            made = _Set(columns, style, ruler)
            if made.fits and (len(columns) <= FEW or max(made.heights) <= INSET_ROW + style.size):  # one line a row
                return min([*found, made], key=lambda one: one.cost)
            found += [made] if made.fits else []
        if found:
            return min(found, key=lambda one: one.cost)
    return _Set(columns, FAMILIES[-1][-1], ruler)
