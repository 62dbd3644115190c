"""The loop, the bank, the distiller: each silent fault of the field that they rule out has a test here."""

import copy
import json

import numpy as np
import pytest
import timm
import torch
from torch import nn

import alambic
from alambic.data import DataSpec, ViewSpec, from_arrays
from alambic.errors import AlambicError
from alambic.methods import create_method
from alambic.methods.base import Batch
from alambic.models.feature import Outputs
from alambic.models.students import create_student
from alambic.models.teacher import TeacherSpec
from alambic.models.teachers import load_teacher
from alambic.training.bank import Bank, build_bank
from alambic.training.layout import safe_channels_last
from alambic.training.loop import train
from alambic.training.objective import Objective
from alambic.training.recipe import Recipe
from alambic.training.setup import live_feed, set_up, teacher_spec
from alambic.training.task import Task, evaluate_metric, predict


@pytest.fixture(scope="module")
def source():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 400)
    images = generator.integers(0, 60, (400, 1, 16, 16)).astype(np.uint8)
    images[np.arange(400), 0, 4 * labels + 2, :] += 150  # a bright row tells the class
    return from_arrays(images, labels, spec=DataSpec("arrays", tune=0.2, test=0.2))


@pytest.fixture(scope="module")
def teacher(source):
    torch.manual_seed(0)
    return load_teacher("small", TeacherSpec("zoo:resnet8_w8"), 3, 1, (16, 16), source.mean, source.std)


def make_run(source, method="none", views=2, epochs=3, checkpoint=None, feed=None, teacher=None, seed=1):
    torch.manual_seed(seed)
    return set_up(
        create_student("dscnn_8x2", 1, 16, 3),
        Objective([create_method(method)], Task(3)),
        source,
        source.splits["train"],
        source.splits["tune"],
        ViewSpec(count=views, flip=True, shift=1),
        Recipe(epochs=epochs, batch=32, lr=0.05, eval_every=1),
        seed,
        feed=feed,
        teacher=teacher,
        checkpoint=checkpoint,
        key="test",
    )


def test_student_learns_and_ends_in_training_mode(source):
    run = make_run(source, epochs=16)
    history = train(run)
    assert history[-1]["loss"]["ce"] < 0.7 * history[0]["loss"]["ce"]
    assert all(module.training for module in run.student.modules())


def test_resumed_run_equals_undisturbed_run_bit_for_bit(source, tmp_path):
    whole = make_run(source)
    expected = train(whole)

    class Killed(BaseException):
        pass

    def kill(record):
        if record["epoch"] == 2:
            raise Killed

    first = make_run(source, checkpoint=tmp_path / "c")
    with pytest.raises(Killed):
        train(first, kill)
    second = make_run(source, checkpoint=tmp_path / "c")
    history = train(second)
    assert [r["loss"] for r in history] == [r["loss"] for r in expected]
    for name, value in whole.student.state_dict().items():
        assert torch.equal(value, second.student.state_dict()[name]), name


def bank_parts(source, teacher, folder, want=frozenset({"logits", "embedding", "energy"})):
    views = ViewSpec(count=2, flip=True, shift=1)
    feed = live_feed(teacher, source, views, want, source.splits["train"])
    path = build_bank(folder, feed, source.splits["train"], 2, {"teacher": teacher.hash})
    return feed, path


def test_bank_gives_what_the_live_teacher_gives(source, teacher, tmp_path):
    feed, path = bank_parts(source, teacher, tmp_path)
    bank = Bank(path, verify=feed)
    ids = source.splits["train"][[5, 3, 77]]
    views = torch.tensor([1, 0, 1])
    stored, live = bank(ids, views), feed(ids, views)
    torch.testing.assert_close(stored.logits, live.logits, atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(stored.embedding, live.embedding, atol=2e-3, rtol=2e-3)
    for a, b in zip(stored.energy, live.energy, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_bank_refuses_images_beyond_its_own(source, teacher, tmp_path):
    _, path = bank_parts(source, teacher, tmp_path)
    bank = Bank(path)
    inside = bank.ids[-1:]
    assert bank(inside, torch.zeros(1, dtype=torch.int64)).logits.shape == (1, 3)
    for ask in (lambda ids: bank(ids, torch.zeros_like(ids)), bank.check_holds):
        with pytest.raises(AlambicError, match="does not hold some of"):
            ask(torch.tensor([len(bank.rows) + 50]))


def test_bank_with_shifted_pairing_is_refused(source, teacher, tmp_path):
    feed, path = bank_parts(source, teacher, tmp_path)
    ids = np.load(path / "ids.npy")
    np.save(path / "ids.npy", np.roll(ids, 1))
    with pytest.raises(AlambicError, match="pairing"):
        Bank(path, verify=feed, check_hash=False)
    with pytest.raises(AlambicError, match="checksum"):
        Bank(path, verify=feed)


def test_bank_of_another_teacher_is_refused(source, teacher, tmp_path):
    _, path = bank_parts(source, teacher, tmp_path)
    torch.manual_seed(9)
    other = load_teacher("other", TeacherSpec("zoo:resnet8_w8"), 3, 1, (16, 16), source.mean, source.std)
    views = ViewSpec(count=2, flip=True, shift=1)
    feed = live_feed(other, source, views, frozenset({"logits", "embedding", "energy"}), source.splits["train"])
    with pytest.raises(AlambicError, match="teacher"):
        Bank(path, verify=feed)


def test_truncated_bank_is_refused(source, teacher, tmp_path):
    _, path = bank_parts(source, teacher, tmp_path)
    whole = (path / "logits.npy").read_bytes()
    (path / "logits.npy").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AlambicError, match="bank"):
        Bank(path)
    with pytest.raises(AlambicError, match="bank"):
        Bank(path, check_hash=False)


def test_killed_bank_build_leaves_nothing_that_looks_finished(source, teacher, tmp_path):
    views = ViewSpec(count=2, flip=True)
    feed = live_feed(teacher, source, views, frozenset({"logits"}), source.splits["train"])

    class Killed(BaseException):
        pass

    def kill(done, of):
        raise Killed

    with pytest.raises(Killed):
        build_bank(tmp_path, feed, source.splits["train"], 2, {"teacher": "x"}, kill)
    assert not list(tmp_path.glob("*/bank.json"))


def test_bank_keeps_raw_logits_not_probabilities(source, teacher, tmp_path):
    _, path = bank_parts(source, teacher, tmp_path)
    sums = np.load(path / "logits.npy").astype(np.float64).sum(2)
    assert not np.allclose(sums, 1, atol=1e-2)
    assert json.loads((path / "bank.json").read_text())["views"] == 2


def test_teacher_is_left_as_it_was(source, teacher):
    before = {name: value.clone() for name, value in teacher.net.state_dict().items()}
    teacher.net.train()  # a careless caller
    views = ViewSpec(count=2, flip=True, shift=1)
    feed = live_feed(teacher, source, views, frozenset({"logits", "embedding"}), source.splits["train"])
    run = make_run(source, "rsd", feed=feed, teacher=teacher_spec(teacher), epochs=1)
    train(run)
    assert not any(module.training for module in teacher.net.modules())
    for name, value in teacher.net.state_dict().items():
        assert torch.equal(before[name], value), name
    assert all(p.grad is None and not p.requires_grad for p in teacher.net.parameters())


def test_projector_trains(source, teacher):
    views = ViewSpec(count=2, flip=True, shift=1)
    feed = live_feed(teacher, source, views, frozenset({"embedding"}), source.splits["train"])
    run = make_run(source, "rsd", feed=feed, teacher=teacher_spec(teacher), epochs=1)
    before = [p.clone() for p in run.objective.parameters()]
    train(run)
    assert before
    assert all(not torch.equal(a, b) for a, b in zip(before, run.objective.parameters(), strict=True))


def test_projector_never_moves_the_students_stream(source, teacher):
    plain = make_run(source, "none", epochs=1)
    taught = make_run(source, "rsd", teacher=teacher_spec(teacher), epochs=1)
    for a, b in zip(plain.student.parameters(), taught.student.parameters(), strict=True):
        assert torch.equal(a, b)


def test_divergence_is_named(source):
    run = make_run(source)
    run.objective.weights = (float("nan"),)
    run.objective.ce_weight = float("nan")
    with pytest.raises(AlambicError, match="ce"):
        train(run)


def test_cross_entropy_counts_once_and_unlabelled_adds_nothing():
    logits, labels = torch.randn(4, 3), torch.tensor([0, 2, -1, 1])
    objective = Objective([create_method("none")], Task(3))
    per_image = Task(3).loss(logits, labels)
    assert per_image[2] == 0
    student, taught = Outputs(logits=logits), Outputs(logits=torch.randn(4, 3))
    batch, names = Batch(labels, torch.arange(4)), ("kd", "label_smoothing")
    alone = objective(student, Outputs(), batch, 0.0)
    assert alone.item() == pytest.approx(float(per_image.mean()))
    parts = [Objective([create_method(name)], Task(3))(student, taught, batch, 0.0).parts for name in names]
    expected = per_image.mean() + sum(value for own in parts for name, value in own.items() if name != "ce")
    both = Objective([create_method(name) for name in names], Task(3))(student, taught, batch, 0.0)
    assert both.item() == pytest.approx(float(expected))


def test_distiller_leaves_a_clean_student():
    student = create_student("dscnn_8x2", 1, 16, 3)
    names = set(student.state_dict())
    teacher = timm.create_model(
        "vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=48, depth=3, num_heads=3, in_chans=1, num_classes=3
    )
    images, labels = torch.rand(8, 1, 16, 16), torch.randint(0, 3, (8,))
    distiller = alambic.Distiller(student, teacher, method=["kd", "rsd"], example_input=images, teacher_size=(32, 32))
    loss = distiller(images, labels)
    loss.backward()
    assert set(loss.parts) == {"ce", "kd", "rsd"}
    assert float(loss) == pytest.approx(sum(float(v.detach()) for v in loss.parts.values()), rel=1e-5)
    assert set(student.state_dict()) == names
    assert not any(module._forward_hooks for module in student.modules())
    assert all(p.grad is None for p in teacher.parameters())
    assert len(list(distiller.parameters())) > len(list(student.parameters()))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"images": torch.randint(0, 255, (4, 1, 16, 16), dtype=torch.uint8)}, "floats in"),
        ({"images": 255 * torch.rand(4, 1, 16, 16), "student_norm": ((0.5,), (0.5,))}, "values from"),
        ({"student_norm": ((0.5,), (0.0,))}, "positive std"),
        ({"labels": torch.zeros(3, dtype=torch.long)}, r"one label per image \(4\)"),
        ({"same": True}, "copy.deepcopy"),
    ],
)
def test_distiller_refuses_what_would_train_in_silence(given, message):
    student = create_student("dscnn_8x2", 1, 16, 3)
    teacher = student if given.pop("same", False) else create_student("resnet8_w8", 1, 16, 3)
    images, labels = given.pop("images", torch.rand(4, 1, 16, 16)), given.pop("labels", torch.zeros(4).long())
    with pytest.raises(AlambicError, match=message):
        alambic.Distiller(student, teacher, "kd", example_input=images, **given)(images, labels)
    assert all(p.requires_grad for p in student.parameters())


@pytest.mark.parametrize("name", ["lr", "momentum", "weight_decay", "warmup", "clip"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_recipe_refuses_numbers_that_are_none(name, value):
    with pytest.raises(AlambicError, match=name):
        Recipe(**{name: value})


def test_mismatched_classes_are_refused_where_logits_are_compared():
    student, teacher = create_student("dscnn_8x2", 1, 16, 3), create_student("resnet8_w8", 1, 16, 5)
    images = torch.rand(4, 1, 16, 16)
    with pytest.raises(AlambicError, match="3 logits"):
        alambic.Distiller(student, teacher, "kd", example_input=images)
    alambic.Distiller(student, teacher, "rsd", example_input=images)


def test_metrics_against_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 300)
    logits = generator.normal(size=(300, 1)) + labels[:, None]
    predicted, margin = predict(logits)
    ours = evaluate_metric("average_precision", predicted, margin, labels)
    assert ours == pytest.approx(metrics.average_precision_score(labels, logits[:, 0]), abs=1e-6)
    balanced = evaluate_metric("balanced_accuracy", predicted, margin, labels)
    assert balanced == pytest.approx(metrics.balanced_accuracy_score(labels, predicted), abs=1e-9)
    recall = evaluate_metric("recall_at_1_percent_false_alarms", predicted, margin, labels)
    false, true, _ = metrics.roc_curve(labels, logits[:, 0], drop_intermediate=False)
    assert recall == pytest.approx(true[false <= 0.01].max(), abs=1e-9)


def test_hostile_weights_are_refused(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (print, ("run",))

    torch.save({"weight": Hostile()}, tmp_path / "w.pt")
    from alambic.models.teachers import load_weights

    with pytest.raises(AlambicError, match="refused"):
        load_weights(nn.Linear(2, 2), tmp_path / "w.pt", "teacher 'x'")


def test_a_parameter_that_starts_late_gets_its_momentum(source):
    """A stage of pre-training leaves the classifier without gradient: fused SGD must still take it on later."""
    net = create_student("dscnn_8x2", 1, 16, 3)
    optimizer = Recipe(lr=0.1, weight_decay=0.0).make_optimizer(net)
    plain = torch.optim.SGD(copy.deepcopy(net).parameters(), lr=0.1, momentum=0.9, nesterov=True)
    groups = list(net.parameters()), plain.param_groups[0]["params"]
    for step in range(4):
        gradients = [torch.randn_like(p) if p.ndim == 4 or step > 1 else None for p in net.parameters()]
        for parameters in groups:
            for p, gradient in zip(parameters, gradients, strict=True):
                p.grad = None if gradient is None else gradient.clone()
        optimizer.step()
        plain.step()
    for a, b in zip(*groups, strict=True):
        torch.testing.assert_close(a, b)


def test_layout_that_corrupts_memory_is_not_used():
    """A strided 1x1 convolution with few channels crashes the CPU's channels-last backward pass."""
    assert not safe_channels_last(create_student("resnet8_w4", 1, 16, 3))
    assert safe_channels_last(create_student("resnet8_w8", 1, 16, 3))
    assert safe_channels_last(create_student("dscnn_24x3", 1, 28, 10))


def test_scores_that_are_none_are_not_taken_for_a_class():
    logits = np.zeros((5, 3), np.float32)
    assert predict(logits)[0].tolist() == [0] * 5
    logits[1, 2] = logits[3, 0] = np.nan
    with pytest.raises(AlambicError, match="NaN for 2 of 5 images"):
        predict(logits)
    with pytest.raises(AlambicError, match="infinity for 1 of 4 images"):
        predict(np.array([[0.0], [1.0], [np.inf], [2.0]], np.float32))


def test_class_weights_that_one_logit_would_ignore_are_refused():
    with pytest.raises(AlambicError, match="one logit"):
        Task(1, (2.0,))


def test_a_teacher_that_draws_at_random_is_not_told_to_delete_its_bank(source, teacher, tmp_path):
    feed, path = bank_parts(source, teacher, tmp_path)
    asked = []

    def dropping(ids, views):
        asked.append(ids)
        found = feed(ids, views)
        noise = torch.randn(found.logits.shape, generator=torch.Generator().manual_seed(len(asked)))
        return Outputs(found.logits + noise, found.embedding, energy=found.energy)

    with pytest.raises(AlambicError, match="others each time it is asked"):
        Bank(path, verify=dropping)


def test_a_teacher_that_ends_in_softmax_is_refused(source, tmp_path):
    body = "from torch import nn\n\ndef make(last=True):\n    layers = [nn.Flatten(), nn.Linear(256, 3)]\n"
    body += "    return nn.Sequential(*layers, *([nn.Softmax(1)] if last else []))\n"
    (tmp_path / "net.py").write_text(body)
    given = (3, 1, (16, 16), source.mean, source.std, tmp_path)
    assert load_teacher("plain", TeacherSpec("net.py:make", {"last": False}), *given).classes == 3
    with pytest.raises(AlambicError, match="before softmax, got probabilities"):
        load_teacher("soft", TeacherSpec("net.py:make"), *given)
