"""Words measured by the typesetter: where a cell's text may break, how wide its pieces are, how many lines it takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from alambic.report.chapters.tables import Entry, Table
from alambic.report.words.wording import HELD, NO_BREAK

FREE = "\u200b"  # where an identifier may break
SPLIT = re.compile(r"(?<=[ \u200b])|(?<=[^\W\d_]-)(?=[^\W\d_])")
JOINTS = re.compile(r"(?<=[_=/+])(?=\w)|(?<=,)(?=[^\W\d_])|(?<=[a-zà-ÿ])(?=[(@.])")
CONTROL = re.compile(r"[\x00-\x1f]")
STRETCHES = (100, 75)


class Piece(NamedTuple):
    """A part of a text that no line break parts: its width at one point of size, and of the space after it."""

    text: str
    wide: float
    space: float


@dataclass(frozen=True)
class Ruler:
    """Widths of pieces at one point of size, by weight and stretch; what was not measured is taken to be wide."""

    widths: dict[tuple[str, bool, int], float]

    def width(self, text: str, strong: bool, stretch: int) -> float:
        return self.widths.get((text, strong, stretch), 0.75 * len(text))

    def cut(self, text: str, strong: bool, stretch: int, breaks: bool = False) -> list[Piece]:
        """A text's pieces; with ``breaks`` identifiers are cut too."""
        space = self.width("a a", False, stretch) - 2 * self.width("a", False, stretch)
        return [
            Piece(piece, self.width(_bare(piece), strong, stretch), space * piece.endswith(" "))
            for piece in pieces(text, breaks)
        ]


def clean(text: str) -> str:
    """Text without control characters, which a typesetter refuses or takes for line breaks."""
    return CONTROL.sub(" ", text)


def keep(text: str) -> str:
    """A cell's text in which no line break parts an interval or a number from its unit."""
    return HELD.sub(lambda found: found.group().replace(" ", NO_BREAK), clean(text))


def tell_row(row: Sequence[Entry]) -> list[str]:
    """The texts of a row as they are set."""
    return [keep(f"{cell.text} {cell.note}".strip()) for cell in row]


def tell_heads(table: Table) -> list[str]:
    """The headings as they are set."""
    return [keep(head) for head, _, _ in table.heads]


@cache
def pieces(text: str, breaks: bool) -> tuple[str, ...]:
    """A text cut where a line may break; with ``breaks`` identifiers too, after their joints."""
    return tuple(SPLIT.split(JOINTS.sub(FREE, text) if breaks else text))


def _bare(piece: str) -> str:
    return piece.rstrip(" " + FREE)


def measure_all(tables: Iterable[Table], ask: Callable[[str, Any], Any]) -> Ruler:
    """Every piece of every table. ``ask(source, data)`` gives what the label <widths> holds once Typst has run."""
    wanted: dict[tuple[str, bool], None] = {}
    for table in tables:
        for texts, strong in [(tell_heads(table), True), *((tell_row(row), False) for row in table.rows)]:
            every = (_bare(piece) for text in texts for breaks in (False, True) for piece in pieces(text, breaks))
            wanted |= dict.fromkeys((piece, strong) for piece in every)
    if not wanted:
        return Ruler({})
    wanted |= {("a", False): None, ("a a", False): None}
    listed = [(piece, strong, stretch) for piece, strong in wanted for stretch in STRETCHES]
    source = (
        '#let data = json("data.json")\n#set text(10pt, font: ("DejaVu Sans", "Libertinus Serif"))\n'
        "#context [#metadata(data.map(d => measure(text(stretch: d.at(2) * 1%, "
        'weight: if d.at(1) { "bold" } else { "regular" }, d.at(0))).width / 1pt)) <widths>]'
    )
    found = ask(source, listed)
    return Ruler({key: float(width) / 10 for key, width in zip(listed, found, strict=True)})


def count_lines(text: Sequence[Piece], width: float) -> int:
    """Lines of a text in a column so wide (at one point of size), filled one after the other as Typst does."""
    lines, used = 1, 0.0
    for piece in text:
        if used and used + piece.wide > width:
            lines, used = lines + 1, 0.0
        used += piece.wide + piece.space
    return lines
