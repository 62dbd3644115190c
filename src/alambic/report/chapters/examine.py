"""``alambic examine``: what a ledger cannot hold, read from the students that a study saved.

A ledger keeps the predicted class and the margin of each image. Calibration over more than two classes takes
probabilities, agreement with a teacher takes the teacher's answers, and CKA takes inner features: all three are
computed here, on images of the tune split, and kept as ``examination.json`` beside the ledger.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alambic.data import Source, load_source
from alambic.errors import AlambicError
from alambic.files import write_atomic
from alambic.models.taps import Tapped
from alambic.models.teacher import Teacher
from alambic.models.teachers import load_teacher, load_weights
from alambic.report.facts.examined import NAME, VERSION
from alambic.study.cell import Arm
from alambic.study.content import make_student
from alambic.study.ledger import Ledger, Row
from alambic.study.study_file import Study
from alambic.suitability.estimators.calibration_error import expected_calibration_error
from alambic.suitability.estimators.cka import debiased_cka, gram
from alambic.suitability.onlooker import Onlooker, Plain, look
from alambic.training.feed import Normalise
from alambic.training.setup import input_shape, student_normalise, teacher_spec

CKA_IMAGES = 256
SAME = 0.99  # share of images on which saved weights must give the class that the ledger holds: rounding moves a few
Say = Callable[[str], None]


@dataclass(frozen=True)
class Room:
    """What every network of an examination looks at."""

    study: Study
    source: Source
    ids: Tensor

    @property
    def labels(self) -> Tensor:
        return self.source.labels[self.ids]

    def rate(self, logits: Tensor) -> dict[str, float]:
        """Calibration error, mean negative log-likelihood in nats, accuracy: over labelled images."""
        known = self.labels >= 0
        own, labels = logits[known], self.labels[known]
        return {
            "ece": expected_calibration_error(own, labels),
            "nll": float(F.cross_entropy(own.double(), labels)),
            "accuracy": float((own.argmax(1) == labels).double().mean()),
        }


def examine(study: Study, teachers: list[Teacher], out: Path, images: int, say: Say) -> Path:
    """Examines every finished cell whose student was saved; CKA for those of the lowest seed.

    Args:
        out: the study's folder: its ledger and ``students``. images: of the tune split, the first ones.

    Raises AlambicError where no student was saved.
    """
    ledger = Ledger(out / "ledger.sqlite", read_only=True)
    rows = find_saved(ledger, out)
    source = load_source(study.data)
    room = Room(study, source, source.splits["tune"][:images])
    seen = {teacher.hash: _look_at_teacher(room, teacher) for teacher in teachers}
    names = {teacher.hash: teacher.name for teacher in teachers}
    told: dict[str, Any] = {
        "version": VERSION,
        "split": "tune",
        "images": len(room.ids),
        "cka_images": min(CKA_IMAGES, len(room.ids)),
        "teachers": {names[key]: {"hash": key, **room.rate(plain.logits)} for key, plain in seen.items()},
        "cells": {},
        "left_out": {},
    }
    first = min(row.content["seed"] for row in rows)
    for row in rows:
        try:
            told["cells"][row.id] = _examine_cell(room, row, ledger, out, seen, names, row.content["seed"] == first)
        except AlambicError as error:
            told["left_out"][row.id] = str(error)
            say(f"left out {row.id}: {error}")
    say(f"{len(told['cells'])} students examined on {len(room.ids):,} images of the tune split")
    write_atomic(out / NAME, lambda part: part.write_text(json.dumps(told, indent=1)))
    ledger.close()
    return out / NAME


def find_saved(ledger: Ledger, out: Path) -> list[Row]:
    """The finished cells whose student is in the study's folder. Raises AlambicError where there is none."""
    rows = [row for row in ledger.rows("done") if (out / "students" / f"{row.id}.safetensors").is_file()]
    if not rows:
        raise AlambicError(
            f"expected saved students in {out / 'students'}, found none that the ledger knows, because the folder was "
            "emptied or is another study's; try alambic study run again, or --out"
        )
    return rows


def _examine_cell(
    room: Room, row: Row, ledger: Ledger, out: Path, seen: dict[str, Plain], names: dict[str, str], deep: bool
) -> dict[str, Any]:
    content = row.content
    net = make_student(room.study, content["student"], room.source, content["seed"])
    before = _look_at_student(room, net, room.ids[:CKA_IMAGES]) if deep else None
    load_weights(net, out / "students" / f"{row.id}.safetensors", f"student {content['student']!r}")
    after = _look_at_student(room, net, room.ids)
    _compare(row, ledger, after.logits)
    found: dict[str, Any] = room.rate(after.logits)
    own = content.get("teacher_hash")
    if own in seen and seen[own].logits.shape == after.logits.shape:
        found["agreement"] = float((after.logits.argmax(1) == seen[own].logits.argmax(1)).double().mean())
    if before is not None:
        # the student alone is compared with every teacher: how alike they become without any teaching
        partners = [own] if own in seen else list(seen) if content.get("teacher") is None else []
        found["cka"] = {
            names[key]: {"before": align(before, seen[key]), "after": align(after, seen[key])} for key in partners
        }
    return found


def align(student: Plain, teacher: Plain) -> list[list[float]]:
    """Debiased linear CKA, student stages x teacher stages, on the first 256 images."""
    rows = [gram(stage[:CKA_IMAGES]) for stage in student.stages]
    columns = [gram(stage[:CKA_IMAGES]) for stage in teacher.stages]
    return [[round(debiased_cka(row, column), 4) for column in columns] for row in rows]


def _compare(row: Row, ledger: Ledger, logits: Tensor) -> None:
    """Refuses weights that do not give the ledger's own predictions."""
    kept = ledger.predictions(row.id, "tune", "fp32")
    if kept is None:
        return
    same = float((torch.from_numpy(kept.predicted)[: len(logits)] == logits.argmax(1)).double().mean())
    if same < SAME:
        raise AlambicError(
            f"cell {row.id}: expected the ledger's predictions from the saved student, got the same class on "
            f"{same:.1%} of the images, because its weights or the images changed; try running the study again"
        )


def _look_at_student(room: Room, net: nn.Module, ids: Tensor) -> Plain:
    normalise = student_normalise(room.source, room.study.views)
    shape = input_shape(room.source, room.study.views)
    return _look(
        room, net, torch.zeros(2, *shape), "student", shape[1:], normalise, {"logits", "stages"}, "student", ids
    )


def _look_at_teacher(room: Room, teacher: Teacher) -> Plain:
    shapes, example = teacher_spec(teacher), torch.zeros(2, len(teacher.mean), *teacher.size)
    want = {"logits"} | ({"stages"} if shapes.stages else set())
    normalise, label = Normalise(teacher.mean, teacher.std), f"teacher {teacher.name!r}"
    return _look(room, teacher.net, example, "teacher", teacher.size, normalise, want, label, room.ids)


def _look(
    room: Room,
    net: nn.Module,
    example: Tensor,
    side: str,
    size: tuple[int, int],
    normalise: Normalise,
    want: set[str],
    label: str,
    ids: Tensor,
) -> Plain:
    tapped = Tapped(net.eval(), example, want, label=label)
    return look(Onlooker(tapped, room.source, room.study.views, side, size, normalise), ids)


def load_study_teachers(study: Study, out: Path, say: Say) -> list[Teacher]:
    """The study's teachers as it used them; those without weights are taken from its folder, not trained again."""
    import dataclasses

    from alambic.study.prepare import prepare

    if not study.teachers:
        return []
    plain = dataclasses.replace(
        study,
        arms=(Arm("none", ("none",)), Arm("kd", ("kd",))),
        seeds=1,
        students=study.students[:1],
        execution=dataclasses.replace(study.execution, live_only=True),  # no bank is needed
    )
    source = load_source(study.data)
    return [
        load_teacher(
            name, given.spec, source.num_classes, source.channels, source.size, source.mean, source.std, given.folder
        )
        for name, given in prepare(plain, out, say).teachers.items()
    ]
