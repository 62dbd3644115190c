"""What each teacher of a study promises: accuracy, calibration, and a pilot distillation of 3 % of the budget."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from alambic.data import Source, ViewSpec, load_source
from alambic.errors import AlambicError
from alambic.models.teachers import load_teacher
from alambic.study.cell import Arm
from alambic.study.content import PreparedTeacher
from alambic.study.follow import Say
from alambic.study.prepare import prepare
from alambic.study.study_file import Study
from alambic.study.treat import tune_logits
from alambic.study.work import Workshop
from alambic.treatments.calibrated_temperature import adaptive_calibration_error, fit_temperature

SHARE = 0.03


@dataclass(frozen=True)
class Promise:
    """Of one teacher, on the tune split.

    Attributes:
        accuracy, calibration_error: in [0, 1]; the error is ACE over 15 equally filled bins.
        temperature: at which it is calibrated best.
        gain: points that the pilot student gained by kd over cross-entropy in the same few steps; one seed, so a hint.
        provenance: labels, or distilled from another.
    """

    teacher: str
    family: str
    provenance: str
    accuracy: float
    calibration_error: float
    temperature: float
    gain: float


def shorten(study: Study, source: Source) -> Study:
    """The pilot's study: kd and none, one seed, ``SHARE`` of the training steps, no int8, tune scores only."""
    images = study.data.train or len(source.splits["train"])
    epochs = study.recipe.epochs * SHARE
    data = study.data
    if epochs < 1:  # one pass over a part of the images
        data = dataclasses.replace(data, train=max(2 * study.recipe.batch, int(images * epochs)))
        data = dataclasses.replace(data, train=min(data.train or images, images))
    recipe = dataclasses.replace(study.recipe, epochs=max(1, round(epochs)), warmup=0.1)
    return dataclasses.replace(
        study,
        purpose="explore",
        seeds=1,
        students=study.students[:1],
        arms=(Arm("none", ("none",)), Arm("kd", ("kd",))),
        data=data,
        recipe=recipe,
        int8=dataclasses.replace(study.int8, enabled=False),
    )


def pilot(study: Study, out: Path, say: Say) -> list[Promise]:
    """Runs the pilots of a study's teachers; nothing goes into its ledger.

    Raises AlambicError where the task has no kd (one logit, other classes): the reason is the method's own.
    """
    source = load_source(study.data)
    prepared = prepare(shorten(study, source), out / "pilot", say)
    if prepared.skipped:
        raise AlambicError(f"the pilot distils with kd, which cannot run here: {prepared.skipped[0][1]}")
    shop = Workshop(prepared, out / "pilot")
    scores = {cell.teacher: shop.run(cell).numbers["tune"] for cell in prepared.cells}
    return [
        _promise(teacher, source, study.views, 100 * (scores[name] - scores[None]))
        for name, teacher in prepared.teachers.items()
    ]


def _promise(given: PreparedTeacher, source: Source, views: ViewSpec, gain: float) -> Promise:
    teacher = load_teacher(
        given.name, given.spec, source.num_classes, source.channels, source.size, source.mean, source.std, given.folder
    )
    ids = source.splits["tune"]
    ids = ids[source.labels[ids] >= 0]
    logits, labels = tune_logits(teacher, source, ids, views), source.labels[ids]
    return Promise(
        given.name,
        given.family,
        teacher.spec.provenance,
        float((logits.argmax(1) == labels).float().mean()),
        adaptive_calibration_error(logits, labels),
        fit_temperature(logits, labels),
        gain,
    )
