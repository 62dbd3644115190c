"""Compiled training is plain training but for the last bits, and as exact in itself: resumed, or in a group."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from alambic.data import DataSpec, ViewSpec, from_arrays
from alambic.errors import AlambicError
from alambic.methods import all_methods, create_method
from alambic.models.compiled import Compiled, check_compiler
from alambic.models.students import create_student
from alambic.models.taps import Tapped
from alambic.models.teacher import TeacherSpec
from alambic.models.teachers import load_teacher
from alambic.training import stop
from alambic.training.lockstep import train_group
from alambic.training.loop import train
from alambic.training.objective import Objective
from alambic.training.recipe import Recipe
from alambic.training.setup import live_feed, set_up, teacher_spec
from alambic.training.task import Task

VIEWS = ViewSpec(count=2, flip=True, shift=1)
ALL = frozenset({"logits", "embedding", "stages", "energy", "head"})
CLASSES = 4


@pytest.fixture(scope="module")
def source():
    generator = np.random.default_rng(0)
    labels = np.arange(120) % CLASSES
    images = generator.integers(0, 60, (120, 1, 16, 16)).astype(np.uint8)
    images[np.arange(120), 0, 4 * labels + 1, :] += 150
    return from_arrays(images, labels, spec=DataSpec("arrays", tune=20, test=0.2))


@pytest.fixture(scope="module")
def teacher(source):
    torch.manual_seed(0)
    spec = TeacherSpec("zoo:resnet8_w8")
    return load_teacher("small", spec, CLASSES, 1, (16, 16), source.mean, source.std)


def make(source, teacher, method, compiles, epochs=2, student="dscnn_8x2", checkpoint=None, **settings):
    """A run; the teacher gives what the method asks for."""
    torch.manual_seed(1)
    net, objective = (
        create_student(student, 1, 16, CLASSES),
        Objective([create_method(method, **settings)], Task(CLASSES)),
    )
    ids, feed, shapes = source.splits["train"], None, None
    if objective.uses_teacher:
        shapes = teacher_spec(teacher)
        feed = live_feed(teacher, source, VIEWS, frozenset(objective.needs.teacher | {"logits", "embedding"}), ids)
    recipe = Recipe(epochs=epochs, batch=32, lr=0.02, eval_every=1)
    run = set_up(
        net, objective, source, ids, source.splits["tune"], VIEWS, recipe, 1, feed=feed, teacher=shapes,
        checkpoint=checkpoint, key=method,
    )  # fmt: skip
    if compiles:
        run.tapped = Compiled(run.tapped)
    return run


def traced(monkeypatch):
    """Everything that compiling does but the machine code: seconds become tenths."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))


def close(plain, fast, tolerance):
    return all(
        torch.allclose(a.float(), b.float(), rtol=tolerance, atol=tolerance)
        for a, b in zip(plain.state_dict().values(), fast.state_dict().values(), strict=True)
    )


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize("method", sorted(all_methods()))
def test_every_method_learns_the_same_from_compiled_outputs(source, teacher, method, monkeypatch):
    """Gradients through all that it reads of the student: two epochs of two steps."""
    try:
        plain = make(source, teacher, method, False)
    except AlambicError as error:
        pytest.skip(f"this pair is not for it: {error}")
    traced(monkeypatch)
    fast = make(source, teacher, method, True)
    histories = train(plain), train(fast)
    for before, after in zip(*histories, strict=True):
        for name, value in before["loss"].items():
            assert math.isclose(value, after["loss"][name], rel_tol=1e-3, abs_tol=1e-5), name
    assert close(plain.student, fast.student, 2e-3)
    assert list(plain.student.state_dict()) == list(fast.student.state_dict())


def test_a_later_training_reads_its_own_taps(monkeypatch):
    """Not those of the first network of its class: torch keeps compiled code by class and guards no hook."""
    traced(monkeypatch)
    images = torch.randn(4, 1, 16, 16)
    for want in ({"logits"}, ALL, {"logits", "embedding"}, ALL):
        plain = Tapped(create_student("dscnn_8x2", 1, 16, CLASSES).train(), images, want)
        expected, found = plain(images), Compiled(plain)(images)
        assert torch.allclose(expected.logits, found.logits, atol=1e-5)
        assert (expected.embedding is None) == (found.embedding is None)
        if expected.embedding is not None:
            assert torch.allclose(expected.embedding, found.embedding, atol=1e-5)
        assert [stage.name for stage in expected.stages] == [stage.name for stage in found.stages]
        for a, b in zip((*expected.stages, *expected.energy), (*found.stages, *found.energy), strict=True):
            assert torch.allclose(getattr(a, "tensor", a), getattr(b, "tensor", b), atol=1e-5)


def test_networks_of_one_architecture_share_the_code_and_others_get_their_own(monkeypatch):
    """However many a process trains: torch by itself would leave the ninth plain."""
    traced(monkeypatch)
    images, before = torch.randn(4, 1, 16, 16), torch._dynamo.utils.counters["stats"]["unique_graphs"]
    for turn in range(2):
        for width in range(8, 52, 4):
            net = create_student(f"dscnn_{width}x1", 1, 16, CLASSES).train()
            tapped = Tapped(net, images, {"logits"})
            assert torch.allclose(tapped(images).logits, Compiled(tapped)(images).logits, atol=1e-5)
        assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == before + 11, turn


def test_a_network_that_is_evaluated_runs_plain(monkeypatch):
    monkeypatch.setattr(torch, "compile", None)
    images = torch.randn(4, 1, 16, 16)
    tapped = Tapped(create_student("dscnn_8x2", 1, 16, CLASSES).eval(), images, ALL)
    assert torch.equal(tapped(images).logits, Compiled(tapped)(images).logits)


class Nested(nn.Module):
    """A tap inside a tap, and a module that runs twice."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True)), nn.Conv2d(4, 4, 3))
        self.head = nn.Linear(4, 3)

    def forward(self, images):
        maps = self.blocks(images)
        return self.head(self.blocks[1](maps).mean((2, 3)))


def test_nested_taps_and_modules_that_run_twice(monkeypatch):
    traced(monkeypatch)
    images = torch.randn(4, 1, 16, 16)
    plain = Tapped(Nested().train(), images, ALL, stages=["blocks.0", "blocks.0.0", "blocks.1"])
    expected, found = plain(images), Compiled(plain)(images)
    for a, b in zip(expected.stages, found.stages, strict=True):
        assert torch.allclose(a.tensor, b.tensor, atol=1e-6), a.name


def test_a_machine_without_a_compiler_is_told_what_to_do(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(AlambicError, match=r"no-such-compiler.*try installing"):
        check_compiler()
    with pytest.raises(AlambicError, match="no-such-compiler"):
        Compiled(Tapped(create_student("dscnn_8x2", 1, 16, 3), torch.zeros(2, 1, 16, 16), {"logits"}))


@pytest.mark.slow
@pytest.mark.timeout(900)  # a cold cache and a busy machine: half a minute for each of three forms
def test_machine_code_is_exact_in_itself(source, teacher, tmp_path, monkeypatch):
    """Logits (kd, dist), embedding (rsd) and maps (at): near plain training; in a group, or resumed, bit for bit."""
    arms = ("kd", "dist", "rsd", "at")
    alone = []
    for method in arms:
        plain, fast = make(source, teacher, method, False), make(source, teacher, method, True)
        train(plain)
        alone.append((fast, train(fast)))
        assert close(plain.student, fast.student, 2e-3), method
        assert not same(plain.student, fast.student), method  # it is machine code that ran
    group = [make(source, teacher, method, True) for method in arms]
    for (solo, history), run, outcome in zip(alone, group, train_group(group), strict=True):
        assert outcome.error is None
        assert same(solo.student, run.student)
        assert [record["loss"] for record in outcome.history] == [record["loss"] for record in history]

    for (solo, _), method in zip(alone, arms, strict=True):
        asked = iter((False, False, True))  # after the first of the second epoch's two steps
        monkeypatch.setattr(stop, "asked", partial(next, asked, False))
        with pytest.raises(stop.Stopped):
            train(make(source, teacher, method, True, checkpoint=tmp_path / method))
        torch._dynamo.reset()  # another process compiles again
        again = make(source, teacher, method, True, checkpoint=tmp_path / method)
        assert "middle" in again.saved
        train(again)
        assert same(solo.student, again.student), method
