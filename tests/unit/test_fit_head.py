"""A head fitted on a frozen network: what it learns, what it leaves alone, and a study that uses it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from alambic.data import DataSpec, from_arrays
from alambic.errors import AlambicError
from alambic.models.teacher import TeacherSpec
from alambic.models.teachers import load_teacher
from alambic.study.prepare import prepare
from alambic.study.run import run_study
from alambic.study.study_file import read_study
from alambic.training.fit_head import find_head, fit_head, fit_logistic
from alambic.training.task import Task

NET = """
import torch
from torch import nn

def make(num_classes=7):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 16, 4, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(256, num_classes))

def fixed():
    return make(7)

def two_ends():
    return nn.Sequential(nn.Conv2d(1, 3, 4, stride=4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""
STUDY = """
name = "headed"
purpose = "explore"
seeds = 1
students = ["dscnn_8x2"]
methods = ["none", "kd"]
[data]
source = "npz"
path = "{path}"
train = 300
[views]
count = 1
[recipe]
epochs = 1
[int8]
enabled = false
[execution]
jobs = 1
[teachers.outside]
net = "net.py:make"
teacher_data = "external"
fit_head = true
"""


def arrays() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 600)
    pixels = generator.integers(0, 60, (600, 1, 16, 16)).astype(np.uint8)
    pixels[np.arange(600), 0, 4 * labels + 2, :] += 150
    return pixels, labels


def test_logistic_regression_reaches_the_minimum() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 3, (300,), generator=generator)
    inputs = 5 + 3 * torch.randn(300, 6, generator=generator)
    inputs[torch.arange(300), labels] += 6
    strength, weight, bias = fit_logistic(inputs[:200], labels[:200], inputs[200:], labels[200:], 3)
    mean, std = inputs[:200].mean(0), inputs[:200].std(0)
    scaled = (weight * std).requires_grad_()
    moved = (bias + weight @ mean).requires_grad_()
    loss = nn.functional.cross_entropy(((inputs[:200] - mean) / std) @ scaled.T + moved, labels[:200])
    (loss + strength * scaled.square().sum()).backward()
    assert float(scaled.grad.abs().max()) < 1e-3
    assert float(moved.grad.abs().max()) < 1e-3
    assert float(((inputs[200:] @ weight.T + bias).argmax(1) == labels[200:]).float().mean()) > 0.75


def test_the_head_alone_changes(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    pixels, labels = arrays()
    source = from_arrays(pixels, labels, spec=DataSpec("arrays", labelled=200))
    net = f"{tmp_path / 'net.py'}:make"
    spec = TeacherSpec(net, pretrained=True)
    made = fit_head("outside", spec, source, source.splits["train"], Task(3), tmp_path / "out" / "h.safetensors")
    before = load_teacher("outside", spec, 3, 1, (16, 16), source.mean, source.std)
    assert made.classes == 3
    assert torch.allclose(made.net[0].weight, before.net[0].weight, atol=1e-3), "stored in fp16"
    assert made.card["tune"] > 0.9
    assert made.card["train_images"] == 200, "hidden labels are not read"
    assert made.spec.split_hash == source.split_hash
    assert made.spec.teacher_data == "external"
    ids = source.splits["test"]
    images = (source.images[ids].float() / 255 - source.mean[0]) / source.std[0]
    assert float((made.net(images).argmax(1) == source.labels[ids]).float().mean()) > 0.9


def test_what_has_no_head_or_cannot_be_made_again_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    teacher = load_teacher("ends", TeacherSpec(f"{tmp_path / 'net.py'}:two_ends"), 3, 1, (16, 16), (0.5,), (0.2,))
    with pytest.raises(AlambicError, match="ends with one linear layer"):
        find_head(teacher)
    pixels, labels = arrays()
    source = from_arrays(pixels, labels, spec=DataSpec("arrays"))
    with pytest.raises(AlambicError, match="one logit"):
        fit_head("x", TeacherSpec("zoo:resnet8_w8"), source, source.splits["train"], Task(1), tmp_path / "x")
    spec = TeacherSpec(f"{tmp_path / 'net.py'}:fixed")
    with pytest.raises(AlambicError, match="num_classes"):
        fit_head("x", spec, source, source.splits["train"], Task(3), tmp_path / "x.safetensors")


def test_a_study_fits_it_once_and_teaches_by_logits(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    pixels, labels = arrays()
    np.savez(tmp_path / "set.npz", images=pixels, labels=labels)
    (tmp_path / "study.toml").write_text(STUDY.format(path=tmp_path / "set.npz"))
    study, said = read_study(tmp_path / "study.toml"), []
    summary = run_study(study, tmp_path / "out", say=said.append)
    assert summary.failed == summary.skipped == 0
    assert any("fitting a head" in line for line in said)
    said.clear()
    prepared = prepare(study, tmp_path / "out", said.append)
    assert not any("fitting a head" in line for line in said)
    assert prepared.teachers["outside"].score > 0.9
    kd = next(cell for cell in prepared.cells if cell.arm.name == "kd")
    assert kd.content["teacher_data"] == "external"
