"""What a chapter of a report is made of, on the page and on paper alike."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from alambic.report.chapters.claims import Claim
from alambic.report.chapters.tables import Table


@dataclass(frozen=True)
class Figure:
    """A drawing with what is said under it."""

    drawing: Markup
    caption: str


Block = Claim | Figure | Table | str  # a string is a heading inside the chapter


# of claims: what tells how to make what is missing, for a page alone
HINTS = frozenset(
    ("no_scorecards", "not_judged", "judged_before", "not_aligned", "not_examined", "no_classes", "no_ideas")
) | {"declare_first"}


@dataclass(frozen=True)
class Section:
    """One chapter in reading order."""

    key: str
    title: str
    blocks: tuple[Block, ...]

    @property
    def claims(self) -> tuple[Claim, ...]:
        return tuple(block for block in self.blocks if isinstance(block, Claim))

    def without_hints(self) -> Section:
        """What stands on paper and on slides."""
        kept = (block for block in self.blocks if not (isinstance(block, Claim) and block.key in HINTS))
        return Section(self.key, self.title, tuple(kept))
