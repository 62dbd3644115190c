"""A student in a group gets bit for bit the numbers that it gets alone, whatever its neighbours do."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from alambic.data import DataSpec, ViewSpec, from_arrays
from alambic.errors import AlambicError
from alambic.methods import create_method
from alambic.models.students import create_student
from alambic.models.teacher import TeacherSpec
from alambic.models.teachers import load_teacher
from alambic.training.lockstep import train_group
from alambic.training.loop import train
from alambic.training.objective import Objective
from alambic.training.recipe import Recipe
from alambic.training.setup import live_feed, set_up, teacher_spec
from alambic.training.task import Task


@pytest.fixture(scope="module")
def source():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 260)
    images = generator.integers(0, 60, (260, 1, 16, 16)).astype(np.uint8)
    images[np.arange(260), 0, 4 * labels + 2, :] += 150
    return from_arrays(images, labels, spec=DataSpec("arrays", tune=0.2, test=0.2))


@pytest.fixture(scope="module")
def teacher(source):
    torch.manual_seed(0)
    return load_teacher("small", TeacherSpec("zoo:resnet8_w8"), 3, 1, (16, 16), source.mean, source.std)


class Counting:
    """A feed that counts how often the teacher runs."""

    def __init__(self, feed):
        self.feed, self.spec, self.calls = feed, feed.spec, 0

    def __call__(self, ids, views):
        self.calls += 1
        return self.feed(ids, views)


def make(source, teacher, feed, method, student="dscnn_8x2", dropout=0.0, checkpoint=None):
    torch.manual_seed(1)
    net = create_student(student, 1, 16, 3)
    if dropout:
        net.head = nn.Sequential(nn.Dropout(dropout), net.head)
    taught = method != "none"
    return set_up(
        net, Objective([create_method(method)], Task(3)), source, source.splits["train"], source.splits["tune"],
        ViewSpec(count=2, flip=True, shift=1), Recipe(epochs=3, batch=32, lr=0.05, eval_every=1), 1,
        feed=feed if taught else None, teacher=teacher_spec(teacher) if taught else None,
        checkpoint=checkpoint, key=method,
    )  # fmt: skip


def feed_of(source, teacher):
    views = ViewSpec(count=2, flip=True, shift=1)
    return Counting(live_feed(teacher, source, views, frozenset({"logits", "embedding"}), source.splits["train"]))


ARMS = [("none", "dscnn_8x2", 0.0), ("kd", "dscnn_8x2", 0.3), ("rsd", "resnet8_w4", 0.0), ("kd", "resnet8_w4", 0.0)]


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_group_equals_solo_bit_for_bit_and_runs_the_teacher_once(source, teacher):
    alone = []
    for method, student, dropout in ARMS:
        run = make(source, teacher, feed_of(source, teacher), method, student, dropout)
        alone.append((run, train(run)))
    feed = feed_of(source, teacher)
    runs = [make(source, teacher, feed, method, student, dropout) for method, student, dropout in ARMS]
    outcomes = train_group(runs)
    for (solo, history), run, outcome in zip(alone, runs, outcomes, strict=True):
        assert outcome.error is None
        assert same(solo.student, run.student)
        assert [r["loss"] for r in outcome.history] == [r["loss"] for r in history]
        assert [r["tune"] for r in outcome.history] == [r["tune"] for r in history]
    steps = len(source.splits["train"]) // 32
    assert feed.calls == 3 * steps


def test_a_failing_member_leaves_the_others_alone(source, teacher):
    solo = make(source, teacher, feed_of(source, teacher), "kd")
    train(solo)
    feed = feed_of(source, teacher)
    good, bad, broken = (make(source, teacher, feed, "kd") for _ in range(3))
    bad.objective.ce_weight = float("nan")
    broken.hooks.step = None
    outcomes = train_group([bad, good, broken])
    assert isinstance(outcomes[0].error, AlambicError)
    assert isinstance(outcomes[2].error, TypeError)
    assert outcomes[1].error is None
    assert same(solo.student, good.student)


def test_members_resume_at_different_epochs(source, teacher, tmp_path):
    solo = [make(source, teacher, feed_of(source, teacher), m) for m in ("kd", "rsd")]
    for run in solo:
        train(run)

    class Killed(BaseException):
        pass

    def kill(record):
        if record["epoch"] == 2:
            raise Killed

    first = make(source, teacher, feed_of(source, teacher), "kd", checkpoint=tmp_path / "kd")
    with pytest.raises(Killed):
        train(first, kill)
    feed = feed_of(source, teacher)
    runs = [make(source, teacher, feed, m, checkpoint=tmp_path / m) for m in ("kd", "rsd")]
    outcomes = train_group(runs)
    assert [len(outcome.history) for outcome in outcomes] == [3, 3]
    assert all(same(a.student, b.student) for a, b in zip(solo, runs, strict=True))


def test_runs_that_share_no_batches_are_refused(source, teacher):
    a, b = (make(source, teacher, feed_of(source, teacher), "kd") for _ in range(2))
    with pytest.raises(AlambicError, match="other seed, epochs"):
        train_group([a, dataclasses.replace(b, seed=2, recipe=dataclasses.replace(a.recipe, epochs=2))])


def test_another_learning_rate_shares_the_batches_and_leaves_the_numbers_alone(source, teacher):
    def runs():
        a, b = (make(source, teacher, feed_of(source, teacher), "kd") for _ in range(2))
        return a, dataclasses.replace(b, recipe=dataclasses.replace(b.recipe, lr=b.recipe.lr / 4, weight_decay=0.0))

    alone, together = runs(), runs()
    for run in alone:
        train(run)
    train_group(together)
    assert not same(*(run.student for run in together))
    assert all(same(a.student, b.student) for a, b in zip(alone, together, strict=True))
