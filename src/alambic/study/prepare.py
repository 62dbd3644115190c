"""Everything that a study decides once, before its first cell: data, teachers, banks, sources, and the cells.

A combination that cannot work becomes a skipped cell with its reason: data, not a stack trace.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch

from alambic.data import Source, load_source
from alambic.errors import AlambicError
from alambic.methods.base import Specs
from alambic.models.feature import OutputSpec
from alambic.models.own_code import code_version, is_own_code, locate
from alambic.models.teacher import Teacher, TeacherSpec
from alambic.models.teachers import load_teacher
from alambic.study.cell import Arm, Cell, taught_by
from alambic.study.content import (
    PreparedTeacher,
    ask_students,
    describe,
    describe_data,
    make_objective,
    make_task,
    sees_test,
    tell_source,
    train_ids,
)
from alambic.study.follow import Say, follow
from alambic.study.merge import merge_teacher
from alambic.study.place import Place, choose_place
from alambic.study.states import States, join_states, list_states
from alambic.study.study_file import Study
from alambic.study.taught import Teachers, score_teacher
from alambic.study.treat import treat_study
from alambic.training.fit_head import fit_head
from alambic.training.recipe import stream
from alambic.training.setup import check_views
from alambic.training.task import Task
from alambic.training.teach import train_teacher
from alambic.training.teacher_file import check_provenance


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A study ready to run: cells to train, and (cell, reason) of those that cannot work."""

    study: Study
    teachers: dict[str, PreparedTeacher]
    cells: tuple[Cell, ...]
    skipped: tuple[tuple[Cell, str], ...]
    banks: dict[str, dict[str, Any]]
    place: Place
    states: States = dataclasses.field(default_factory=dict)  # of its teachers
    images: Path | None = None  # the folder of ``images.share_images``, where a driver made one


def prepare(
    study: Study,
    out: Path,
    say: Say,
    source: Source | None = None,
    finished: Collection[str] = (),
    states: States | None = None,
) -> Prepared:
    """Trains missing teachers, resolves sources, makes the cells, and builds the banks that they learn from.

    Args:
        source: the study's data, where a caller has them already; loaded else.
        finished: ids of cells that need no bank any more. states: of the teachers that the ledger in ``out`` knows.

    Raises AlambicError for what makes the whole study impossible (data, a teacher of another split, a changed one).
    """
    source = source or load_source(study.data)
    shapes, place = ask_students(study, source), choose_place(study.execution.device, source)
    if study.execution.device != "cpu":
        say(f"cells train on {place.device}: {place.why}")
    for line in tell_source(study, source):
        say(line)
    needed = {name for name in study.teachers if any(arm.is_taught_by(name) for arm in study.arms)}
    live = {name: _get_teacher(study, name, source, out, say) for name in study.teachers if name in needed}
    _refuse_changed(study, source, out, live, states)
    live = {name: score_teacher(teacher, study, source, out, say) for name, teacher in live.items()}
    teachers = Teachers(study, source, out, say, live)
    cells, skipped = _make_cells(study, source, shapes, teachers, place)
    now = _refuse_changed(study, source, out, teachers.made, states)
    teachers.build_banks({known for cell in cells if cell.id not in finished and (known := taught_by(cell))})
    return Prepared(study, teachers.prepared, tuple(cells), tuple(skipped), teachers.banks, place, now)


def _refuse_changed(
    study: Study, source: Source, out: Path, teachers: Mapping[str, Teacher], known: States | None
) -> States:
    tip = "restoring what it was, or another --out"
    return join_states(known or {}, list_states(study, source, teachers.values()), out, tip)


def _get_teacher(study: Study, name: str, source: Source, out: Path, say: Say) -> Teacher:
    entry = study.teachers[name]
    spec, folder = entry.spec, study.folder
    text = repr((entry, source.split_hash))
    if is_own_code(spec.net):
        spec = dataclasses.replace(spec, net=locate(spec.net, folder))
        text += code_version(entry.spec.net, folder)
    if spec.weights is None and not spec.net.endswith(".onnx"):  # the hub's weights get a head for the task too
        before = {other: _get_teacher(study, other, source, out, say) for other in entry.needed}
        text += "".join(teacher.hash for teacher in before.values())
        task = make_task(study, source)
        if task != Task(source.num_classes):
            text += repr(task)
        if entry.fit_head:
            text += repr(train_ids(study, source).tolist())
        path = out / "teachers" / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.safetensors"
        if not path.exists() and entry.fit_head:
            ids = train_ids(study, source)
            say(f"teacher {name}: fitting a head for it on {len(ids):,} images, once for this data")
            with follow(f"head of {name}", "images", say) as advance:
                fit_head(name, spec, source, ids, task, path, study.folder, advance)
        elif not path.exists():
            say(f"teacher {name}: training it ({entry.training.recipe.epochs} epochs), once for this data")
            epochs = entry.training.recipe.epochs
            with follow(f"teacher {name}", "epochs", say) as advance:
                train_teacher(
                    name,
                    spec,
                    entry.training,
                    source,
                    task,
                    path,
                    study.folder,
                    before.get(entry.distil_from),
                    before.get(entry.start_from),
                    lambda record: advance(record["epoch"], epochs),
                )
        spec, folder = TeacherSpec("card", weights=path.name), path.parent
    teacher = load_teacher(
        name, spec, source.num_classes, source.channels, source.size, source.mean, source.std, folder
    )
    check_provenance(teacher, source)
    return merge_teacher(teacher, study, source)


def _make_cells(
    study: Study, source: Source, shapes: dict[str, OutputSpec], teachers: Teachers, place: Place
) -> tuple[list[Cell], list[tuple[Cell, str]]]:
    cells: list[Cell] = []
    skipped: list[tuple[Cell, str]] = []
    for student in study.students:
        for arm in study.arms:
            names: list[str | None] = [n for n in teachers.live if arm.is_taught_by(n)]
            for name in names or [None]:
                made, reason = _make_cell(study, source, teachers, place, student, shapes[student], arm, name)
                seeds = [dataclasses.replace(made, seed=seed) for seed in study.seed_numbers]
                if reason is None:
                    cells += seeds
                else:
                    skipped += [(cell, reason) for cell in seeds]
    _check_different([*cells, *(cell for cell, _ in skipped)])
    return cells, skipped


def _check_different(cells: list[Cell]) -> None:
    """Refuses cells that a ledger could not keep apart: each would be trained, and one row would stay."""
    first: dict[str, Cell] = {}
    for cell in cells:
        known = first.setdefault(cell.id, cell)
        if known is not cell:
            raise AlambicError(
                f"expected cells that differ, got {known.label!r} and {cell.label!r}, because all but the names of arm "
                "and teacher is equal and the ledger would keep one row of both; try leaving one out"
            )


def _make_cell(
    study: Study,
    source: Source,
    teachers: Teachers,
    place: Place,
    student: str,
    shapes: OutputSpec,
    arm: Arm,
    name: str | None,
) -> tuple[Cell, str | None]:
    """The cell of seed 0, and why it cannot work."""
    task, reason = make_task(study, source), None
    if name is None and arm.uses_teacher:
        reason = f"arm {arm.name!r} expected a teacher, got none in the study; try [teachers.NAME], or --teachers NET"
    teacher = None
    more: dict[str, Any] = {"tested": sees_test(study, source, student, arm, name)}
    if is_own_code(student):
        more["student_code"] = code_version(student, study.folder)
    if name is not None:
        try:
            known, arm = teachers.treat(arm, student, name)
        except AlambicError as error:
            reason, teacher = str(error), teachers.untreated(name)
        else:
            if place.room:  # whether a device's memory holds the bank is part of the cell
                teachers.build_banks({known})
            teacher = teachers.prepared[known]
            more |= {"taught_by": known} if known != name else {}
    seen = treat_study(study, arm)
    if seen.data != study.data or arm.recipe:  # more epochs on fewer images are the study's steps
        on_all = tuple(name for name in arm.treatments if name != "labelled_only")
        plain = dataclasses.replace(arm, recipe={}, treatments=on_all)
        more["shared_recipe"] = dataclasses.asdict(treat_study(study, plain).recipe)
    if seen.data != study.data:
        more["shared_data"] = describe_data(source, train_ids(study, source))
    content = {**describe(seen, source, task, student, arm, teacher), **more}
    content |= place.describe(teacher.bank if teacher is not None else None)
    if reason is None:
        reason = find_reason(seen, arm, task, shapes, teacher, len(train_ids(study, source)))
    return Cell(student, name, arm, 0, content), reason


def find_reason(
    study: Study, arm: Arm, task: Task, shapes: OutputSpec, teacher: PreparedTeacher | None, images: int
) -> str | None:
    """Why a pair cannot work with an arm, None when it can: the objective is built once, on shapes alone."""
    given = teacher.shapes if teacher is not None else OutputSpec(None, None)
    try:
        objective = make_objective(arm, task)
        check_views(objective, study.views)
        means = torch.zeros(task.classes, given.embedding) if given.embedding is not None else None
        objective.build(Specs(shapes, given, task.classes, images, images, means), stream(0, "method"))
    except AlambicError as error:
        return str(error)
    if teacher is not None and teacher.spec.groups and "head" in objective.needs.teacher:
        return (
            f"arm {arm.name!r} expected a teacher with a classifier, but {teacher.name!r} has its classes merged by "
            "the class map, and merged scores are not linear in its embedding; try a method on embeddings (rsd)"
        )
    kept = [method.name for method in objective.methods if not method.deployable]
    if kept:
        return f"{kept[0]} keeps its projector and the teacher's classifier at inference: not deployable at this size"
    return None
