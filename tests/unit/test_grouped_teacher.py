"""A teacher of many classes for a task of few: its probabilities are summed, and it may not have seen test images."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from alambic.data import DataSpec, from_arrays, load_source
from alambic.errors import AlambicError
from alambic.models.grouped import GroupedClasses, group_classes
from alambic.models.taps import Tapped
from alambic.models.teacher import TeacherSpec
from alambic.models.teachers import load_teacher, save_teacher
from alambic.study.prepare import prepare
from alambic.study.run import run_study
from alambic.study.study_file import read_study
from alambic.study.work import Workshop
from alambic.training.teacher_file import check_provenance

GROUPS = ((0, 2), (1,))
STUDY = """
name = "merged"
purpose = "explore"
seeds = 1
students = ["dscnn_8x2"]
methods = ["none", "kd", "rsd", "srrl"]
[data]
source = "npz"
path = "set.npz"
[data.classes]
rest = ["*"]
wanted = ["1"]
[task]
metric = "average_precision"
[views]
count = 1
[recipe]
epochs = 1
batch = 32
[int8]
enabled = false
[execution]
jobs = 1
[teachers.big]
net = "card"
weights = "big.safetensors"
"""


def arrays(images: int = 240) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, images)
    return generator.integers(0, 255, (images, 1, 16, 16)).astype(np.uint8), labels


def plain_teacher():
    torch.manual_seed(0)
    return load_teacher("big", TeacherSpec("zoo:resnet8_w8"), 3, 1, (16, 16), (0.5,), (0.2,))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pixels, labels = arrays()
    np.savez(tmp_path / "set.npz", images=pixels, labels=labels)
    (tmp_path / "study.toml").write_text(STUDY.replace("set.npz", str(tmp_path / "set.npz")))
    plain = read_study(tmp_path / "study.toml").data
    source = load_source(dataclasses.replace(plain, classes=None))
    teacher = plain_teacher()
    card = {"classes": 3, "spec": teacher.settle(source.split_hash).for_card()}
    save_teacher(tmp_path / "big.safetensors", teacher.net, card)
    return tmp_path


def test_probabilities_of_a_group_are_summed() -> None:
    teacher = plain_teacher()
    images = torch.randn(5, 1, 16, 16)
    merged = group_classes(teacher, GROUPS)
    old = teacher.net(images).softmax(1)
    expected = torch.stack([old[:, 0] + old[:, 2], old[:, 1]], 1)
    assert torch.allclose(merged.net(images).softmax(1), expected, atol=1e-6)
    assert merged.classes == 2
    assert merged.hash not in (teacher.hash, group_classes(teacher, ((0,), (1, 2))).hash)


def test_taps_see_the_network_behind() -> None:
    net = plain_teacher().net
    images = torch.randn(4, 1, 16, 16)
    want = {"logits", "embedding", "stages"}
    plain, merged = Tapped(net, images, want), Tapped(GroupedClasses(net, GROUPS), images, want)
    assert merged.spec.classes == 2
    assert torch.equal(plain(images).need_embedding(), merged(images).need_embedding())
    assert len(plain(images).stages) == len(merged(images).stages) > 0
    assert torch.allclose(merged(images).need_logits(), GroupedClasses(net, GROUPS)(images))


@pytest.mark.parametrize("groups", [((0, 1), (1,)), ((0,), ()), ((0,), (3,)), ((-1,), (0,))])
def test_groups_that_do_not_fit_are_refused(groups) -> None:
    with pytest.raises(AlambicError, match="different classes out of its 3"):
        group_classes(plain_teacher(), groups)


def test_a_study_merges_the_classes_of_a_teacher_of_the_whole_set(folder: Path) -> None:
    study = read_study(folder / "study.toml")
    prepared = prepare(study, folder / "out", lambda text: None)
    given = prepared.teachers["big"]
    assert given.spec.groups == GROUPS
    assert given.shapes.classes == 2
    assert 0 < given.score < 1
    names = {cell.arm.name for cell in prepared.cells}
    assert {"none", "kd", "rsd"} <= names
    kd = next(cell for cell in prepared.cells if cell.arm.name == "kd")
    assert kd.content["teacher_input"] == {"groups": GROUPS}
    workshop = Workshop(prepared, folder / "out")
    ids = workshop.source.splits["train"][:8]
    banked = workshop._bank("big", ids)(ids, torch.zeros_like(ids)).need_logits()
    live = workshop._live_feed("big", [kd])(ids, torch.zeros_like(ids)).need_logits()
    assert torch.allclose(banked, live, atol=0.02)
    summary = run_study(study, folder / "out", say=lambda text: None)
    assert summary.failed == 0
    assert summary.done == len(prepared.cells)
    (skipped,) = prepared.skipped
    assert skipped[0].arm.name == "srrl"
    assert "classes merged" in skipped[1]


def test_a_teacher_of_another_split_stays_refused() -> None:
    pixels, labels = arrays()
    merged = {"rest": ["*"], "wanted": ["1"]}
    source = from_arrays(pixels, labels, spec=DataSpec("arrays", classes=merged))
    other = from_arrays(pixels, labels, spec=DataSpec("arrays", split_seed=1))
    same = from_arrays(pixels, labels, spec=DataSpec("arrays"))
    teacher = plain_teacher()
    check_provenance(dataclasses.replace(teacher, spec=teacher.settle(same.split_hash)), source)
    with pytest.raises(AlambicError, match="another split"):
        check_provenance(dataclasses.replace(teacher, spec=teacher.settle(other.split_hash)), source)
