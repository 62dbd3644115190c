"""What the treatments and modifiers of an arm change before its cells are made: teacher, recipe, views, settings."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from alambic.data import Source, ViewSpec, render_clean
from alambic.methods.modifier import Modifier
from alambic.models.teacher import Teacher
from alambic.models.teachers import save_teacher
from alambic.study.cell import Arm
from alambic.study.content import make_student, make_task, train_ids
from alambic.study.follow import Say, follow
from alambic.study.study_file import Study
from alambic.training.feed import Normalise
from alambic.training.loop import OnEpoch
from alambic.training.setup import input_shape
from alambic.training.teach import TeacherTraining
from alambic.treatments.base import (
    Scene,
    Treatment,
    Watch,
    change_data,
    change_recipe,
    change_teacher,
    change_views,
    unwatched,
)
from alambic.treatments.registry import create_modifier, create_treatment
from alambic.treatments.teaching import load_made


def make_treatments(arm: Arm) -> list[Treatment]:
    """The arm's treatments, in order."""
    return [create_treatment(name, **arm.treatment_settings.get(name, {})) for name in arm.treatments]


def treat_study(study: Study, arm: Arm) -> Study:
    """The study as this arm sees it: its own recipe, and recipe, views and images after the treatments."""
    treatments = make_treatments(arm)
    if not treatments and not arm.recipe:
        return study
    recipe = change_recipe(dataclasses.replace(study.recipe, **arm.recipe), treatments)
    views, data = change_views(study.views, treatments), change_data(study.data, treatments)
    if study.data.train and data.train and data.train != study.data.train:  # fewer images, as many steps
        recipe = dataclasses.replace(recipe, epochs=max(1, round(recipe.epochs * study.data.train / data.train)))
    return dataclasses.replace(study, recipe=recipe, views=views, data=data)


def make_scene(
    study: Study, source: Source, student: str, teacher: str | None, out: Path, seed: int = 0, watch: Watch = unwatched
) -> Scene:
    """What the treatments of a cell may use."""
    entry = study.teachers.get(teacher or "")
    return Scene(
        source,
        make_task(study, source),
        train_ids(study, source),
        entry.training if entry is not None else TeacherTraining(study.recipe, study.views),
        study.recipe,
        lambda peer: make_student(study, student, source, peer),
        student,
        input_shape(source, study.views),
        out / "teachers",
        study.folder,
        seed,
        watch,
    )


def watch_by(say: Say) -> Watch:
    """What shows a new teacher's training with the time left, as ``follow`` does."""

    @contextmanager
    def watch(label: str, epochs: int) -> Iterator[OnEpoch]:
        say(f"teacher {label}: training it ({epochs} epochs), once for this study")
        with follow(f"teacher {label}", "epochs", say) as advance:
            yield lambda record: advance(record["epoch"], epochs)

    return watch


def treat_teacher(
    study: Study, arm: Arm, student: str, source: Source, teacher: Teacher, out: Path, say: Say
) -> Teacher:
    """The teacher that an arm learns from: the given one, or a new one whose weights lie in ``out``.

    Raises AlambicError where a treatment refuses the pair.
    """
    treatments = make_treatments(arm)
    scene = make_scene(study, source, student, teacher.name, out, watch=watch_by(say))
    made = change_teacher(teacher, treatments, scene)
    if made.hash == teacher.hash:
        return teacher
    if made.spec.weights is None:  # a treatment that made it in memory: workers load it from a file
        text = repr((arm.treatments, arm.treatment_settings, made.hash))
        path = scene.folder / f"{teacher.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.safetensors"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            save_teacher(path, made.net, _card(made, source))
        made = load_made(teacher, scene, path)
    return dataclasses.replace(made, name=teacher.name, folder=scene.folder)


def _card(made: Teacher, source: Source) -> dict[str, Any]:
    return {"name": made.name, "spec": made.settle(source.split_hash).for_card(), "tune": None}


def fit_modifiers(arm: Arm, teacher: Teacher, source: Source, views: ViewSpec) -> Arm:
    """The arm with the settings that its modifiers find for a teacher on the tune split; given ones stay."""
    ids = source.splits["tune"]
    found: dict[str, dict[str, Any]] = {}
    for name in arm.modifiers:
        given = arm.modifier_settings.get(name, {})
        modifier = create_modifier(name, **given)
        if type(modifier).fit is not Modifier.fit:
            found[name] = {**modifier.fit(tune_logits(teacher, source, ids, views), source.labels[ids]), **given}
    if not found:
        return arm
    return dataclasses.replace(arm, modifier_settings={**arm.modifier_settings, **found})


def tune_logits(teacher: Teacher, source: Source, ids: torch.Tensor, views: ViewSpec) -> torch.Tensor:
    """fp32 logits of a teacher on images as its side of the views gives them, nothing random: len(ids) x classes."""
    normalise = Normalise(teacher.mean, teacher.std)
    with torch.no_grad():
        blocks = [
            teacher.net(normalise(render_clean(source.images, rows, views, "teacher", teacher.size))).float()
            for rows in ids.split(250)
        ]
    return torch.cat(blocks)
