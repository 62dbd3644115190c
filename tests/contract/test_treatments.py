"""The contract of every treatment: it lives through a small study and leaves a clean student behind."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from treatment_tools import VIEWS, VIEWS_FOR, make_scene, run_through, set_up_run

from alambic.errors import AlambicError
from alambic.models.students import create_student
from alambic.training.loop import train
from alambic.training.task import Task
from alambic.treatments import all_treatments, base, create_treatment
from alambic.treatments.base import Treatment, new_teacher_path

SETTINGS: dict[str, dict[str, Any]] = {
    "assistant": {"nets": ("zoo:resnet8_w8",)},
    "generic_teacher": {"students": ("dscnn_8x2", "dscnn_12x2")},
    "mcmi": {"epochs_of_tuning": 1},
    "patient": {"factor": 1.5, "mix": "mixup"},
    "self_distillation": {"epochs_of_teacher": 1},
}
NAMES = sorted(all_treatments())
STEPPING = [name for name in NAMES if create_treatment(name).changes_steps]


def create(name: str) -> Treatment:
    return create_treatment(name, **SETTINGS.get(name, {}))


@pytest.mark.parametrize("name", NAMES)
def test_facts(name: str) -> None:
    cls = all_treatments()[name]
    assert (cls.__doc__ or "").strip()
    assert cls.formula
    assert cls.fidelity in ("A", "B", "C", "O")
    assert cls.kind in ("teacher", "recipe", "student", "step", "control")
    assert cls().name == name
    if cls.kind != "control":
        assert cls.paper.year
        assert cls.evidence
        assert any(f"[{mark}]" in cls.evidence for mark in "CRANM")
    with pytest.raises(AlambicError, match="has no setting"):
        create_treatment(name, nonsense=1)
    with pytest.raises(AlambicError, match="unknown treatment"):
        create_treatment(name + "x")


@pytest.mark.parametrize("name", NAMES)
def test_lives_through_a_training_and_leaves_a_clean_student(name: str, source, teacher, tmp_path: Path) -> None:
    before = {key: value.clone() for key, value in teacher.net.state_dict().items()}
    treatment = create(name)
    made, student, history = run_through(treatment, source, teacher, tmp_path)
    assert all(np.isfinite(value) for record in history for value in record["loss"].values())
    plain = create_student("dscnn_8x2", 1, 16, 3)
    assert list(student.state_dict()) == list(plain.state_dict())
    for module in student.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not getattr(module, "parametrizations", None)
    student.eval()
    assert torch.isfinite(student(torch.zeros(2, 1, 16, 16))).all()
    for key, value in teacher.net.state_dict().items():
        assert torch.equal(before[key], value), key
    assert not any(p.requires_grad for p in made.net.parameters())
    changes = type(treatment).prepare_teacher is not Treatment.prepare_teacher
    assert (made.hash != teacher.hash) == changes


@pytest.mark.parametrize("name", STEPPING)
def test_resumed_training_equals_an_undisturbed_one(name: str, source, teacher, tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def kill(record: dict[str, Any]) -> None:
        if record["epoch"] == 1:
            raise Killed

    whole = set_up_run(create(name), source, teacher, tmp_path)
    expected = train(whole)
    first = set_up_run(create(name), source, teacher, tmp_path, checkpoint=tmp_path / "c")
    with pytest.raises(Killed):
        train(first, kill)
    second = set_up_run(create(name), source, teacher, tmp_path, checkpoint=tmp_path / "c")
    assert [r["loss"] for r in train(second)] == [r["loss"] for r in expected]
    for key, value in whole.student.state_dict().items():
        assert torch.equal(value, second.student.state_dict()[key]), key


@pytest.mark.parametrize("name", NAMES)
def test_student_starts_from_its_own_stream(name: str, source, teacher, tmp_path: Path) -> None:
    """Building a peer or wide weights never moves the student's initial weights or the order of its images."""
    treatment = create(name)
    plain = set_up_run(None, source, teacher, tmp_path)
    treated = set_up_run(treatment, source, teacher, tmp_path, prepare=False)
    state = torch.random.get_rng_state()
    treated.student = treatment.unwrap_student(copy.deepcopy(treated.student))
    for a, b in zip(plain.student.parameters(), treated.student.parameters(), strict=True):
        assert torch.equal(a, b)
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize("name", [n for n in NAMES if all_treatments()[n].needs_teacher])
def test_refuses_a_run_without_a_teacher(name: str, source, teacher, tmp_path: Path) -> None:
    with pytest.raises(AlambicError, match="with a teacher"):
        set_up_run(create(name), source, None, tmp_path, method="none")


def test_two_steps_cannot_be_combined(source, teacher, tmp_path: Path) -> None:
    from alambic.treatments.base import attach_all

    run = set_up_run(None, source, teacher, tmp_path)
    with pytest.raises(AlambicError, match="at most one"):
        attach_all(run, [create("dot"), create("mutual")], make_scene(source, tmp_path))


@pytest.mark.parametrize("name", [n for n in NAMES if all_treatments()[n].kind == "teacher"])
def test_a_finished_teacher_is_not_trained_again(name: str, source, teacher, tmp_path: Path) -> None:
    scene = make_scene(source, tmp_path, VIEWS_FOR.get(name, VIEWS))
    first = create(name).prepare_teacher(teacher, scene)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")}
    second = create(name).prepare_teacher(teacher, scene)
    assert first.hash == second.hash
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")} == files
    assert second.spec.split_hash == source.split_hash
    assert second.card["weights_hash"] == second.hash


TRAINED = ("adapted_teacher", "assistant", "early_stop", "generic_teacher", "mcmi", "self_distillation", "sftn")


@pytest.mark.parametrize("name", TRAINED)
def test_a_new_teacher_is_trained_on_the_students_images(name: str, source, teacher, tmp_path: Path) -> None:
    scene = make_scene(source, tmp_path, VIEWS_FOR.get(name, VIEWS))
    for ids in (scene.ids, scene.ids[:64]):
        made = create(name).prepare_teacher(teacher, replace(scene, ids=ids))
        assert made.card["train_images"] == len(ids)


def test_a_new_teacher_belongs_to_its_task_and_to_the_code_that_made_it(
    source, teacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, treatment = make_scene(source, tmp_path), create("mcmi")
    first = new_teacher_path(treatment, teacher, scene)
    weighted = replace(scene, task=Task(3, (1.0, 1.0, 2.0)))
    assert new_teacher_path(treatment, teacher, scene) == first != new_teacher_path(treatment, teacher, weighted)
    monkeypatch.setattr(base, "file_version", lambda kind: "another")
    assert new_teacher_path(treatment, teacher, scene) != first


def test_self_distillation_takes_the_students_recipe(source, teacher, tmp_path: Path) -> None:
    scene = make_scene(source, tmp_path)
    scene = replace(scene, recipe=replace(scene.recipe, epochs=3, lr=0.02))
    for given, epochs in ({}, 3), ({"epochs_of_teacher": 1}, 1):
        recipe = create_treatment("self_distillation", **given).prepare_teacher(teacher, scene).card["recipe"]
        assert (recipe["epochs"], recipe["lr"]) == (epochs, 0.02)
