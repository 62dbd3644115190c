"""Everything that a study decides once, before its first cell: data, teachers, banks, sources, and the cells.

A combination that cannot work becomes a skipped cell with its reason: data, not a stack trace.
"""

from __future__ import annotations

import dataclasses
import hashlib
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from alambic.data import Source, key, load_source
from alambic.errors import AlambicError
from alambic.methods.base import Specs, create_method
from alambic.models.feature import OutputSpec
from alambic.models.own_code import create_own, is_own_code
from alambic.models.students import create_student
from alambic.models.teachers import Teacher, TeacherSpec, load_teacher, merge_card, read_card
from alambic.study.cell import Arm, Cell, method_version
from alambic.study.study_file import Study
from alambic.training.bank import BANKABLE, Bank, build_bank
from alambic.training.objective import Objective
from alambic.training.recipe import stream, stream_seed
from alambic.training.setup import input_channels, live_feed, probe, teacher_spec
from alambic.training.task import Task
from alambic.training.teach import train_teacher
from alambic.treatments.registry import create_modifier

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class PreparedTeacher:
    """A teacher as the workers need it: where its weights are, its shapes, its bank."""

    name: str
    spec: TeacherSpec
    folder: Path
    shapes: OutputSpec
    hash: str
    bank: Path | None
    bank_key: str
    score: float | None
    family: str


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A study ready to run: cells to train, and (cell, reason) of those that cannot work."""

    study: Study
    teachers: dict[str, PreparedTeacher]
    cells: tuple[Cell, ...]
    skipped: tuple[tuple[Cell, str], ...]
    banks: dict[str, dict[str, Any]]


def make_task(study: Study, source: Source) -> Task:
    """The task of a study on its data."""
    if study.task.one_logit and source.num_classes != 2:
        raise AlambicError(f"{study.path}: expected two classes for one_logit, got {source.num_classes}")
    return Task(1 if study.task.one_logit else source.num_classes, study.task.class_weights, study.task.metric)


def train_ids(study: Study, source: Source) -> Tensor:
    """The training images of the study: the train split, or the subset that ``data.train`` names."""
    return source.subset("train", study.data.train, study.data.split_seed)


def make_student(study: Study, name: str, source: Source, seed: int) -> nn.Module:
    """A student with the weights of the ``init`` stream: equal for each method at equal seed."""
    channels = input_channels(source, study.views)
    classes = make_task(study, source).classes
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(seed, "init"))
        if is_own_code(name):
            return create_own(name, study.folder, in_channels=channels, num_classes=classes)
        return create_student(name, channels, source.size, classes)


def make_objective(arm: Arm, task: Task) -> Objective:
    """The objective of an arm, not yet built for a pair."""
    methods = [create_method(name, **arm.settings.get(name, {})) for name in arm.methods]
    modifiers = [create_modifier(name, **arm.modifier_settings.get(name, {})) for name in arm.modifiers]
    return Objective(methods, task, modifiers, list(arm.weights) or None, ce_weight=arm.ce_weight)


def prepare(study: Study, out: Path, say: Say) -> Prepared:
    """Loads the data, trains missing teachers, builds banks, resolves sources and makes the cells.

    Raises AlambicError for what makes the whole study impossible (data, a teacher of another split).
    """
    source = load_source(study.data)
    say(f"data: {source.name}, {len(train_ids(study, source)):,} training images, {source.num_classes} classes")
    if source.unreadable:
        say(f"warning: {len(source.unreadable)} unreadable images, first {source.unreadable[0]}")
    needed = {name for name in study.teachers if any(_taught_by(arm, name) for arm in study.arms)}
    live = {name: _get_teacher(study, name, source, out, say) for name in study.teachers if name in needed}
    teachers, banks = {}, {}
    for name, teacher in live.items():
        teachers[name], card = _prepare_teacher(study, teacher, source, out, say)
        if card is not None:
            banks[teachers[name].bank_key] = card
    cells, skipped = _make_cells(study, source, teachers)
    return Prepared(study, teachers, tuple(cells), tuple(skipped), banks)


def _taught_by(arm: Arm, teacher: str) -> bool:
    return arm.uses_teacher and (not arm.teachers or teacher in arm.teachers)


def _get_teacher(study: Study, name: str, source: Source, out: Path, say: Say) -> Teacher:
    entry = study.teachers[name]
    spec, folder = entry.spec, study.folder
    if spec.weights is None and not spec.pretrained and not spec.net.endswith(".onnx"):
        text = repr((entry.spec, entry.training, entry.distil_from, source.split_hash))
        path = out / "teachers" / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.safetensors"
        if not path.exists():
            say(f"teacher {name}: training it ({entry.training.recipe.epochs} epochs), once for this data")
            giver = _get_teacher(study, entry.distil_from, source, out, say) if entry.distil_from else None
            task = make_task(study, source)
            train_teacher(name, spec, entry.training, source, task, path, study.folder, giver)
        spec, folder = TeacherSpec("card", weights=path.name), path.parent
    teacher = load_teacher(
        name, spec, source.num_classes, source.channels, source.size, source.mean, source.std, folder
    )
    check_provenance(teacher, source)
    return dataclasses.replace(teacher, card={**teacher.card, "folder": str(folder)})


def check_provenance(teacher: Teacher, source: Source) -> None:
    """Refuses a teacher that may have seen test images, or whose weights are not those of its card."""
    seen = teacher.spec.split_hash
    if seen and seen != source.split_hash and teacher.spec.teacher_data != "external":
        raise AlambicError(
            f"teacher {teacher.name!r}: expected training on this study's train split ({source.split_hash[:12]}), got "
            f"another split ({seen[:12]}), because it may have seen the test images; try training it on this data, or "
            'teacher_data = "external" if its data are others altogether'
        )
    told = teacher.card.get("weights_hash")
    if told is not None and told != teacher.hash:
        raise AlambicError(
            f"teacher {teacher.name!r}: expected the weights of its card ({told[:12]}), got others "
            f"({teacher.hash[:12]}); the file changed: train it again or restore it"
        )


def _prepare_teacher(
    study: Study, teacher: Teacher, source: Source, out: Path, say: Say
) -> tuple[PreparedTeacher, dict[str, Any] | None]:
    ids, shapes = train_ids(study, source), teacher_spec(teacher)
    want = {"logits"} | ({"embedding"} if shapes.embedding is not None else set())
    wanted: set[str] = set()
    for arm in study.arms:
        if _taught_by(arm, teacher.name):
            wanted |= set(make_objective(arm, make_task(study, source)).needs.teacher)
    if "energy" in wanted and shapes.stages:
        want.add("energy")
    path = card = None
    name = ""
    if study.views.count and not study.execution.live_only and wanted & BANKABLE:
        provenance = {
            "teacher": teacher.hash,
            "net": teacher.spec.net,
            "size": list(teacher.size),
            "mean": list(teacher.mean),
            "std": list(teacher.std),
            "views": key(study.views, "teacher"),
            "view_count": study.views.count,
            "data": source.hash,
            "ids": hashlib.sha256(ids.numpy().tobytes()).hexdigest(),
            "quantities_wanted": sorted(want),
            "torch": torch.__version__,
        }
        feed = live_feed(teacher, source, study.views, frozenset(want), ids)
        say(f"teacher {teacher.name}: bank of {study.views.count} views x {len(ids):,} images")
        path = build_bank(out / "banks", feed, ids, study.views.count, provenance)
        bank = Bank(path, verify=feed)
        card, name = bank.card, path.name
    folder = Path(teacher.card.get("folder", study.folder))
    stored = study.teachers[teacher.name].spec
    if stored.weights is None and teacher.spec.weights is not None:
        stored = TeacherSpec("card", weights=teacher.spec.weights)
    score = teacher.card.get("tune")
    made = PreparedTeacher(teacher.name, stored, folder, shapes, teacher.hash, path, name, score, teacher.family)
    return made, card


def resolve_sources(study: Study, arm: Arm, task: Task, teacher: PreparedTeacher) -> dict[str, str]:
    """Where each teacher quantity of a cell comes from, with the reason; never depends on other cells."""
    found = {}
    for quantity in sorted(make_objective(arm, task).needs.teacher):
        if study.execution.live_only:
            found[quantity] = "live: the study asks for live teachers"
        elif not study.views.count:
            found[quantity] = "live: views are fresh each epoch (views.count = 0)"
        elif quantity in BANKABLE:
            found[quantity] = "bank: it fits"
        else:
            found[quantity] = "live: intermediate tensors are too large for a bank"
    if any(value.startswith("live") for value in found.values()):
        return dict.fromkeys(found, "live: one of the method's quantities needs the live teacher")
    return found


def _make_cells(
    study: Study, source: Source, teachers: dict[str, PreparedTeacher]
) -> tuple[list[Cell], list[tuple[Cell, str]]]:
    task = make_task(study, source)
    cells: list[Cell] = []
    skipped: list[tuple[Cell, str]] = []
    for student in study.students:
        shapes = probe(
            make_student(study, student, source, 0),
            torch.zeros(2, input_channels(source, study.views), *source.size),
            f"student {student!r}",
        )
        for arm in study.arms:
            for name in [n for n in teachers if _taught_by(arm, n)] if arm.uses_teacher else [None]:
                teacher = teachers[name] if name is not None else None
                made = [
                    Cell(student, name, arm, seed, describe(study, source, task, arm, teacher))
                    for seed in range(study.seeds)
                ]
                reason = _impossible(study, arm, task, shapes, teacher, len(train_ids(study, source)))
                if reason is None:
                    cells += made
                else:
                    skipped += [(cell, reason) for cell in made]
    return cells, skipped


def _impossible(
    study: Study, arm: Arm, task: Task, shapes: OutputSpec, teacher: PreparedTeacher | None, images: int
) -> str | None:
    """Why a pair cannot work with an arm, None when it can: the objective is built once, on shapes alone."""
    given = teacher.shapes if teacher is not None else OutputSpec(None, None)
    try:
        objective = make_objective(arm, task)
        objective.build(Specs(shapes, given, task.classes, images, images), stream(0, "method"))
    except AlambicError as error:
        return str(error)
    if objective.needs.views > 1:
        return "the study's loop gives one view of an image a step, and this method compares two"
    if objective.needs.train_stats:
        return "the study does not compute statistics over the train split yet"
    return None


def describe(study: Study, source: Source, task: Task, arm: Arm, teacher: PreparedTeacher | None) -> dict[str, Any]:
    """The content of a cell beside student, teacher, arm and seed."""
    ids = train_ids(study, source)
    content: dict[str, Any] = {
        "purpose": study.purpose,
        "task": dataclasses.asdict(task),
        "class_names": list(source.class_names),
        "data": {
            "source": source.name,
            "hash": source.hash,
            "split_hash": source.split_hash,
            "train_images": len(ids),
            "ids": hashlib.sha256(ids.numpy().tobytes()).hexdigest()[:16],
            "unlabelled": int((source.labels[ids] < 0).sum()),
        },
        "views": dataclasses.asdict(study.views),
        "recipe": dataclasses.asdict(study.recipe),
        "int8": dataclasses.asdict(study.int8),
        "threads": study.execution.threads,
        "environment": environment(),
        "methods": {name: method_version(name) for name in arm.methods},
        "sources": {},
    }
    if teacher is not None:
        entry = study.teachers[teacher.name]
        content |= {
            "teacher_hash": teacher.hash,
            "sources": resolve_sources(study, arm, task, teacher),
            "teacher_family": teacher.family,
            "teacher_score": teacher.score,
            "teacher_provenance": _provenance(entry.spec, teacher),
            "teacher_data": entry.spec.teacher_data,
        }
    return content


def _provenance(spec: TeacherSpec, teacher: PreparedTeacher) -> str:
    if teacher.spec.weights is None:
        return spec.provenance
    return merge_card(teacher.spec, read_card(teacher.folder / teacher.spec.weights)).provenance


def environment() -> dict[str, str]:
    """The environment class: numbers are compared within one only."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {"torch": torch.__version__, "device": device, "machine": platform.machine()}
