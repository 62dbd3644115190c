"""What a chapter of a report is made of, on the page and on paper alike."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from alambic.report.claims import Claim
from alambic.report.tables import Table


@dataclass(frozen=True)
class Figure:
    """A drawing with what is said under it."""

    drawing: Markup
    caption: str


Block = Claim | Figure | Table | str  # a string is a heading inside the chapter


@dataclass(frozen=True)
class Section:
    """One chapter in reading order."""

    key: str
    title: str
    blocks: tuple[Block, ...]

    @property
    def claims(self) -> tuple[Claim, ...]:
        return tuple(block for block in self.blocks if isinstance(block, Claim))
