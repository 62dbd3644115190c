"""What each arm learns from: the study's teachers, and what treatments make of them.

Each is prepared once, with all that any of its arms reads: what stands first in the file decides nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Collection
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from alambic.data import Source, key
from alambic.errors import AlambicError
from alambic.files import write_atomic
from alambic.models.teacher import Teacher
from alambic.models.teachers import tell_outputs
from alambic.study.cell import Arm
from alambic.study.content import PreparedTeacher, make_objective, make_task, train_ids
from alambic.study.follow import Say, follow
from alambic.study.states import store_spec
from alambic.study.study_file import Study
from alambic.study.treat import fit_modifiers, treat_study, treat_teacher, tune_logits
from alambic.training.bank import BANKABLE, Bank, bank_key, build_bank
from alambic.training.setup import live_feed, teacher_spec
from alambic.training.task import evaluate_metric, labels_of, predict

Card = dict[str, Any]
CHANCE_ERRORS = 2.0  # standard errors above chance up to which a teacher is warned of


class Teachers:
    """The study's teachers, and those that treatments make of them, each prepared once, when the first arm asks.

    Attributes:
        live: the study's, by their names. made: those that treatments made too, by key in ``prepared``.
        prepared: for the workers, by name, or by a key where treatments made it.
        banks: card by key, of those that ``build_banks`` was asked for.
    """

    def __init__(self, study: Study, source: Source, out: Path, say: Say, live: dict[str, Teacher]) -> None:
        self.study, self.source, self.out, self.say, self.live = study, source, out, say, live
        self.prepared: dict[str, PreparedTeacher] = {}
        self.banks: dict[str, Card] = {}
        self._unbuilt: dict[str, Callable[[], Card]] = {}  # by key in ``prepared``
        self.made = dict(live)
        self._keys: dict[tuple[str, str, str], str | AlambicError] = {}  # arm, student, name
        for arm, student, name in product(study.arms, study.students, live):
            if arm.is_taught_by(name):
                try:
                    self._keys[arm.name, student, name] = self._make(arm, student, name)
                except AlambicError as error:
                    self._keys[arm.name, student, name] = error

    def treat(self, arm: Arm, student: str, name: str) -> tuple[str, Arm]:
        """The key in ``prepared`` of what an arm learns from, and the arm with what its modifiers find for that.

        Raises AlambicError where a treatment refuses.
        """
        found, views = self._keys[arm.name, student, name], treat_study(self.study, arm).views
        if isinstance(found, AlambicError):
            raise found
        if found not in self.prepared:
            learners = tuple(other for other in self.study.arms if self._learns(other, name, found))
            # all images of the study, though this arm may take fewer
            alone = dataclasses.replace(self.study, views=views, arms=learners)
            self._prepare(found, self.made[found], alone)
        return found, fit_modifiers(arm, self.made[found], self.source, views)

    def untreated(self, name: str) -> PreparedTeacher:
        """The study's own, for an arm whose treatment refuses."""
        if name not in self.prepared:
            self._prepare(name, self.live[name], self.study)
        return self.prepared[name]

    def build_banks(self, keys: Collection[str]) -> None:
        """Builds the banks of prepared teachers, each once; what stands on the disk already is only verified."""
        for known in [name for name in self._unbuilt if name in keys]:
            self.banks[self.prepared[known].bank_key] = self._unbuilt.pop(known)()

    def _learns(self, arm: Arm, name: str, known: str) -> bool:
        return known in [self._keys.get((arm.name, student, name)) for student in self.study.students]

    def _make(self, arm: Arm, student: str, name: str) -> str:
        teacher, study = self.live[name], treat_study(self.study, arm)
        made = treat_teacher(self.study, arm, student, self.source, teacher, self.out, self.say)
        if made.hash == teacher.hash and study.views == self.study.views:
            return name
        text = f"{key(study.views, 'teacher')} {study.views.count}"
        known = f"{name}-{made.hash[:8]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        self.made.setdefault(known, made)
        return known

    def _prepare(self, known: str, teacher: Teacher, study: Study) -> None:
        self.prepared[known], build = _prepare_teacher(study, teacher, self.source, self.out, self.say)
        if build is not None:
            self._unbuilt[known] = build


def score_teacher(teacher: Teacher, study: Study, source: Source, out: Path, say: Say) -> Teacher:
    """The teacher with a tune score in its card, by the task's metric: computed once where it came without one.

    What an ONNX file, own code or a hub's weights say of the study's classes is seen here or nowhere: a wrong
    normalisation or order of classes would teach in silence. Without labels to score by, or of other classes, it stays
    as it is. Raises AlambicError for scores that are not finite.
    """
    ids = source.splits["tune"]
    ids = ids[source.labels[ids] >= 0]
    own_classes = {source.num_classes} | ({1} if source.num_classes == 2 else set())
    if teacher.card.get("tune") is not None or not len(ids) or teacher_spec(teacher).classes not in own_classes:
        return teacher
    task = make_task(study, source)
    known = [
        *(teacher.hash, tell_outputs(teacher)),
        *(key(study.views, "teacher"), source.hash, hashlib.sha256(ids.numpy().tobytes()).hexdigest(), task.metric),
        torch.__version__,
    ]
    name = f"{teacher.name}-{hashlib.sha256(repr(known).encode()).hexdigest()[:12]}.score.json"
    path = out / "teachers" / name
    try:
        told = json.loads(path.read_text())
        score, accuracy, chance = (float(told[number]) for number in ("score", "accuracy", "chance"))
    except (OSError, ValueError, KeyError, TypeError):
        say(f"teacher {teacher.name}: no card tells its score: scoring it on {len(ids):,} tune images, once")
        score, accuracy, chance = _score(teacher, study, source, ids)
        told = {"score": score, "accuracy": accuracy, "chance": chance, "images": len(ids)}
        write_atomic(path, lambda part: part.write_text(json.dumps(told) + "\n"))
        say(f"teacher {teacher.name}: {accuracy:.4f} of the tune images right")
    if accuracy <= chance + CHANCE_ERRORS * (chance * (1 - chance) / len(ids)) ** 0.5:
        order = ", ".join(source.class_names[:5]) + (", ..." if source.num_classes > 5 else "")
        say(
            f"warning: teacher {teacher.name}: {accuracy:.4f} of {len(ids):,} tune images right cannot be told from "
            f"chance ({chance:.4f}), because its input or its classes are not those that it was trained on, or it "
            f"learnt nothing; try mean, std and size in [teachers.{teacher.name}], and whether its scores stand in the "
            f"order of the data's classes: {order}"
        )
    return dataclasses.replace(teacher, card={**teacher.card, "tune": score})


def _score(teacher: Teacher, study: Study, source: Source, ids: torch.Tensor) -> tuple[float, float, float]:
    """(the task's metric, accuracy, accuracy of equally many answers of each class given at random) on some images."""
    labels = labels_of(source.labels, ids)
    try:
        predicted, margin = predict(tune_logits(teacher, source, ids, study.views).numpy())
    except AlambicError as error:
        raise AlambicError(f"teacher {teacher.name!r}: {error}") from error
    shares = [np.bincount(found, minlength=source.num_classes) / len(ids) for found in (predicted, labels)]
    score = evaluate_metric(make_task(study, source).metric, predicted, margin, labels)
    return score, evaluate_metric("accuracy", predicted, margin, labels), float(shares[0] @ shares[1])


def _prepare_teacher(
    study: Study, teacher: Teacher, source: Source, out: Path, say: Say
) -> tuple[PreparedTeacher, Callable[[], Card] | None]:
    """The teacher with the place where its bank is to stand, and what builds it there; None where none is wanted."""
    ids, shapes = train_ids(study, source), teacher_spec(teacher)
    want = {"logits"} | ({"embedding"} if shapes.embedding is not None else set())
    wanted: set[str] = set()
    for arm in study.arms:
        if arm.is_taught_by(teacher.name):
            wanted |= set(make_objective(arm, make_task(study, source)).needs.teacher)
    if "energy" in wanted and shapes.stages:
        want.add("energy")
    path = build = None
    if study.views.count and not study.execution.live_only and wanted & BANKABLE:
        provenance = {
            "teacher": teacher.hash,
            **tell_outputs(teacher),
            "views": key(study.views, "teacher"),
            "view_count": study.views.count,
            "data": source.hash,
            "ids": hashlib.sha256(ids.numpy().tobytes()).hexdigest(),
            "quantities_wanted": sorted(want),
            "torch": torch.__version__,
        }
        feed = live_feed(teacher, source, study.views, frozenset(want), ids)
        path = out / "banks" / bank_key(provenance)

        def build() -> Card:
            say(f"teacher {teacher.name}: bank of {study.views.count} views x {len(ids):,} images")
            with follow(f"bank of {teacher.name}", "images", say) as advance:
                built = build_bank(out / "banks", feed, ids, study.views.count, provenance, advance, say)
            return Bank(built, verify=feed).card

    place = path, path.name if path is not None else ""
    stored, score = store_spec(teacher, study), teacher.card.get("tune")
    made = PreparedTeacher(teacher.name, stored, teacher.folder, shapes, teacher.hash, *place, score, teacher.family)
    return made, build
