"""``confirm.toml``: the contrasts that a claim study declares before it computes anything on the test split.

It lies beside the study file and is committed first; the ledger keeps its hash, and a changed one is refused. A claim
computes the test split for the cells of these contrasts and for no other; explore studies never do.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alambic.config import build, read_document
from alambic.errors import AlambicError
from alambic.study.cell import Arm

MOST_CONTRASTS = 6


@dataclass(frozen=True)
class Contrast:
    """One declared comparison.

    Attributes:
        arm: of the study. student: that it is compared for. teacher: of both arms; "" where neither has one.
        against: the arm that it is compared with. against_teacher: of that arm, where it is another one: teachers are
            compared, by one arm or by two.
    """

    arm: str
    student: str
    teacher: str = ""
    against: str = "none"
    against_teacher: str = ""

    @property
    def sides(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """(arm, teacher) of what is compared and of what it is compared with."""
        return (self.arm, self.teacher), (self.against, self.against_teacher or self.teacher)


@dataclass(frozen=True)
class Confirmation:
    """What a confirm file declares.

    Attributes:
        contrasts: at most six. smallest_effect: points below which a difference would not matter.
        hash: sha256 of the file's text.
    """

    contrasts: tuple[Contrast, ...]
    smallest_effect: float
    hash: str

    def names(self, student: str, arm: str, teacher: str | None) -> bool:
        """Whether a cell belongs to a declared contrast."""
        return any(
            contrast.student == student and arm == side and teacher in (None, taught)
            for contrast in self.contrasts
            for side, taught in contrast.sides
        )


@dataclass(frozen=True)
class _File:
    """What a claim declares before it looks at the test split; the file lies beside the study file.

    Attributes:
        contrasts: at most six tables. smallest_effect: points below which a difference would not matter.
    """

    contrasts: tuple[Contrast, ...]
    smallest_effect: float = 0.3


def read_confirmation(folder: Path, students: tuple[str, ...], arms: list[Arm], teachers: set[str]) -> Confirmation:
    """Reads ``confirm.toml`` of a claim study.

    Raises AlambicError when it is missing, names what is not there, or declares what could never be tested.
    """
    path = folder / "confirm.toml"
    if not path.exists():
        raise AlambicError(
            f'a study with purpose "claim" expected its contrasts in {path}, found no such file; declare at most '
            f"{MOST_CONTRASTS} as [[contrasts]] with arm, student, teacher, against, and commit it before the run"
        )
    document = read_document(path)
    given = build(_File, document.tables, document)
    if not 1 <= len(given.contrasts) <= MOST_CONTRASTS:
        raise AlambicError(f"{path}: expected 1 to {MOST_CONTRASTS} contrasts, got {len(given.contrasts)}")
    if not 0 <= given.smallest_effect < math.inf:
        raise AlambicError(
            f"{document.at(('smallest_effect',))}: expected a finite number of points >= 0, got "
            f"{given.smallest_effect}, because no difference could be judged by it; try 0.3"
        )
    named = {arm.name: arm for arm in arms}
    for index, contrast in enumerate(given.contrasts):
        for name, known in (
            (contrast.student, set(students)),
            (contrast.arm, set(named)),
            (contrast.against, set(named)),
            (contrast.teacher, teachers | {""}),
            (contrast.against_teacher, teachers | {""}),
        ):
            if name not in known:
                raise AlambicError(f"{path}: {name!r} is not in the study, which has {', '.join(sorted(known - {''}))}")
        first, second = contrast.sides
        before = [(one.student, one.sides) for one in given.contrasts[:index]]
        if (contrast.student, contrast.sides) in before or first == second:
            raise AlambicError(
                f"{path}: expected different contrasts of two different arms or teachers, got {contrast.arm!r} against "
                f"{contrast.against!r} for {contrast.student}, which can tell nothing or was declared already"
            )
        _check_teacher(path, contrast, [named[contrast.arm], named[contrast.against]])
    return Confirmation(given.contrasts, given.smallest_effect, hashlib.sha256(document.text.encode()).hexdigest())


def _check_teacher(path: Path, contrast: Contrast, arms: Sequence[Arm]) -> None:
    """A contrast names a teacher exactly where one of its arms has one, and those that teach them."""
    if contrast.against_teacher and not arms[1].uses_teacher:
        raise AlambicError(
            f"{path}: expected no against_teacher, because {contrast.against!r} has no teacher, got "
            f"{contrast.against_teacher!r} in the contrast of {contrast.arm!r}; try leaving it out"
        )
    taught = [(arm, teacher) for arm, (_, teacher) in zip(arms, contrast.sides, strict=True) if arm.uses_teacher]
    strangers = [arm.name for arm, teacher in taught if not arm.is_taught_by(teacher)]
    if bool(taught) != bool(contrast.teacher) or strangers:
        wanted = f"a teacher of {strangers or [arm.name for arm, _ in taught]}" if taught else "no teacher"
        told = f", against_teacher = {contrast.against_teacher!r}" if contrast.against_teacher else ""
        raise AlambicError(
            f"{path}: expected {wanted} in the contrast of {contrast.arm!r} against {contrast.against!r}, got "
            f"teacher = {contrast.teacher!r}{told}, because no cell would be tested; try one of the study's teachers"
        )
