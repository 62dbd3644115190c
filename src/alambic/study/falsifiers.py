"""``[[falsifiers]]`` of a study file: an idea's arm beside the controls that refute it where they do as well."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from alambic.config import Document, build
from alambic.errors import AlambicError, nearest
from alambic.study.cell import Arm

INT8_COST = "int8 cost"
MEASURES = ("", INT8_COST)


@dataclasses.dataclass(frozen=True)
class Falsifier:
    """One idea and its refutation, written before the run.

    Attributes:
        idea: its name in the report. arm: what it bets on. against: the arms that refute it where they do as well.
        smallest_effect: points; an advantage over a control that is surely smaller counts as none.
        against_teacher: that teaches the controls, where the idea is about the teacher, or a list with one for each
            control; "" is the idea's own.
        measure: "" for the study's score; "int8 cost" where the idea bets that int8 costs less.
    """

    idea: str
    arm: str
    against: tuple[str, ...]
    smallest_effect: float = 0.3
    against_teacher: str | list[str] = ""
    measure: str = ""

    @property
    def against_teachers(self) -> tuple[str, ...]:
        """One for each control; "" is the idea's own."""
        return teachers_of(self.against, self.against_teacher)

    def told(self) -> dict[str, Any]:
        """What a ledger keeps of it; a key that is not used is left out, as from ledgers made before it was there."""
        return {key: value for key, value in dataclasses.asdict(self).items() if value != ""}


def teachers_of(against: Sequence[str], told: str | Sequence[str]) -> tuple[str, ...]:
    """The teacher of each control, from the one or the list that a falsifier tells."""
    return (told,) * len(against) if isinstance(told, str) else tuple(told)


def read_falsifiers(
    document: Document, arms: Sequence[Arm], teachers: list[str], has_int8: bool
) -> tuple[Falsifier, ...]:
    """The tables of a study file. Raises AlambicError for arms, teachers or measures that the study does not have."""
    given = document.tables.get("falsifiers", [])
    if not isinstance(given, list):
        raise AlambicError(f"{document.at(('falsifiers',))}: expected tables, got {given!r}; try [[falsifiers]]")
    found = tuple(build(Falsifier, table, document, ("falsifiers",)) for table in given)
    where = document.at(("falsifiers",))
    named = {arm.name: arm for arm in arms}
    for one in found:
        for name in (one.arm, *one.against):
            if name not in named:
                raise AlambicError(f"{where}: no arm is called {name!r}; {nearest(name, named)}")
        for name in one.against_teachers:
            if name and name not in teachers:
                raise AlambicError(f"{where}: no teacher is called {name!r}; {nearest(name, teachers)}")
        if len(one.against_teachers) != len(one.against):
            raise AlambicError(
                f"{where}: expected one against_teacher, or one for each of the {len(one.against)} controls of "
                f'{one.idea!r}, got {len(one.against_teachers)}; try "" for the idea\'s own teacher'
            )
        if one.measure not in MEASURES:
            raise AlambicError(
                f"{where}: expected a measure among {', '.join(map(repr, MEASURES))} for {one.idea!r}, got "
                f"{one.measure!r}; {nearest(one.measure, MEASURES)}"
            )
        if one.measure == INT8_COST and not has_int8:
            raise AlambicError(
                f"{where}: expected a study that measures int8, because {one.idea!r} is judged by what int8 costs, got "
                "[int8] enabled = false; try enabled = true"
            )
        controls = tuple(zip(one.against, one.against_teachers, strict=True))
        for name, teacher in controls:
            if teacher and not named[name].is_taught_by(teacher):
                raise AlambicError(
                    f"{where}: expected an against_teacher that teaches {name!r}, got {teacher!r}, so {one.idea!r} "
                    'would stay undecided; try one of the arm\'s teachers, or "" where it has none'
                )
        wrong = not one.against or one.arm in one.against or len(set(controls)) < len(controls)
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
