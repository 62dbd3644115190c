"""What slides are made of: titles, lines, charts with intervals, tables, notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from alambic.report.chapters.claims import Claim
from alambic.report.chapters.tables import Table
from alambic.report.facts.fact import Fact
from alambic.report.talk.tables import choose
from alambic.report.words.slides import SLIDE_TEXTS
from alambic.report.words.wording import NO_BREAK, Lang, show_bounds, show_number

BARS = 16  # bars of one chart that stay readable on a wall
ENDS = 9  # of which one is shown both ends of a long order
FEW_ROWS = 4  # of a table that leaves sentences room
Item = TypeVar("Item")


@dataclass(frozen=True)
class Bars:
    """A native bar chart of facts in points or percent.

    Attributes:
        labels: one a bar, with its number. axis: its title. colours: of the page, one a bar. key: what colours and
            lines mean, and of how many these are, where some are left to the notes: ``every`` names all of them there.
            head: what the chart is of, where one slide has several; the slide's key then tells the axis.
    """

    labels: tuple[str, ...]
    facts: tuple[Fact, ...]
    axis: str
    colours: tuple[str, ...]
    key: str
    every: tuple[str, ...] = ()
    head: str = ""


@dataclass(frozen=True)
class Series:
    """Points of one colour: where each stands across (percent), and its fact."""

    name: str
    across: tuple[float, ...]
    facts: tuple[Fact, ...]
    colour: str


@dataclass(frozen=True)
class Scatter:
    """A native chart of points with intervals; titles of both axes; ``key`` as in Bars.

    ``upright`` is a line through all of the chart: its name, and the fact that tells where it stands across.
    """

    series: tuple[Series, ...]
    axes: tuple[str, str]
    key: str
    upright: tuple[str, Fact] | None = None


@dataclass(frozen=True)
class Slide:
    """Title (the message), then lines, a chart or a table; ``notes`` are claims.

    ``spare`` slides give way where a talk grows too long, the highest number first. ``also`` is a second, short table;
    ``remark`` explains a sign of a table under it. ``below`` are more bars, under the first and with axes of their own.
    """

    title: Claim | str
    lines: tuple[str, ...] = ()
    shown: Bars | Scatter | Table | None = None
    notes: tuple[Claim, ...] = ()
    spare: int = 0
    also: Table | None = None
    remark: str = ""
    below: tuple[Bars, ...] = ()


def make_bars(
    named: Sequence[tuple[str, Fact]], axis: str, colours: Sequence[str], key: str, lang: Lang, ends: bool = False
) -> Bars:
    """Bars whose labels hold their numbers: beside a bar a number would lie on its interval.

    Of more than a chart holds, each colour in proportion and evenly over the order; with ``ends`` those at both ends.
    """
    kept = take_ends(list(range(len(named)))) if ends else choose(colours, BARS)
    labels = [
        f"{name}{NO_BREAK} {show_number(fact.value, fact.unit, lang, noun=False)}"
        for name, fact in (named[place] for place in kept)
    ]
    if len(kept) < len(named):
        key += " " + SLIDE_TEXTS["key_shown"][lang].format(shown=len(kept), count=len(named))
    facts, tones = (named[place][1] for place in kept), (colours[place] for place in kept)
    told = [f"{name} {show_number(f.value, f.unit, lang, noun=False)} {show_bounds(f, lang)}" for name, f in named]
    every = tuple(line.strip() for line in told) if len(kept) < len(named) else ()
    return Bars(tuple(labels), tuple(facts), axis, tuple(tones), key, every)


def take_ends(items: list[Item]) -> list[Item]:
    """As many as a chart holds, from both ends of an order."""
    return items if len(items) <= ENDS else [*items[: ENDS - ENDS // 2], *items[-(ENDS // 2) :]]


def tell_under(table: Table, claims: tuple[Claim, ...], lang: Lang) -> tuple[str, ...]:
    """Sentences under a table, where it leaves them room."""
    return tuple(claim.text(lang) for claim in claims) if len(table.rows) <= FEW_ROWS else ()


def colour_gain(gain: Fact) -> str:
    """By its interval: gain or loss where that leaves out zero."""
    clear = gain.low is not None and gain.high is not None and gain.low * gain.high > 0
    return "tie" if not clear else "gain" if gain.value > 0 else "loss"
