"""A method's weight by gradients is that of its full strength, whatever course the weight then takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from alambic.data import DataSpec, ViewSpec, from_arrays
from alambic.functional.schedule import SCHEDULES
from alambic.methods import create_method
from alambic.models.students import create_student
from alambic.models.teacher import TeacherSpec
from alambic.models.teachers import load_teacher
from alambic.training.balance import balance
from alambic.training.hooks import judge
from alambic.training.loop import Run, gather
from alambic.training.objective import Objective
from alambic.training.recipe import Recipe
from alambic.training.setup import live_feed, set_up, teacher_spec
from alambic.training.task import Task


def make_run(*schedules: str, names: tuple[str, str] = ("kd", "dkd")) -> Run:
    """A student that learns from a teacher by as many methods as there are schedules."""
    pixels = np.random.default_rng(0).integers(0, 255, (80, 1, 16, 16)).astype(np.uint8)
    source, views = from_arrays(pixels, np.arange(80) % 3, spec=DataSpec("arrays", tune=0.2, test=0.2)), ViewSpec()
    torch.manual_seed(0)
    teacher = load_teacher("t", TeacherSpec("zoo:resnet8_w4"), 3, 1, source.size, source.mean, source.std)
    methods = [create_method(name) for name in names[: len(schedules)]]
    objective = Objective(methods, Task(3), schedules=[SCHEDULES[name] for name in schedules])
    ids = source.splits["train"]
    feed = live_feed(teacher, source, views, objective.needs.teacher, ids)
    return set_up(
        create_student("dscnn_8x2", 1, 16, 3), objective, source, ids, source.splits["tune"], views,
        Recipe(epochs=2, batch=16), 0, feed=feed, teacher=teacher_spec(teacher),
    )  # fmt: skip


@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
def test_a_schedule_leaves_the_weight_alone(schedule: str) -> None:
    run = make_run(schedule)
    assert balance(run, 2.0) == balance(make_run("constant"), 2.0)
    assert run.objective.schedules == (SCHEDULES[schedule],)  # nothing of the run changes


def test_two_methods_that_take_turns_are_both_measured() -> None:
    assert balance(make_run("first_half", "second_half"), 1.0) == balance(make_run("constant", "constant"), 1.0)


def test_what_a_method_keeps_beside_its_tensors_stays_too() -> None:
    """LELP fits its directions once, when its main stage begins: measuring kd beside it must not have been that."""
    run = make_run("constant", "constant", names=("kd", "lelp"))
    balance(run, 1.0)
    batch = run.ids[:32]
    for progress in (0.01, 0.5):  # collects, then fits
        judge(run, gather(run, batch, 0), progress)
    lelp = run.objective.methods[1]
    assert lelp.count.sum() == len(batch)
    assert lelp.directions.norm() > 0
