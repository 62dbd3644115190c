"""What each teacher of a study promises: accuracy, calibration, and a pilot distillation of 3 % of the budget."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch

from alambic.data import Source, ViewSpec, load_source
from alambic.errors import AlambicError
from alambic.models.teacher import Teacher
from alambic.models.teachers import load_teacher
from alambic.study.cell import Arm
from alambic.study.content import make_student, make_task, train_ids
from alambic.study.follow import Say
from alambic.study.prepare import prepare
from alambic.study.study_file import Study
from alambic.study.treat import tune_logits
from alambic.suitability.pilot import choose_images, run_trial, short_recipe
from alambic.treatments.calibrated_temperature import adaptive_calibration_error, fit_temperature

SHARE = 0.03


@dataclass(frozen=True)
class Promise:
    """Of one teacher, on the tune split.

    Attributes:
        accuracy, calibration_error: in [0, 1]; the error is ACE over 15 equally filled bins.
        temperature: at which it is calibrated best.
        gain: points that the pilot student gained by kd over cross-entropy in the same few steps; one seed, so a hint.
        provenance: labels, or distilled from another. student: of the pilot, the study's first.
    """

    teacher: str
    family: str
    provenance: str
    accuracy: float
    calibration_error: float
    temperature: float
    gain: float
    student: str


def pilot(study: Study, out: Path, say: Say) -> list[Promise]:
    """Runs the pilots of a study's teachers, as ``alambic teachers rank`` does; nothing goes into its ledger.

    Sorted by accuracy, the best first: it foretells the gain better than a pilot does (README).

    Raises AlambicError where the task has no kd (one logit, other classes): the reason is the method's own.
    """
    source = load_source(study.data)
    torch.set_num_threads(max(1, study.execution.threads))
    torch.set_flush_denormal(True)
    plain = dataclasses.replace(
        study,
        purpose="explore",
        seeds=1,
        students=study.students[:1],
        arms=(Arm("none", ("none",)), Arm("kd", ("kd",))),
        execution=dataclasses.replace(study.execution, live_only=True),  # no bank is needed
    )
    prepared = prepare(plain, out, say, source)
    if prepared.skipped:
        raise AlambicError(f"the pilot distils with kd, which cannot run here: {prepared.skipped[0][1]}")
    task, train, tune = make_task(study, source), train_ids(study, source), source.splits["tune"]
    recipe, images = short_recipe(study.recipe, len(train), SHARE)
    chosen = choose_images(train, images, study.data.split_seed)

    def score(teacher: Teacher | None) -> float:
        student = make_student(study, study.students[0], source, 0)
        return run_trial(student, teacher, None, source, study.views, recipe, task, chosen, tune).score

    alone = score(None)
    shape = (source.num_classes, source.channels, source.size, source.mean, source.std)
    teachers = [load_teacher(name, given.spec, *shape, given.folder) for name, given in prepared.teachers.items()]
    first = study.students[0]
    found = [_promise(teacher, source, study.views, first, 100 * (score(teacher) - alone)) for teacher in teachers]
    return sorted(found, key=lambda promise: -promise.accuracy)


def _promise(teacher: Teacher, source: Source, views: ViewSpec, student: str, gain: float) -> Promise:
    ids = source.splits["tune"]
    ids = ids[source.labels[ids] >= 0]
    logits, labels = tune_logits(teacher, source, ids, views), source.labels[ids]
    return Promise(
        teacher.name,
        teacher.family,
        teacher.spec.provenance,
        float((logits.argmax(1) == labels).float().mean()),
        adaptive_calibration_error(logits, labels),
        fit_temperature(logits, labels),
        gain,
        student,
    )
