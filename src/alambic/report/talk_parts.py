"""What slides are made of: titles, lines, charts with intervals, tables, notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from alambic.report.claims import Claim
from alambic.report.facts import Fact
from alambic.report.tables import Table
from alambic.report.wording import Lang, show_number

BARS = 9  # bars of one chart that stay readable on a wall
FEW_ROWS = 4  # of a table that leaves sentences room
Item = TypeVar("Item")


@dataclass(frozen=True)
class Bars:
    """A native bar chart of facts in points or percent.

    Attributes:
        labels: one a bar, with its number. axis: its title. colours: of the page, one a bar. key: what colours and
            lines mean.
    """

    labels: tuple[str, ...]
    facts: tuple[Fact, ...]
    axis: str
    colours: tuple[str, ...]
    key: str


@dataclass(frozen=True)
class Series:
    """Points of one colour: where each stands across (percent), and its fact."""

    name: str
    across: tuple[float, ...]
    facts: tuple[Fact, ...]
    colour: str


@dataclass(frozen=True)
class Scatter:
    """A native chart of points with intervals; titles of both axes; ``key`` as in Bars."""

    series: tuple[Series, ...]
    axes: tuple[str, str]
    key: str


@dataclass(frozen=True)
class Slide:
    """Title (the message), then lines, a chart or a table; ``notes`` are claims.

    ``spare`` slides give way where a talk grows too long, the highest number first.
    """

    title: Claim | str
    lines: tuple[str, ...] = ()
    shown: Bars | Scatter | Table | None = None
    notes: tuple[Claim, ...] = ()
    spare: int = 0


def make_bars(named: Sequence[tuple[str, Fact]], axis: str, colours: Sequence[str], key: str, lang: Lang) -> Bars:
    """Bars whose labels hold their numbers: beside a bar a number would lie on its interval."""
    labels = tuple(f"{name}  {show_number(fact.value, fact.unit, lang, noun=False)}" for name, fact in named)
    return Bars(labels, tuple(fact for _, fact in named), axis, tuple(colours), key)


def take_ends(items: list[Item]) -> list[Item]:
    """As many as a chart holds, from both ends of an order."""
    return items if len(items) <= BARS else [*items[: BARS - BARS // 2], *items[-(BARS // 2) :]]


def tell_under(table: Table, claims: tuple[Claim, ...], lang: Lang) -> tuple[str, ...]:
    """Sentences under a table, where it leaves them room."""
    return tuple(claim.text(lang) for claim in claims) if len(table.rows) <= FEW_ROWS else ()


def colour_gain(gain: Fact) -> str:
    """By its interval: gain or loss where that leaves out zero."""
    clear = gain.low is not None and gain.high is not None and gain.low * gain.high > 0
    return "tie" if not clear else "gain" if gain.value > 0 else "loss"
