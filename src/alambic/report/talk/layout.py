"""How large tables and sentences stand on a slide, and what of them is left to the notes: nothing is set small."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from alambic.report.chapters.tables import Table
from alambic.report.talk.tables import choose, tone_of
from alambic.report.words.slides import SLIDE_TEXTS
from alambic.report.words.wording import Lang, hold

SIZES, LETTER, PADDING = (18, 16, 14), 0.6, 0.22  # of a table: pt; em a letter; inches beside a cell's text
WIDE = 11.9  # inches of the text
LARGE, UNDER = (22, 20, 18, 16), (18, 16)  # pt of sentences; of those under a table
SPACING = 1.2  # of lines, in sizes
ENDLESS = float("inf")


@dataclass(frozen=True)
class Laid:
    """A table as it is drawn: cells, heads first; size in pt; widths and heights in inches; what was left out."""

    cells: list[list[str]]
    size: int
    widths: list[float]
    tall: list[float]
    left_out: tuple[str, ...] = ()


def lay_table(table: Table, highs: Sequence[float], lang: Lang) -> Laid:
    """A table in as large a size as the first of some heights in inches allows, else the next; what fits at no size in
    the last, which leaves its sentence room, is left out and told.

    Columns go from the right where their words are too wide; rows in proportion to their verdicts.
    """
    across, down = len(table.heads), len(table.rows)
    while across > 2 and _fit(_fill(table, list(range(down)), across, lang), SIZES[-1])[2][0] == ENDLESS:
        across -= 1
    cells = _fill(table, list(range(down)), across, lang)
    for high in highs if across == len(table.heads) else (min(high, highs[-1]) for high in highs):
        fits = [fit for fit in (_fit(cells, size) for size in SIZES) if sum(fit[2]) <= high]
        if fits:
            return Laid(cells, *fits[0], _tell_left(table, down, across, lang))
    tones = [tone_of(row) for row in table.rows]
    for count in range(down - 1, 0, -1):
        cells = _fill(table, choose(tones, count), across, lang)
        fit = _fit(cells, SIZES[-1])
        if sum(fit[2]) <= highs[-1]:
            return Laid(cells, *fit, _tell_left(table, count, across, lang))
    return Laid(cells, *_fit(cells, SIZES[-1]), _tell_left(table, len(cells) - 1, across, lang))


def measure(table: Table, lang: Lang) -> float:
    """Inches that a whole table takes at the least size; endless where it does not fit across."""
    return sum(_fit(_fill(table, list(range(len(table.rows))), len(table.heads), lang), SIZES[-1])[2])


def measure_lines(lines: tuple[str, ...]) -> float:
    """Inches that sentences take at the least size."""
    return _lines_used(lines, UNDER[-1]) * UNDER[-1] * SPACING / 72


def _fill(table: Table, places: list[int], across: int, lang: Lang) -> list[list[str]]:
    rows = [[hold(f"{c.text} {c.note}".strip(), lang) for c in table.rows[place][:across]] for place in places]
    return [[hold(head, lang) for head, _, _ in table.heads[:across]], *rows]


def _tell_left(table: Table, down: int, across: int, lang: Lang) -> tuple[str, ...]:
    pairs = (("rows_shown", down, len(table.rows)), ("columns_shown", across, len(table.heads)))
    return tuple(SLIDE_TEXTS[key][lang].format(shown=n, count=of) for key, n, of in pairs if n < of)


def _fit(cells: list[list[str]], size: int) -> tuple[int, list[float], list[float]]:
    """The size with the columns' widths and the rows' heights in inches: no word is broken, long texts take lines.

    Without room for its words a size counts as endlessly high.
    """
    letter, columns = LETTER * size / 72, list(zip(*cells, strict=True))
    least = [PADDING + letter * max(len(word) for text in column for word in text.split(" ")) for column in columns]
    whole = [PADDING + letter * max(map(len, column)) for column in columns]
    share = max(0.0, min(1.0, (WIDE - sum(least)) / max(sum(whole) - sum(least), 1e-9)))
    given = [narrow + (wide - narrow) * share for narrow, wide in zip(least, whole, strict=True)]
    widths = [WIDE * width / sum(given) for width in given]
    room = [max(1, int((width - PADDING) / letter + 1e-6)) for width in widths]
    lines = [max(1, *(len(textwrap.wrap(text, most)) for text, most in zip(row, room, strict=True))) for row in cells]
    tall = [0.12 + count * 1.2 * size / 72 for count in lines]
    return size, widths, tall if sum(least) <= WIDE else [ENDLESS] * len(cells)


def tell_rows(table: Table) -> list[str]:
    """Every row of a table as a line of the notes."""
    heads = [head for head, _, _ in table.heads]
    every = [heads, *([f"{cell.text} {cell.note}".strip() for cell in row] for row in table.rows)]
    return [" · ".join(part for part in row if part) for row in every]


def fit_lines(lines: tuple[str, ...], room: float, under: bool, lang: Lang) -> tuple[int, tuple[str, ...]]:
    """Size and sentences that fit in ``room`` points of height: the leading ones, and how many the notes hold; none
    where there is no room for one under a table."""
    sizes = UNDER if under else LARGE
    size = next((size for size in sizes if _lines_used(lines, size) * size * SPACING <= room), 0)
    if size:
        return size, lines
    for count in range(len(lines) - 1, 0, -1):
        kept = (*lines[:count], SLIDE_TEXTS["lines_more"][lang].format(count=len(lines) - count))
        if _lines_used(kept, sizes[-1]) * sizes[-1] * SPACING <= room:
            return sizes[-1], kept
    return sizes[-1], () if under else lines[:1]


def _lines_used(lines: tuple[str, ...], size: int) -> float:
    across = int(WIDE * 72 / (size * 0.53))
    return sum(len(textwrap.wrap(text, across)) + 0.5 for text in lines)
