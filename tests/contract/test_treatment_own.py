"""Our own treatments: what they compute, against naive NumPy, and the faults that each must not have."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from torch import nn
from treatment_tools import BEHIND, RECIPE, VIEWS, make_scene, set_up_run, softmax

from alambic.data import Photometry, Sensor, Source, ViewSpec, from_arrays, key, render, render_clean
from alambic.data.spec import DataSpec
from alambic.errors import AlambicError
from alambic.methods import Batch, create_method
from alambic.models.students import create_student
from alambic.models.teacher import Teacher, TeacherSpec
from alambic.models.teachers import load_teacher, save_teacher
from alambic.training.feed import LiveFeed, Normalise
from alambic.training.hooks import see
from alambic.training.loop import gather, show, train
from alambic.training.objective import Objective
from alambic.training.setup import live_feed, set_up, teacher_spec
from alambic.training.task import Task
from alambic.training.teach import TeacherTraining, train_teacher
from alambic.treatments import create_treatment
from alambic.treatments.bridge import keep_agreeing
from alambic.treatments.fake_quant import RoundWeights, insert_fake_quant
from alambic.treatments.quant_noise import (
    NoisyInput,
    NoisyWeights,
    class_margin,
    draw_spread,
    mean_log_probability,
    teacher_is_right,
)


def test_draws_against_numpy() -> None:
    rng = np.random.default_rng(0)
    draws = [rng.normal(size=(5, 4)) * 2 for _ in range(3)]
    given = [torch.tensor(z) for z in draws]
    chosen = np.array([0, 3, 1, 2, 2])
    log_p, spread = mean_log_probability(given).numpy(), draw_spread(given).numpy()
    margin = class_margin(given[0], torch.tensor(chosen)).numpy()
    for b in range(5):
        np.testing.assert_allclose(np.exp(log_p[b]), np.mean([softmax(z[b]) for z in draws], axis=0))
        mean = np.mean([z[b] for z in draws], axis=0)
        assert spread[b] == pytest.approx(np.mean([((z[b] - mean) ** 2).sum() for z in draws]))
        others = [draws[0][b, c] for c in range(4) if c != chosen[b]]
        assert margin[b] == pytest.approx(draws[0][b, chosen[b]] - max(others))


def test_a_teacher_is_right_where_the_larger_share_is_its_class() -> None:
    labels, chosen = torch.tensor([1, 1, -1, 0]), torch.tensor([1, 2, 1, 2])
    assert teacher_is_right(chosen, Batch(labels)).tolist() == [True, False, False, False]
    mixed = Batch(labels, partner=torch.tensor([0, 2, 1, 2]), lam=torch.tensor([0.9, 0.2, 0.3, 0.6]))
    assert teacher_is_right(chosen, mixed).tolist() == [True, True, True, False]


def test_random_rounding_is_right_on_average_and_at_rest_to_the_nearest() -> None:
    torch.manual_seed(0)
    weight = torch.randn(3, 40)
    layer = NoisyWeights()
    draws = torch.stack([layer(weight) for _ in range(1000)])
    scale = weight.abs().amax(1, keepdim=True) / 127
    assert float(((draws.mean(0) - weight) / scale).abs().max()) < 0.1  # to the nearest it would be up to half a step
    codes = draws / scale
    torch.testing.assert_close(codes, codes.round(), atol=1e-3, rtol=0)
    assert float((codes - weight / scale).abs().max()) < 1.001
    torch.testing.assert_close(layer.eval()(weight), RoundWeights()(weight))
    values, entry = torch.rand(2, 500) * 4, NoisyInput()
    first = entry(values)
    torch.testing.assert_close(first / (values.max() / 255), (first / (values.max() / 255)).round(), atol=1e-3, rtol=0)
    again = torch.stack([entry(values) for _ in range(800)])
    step = (entry.high - entry.low) / 255
    inner = values < 3.9
    assert float(((again.mean(0) - values) / step)[inner].abs().max()) < 0.12
    assert torch.equal(entry.eval()(values), entry(values))


def test_quant_noise_learns_under_noise_of_its_own(source, teacher, tmp_path: Path) -> None:
    treatment = create_treatment("quant_noise")
    run = set_up_run(treatment, source, teacher, tmp_path)
    given = gather(run, run.ids[:8], 0)
    run.student.train()
    see(run, given.images)  # the ranges of the inputs are known from here on
    run.student.apply(lambda m: m.eval() if isinstance(m, nn.BatchNorm2d) else None)
    first, second = (see(run, given.images).need_logits() for _ in range(2))
    assert not torch.equal(first, second)
    history = train(run)
    assert set(history[-1]["loss"]) == {"ce", "kd", "spread", "margin"}
    assert float(treatment.sigma) > 0
    assert history[-1]["loss"]["spread"] > 0


@pytest.mark.parametrize("method", ["rsd", "consensus"])
def test_quant_noise_and_bridge_say_what_they_need(method: str, source, teacher, tmp_path: Path) -> None:
    taught = create_treatment("joint_teacher").prepare_teacher(teacher, make_scene(source, tmp_path))
    plain = set_up_run(None, source, teacher, tmp_path)
    methods = [create_method(method, **({"teachers": 1} if method == "consensus" else {}))]
    plain.objective = Objective(methods, Task(3))
    if method == "rsd":
        for name, words in (("quant_noise", "teacher's class is right"), ("bridge", "logits only")):
            with pytest.raises(AlambicError, match=words):
                create_treatment(name).attach(plain, make_scene(source, tmp_path))
    else:
        plain.feed = live_feed(taught, source, VIEWS, frozenset({"logits"}), plain.ids)
        create_treatment("quant_noise").attach(plain, make_scene(source, tmp_path))
    with pytest.raises(AlambicError, match="2 draws"):
        create_treatment("quant_noise", draws=1).wrap_student(plain.student, make_scene(source, tmp_path))


def test_gradients_that_disagree_are_projected() -> None:
    rng = np.random.default_rng(1)
    own = [rng.normal(size=(3, 2)), rng.normal(size=4), None, rng.normal(size=2)]
    other = [-own[0] + 0.1 * rng.normal(size=(3, 2)), rng.normal(size=4), rng.normal(size=3), None]
    found = keep_agreeing(*([None if g is None else torch.tensor(g) for g in side] for side in (own, other)))
    product = sum((a * b).sum() for a, b in zip(own[:2], other[:2], strict=True))
    square = sum((a * a).sum() for a in own[:2])
    assert product < 0
    for got, a, b in zip(found[:2], own[:2], other[:2], strict=True):
        assert got is not None
        np.testing.assert_allclose(got.numpy(), b - product / square * a)
    assert found[3] is None
    np.testing.assert_array_equal(found[2], other[2])
    kept = keep_agreeing([torch.ones(2)], [torch.tensor([3.0, -1.0])])
    assert kept[0] is not None
    assert kept[0].tolist() == [3.0, -1.0]  # they agree on the whole


def test_bridge_narrows_and_hands_down(source, teacher, tmp_path: Path) -> None:
    treatment = create_treatment("bridge", factors=[2.0, 1.5], until=0.5)
    run = set_up_run(treatment, source, teacher, tmp_path)
    assert [treatment.width_at(p) for p in (0.0, 0.24, 0.26, 0.49, 0.5, 1.0)] == [1, 1, 0, 0, None, None]
    widest = [p.clone() for p in treatment.wide.shapes[-1].parameters()]
    before = [p.clone() for p in run.student.parameters()]
    history = train(run)
    assert set(history[0]["loss"]) == {"ce", "bridge", "wide ce", "wide kd"}
    assert set(history[1]["loss"]) == {"ce", "kd"}
    for old, new in ((widest, treatment.wide.shapes[-1].parameters()), (before, run.student.parameters())):
        assert any(not torch.equal(a, b) for a, b in zip(old, new, strict=True))
    optimizer = run.hooks.make_optimizer(run)
    given = gather(run, run.ids[:8], 0)
    run.student.train()
    treatment.step(run, given, 0.1, optimizer)
    assert all(p.grad is not None and p.grad.any() for p in run.student.parameters() if p.ndim > 1)


def make_file(folder: Path, source, name: str, net: str, size: tuple[int, int], seed: int) -> Path:
    torch.manual_seed(seed)
    made = create_student(net, 1, size[0], 3).eval()
    spec = {"net": f"zoo:{net}", "size": size, "mean": (0.3,), "std": (0.2,), "channels": 1}
    card = {"name": name, "spec": {**spec, "split_hash": source.split_hash}, "classes": 3, "tune": 0.5}
    save_teacher(folder / f"{name}.safetensors", made, card)
    return folder / f"{name}.safetensors"


def test_a_joint_teacher_says_what_each_says(source, teacher, tmp_path: Path) -> None:
    path = make_file(tmp_path, source, "other", "dscnn_8x2", (24, 24), 3)
    treatment = create_treatment("joint_teacher", others=[path.name])
    scene = replace(make_scene(source, tmp_path / "made"), base=tmp_path)
    joint = treatment.prepare_teacher(teacher, scene)
    assert joint.classes == 6
    assert joint.size == (24, 24)
    other = load_teacher("other", TeacherSpec("card", weights=path.name), 3, 1, (16, 16), (0.0,), (1.0,), tmp_path)
    shown = torch.rand(4, 1, 24, 24)
    small = torch.nn.functional.interpolate(shown, (16, 16), mode="bilinear", antialias=True, align_corners=False)
    with torch.no_grad():
        own = teacher.net(Normalise(teacher.mean, teacher.std)(small))
        found = joint.net(Normalise(joint.mean, joint.std)(shown))
        torch.testing.assert_close(found[:, 3:], other.net(Normalise((0.3,), (0.2,))(shown)), atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(found[:, :3], own, atol=1e-2, rtol=1e-2)  # kept in fp16
    for written in (tmp_path / "made").iterdir():
        if written.suffix in (".json", ".py"):
            assert str(tmp_path) not in written.read_text(), "a file names a folder of this machine"
    feed = live_feed(joint, source, VIEWS, frozenset({"logits"}), source.splits["train"])
    objective = Objective([create_method("consensus", teachers=2)], Task(3))
    ids = source.splits["train"]
    run = set_up(
        create_student("dscnn_8x2", 1, 16, 3), objective, source, ids, source.splits["tune"], VIEWS, RECIPE, 1,
        feed=feed, teacher=teacher_spec(joint),
    )  # fmt: skip
    assert set(train(run)[-1]["loss"]) == {"ce", "consensus"}


def test_a_joint_teacher_refuses_another_split_and_a_missing_card(source, teacher, tmp_path: Path) -> None:
    path = make_file(tmp_path, source, "other", "dscnn_8x2", (16, 16), 3)
    card = json.loads(path.with_suffix(".json").read_text())
    card["spec"]["split_hash"] = "0" * 64
    path.with_suffix(".json").write_text(json.dumps(card))
    scene = replace(make_scene(source, tmp_path / "made"), base=tmp_path)
    with pytest.raises(AlambicError, match="trained on this split"):
        create_treatment("joint_teacher", others=[path.name]).prepare_teacher(teacher, scene)
    path.with_suffix(".json").unlink()
    with pytest.raises(AlambicError, match="expected a card"):
        create_treatment("joint_teacher", others=[path.name]).prepare_teacher(teacher, scene)


COLOUR = Sensor(grey=True, down=2, shot=0.1, read=0.05, gain=2.0)


def colour_source():
    pixels = np.random.default_rng(0).integers(0, 256, (60, 3, 16, 16)).astype(np.uint8)
    return from_arrays(pixels, np.arange(60) % 3, spec=DataSpec("arrays", tune=0.2, test=0.2))


def feed_of(source, views: ViewSpec) -> LiveFeed:
    torch.manual_seed(0)
    net = create_student("resnet8_w8", 3, 32, 3)
    return LiveFeed(net, source, views, frozenset({"logits"}), (32, 32), Normalise(source.mean, source.std))


def test_a_privileged_teacher_sees_clean_colour_and_the_student_the_sensor() -> None:
    source = colour_source()
    views = ViewSpec(count=2, flip=True, shift=1, student=Photometry(sensor=COLOUR))
    plain = ViewSpec(count=2, flip=True, shift=1)
    ids, which = source.splits["train"][:8], torch.ones(8, dtype=torch.int64)
    seen = feed_of(source, views)._images(ids, which)
    assert seen.shape == (8, 3, 32, 32)
    assert torch.equal(seen, feed_of(source, plain)._images(ids, which))
    assert key(views, "teacher") == key(plain, "teacher")  # one bank for every sensor
    assert key(views, "student") != key(plain, "student")
    shown = render(source.images, ids, which, views, "student", (16, 16))
    assert shown.shape == (8, 1, 16, 16)
    clean = render_clean(source.images, ids, views, "student", (16, 16))  # what evaluation sees: the sensor stays
    assert clean.shape == (8, 1, 16, 16)
    assert not torch.allclose(clean, source.images[ids].float().mean(1, keepdim=True) / 255, atol=0.05)
    # the same geometry on both sides: without the sensor the two see the same image
    bare = render(source.images, ids, which, plain, "student")
    assert torch.equal(bare, render(source.images, ids, which, views, "teacher"))


def test_same_sensor_shows_the_teacher_the_students_image() -> None:
    source = colour_source()
    views = ViewSpec(count=2, flip=True, shift=1, student=Photometry(sensor=COLOUR))
    changed = create_treatment("same_sensor").views(views)
    ids, which = source.splits["train"][:8], torch.ones(8, dtype=torch.int64)
    same = [render(source.images, ids, which, changed, side) for side in ("student", "teacher")]
    assert torch.equal(*same)
    assert changed.student == views.student
    with pytest.raises(AlambicError, match="a sensor on the student's side"):
        create_treatment("same_sensor").views(VIEWS)


def answer(teacher: Teacher, source: Source, views: ViewSpec, side: Literal["student", "teacher"]) -> torch.Tensor:
    ids = source.splits["train"]
    pixels = render(source.images, ids, torch.ones_like(ids), views, side, teacher.size)
    with torch.no_grad():
        return teacher.net(Normalise(teacher.mean, teacher.std)(pixels)).log_softmax(1)


def test_an_adapted_teacher_says_behind_the_sensor_what_the_clean_one_says(source, tmp_path: Path) -> None:
    views = replace(VIEWS, student=Photometry(sensor=Sensor(shot=0.3, read=0.3)))
    training = TeacherTraining(replace(RECIPE, epochs=4), VIEWS)
    spec = TeacherSpec("zoo:resnet8_w8")
    clean = train_teacher("clean", spec, training, source, Task(3), tmp_path / "clean.safetensors")
    scene = make_scene(source, tmp_path, views)
    before = {key: value.clone() for key, value in clean.net.state_dict().items()}
    made = create_treatment("adapted_teacher", epochs_of_copy=4).prepare_teacher(clean, scene)
    wanted = answer(clean, source, views, "teacher")

    def error(teacher: Teacher) -> float:
        return float(torch.nn.functional.kl_div(answer(teacher, source, views, "student"), wanted, log_target=True))

    assert error(made) < 0.5 * error(clean)
    assert made.card["start"]["weights_hash"] == clean.card["weights_hash"]
    assert all(torch.equal(value, before[key]) for key, value in clean.net.state_dict().items())
    # no label was looked at
    labels = source.labels.clone()
    labels[source.splits["train"]] = -1
    other = replace(source, labels=labels, hash="other")
    again = make_scene(other, tmp_path / "again", views)
    assert create_treatment("adapted_teacher", epochs_of_copy=4).prepare_teacher(clean, again).hash == made.hash


def test_an_adapted_teacher_needs_a_sensor_and_its_own_classes(source, teacher, tmp_path: Path) -> None:
    treatment = create_treatment("adapted_teacher")
    with pytest.raises(AlambicError, match="a sensor on the student's side"):
        treatment.prepare_teacher(teacher, make_scene(source, tmp_path))
    with pytest.raises(AlambicError, match="a sensor on the student's side"):
        treatment.views(VIEWS)
    merged = replace(teacher, spec=replace(teacher.spec, groups=((0, 1), (2,))))
    with pytest.raises(AlambicError, match="whose classes a class map merges"):
        treatment.prepare_teacher(merged, make_scene(source, tmp_path, BEHIND))
    views = treatment.views(BEHIND)
    assert views.teacher.sensor == views.student.sensor == BEHIND.student.sensor


def test_a_privileged_study_trains_a_grey_student(source, teacher, tmp_path: Path) -> None:
    coloured = colour_source()
    views = ViewSpec(count=2, student=Photometry(sensor=COLOUR))
    torch.manual_seed(0)
    student = create_student("dscnn_8x2", 1, 16, 3)
    feed, ids = feed_of(coloured, views), coloured.splits["train"]
    run = set_up(
        student, Objective([create_method("kd")], Task(3)), coloured, ids, coloured.splits["tune"], views, RECIPE, 1,
        feed=feed, teacher=feed.spec,
    )  # fmt: skip
    assert show(run, ids[:2], torch.zeros(2, dtype=torch.int64)).shape[1] == 1
    assert np.isfinite(train(run)[-1]["loss"]["kd"])


def test_noise_and_plain_rounding_leave_the_same_network() -> None:
    net = create_student("dscnn_8x2", 1, 16, 3)
    keys = list(net.state_dict())
    treatment = create_treatment("quant_noise")
    noisy = treatment.wrap_student(create_student("dscnn_8x2", 1, 16, 3), None)  # type: ignore[arg-type]
    plain = create_student("dscnn_8x2", 1, 16, 3)
    insert_fake_quant(plain)
    assert list(noisy.state_dict()) == list(plain.state_dict())
    assert list(treatment.unwrap_student(noisy).state_dict()) == keys
