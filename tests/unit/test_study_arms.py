"""What an arm may ask of the engine beside one view and a plain teacher: each silent fault has a test here."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from alambic.data import DataSpec, ViewSpec, from_arrays, view_ids
from alambic.errors import AlambicError
from alambic.methods import create_method
from alambic.methods.base import Batch
from alambic.models.feature import Outputs
from alambic.models.students import create_student
from alambic.models.teacher import TeacherSpec
from alambic.models.teachers import load_teacher
from alambic.study.content import make_objective
from alambic.study.ledger import Ledger
from alambic.study.run import run_study
from alambic.study.study_file import read_study
from alambic.training.balance import balance
from alambic.training.bank import Bank, build_bank
from alambic.training.feed import mean_by_class, other_views
from alambic.training.hooks import see
from alambic.training.lockstep import train_group
from alambic.training.loop import batches, gather, train
from alambic.training.objective import Objective
from alambic.training.recipe import Recipe, stream
from alambic.training.setup import live_feed, set_up, teacher_spec
from alambic.training.task import Task
from alambic.treatments.calibrated_temperature import CalibratedTemperature
from alambic.treatments.lskd import LSKD

VIEWS = ViewSpec(count=3, flip=True, shift=1)


def make_images(count=400):
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, count)
    images = generator.integers(0, 60, (count, 1, 16, 16)).astype(np.uint8)
    images[np.arange(count), 0, 4 * labels + 2, :] += 150
    return images, labels


@pytest.fixture(scope="module")
def source():
    return from_arrays(*make_images(), spec=DataSpec("arrays", tune=0.2, test=0.2))


@pytest.fixture(scope="module")
def teacher(source):
    torch.manual_seed(0)
    return load_teacher("small", TeacherSpec("zoo:resnet8_w8"), 3, 1, (16, 16), source.mean, source.std)


def make_run(source, teacher, method, views=VIEWS, weights=None, seed=1, objective=None):
    ids = source.splits["train"]
    torch.manual_seed(seed)
    return set_up(
        create_student("dscnn_8x2", 1, 16, 3),
        objective or Objective([create_method(method)], Task(3), weights=weights),
        source,
        ids,
        source.splits["tune"],
        views,
        Recipe(epochs=2, batch=32, lr=0.05, eval_every=1),
        seed,
        feed=live_feed(teacher, source, views, frozenset({"logits", "embedding", "stages"}), ids),
        teacher=teacher_spec(teacher),
    )


@pytest.mark.parametrize("count", [0, 2, 5])
def test_second_view_is_another_one_that_the_bank_holds(count):
    spec, ids = ViewSpec(count=count), torch.arange(100)
    first = view_ids(3, ids, spec)
    second = other_views(first, spec)
    assert not (first == second).any()
    if count:
        assert 0 <= int(second.min()) <= int(second.max()) < count
    else:  # no later epoch shows it again
        assert not any(torch.equal(second, view_ids(epoch, ids, spec)) for epoch in range(1000))


def test_second_view_pairs_the_same_image_for_student_and_teacher(source, teacher):
    run = make_run(source, teacher, "mlkd")
    ids = source.splits["train"][:8]
    given = gather(run, ids, 1)
    images, taught = given.second
    assert not torch.equal(images, given.images)
    views = other_views(view_ids(1, ids, VIEWS), VIEWS)
    alone = [run.feed(ids[i : i + 1], views[i : i + 1]).logits for i in range(8)]
    torch.testing.assert_close(taught.logits, torch.cat(alone), atol=1e-4, rtol=1e-4)
    with torch.no_grad():  # this teacher sees what the student sees: the same size, the same normalisation
        torch.testing.assert_close(teacher.net(images), taught.logits, atol=1e-4, rtol=1e-4)


def test_two_view_method_in_a_group_equals_itself_alone(source, teacher):
    expected = train(make_run(source, teacher, "mlkd"))
    group = [make_run(source, teacher, name) for name in ("kd", "mlkd")]
    group[1].feed = group[0].feed
    outcomes = train_group(group)
    assert [o.error for o in outcomes] == [None, None]
    assert [r["loss"] for r in outcomes[1].history] == [r["loss"] for r in expected]


def test_one_view_is_refused_to_a_method_that_compares_two(source, teacher):
    with pytest.raises(AlambicError, match="at least two views"):
        make_run(source, teacher, "mlkd", ViewSpec(count=1))


@pytest.mark.parametrize("mix", ["mixup", "cutmix"])
@pytest.mark.parametrize("method", ["common_views", "kdpp"])
def test_mixed_images_are_refused_to_a_method_that_takes_them_for_one(source, teacher, method, mix):
    """Each view is mixed with another image: two of them share half, and a class's mean would be that of several."""
    with pytest.raises(AlambicError, match=f"{method}.*one image each.*{mix}"):
        make_run(source, teacher, method, ViewSpec(count=2, mix=mix))
    make_run(source, teacher, "kd", ViewSpec(count=2, mix=mix))
    make_run(source, teacher, method, ViewSpec(count=2))


def test_modifiers_change_the_second_view_too():
    torch.manual_seed(0)
    logits = [3 * torch.randn(8, 3) for _ in range(4)]
    labels = torch.randint(3, (8,))
    s, t = Outputs(logits=logits[0]), Outputs(logits=logits[1])
    batch = Batch(labels, second=(Outputs(logits=logits[2]), Outputs(logits=logits[3])))
    modified = Objective([create_method("mlkd")], Task(3), [LSKD()])(s, t, batch, 0.5)
    s, t = LSKD().transform(s, t, 0.5)
    batch = dataclasses.replace(batch, second=LSKD().transform(*batch.second, 0.5))
    by_hand = Objective([create_method("mlkd")], Task(3))(s, t, batch, 0.5)
    for name, value in by_hand.parts.items():
        if name != "ce":
            torch.testing.assert_close(modified.parts[name], value)


def test_class_means_are_the_same_from_bank_and_live_and_leave_unlabelled_images_out(source, teacher, tmp_path):
    ids = source.splits["train"]
    labels = source.labels.clone()
    labels[ids[:20]] = -1
    feed = live_feed(teacher, source, VIEWS, frozenset({"logits", "embedding"}), ids)
    bank = Bank(build_bank(tmp_path, feed, ids, 3, {}))
    live = mean_by_class(feed, labels, ids, 4)
    for which in range(3):
        rows = ids[labels[ids] == which]
        values = torch.stack([feed(row[None], torch.zeros(1, dtype=torch.long)).embedding[0] for row in rows])
        torch.testing.assert_close(live[which], values.mean(0), atol=1e-4, rtol=1e-4)
    assert not live[3].any()
    torch.testing.assert_close(mean_by_class(bank, labels, ids, 4), live, atol=2e-3, rtol=2e-3)


def test_kdpp_gets_the_means_in_a_run(source, teacher):
    run = make_run(source, teacher, "kdpp")
    (method,) = run.objective.methods
    expected = mean_by_class(run.feed, source.labels, source.splits["train"], 3)
    assert torch.equal(method.class_means, expected)
    assert expected.abs().sum(1).min() > 0


def gradient(run, name, ids, progress):
    """Of the student's weights, meaned over batches, as plainly as possible."""
    total = None
    for rows in ids:
        given = gather(run, rows, 0)
        seen = see(run, given.images)
        if name == "ce":
            value = torch.nn.functional.cross_entropy(seen.logits, given.batch.labels)
        else:
            (method,) = run.objective.methods
            value = sum(part.mean() for part in method.loss(seen, given.taught, given.batch, progress).values())
        weights = list(run.student.parameters())
        found = torch.autograd.grad(value, weights, allow_unused=True)
        found = torch.cat([(p * 0 if g is None else g).flatten() for g, p in zip(found, weights, strict=True)])
        total = found if total is None else total + found
    return (total / len(ids)).norm().item()


@pytest.mark.parametrize("method", ["kd", "rsd", "at"])
def test_balance_gives_a_method_a_multiple_of_the_gradient_of_cross_entropy(source, teacher, method):
    run = make_run(source, teacher, method)
    before = {k: v.clone() for k, v in {**run.student.state_dict(), **run.objective.state_dict()}.items()}
    state = torch.get_rng_state()
    (weight,) = balance(run, 3.0)
    assert torch.equal(state, torch.get_rng_state())
    for key, value in {**run.student.state_dict(), **run.objective.state_dict()}.items():
        assert torch.equal(before[key], value), key
    assert (weight,) == balance(run, 3.0)
    order = run.ids[torch.randperm(len(run.ids), generator=stream(1, "order", 0))]
    ids = [rows for _, rows in batches(run, order)][:4]
    run.student.train()
    ratio = weight * gradient(run, method, ids, 0.5) / gradient(run, "ce", ids, 0.5)
    assert ratio == pytest.approx(3.0, rel=1e-3)


def test_balance_measures_a_pre_training_stage_and_refuses_a_method_that_pulls_at_nothing(source, teacher):
    (weight,) = balance(make_run(source, teacher, "fsp"), 1.0)
    assert 0 < weight < float("inf")
    with pytest.raises(AlambicError, match="gradient of the student"):
        balance(make_run(source, teacher, "kd", weights=[0.0]), 1.0)


def test_balance_refuses_the_weight_at_which_label_smoothing_rewards_wrong_classes(source, teacher):
    run = make_run(source, teacher, "label_smoothing")
    (weight,) = balance(run, 0.001)
    assert 0 < weight < 10  # 1 / epsilon
    over = 1.01 * 10 / weight
    assert 9 < balance(run, 0.98 * 0.001 * 10 / weight)[0] < 10
    with pytest.raises(AlambicError, match="expected a weight under 10, got 10"):
        balance(run, 0.001 * over)
    with pytest.raises(AlambicError, match="expected a weight under 10, got 20"):
        make_run(source, teacher, "label_smoothing", weights=[20.0])
    half = Objective([create_method("label_smoothing")], Task(3), weights=[9.0], ce_weight=0.5)
    with pytest.raises(AlambicError, match="expected a weight under 5, got 9"):  # against half a cross-entropy
        make_run(source, teacher, "label_smoothing", objective=half)


STUDY = """
name = "arms"
purpose = "explore"
seeds = 1
students = ["dscnn_8x2"]
methods = ["none", "kd", "funmatch"]
balances = [0.5, 2.0]

[data]
source = "images.npz"

[views]
count = 2
flip = true

[recipe]
epochs = 2
batch = 32
lr = 0.05

[int8]
enabled = false

[execution]
jobs = 1

[teachers.small]
net = "zoo:resnet8_w8"
[teachers.small.recipe]
epochs = 2
"""
ARMS = {
    "mlkd": "",
    "kdpp": "",
    "kd+calibrated_temperature": 'modifiers = ["calibrated_temperature"]',
    "kd+shuffled_teacher": 'treatments = ["shuffled_teacher"]',
    "kd+random_teacher": 'treatments = ["random_teacher"]',
    "kd+early_stop+dot": 'treatments = ["early_stop", "dot"]',
    "kd+patient": 'treatments = ["patient"]\ntreatment_settings = { patient = { factor = 1.5 } }',
    "none+longer_schedule": 'treatments = ["longer_schedule"]',
    "rsd": 'schedules = ["rise"]',
    "kd+dot+mutual": 'treatments = ["dot", "mutual"]',
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("arms")
    images, labels = make_images(300)
    np.savez(
        folder / "images.npz", x_train=images[:240], y_train=labels[:240], x_test=images[240:], y_test=labels[240:]
    )
    text = STUDY.replace("images.npz", str(folder / "images.npz"))
    for name, more in ARMS.items():
        text += f'\n[[arms]]\nmethod = "{name.split("+")[0]}"\n{more}\n'
    (folder / "study.toml").write_text(text)
    return read_study(folder / "study.toml")


SCHEDULED = """
name = "scheduled"
purpose = "explore"
students = ["dscnn_8x2"]
[data]
source = "fashion-mnist"
[teachers.small]
net = "zoo:resnet8_w8"
[[arms]]
method = ["kd", "rsd"]
schedules = ["fall", "second_half"]
"""


def test_schedules_of_an_arm(source, teacher, tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(SCHEDULED)
    (arm,) = read_study(path).arms
    plain, scheduled = (make_objective(a, Task(3)) for a in (dataclasses.replace(arm, schedules=()), arm))
    run, _ = (make_run(source, teacher, "", objective=objective) for objective in (plain, scheduled))
    given = gather(run, source.splits["train"][:8], 0)
    for progress, factors in ((0.0, (1.0, 0.0)), (0.25, (0.75, 0.0)), (0.75, (0.25, 1.0))):
        seen = see(run, given.images)
        full = plain(seen, given.taught, given.batch, progress).parts
        parts = scheduled(seen, given.taught, given.batch, progress).parts
        for name, factor in zip(("kd", "rsd"), factors, strict=True):
            assert parts[name].item() == pytest.approx(factor * full[name].item(), rel=1e-5), (name, progress)
        assert parts["ce"] == full["ce"]


@pytest.mark.parametrize(
    ("was", "now", "message"),
    [('"fall"', '"fal"', "no schedule 'fal'.*fall"), ('"fall", ', "", r"one schedule per method \(2\), got 1")],
)
def test_schedules_that_cannot_be(tmp_path, was, now, message):
    path = tmp_path / "study.toml"
    path.write_text(SCHEDULED.replace(was, now))
    with pytest.raises(AlambicError, match=message):
        read_study(path)


@pytest.mark.slow
def test_study_with_every_kind_of_arm(study, tmp_path):
    def run():
        return run_study(study, tmp_path, say=lambda text: None)

    summary = run()
    ledger = Ledger(tmp_path / "ledger.sqlite", read_only=True)
    rows = {row.content["arm"]["name"]: row for row in ledger.rows()}
    assert {name: row.reason for name, row in rows.items() if row.state == "failed"} == {
        "kd+dot+mutual": rows["kd+dot+mutual"].reason
    }
    assert "at most one" in rows["kd+dot+mutual"].reason
    done = {name for name, row in rows.items() if row.state == "done"}
    assert done == {"none", "kd x0.5", "kd x2", "funmatch x0.5", "funmatch x2", *ARMS} - {"kd+dot+mutual"}
    assert (summary.done, summary.failed) == (len(done), 1)
    assert len({row.id for row in rows.values()}) == len(rows)

    light, heavy = (rows[f"kd x{x}"].numbers["weights"][0] for x in ("0.5", "2"))
    assert heavy == pytest.approx(4 * light)
    assert rows["kd x2"].content["arm"]["ce_weight"] == 1.0
    assert rows["funmatch x2"].content["arm"]["ce_weight"] == 0.0  # it has no labels

    told = rows["kd+calibrated_temperature"].content["arm"]["modifier_settings"]["calibrated_temperature"]
    assert 0.1 <= told["temperature"] <= 10
    assert CalibratedTemperature(**told).temperature == told["temperature"]

    hashes = {name: rows[name].content.get("teacher_hash") for name in done}
    assert hashes["kd+shuffled_teacher"] == hashes["kd x2"]
    assert len({hashes[name] for name in ("kd x2", "kd+random_teacher", "kd+early_stop+dot")}) == 3
    assert [r["epoch"] for r in ledger.curve(rows["kd+patient"].id)] == [1, 2, 3]
    assert rows["kd+patient"].content["sources"]["logits"].startswith("live")
    assert rows["kd+patient"].content["views"]["mix"] == "mixup"
    assert [r["epoch"] for r in ledger.curve(rows["none+longer_schedule"].id)] == [1, 2, 3, 4]
    assert json.dumps(rows["kd+dot+mutual"].content["arm"]["treatments"]) == '["dot", "mutual"]'
    again = run()
    assert (again.done, again.kept, again.failed) == (0, len(done), 1)


def test_unknown_treatments_name_the_line_and_the_nearest(study, tmp_path):
    text = study.text.replace('"random_teacher"', '"random_teachr"')
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises(AlambicError, match=r"(?s)study\.toml.*did you mean 'random_teacher'"):
        read_study(tmp_path / "study.toml")
