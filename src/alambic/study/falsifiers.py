"""``[[falsifiers]]`` of a study file: an idea's arm beside the controls that refute it where they do as well."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from alambic.config import Document, build
from alambic.errors import AlambicError, nearest


@dataclasses.dataclass(frozen=True)
class Falsifier:
    """One idea and its refutation, written before the run.

    Attributes:
        idea: its name in the report. arm: what it bets on. against: the arms that refute it where they do as well.
        smallest_effect: points; an advantage over a control that is surely smaller counts as none.
        against_teacher: that teaches the controls, where the idea is about the teacher; the idea's own unless told.
    """

    idea: str
    arm: str
    against: tuple[str, ...]
    smallest_effect: float = 0.3
    against_teacher: str = ""

    def told(self) -> dict[str, Any]:
        """What a ledger keeps of it; a key that is not used is left out, as from ledgers made before it was there."""
        return {key: value for key, value in dataclasses.asdict(self).items() if value != ""}


def read_falsifiers(document: Document, arms: list[str], teachers: list[str]) -> tuple[Falsifier, ...]:
    """The tables of a study file. Raises AlambicError for an arm or a teacher that the file does not have."""
    given = document.tables.get("falsifiers", [])
    if not isinstance(given, list):
        raise AlambicError(f"{document.at(('falsifiers',))}: expected tables, got {given!r}; try [[falsifiers]]")
    found = tuple(build(Falsifier, table, document, ("falsifiers",)) for table in given)
    where = document.at(("falsifiers",))
    for one in found:
        for name in (one.arm, *one.against):
            if name not in arms:
                raise AlambicError(f"{where}: no arm is called {name!r}; {nearest(name, arms)}")
        if one.against_teacher and one.against_teacher not in teachers:
            raise AlambicError(
                f"{where}: no teacher is called {one.against_teacher!r}; {nearest(one.against_teacher, teachers)}"
            )
        wrong = not one.against or one.arm in one.against or len(set(one.against)) < len(one.against)
        if wrong or not 0 <= one.smallest_effect < math.inf:
            raise AlambicError(
                f"{where}: expected other arms than {one.arm!r}, each once, in against and a finite smallest_effect "
                f">= 0 for {one.idea!r}, got {list(one.against)} and {one.smallest_effect}, because an arm cannot "
                "refute itself; try the arm without what the idea adds, as against"
            )
    names = [one.idea for one in found]
    if len(set(names)) < len(names):
        raise AlambicError(f"{where}: expected each idea once, got {', '.join(names)}; try other names")
    return found
