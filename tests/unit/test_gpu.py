"""The GPU's fast path, on the CPU as far as that goes: nothing waits in a step, recorded steps are the plain ones."""

import numpy as np
import pytest
import torch
import torch.nn.functional as functional
from torch.utils._python_dispatch import TorchDispatchMode

from alambic.data import DataSpec, ViewSpec, from_arrays
from alambic.errors import AlambicError
from alambic.methods import all_methods, create_method
from alambic.models.students import create_student
from alambic.models.teacher import TeacherSpec
from alambic.models.teachers import load_teacher
from alambic.training.bank import Bank, build_bank
from alambic.training.graph import ProgressReadError, RecordedStep, keeping, why_not
from alambic.training.hooks import Hooks
from alambic.training.lockstep import train_group
from alambic.training.loop import Trainee, batches, gather, train
from alambic.training.objective import Objective
from alambic.training.recipe import Recipe
from alambic.training.resident import ResidentBank, move_source
from alambic.training.setup import live_feed, set_up, teacher_spec
from alambic.training.task import Task

CLASSES = 5
# a learning rate that fp32 holds exactly: a graph reads it from a tensor
RECIPE = Recipe(epochs=2, batch=16, lr=0.0625, warmup=0, schedule="constant", eval_every=1)


@pytest.fixture(scope="module")
def source():
    generator = np.random.default_rng(0)
    labels = np.arange(120) % CLASSES
    images = generator.integers(0, 255, (120, 3, 16, 16)).astype(np.uint8)
    return from_arrays(images, labels, spec=DataSpec("arrays", tune=0.2, test=0.2))


def make_teacher(source):
    torch.manual_seed(0)
    return load_teacher("t", TeacherSpec("zoo:resnet8_w8"), CLASSES, 3, (16, 16), source.mean, source.std)


@pytest.fixture(scope="module")
def bank(source, tmp_path_factory):
    feed = live_feed(make_teacher(source), source, VIEWS, frozenset({"logits", "embedding"}), source.splits["train"])
    folder = tmp_path_factory.mktemp("banks")
    return Bank(build_bank(folder, feed, source.splits["train"], VIEWS.count, {"teacher": "t"}), verify=feed)


VIEWS = ViewSpec(count=2, flip=True, shift=1)


def make_run(source, method="none", feed=None, recipe=RECIPE, student="dscnn_8x2", views=VIEWS, seed=1):
    torch.manual_seed(seed)
    given = teacher_spec(make_teacher(source)) if feed is not None else None
    return set_up(
        create_student(student, 3, 16, CLASSES),
        Objective([create_method(method)], Task(CLASSES)),
        source,
        source.splits["train"],
        source.splits["tune"],
        views,
        recipe,
        seed,
        feed=feed,
        teacher=given,
    )


def play(step):
    """Records like a graph without one: three steps to warm up, then each replay takes the step again."""
    for _ in range(3):
        parts = dict(step())
    return lambda: parts.update(step()), parts


def weights_of(run):
    return {**run.student.state_dict(), **run.objective.state_dict()}


def assert_same(a, b):
    assert set(a) == set(b)
    for name in a:
        assert torch.equal(a[name], b[name]), name


def record(run, monkeypatch):
    """The run's trainee, allowed to record on the CPU."""
    monkeypatch.setattr(RecordedStep, "_record", lambda self, step: play(step))
    trainee = Trainee(run)
    trainee.eager_because = ""
    return trainee


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("method", ["none", "kd", "rsd"])
def test_recorded_steps_are_the_plain_ones_bit_for_bit(source, bank, monkeypatch, method, optimizer):
    """Rules out: warm-up steps that leave a trace (BatchNorm, momentum), ids, views or rates that stay the first's."""
    recipe = Recipe(**{**vars(RECIPE), "optimizer": optimizer})
    feed = None if method == "none" else ResidentBank(bank, source.splits["train"], "cpu")
    plain = make_run(source, method, feed, recipe)
    expected = train(plain)
    run = make_run(source, method, feed, recipe)
    trainee = record(run, monkeypatch)
    for epoch in range(recipe.epochs):
        order = trainee.start_epoch(epoch)
        for step, ids in batches(run, order):
            trainee.advance(ids, epoch, step, lambda: pytest.fail("a plain step was taken"))
        trainee.end_epoch(epoch)
    assert_same(weights_of(run), weights_of(plain))
    assert [r["loss"] for r in trainee.history] == [r["loss"] for r in expected]


def test_a_rate_that_changes_reaches_a_recorded_step(source, monkeypatch):
    recipe = Recipe(epochs=2, batch=16, lr=0.1)
    plain, run = make_run(source, recipe=recipe), make_run(source, recipe=recipe)
    train(plain)
    trainee = record(run, monkeypatch)
    for epoch in range(recipe.epochs):
        for step, ids in batches(run, trainee.start_epoch(epoch)):
            trainee.advance(ids, epoch, step, lambda: pytest.fail("a plain step was taken"))
    for name, value in plain.student.state_dict().items():
        torch.testing.assert_close(run.student.state_dict()[name], value, rtol=1e-4, atol=1e-5)


def test_a_step_that_reads_the_share_of_training_is_not_recorded_and_leaves_no_trace(source, bank, monkeypatch):
    run = make_run(source, "dkd", ResidentBank(bank, source.splits["train"], "cpu"))
    before = {name: value.clone() for name, value in weights_of(run).items()}
    trainee = record(run, monkeypatch)
    order = trainee.start_epoch(0)
    random = torch.get_rng_state()
    _, ids = next(batches(run, order))
    taken = []
    monkeypatch.setattr(trainee, "step", lambda given, epoch, step: taken.append(step))
    trainee.advance(ids, 0, 0, lambda: gather(run, ids, 0))
    assert taken == [0]
    assert "share of training" in trainee.eager_because
    assert_same(weights_of(run), before)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(isinstance(group["lr"], float) for group in trainee.optimizer.param_groups)
    with pytest.raises(ProgressReadError):
        RecordedStep(trainee._take, (run.student, run.objective), trainee.optimizer, ids, torch.zeros_like(ids))


def test_keeping_restores_state_that_the_optimiser_made_inside(source):
    run = make_run(source, recipe=Recipe(**{**vars(RECIPE), "optimizer": "adamw"}))
    trainee = Trainee(run)
    _, ids = next(batches(run, trainee.start_epoch(0)))
    before = {name: value.clone() for name, value in weights_of(run).items()}
    with keeping((run.student, run.objective), trainee.optimizer, run.device):
        trainee.step(gather(run, ids, 0), 0, 0)
        assert any(not torch.equal(value, before[name]) for name, value in weights_of(run).items())
    assert_same(weights_of(run), before)
    kept = [t for values in trainee.optimizer.state.values() for t in values.values()]
    assert kept
    assert all(not bool(t.any()) for t in kept)


def test_reasons_against_a_graph(source, bank):
    cuda = torch.device("cuda")
    resident = ResidentBank(bank, source.splits["train"], "cpu")

    def reason(method="none", feed=None, **change):
        run = make_run(source, method, feed)
        run.device = cuda
        for name, value in change.items():
            setattr(run, name, value)
        return why_not(run)

    class Own(Hooks):
        pass

    assert reason() == reason("kd", resident) == ""
    assert "no CUDA" in reason(device=torch.device("cpu"))
    assert "live" in reason("kd", bank)
    assert "treatment" in reason(hooks=Own())
    assert "random" in reason("kdpp", resident)
    assert "outside tensors" in reason("asd", resident)
    dropping = make_run(source)
    dropping.device, dropping.student.head = cuda, torch.nn.Sequential(torch.nn.Dropout(0.1), dropping.student.head)
    assert "random" in why_not(dropping)


def test_resident_bank_gives_what_the_bank_gives(source, bank):
    ids = source.splits["train"]
    resident = ResidentBank(bank, ids, "cpu")
    rows, views = ids[torch.tensor([5, 3, 3, 40])], torch.tensor([1, 0, 1, 1])
    stored, given = bank(rows, views), resident(rows, views)
    assert torch.equal(given.logits, stored.logits)
    assert torch.equal(given.embedding, stored.embedding)
    with pytest.raises(AlambicError, match="some of the training images"):
        ResidentBank(bank, torch.arange(120), "cpu")


class Waits(Exception):
    pass


class NoWait(TorchDispatchMode):
    """Refuses operators for which a host waits for its device: numbers read, and shapes that depend on values."""

    READS = ("_local_scalar_dense", "nonzero", "masked_select", "_unique", "unique_dim", "is_nonzero", "equal.")

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = str(function).removeprefix("aten.")
        if name.startswith(self.READS):
            raise Waits(name)
        if name.startswith(("index.", "index_put")) and any(
            index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1]
        ):
            raise Waits(f"{name} by a mask")
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.sum().item(),
        lambda x: x[x > 0],
        lambda x: bool((x > 0).all()),
        lambda x: x.masked_select(x > 0),
        lambda x: x.nonzero(),
        lambda x: float(x.max()),
        lambda x: x.unique(),
    ],
)
def test_a_wait_would_be_seen(wait):
    with NoWait(), pytest.raises(Waits):
        wait(torch.randn(4))


@pytest.fixture(scope="module")
def live(source):
    want = frozenset({"logits", "embedding", "stages", "energy", "head"})
    return live_feed(make_teacher(source), source, VIEWS, want, source.splits["train"])


# their teachers have other outputs; each is a logit loss on tensors like the others
OTHER_TEACHERS = {"subclass", "consensus"}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(all_methods()) - OTHER_TEACHERS))
def test_no_method_waits_in_a_step(source, live, name, monkeypatch):
    # torch's own one_hot reads its input on the CPU alone, to check it
    monkeypatch.setattr(functional, "one_hot", lambda labels, n: (labels[:, None] == torch.arange(n)).long())
    method = create_method(name)
    feed = live if method.needs.teacher else None
    run = make_run(source, name, feed, student="resnet8_w8")
    trainee = Trainee(run)
    order = trainee.start_epoch(0)
    steps = list(batches(run, order))
    for step, ids in steps[:2]:  # tables are made once
        trainee.step(gather(run, ids, 0), 0, step)
    middles = [0, RECIPE.epochs - 1] if not method.stages else list(range(RECIPE.epochs))
    for epoch in middles:
        with NoWait():
            trainee.step(gather(run, steps[2][1], epoch), epoch, 2)


def test_no_augmentation_waits(source):
    from alambic.data.photometry import Photometry

    for mix in ("none", "mixup", "cutmix"):
        views = ViewSpec(count=3, flip=True, shift=2, zoom=(0.6, 1.0), mix=mix, student=Photometry(0.2, 0.2, 0.2, 0.5))
        run = make_run(source, views=views)
        trainee = Trainee(run)
        _, ids = next(batches(run, trainee.start_epoch(0)))
        gather(run, ids, 0)
        with NoWait():
            gather(run, ids, 1)


def test_a_run_trains_where_its_images_lie(source):
    moved = move_source(source, "cpu")
    run = make_run(moved)
    assert run.device == moved.images.device
    assert moved.hash == source.hash


def move(source, bank):
    there = move_source(source, "cuda")
    return there, ResidentBank(bank, source.splits["train"], "cuda")


@pytest.mark.cuda
@pytest.mark.parametrize("method", ["none", "kd", "rsd", "dkd"])
def test_cuda_trains_as_the_cpu_does(source, bank, method):
    there, resident = move(source, bank)
    here, run = make_run(source, method, bank), make_run(there, method, resident)
    expected, found = train(here), train(run)
    assert run.student.head.weight.device.type == "cuda"
    for a, b in zip(expected, found, strict=True):
        for name, value in a["loss"].items():
            assert b["loss"][name] == pytest.approx(value, rel=2e-2)


@pytest.mark.cuda
def test_cuda_graph_equals_plain_steps(source, bank):
    there, resident = move(source, bank)
    graphed, plain = make_run(there, "kd", resident), make_run(there, "kd", resident)
    with_graph, without = Trainee(graphed), Trainee(plain)
    assert with_graph.eager_because == ""
    without.eager_because = "asked"
    for trainee in (with_graph, without):
        for epoch in range(2):
            for step, ids in batches(trainee.run, trainee.start_epoch(epoch)):
                trainee.advance(ids, epoch, step, lambda ids=ids, t=trainee, e=epoch: gather(t.run, ids, e))
            trainee.end_epoch(epoch)
    assert with_graph.recorded is not None
    for name, value in plain.student.state_dict().items():
        torch.testing.assert_close(graphed.student.state_dict()[name], value, rtol=1e-3, atol=1e-4)


@pytest.mark.cuda
def test_cuda_graphs_on_streams_equal_each_alone(source, bank):
    there, resident = move(source, bank)
    alone = [make_run(there, method, resident) for method in ("kd", "rsd", "none")]
    group = [make_run(there, method, resident) for method in ("kd", "rsd", "none")]
    for run in alone:
        train(run)
    train_group(group)
    for one, same in zip(alone, group, strict=True):
        for name, value in one.student.state_dict().items():
            torch.testing.assert_close(same.student.state_dict()[name], value, rtol=1e-4, atol=1e-5)
