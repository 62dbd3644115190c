"""Which cells cannot work, or lack a part, each reason told once: of a plan, and of a ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

from alambic.data import Source
from alambic.models.feature import OutputSpec
from alambic.study.cell import Cell
from alambic.study.content import PreparedTeacher, make_task, train_ids
from alambic.study.prepare import find_reason
from alambic.study.study_file import Study
from alambic.study.treat import treat_study

Reasoned = tuple[Mapping[str, Any], str]  # the content of a cell, and why it cannot work or broke
LACKS = {
    "int8_error": "int8",
    "kernels_missing": "the device's kernels",
}  # number that says why -> what there is none of


class EveryCell(frozenset[str]):
    """As the finished cells of ``prepare``: none needs a bank then, so it finds what cannot work and builds none."""

    def __contains__(self, item: object) -> bool:
        return True


def find_skipped(
    study: Study, source: Source, students: Mapping[str, OutputSpec], teachers: Mapping[str, OutputSpec | None]
) -> list[tuple[Cell, str]]:
    """The cells that will be skipped, as far as shapes tell, with the reasons of ``prepare``; trains and loads nothing.

    What treatments and modifiers do to an arm is known when they have been prepared, and so are teachers whose shapes
    are None: these are taken to work.
    """
    task, images = make_task(study, source), len(train_ids(study, source))
    found = []
    for student, arm in product(study.students, study.arms):
        names: list[str | None] = [name for name in study.teachers if arm.is_taught_by(name)]
        for name in names or [None]:
            shapes = None if name is None else teachers[name]
            if name is None and arm.uses_teacher:
                reason = f"arm {arm.name!r} expected a teacher, got none in the study; try [teachers.NAME]"
            elif arm.treatments or arm.modifiers or (name is not None and shapes is None):
                continue
            else:
                taught = None if name is None or shapes is None else _stand_in(study, name, shapes)
                reason = find_reason(treat_study(study, arm), arm, task, students[student], taught, images) or ""
            if reason:
                found += [(Cell(student, name, arm, seed, {}), reason) for seed in study.seed_numbers]
    return found


def _stand_in(study: Study, name: str, shapes: OutputSpec) -> PreparedTeacher:
    return PreparedTeacher(name, study.teachers[name].spec, study.folder, shapes, "", None, "", None, "")


def tell_reasons(state: str, cells: Iterable[Reasoned]) -> list[str]:
    """One line a reason, with its cells: ``skipped: 4 cells, rsd from big into dscnn_8x2, seeds 0, 1: ...``."""
    together: dict[str, list[Mapping[str, Any]]] = {}
    for content, reason in cells:
        together.setdefault(reason, []).append(content)
    lines = []
    for reason, contents in together.items():
        arms = dict.fromkeys(_name_arm(content) for content in contents)
        students = dict.fromkeys(str(content["student"]) for content in contents)
        seeds = sorted({int(content["seed"]) for content in contents})
        lines.append(
            f"{state}: {len(contents)} cell{'s' * (len(contents) > 1)}, {', '.join(arms)} into {', '.join(students)}, "
            f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}: {reason}"
        )
    return lines


def tell_lacks(numbers: Iterable[Mapping[str, Any]]) -> list[str]:
    """One line for what finished cells lack, from their numbers: ``without int8: 2 cells: ...``."""
    found = Counter((what, row[name]) for row in numbers for name, what in LACKS.items() if name in row)
    return [f"without {what}: {count} cell{'s' * (count > 1)}: {why}" for (what, why), count in found.items()]


def _name_arm(content: Mapping[str, Any]) -> str:
    return f"{content['arm']['name']} from {content['teacher']}" if content["teacher"] else str(content["arm"]["name"])
