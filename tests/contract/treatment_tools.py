"""A task of seconds for the contract of treatments: a bright row tells the class."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from alambic.data import DataSpec, Photometry, Sensor, Source, ViewSpec, from_arrays
from alambic.methods import create_method
from alambic.models.students import create_student
from alambic.models.teacher import Teacher, TeacherSpec
from alambic.models.teachers import load_teacher
from alambic.training.loop import History, Run, train
from alambic.training.objective import Objective
from alambic.training.recipe import Recipe
from alambic.training.setup import live_feed, set_up, teacher_spec
from alambic.training.task import Task
from alambic.training.teach import TeacherTraining
from alambic.treatments.base import (
    Scene,
    Treatment,
    attach_all,
    change_recipe,
    change_student,
    change_teacher,
    change_views,
    restore_student,
)

RECIPE = Recipe(epochs=2, batch=32, lr=0.05, eval_every=1, warmup=0.0)
VIEWS = ViewSpec(count=2, flip=True, shift=1)
NOISY = Photometry(sensor=Sensor(shot=0.05, read=0.02))
BEHIND = replace(VIEWS, student=NOISY)
VIEWS_FOR = {"same_sensor": BEHIND, "adapted_teacher": BEHIND}  # what a treatment needs to mean anything
STUDENT = "dscnn_8x2"


def make_source(images: int = 200) -> Source:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, images)
    pixels = generator.integers(0, 60, (images, 1, 16, 16)).astype(np.uint8)
    pixels[np.arange(images), 0, 4 * labels + 2, :] += 150
    return from_arrays(pixels, labels, spec=DataSpec("arrays", tune=0.2, test=0.2))


def make_teacher(source: Source) -> Teacher:
    torch.manual_seed(0)
    return load_teacher("small", TeacherSpec("zoo:resnet8_w8"), 3, 1, (16, 16), source.mean, source.std)


def make_student(seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return create_student(STUDENT, 1, 16, 3)


def make_scene(source: Source, folder: Path, views: ViewSpec = VIEWS) -> Scene:
    training = TeacherTraining(RECIPE, views)
    image = (source.channels, *source.size)
    return Scene(source, Task(3), source.splits["train"], training, RECIPE, make_student, STUDENT, image, folder)


def set_up_run(
    treatment: Treatment | None,
    source: Source,
    teacher: Teacher | None,
    folder: Path,
    checkpoint: Path | None = None,
    method: str = "kd",
    prepare: bool = True,
) -> Run:
    """A run with one treatment, or none, as a study would put it together."""
    plain = VIEWS if treatment is None else VIEWS_FOR.get(treatment.name, VIEWS)
    scene, treatments = make_scene(source, folder, plain), [treatment] if treatment is not None else []
    if teacher is not None and prepare:
        teacher = change_teacher(teacher, treatments, scene)
    views, recipe = change_views(plain, treatments), change_recipe(RECIPE, treatments)
    student = change_student(make_student(5), treatments, scene)
    objective, ids = Objective([create_method(method)], Task(3)), scene.ids
    feed = given = None
    if teacher is not None:
        feed, given = live_feed(teacher, source, views, frozenset({"logits"}), ids), teacher_spec(teacher)
    tune = source.splits["tune"]
    more: dict[str, Any] = {"feed": feed, "teacher": given, "checkpoint": checkpoint, "key": "k"}
    run = set_up(student, objective, source, ids, tune, views, recipe, 1, **more)
    attach_all(run, treatments, scene)
    return run


def run_through(
    treatment: Treatment, source: Source, teacher: Teacher, folder: Path, **more: Any
) -> tuple[Teacher, nn.Module, History]:
    """(the teacher that taught, the student to deploy, the records)."""
    scene = make_scene(source, folder, VIEWS_FOR.get(treatment.name, VIEWS))
    made = change_teacher(teacher, [treatment], scene)
    run = set_up_run(treatment, source, teacher, folder, **more)
    history = train(run)
    return made, restore_student(run.student, [treatment]), history


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max())
    return e / e.sum()
