"""What cannot be spread over processes is refused before the first step, and says why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from alambic.data import DataSpec, ViewSpec, from_arrays
from alambic.errors import AlambicError
from alambic.files import hash_tensors
from alambic.methods import create_method
from alambic.models.students import create_student
from alambic.models.teacher import TeacherSpec
from alambic.models.teachers import load_teacher
from alambic.training import together
from alambic.training.loop import Run
from alambic.training.objective import Objective
from alambic.training.recipe import Recipe
from alambic.training.setup import live_feed, set_up, teacher_spec
from alambic.training.spread import check_batch, check_separable
from alambic.training.task import Task
from alambic.training.teach import choose_checkpoint


def make_run(method: str, batch: int = 32) -> Run:
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (80, 16, 16, 1), dtype=np.uint8)
    source = from_arrays(pixels, np.arange(80) % 3, spec=DataSpec("arrays", tune=0.2, test=0.2))
    torch.manual_seed(0)
    teacher = load_teacher("small", TeacherSpec("zoo:resnet8_w8"), 3, 1, source.size, source.mean, source.std)
    objective = Objective([create_method(method)], Task(3))
    views, ids = ViewSpec(count=2, flip=True, mix="mixup"), source.splits["train"]
    feed = live_feed(teacher, source, views, objective.needs.teacher, ids)
    student = create_student("dscnn_8x2", 1, 16, 3)
    recipe = Recipe(batch=batch)
    return set_up(
        student,
        objective,
        source,
        ids,
        source.splits["tune"],
        views,
        recipe,
        0,
        feed=feed,
        teacher=teacher_spec(teacher),
    )


@pytest.mark.parametrize("method", ["none", "kd", "fitnet", "embedding_mse", "funmatch"])
def test_means_over_images_are_taken_and_nothing_moves(method: str) -> None:
    run = make_run(method)
    run.student.train()
    before = hash_tensors(run.student.state_dict())
    check_separable(run)
    assert hash_tensors(run.student.state_dict()) == before
    assert all(module.training for module in run.student.modules())


@pytest.mark.parametrize(
    ("method", "why"),
    [
        ("rkd", "compares the images of a batch"),
        ("irg_lite", "compares the images of a batch"),
        ("semckd", "compares the images of a batch"),
        ("dist", "compares the images of a batch"),
        ("crd", r"keeps numbers of its own between steps \(bank_student"),
    ],
)
def test_a_loss_of_the_whole_batch_is_refused(method: str, why: str) -> None:
    with pytest.raises(AlambicError, match=f"method '{method}' expected one process, got several, because it {why}"):
        check_separable(make_run(method))


def test_a_batch_too_small_for_the_processes_is_refused() -> None:
    run = make_run("none", batch=7)
    check_batch(run, 3)
    with pytest.raises(AlambicError, match="expected a batch of at least 8 images for 4 processes, got 7"):
        check_batch(run, 4)


def test_a_teacher_is_finished_by_as_many_processes_as_began_it(tmp_path: Path) -> None:
    for other in ("vit2.4", "vit.5.4"):  # of other teachers
        (tmp_path / f"{other}-processes.checkpoint").touch()
    path = tmp_path / "vit.safetensors"
    assert choose_checkpoint(path, 1) == tmp_path / "vit.checkpoint"
    assert choose_checkpoint(path, 4) == tmp_path / "vit.4-processes.checkpoint"
    (tmp_path / "vit.checkpoint").touch()
    assert choose_checkpoint(path, 1).exists()
    with pytest.raises(AlambicError, match=r"got 4, because vit\.checkpoint is there"):
        choose_checkpoint(path, 4)
    (tmp_path / "vit.16-processes.checkpoint").touch()
    with pytest.raises(AlambicError, match=r"got 1, because vit\.16-processes\.checkpoint is there"):
        choose_checkpoint(path, 1)


def test_torchrun_and_devices_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(AlambicError, match="expected torchrun or --devices, got both"):
        together.start(2, [])
