"""What a cell's numbers depend on, and the pieces that are made from it in the driver and in each worker alike."""

from __future__ import annotations

import dataclasses
import hashlib
import platform
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from alambic.data import Source, render, render_clean
from alambic.errors import AlambicError
from alambic.functional.schedule import SCHEDULES
from alambic.methods.base import create_method
from alambic.models.cards import read_card
from alambic.models.feature import OutputSpec
from alambic.models.own_code import create_own, is_own_code
from alambic.models.students import create_student
from alambic.models.teacher import TeacherSpec, widest_data
from alambic.models.teachers import merge_card
from alambic.study.cell import Arm, method_version
from alambic.study.specs import behind
from alambic.study.study_file import Study
from alambic.training.bank import BANKABLE
from alambic.training.objective import Objective
from alambic.training.recipe import drawing, stream_seed
from alambic.training.setup import input_shape, probe
from alambic.training.task import Task, evaluate_metric, labels_of
from alambic.training.teacher_file import TeacherEntry
from alambic.treatments.registry import all_modifiers, all_treatments, create_modifier
from alambic.version import file_version

FEW_SCORED = 5  # images of a class in a split: fewer are told


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


def make_task(study: Study, source: Source) -> Task:
    """The task of a study on its data."""
    if study.task.one_logit and source.num_classes != 2:
        raise AlambicError(f"{study.path}: expected two classes for one_logit, got {source.num_classes}")
    task = Task(1 if study.task.one_logit else source.num_classes, study.task.class_weights, study.task.metric)
    for metric in study.task.also:
        dataclasses.replace(task, metric=metric)  # is refused as the metric that ranks would be
    return task


def train_ids(study: Study, source: Source) -> Tensor:
    """The training images of the study: the train split, or the subset that ``data.train`` names."""
    return source.subset("train", study.data.train, study.data.split_seed)


def tell_source(study: Study, source: Source) -> list[str]:
    """What is trained on, and a warning of images that cannot be read, of classes that no label teaches and of those
    that a split scores on a handful of images."""
    ids = train_ids(study, source)
    told = [f"data: {source.name}, {len(ids):,} training images, {source.num_classes} classes"]
    if source.unreadable:
        told.append(f"warning: {source.tell_unreadable()}")
    taught = set(source.labels[ids].tolist())
    missing = [name for index, name in enumerate(source.class_names) if index not in taught]
    if missing:
        told.append(f"warning: no labelled training image of {missing[:5]}: no student can learn what has none")
    for split in ("tune", "test"):
        counts = Counter(source.labels[source.splits[split]].tolist())
        few = [f"{name} {counts[index]}" for index, name in enumerate(source.class_names) if counts[index] < FEW_SCORED]
        if few and len(source.splits[split]):
            told.append(
                f"warning: {len(few)} of {source.num_classes} classes have under {FEW_SCORED} {split} images "
                f"({', '.join(few[:5])}): scores say next to nothing of them"
            )
    return told


def make_student(study: Study, name: str, source: Source, seed: int) -> nn.Module:
    """A student with the weights of the ``init`` stream: equal for each method at equal seed."""
    channels, height, width = input_shape(source, study.views)
    classes = make_task(study, source).classes
    with drawing(stream_seed(seed, "init")):
        if is_own_code(name):
            return create_own(name, study.folder, in_channels=channels, num_classes=classes)
        return create_student(name, channels, (height, width), classes)


def ask_students(study: Study, source: Source) -> dict[str, OutputSpec]:
    """The shapes of each student, before anything is trained. Raises AlambicError where one cannot be, or its views."""
    task, ids = make_task(study, source), train_ids(study, source)
    for split in ("tune", "test"):
        _ask_scores(study, source, split)
    for side in ("student", "teacher"):
        render(source.images, ids[:2], torch.zeros_like(ids[:2]), study.views, side, pool_ids=ids)
    for sensor in study.test_sensors.values():
        render_clean(source.images, ids[:2], behind(study.views, sensor), "student")
    example = torch.zeros(2, *input_shape(source, study.views))
    found = {}
    for name in study.students:
        found[name] = probe(make_student(study, name, source, 0), example, f"student {name!r}")
        if found[name].classes != task.classes:
            raise AlambicError(
                f"student {name!r}: expected {task.classes} class scores an image, one a class of the data, got "
                f"{found[name].classes}; try a last layer of num_classes, which your function is given"
            )
    return found


def _ask_scores(study: Study, source: Source, split: str) -> None:
    """Refuses a split that each training would be scored on only to fail."""
    labels = labels_of(source.labels, source.splits[split])
    if split == "test" and (study.purpose == "explore" or (study.purpose == "demo" and not (labels >= 0).any())):
        return  # never looked at
    try:
        for metric in (study.task.metric, *study.task.also):
            evaluate_metric(metric, labels, np.ones(len(labels)), labels)
    except AlambicError as error:
        raise AlambicError(
            f"{study.path}: {error} of the {split} split, because each training is scored on them; try tune = 0.1 in "
            "[data], more images, or another metric in [task]"
        ) from error


def make_objective(arm: Arm, task: Task) -> Objective:
    """The objective of an arm, not yet built for a pair."""
    methods = [create_method(name, **arm.settings.get(name, {})) for name in arm.methods]
    modifiers = [create_modifier(name, **arm.modifier_settings.get(name, {})) for name in arm.modifiers]
    schedules = [SCHEDULES[name] for name in arm.schedules] or None
    return Objective(methods, task, modifiers, list(arm.weights) or None, schedules, arm.ce_weight)


def resolve_sources(study: Study, arm: Arm, task: Task) -> dict[str, str]:
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


def sees_test(study: Study, source: Source, student: str, arm: Arm, teacher: str | None) -> bool:
    """Whether a cell computes the test split: each cell of a demo, the declared ones of a claim, no other.

    A test split without labels, as hubs publish it, is as none.
    """
    if not bool((source.labels[source.splits["test"]] >= 0).any()):
        return False
    if study.confirmation is not None:
        return study.confirmation.names(student, arm.name, teacher)
    return study.purpose == "demo"


def describe_data(source: Source, ids: Tensor) -> dict[str, Any]:
    """What a cell's content says of its training images."""
    return {
        "source": source.name,
        "hash": source.hash,
        "split_hash": source.split_hash,
        "train_images": len(ids),
        "ids": hashlib.sha256(ids.numpy().tobytes()).hexdigest()[:16],
        "unlabelled": int((source.labels[ids] < 0).sum()),
    }


def describe(
    study: Study, source: Source, task: Task, student: str, arm: Arm, teacher: PreparedTeacher | None
) -> dict[str, Any]:
    """The content of a cell beside student, teacher, arm and seed."""
    ids = train_ids(study, source)
    content: dict[str, Any] = {
        "purpose": study.purpose,
        "task": dataclasses.asdict(task),
        "class_names": list(source.class_names),
        "data": describe_data(source, ids),
        "views": dataclasses.asdict(study.views),
        "recipe": dataclasses.asdict(study.recipe),
        # equalise is left out where it is off, so that older cells keep their ids
        "int8": {key: value for key, value in dataclasses.asdict(study.int8).items() if key != "equalise" or value},
        "threads": study.execution.threads,
        "environment": environment(),
        "methods": {name: method_version(name) for name in arm.methods},
        "sources": {},
    }
    if input_shape(source, study.views)[1:] != source.size:
        content["input"] = input_shape(source, study.views)  # left out else, so that older cells keep their ids
    if student in study.compiled and not arm.treatments:  # a treatment changes the student, or its step
        content["compiled"] = True  # left out else, so that older cells keep their ids
    if study.test_sensors:
        content["test_sensors"] = {name: dataclasses.asdict(sensor) for name, sensor in study.test_sensors.items()}
    if arm.treatments:
        content["treatments"] = {name: file_version(all_treatments()[name]) for name in arm.treatments}
    if arm.modifiers:
        content["modifiers"] = {name: file_version(all_modifiers()[name]) for name in arm.modifiers}
    if teacher is not None:
        entry = study.teachers[teacher.name]
        content |= {
            "teacher_hash": teacher.hash,
            "sources": resolve_sources(study, arm, task),
            "teacher_family": teacher.family,
            "teacher_score": teacher.score,
            "teacher_provenance": _provenance(entry.spec, teacher),
            "teacher_data": _seen_data(
                study.teachers, teacher.name, study.folder, len(ids), len(source.splits["train"])
            ),
        }
        own = own_input(teacher.spec)
        if own:
            content["teacher_input"] = own
    return content


def own_input(spec: TeacherSpec) -> dict[str, Any]:
    """What a study file says of its teacher's input: its outputs depend on it, the hash of its weights not."""
    plain = TeacherSpec(spec.net)
    names = ("kwargs", "size", "mean", "std", "channels", "groups")
    return {name: getattr(spec, name) for name in names if getattr(spec, name) != getattr(plain, name)}


def _provenance(spec: TeacherSpec, teacher: PreparedTeacher) -> str:
    if teacher.spec.weights is None:
        return spec.provenance
    return merge_card(teacher.spec, read_card(teacher.folder / teacher.spec.weights)).provenance


def _seen_data(entries: Mapping[str, TeacherEntry], name: str, folder: Path, images: int, whole: int) -> str:
    """Which images taught a teacher and those it learnt from, for tables; ``unknown`` where neither file nor card says.

    ``images``: how many of the ``whole`` train split students see. One that the study trains sees all of them.
    """
    seen = [_told_data(entries[name], folder, images, whole)]
    seen += [_seen_data(entries, other, folder, images, whole) for other in entries[name].needed]
    return "unknown" if "unknown" in seen else widest_data(*seen)  # type: ignore[arg-type]


def _told_data(entry: TeacherEntry, folder: Path, images: int, whole: int) -> str:
    spec = entry.spec
    if entry.tells_data:
        return spec.teacher_data
    if spec.pretrained:
        return "external"
    if spec.weights is None and not spec.net.endswith(".onnx") and not entry.fit_head:
        return widest_data(spec.teacher_data, "superset" if images < whole else "same")
    card = {} if spec.weights is None else read_card(folder / spec.weights)
    told = card.get("spec", {}).get("teacher_data", "unknown")
    more = told == "same" and card.get("train_images", images) > images
    return "superset" if more else str(told)


def environment() -> dict[str, str]:
    """The environment class: numbers are compared within one only."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {"torch": torch.__version__, "device": device, "machine": platform.machine()}
