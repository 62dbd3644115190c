"""What single treatments compute, against naive NumPy, and the faults that each must not have."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from treatment_tools import make_scene, set_up_run, softmax

from alambic.errors import AlambicError
from alambic.models.students import create_student
from alambic.training.hooks import Inputs, judge
from alambic.training.loop import gather, train
from alambic.training.recipe import Recipe
from alambic.treatments import create_treatment
from alambic.treatments.branches import make_branches
from alambic.treatments.dot import TwoMomenta
from alambic.treatments.early_stop import StopAfter
from alambic.treatments.fake_quant import (
    RoundInput,
    RoundWeights,
    insert_fake_quant,
    remove_fake_quant,
)
from alambic.treatments.mcmi import conditional_mutual_information
from alambic.treatments.mutual import mutual_losses
from alambic.treatments.shuffled_teacher import ShuffledFeed
from alambic.treatments.wide_student import widen


def kl(p: np.ndarray, q: np.ndarray) -> float:
    return float(sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))


def test_two_momenta_against_numpy() -> None:
    rng = np.random.default_rng(0)
    start = [rng.normal(size=(3, 2)), rng.normal(size=4), rng.normal(size=(2, 2))]
    kinds, lr, mu, delta, decay = ("both", "task", "kd"), 0.1, 0.9, 0.075, 0.01
    parameters = [nn.Parameter(torch.tensor(x)) for x in start]
    optimizer = TwoMomenta([{"params": parameters, "weight_decay": decay}], lr, mu, delta)
    values, buffers = [x.copy() for x in start], {}
    for _ in range(4):
        task = [rng.normal(size=x.shape) if kind != "kd" else None for x, kind in zip(start, kinds, strict=True)]
        rest = [rng.normal(size=x.shape) if kind != "task" else None for x, kind in zip(start, kinds, strict=True)]
        optimizer.apply(*([None if g is None else torch.tensor(g) for g in side] for side in (task, rest)))
        for i, kind in enumerate(kinds):
            decayed = values[i].copy()
            for side, gradient in (("task", task[i]), ("kd", rest[i])):
                if gradient is None:
                    continue
                momentum = mu if kind != "both" else mu - delta if side == "task" else mu + delta
                if side == "task" or kind == "kd":
                    gradient = gradient + decay * decayed
                old = buffers.get((i, side))
                buffers[i, side] = gradient if old is None else momentum * old + gradient
                values[i] = values[i] - lr * buffers[i, side]
    for p, value in zip(parameters, values, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), value, rtol=1e-12)


def test_dot_gives_the_distillation_more_momentum(source, teacher, tmp_path: Path) -> None:
    """Two steps by hand: the first fills the buffers, the second weighs them."""
    treatment = create_treatment("dot")
    run = set_up_run(treatment, source, teacher, tmp_path)
    run.student.train()
    optimizer = run.hooks.make_optimizer(run)
    assert isinstance(optimizer, TwoMomenta)
    decays = [group["weight_decay"] for group in optimizer.param_groups for _ in group["params"]]
    momenta = {"ce": run.recipe.momentum - treatment.delta, "kd": run.recipe.momentum + treatment.delta}
    buffers: dict[tuple[str, int], Tensor] = {}
    for step in range(2):
        given = gather(run, run.ids[32 * step : 32 * step + 32], 0)
        parts, expected = judge(run, given, 0.0).parts, [p.detach().clone() for p in optimizer.parameters]
        for name, momentum in momenta.items():
            found = torch.autograd.grad(parts[name], optimizer.parameters, retain_graph=True)
            for i, (gradient, p, decay) in enumerate(zip(found, optimizer.parameters, decays, strict=True)):
                own = gradient + decay * p.detach() if name == "ce" else gradient
                buffers[name, i] = momentum * buffers[name, i] + own if step else own
                expected[i] -= run.recipe.lr * buffers[name, i]
        treatment.step(run, given, 0.0, optimizer)
        for p, value in zip(optimizer.parameters, expected, strict=True):
            torch.testing.assert_close(p.detach(), value)
    with pytest.raises(TypeError, match="apply"):
        optimizer.step()


def test_dot_refuses_adam_and_a_loss_without_labels(source, teacher, tmp_path: Path) -> None:
    run = set_up_run(None, source, teacher, tmp_path)
    run.recipe = Recipe(optimizer="adamw", lr=1e-3)
    with pytest.raises(AlambicError, match="sgd"):
        create_treatment("dot").attach(run, make_scene(source, tmp_path))
    run = set_up_run(None, source, teacher, tmp_path, method="funmatch")
    with pytest.raises(AlambicError, match="cross-entropy"):
        create_treatment("dot").attach(run, make_scene(source, tmp_path))


def test_mutual_losses_against_numpy() -> None:
    rng = np.random.default_rng(1)
    logits = [rng.normal(size=(5, 4)) for _ in range(3)]
    found = mutual_losses([torch.tensor(z) for z in logits], 2.0)
    for i, own in enumerate(logits):
        expected = [
            4 * kl(softmax(other[b] / 2), softmax(own[b] / 2))
            for j, other in enumerate(logits)
            for b in range(5)
            if j != i
        ]
        assert float(found[i]) == pytest.approx(np.mean(expected), rel=1e-10)


def test_mutual_peer_differs_learns_and_never_pulls_through_its_partner(source, teacher, tmp_path: Path) -> None:
    treatment = create_treatment("mutual")
    run = set_up_run(treatment, source, teacher, tmp_path)
    peer = treatment.students[0]
    assert not torch.equal(next(iter(peer.parameters())), next(iter(run.student.parameters())))
    before = [p.clone() for p in peer.parameters()]
    train(run)
    assert any(not torch.equal(a, b) for a, b in zip(before, peer.parameters(), strict=True))
    own, other = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3, requires_grad=True)
    mutual_losses([own, other])[0].backward()
    assert other.grad is None or not other.grad.any()


def test_mutual_peers_weigh_their_methods_as_the_student_does(source, teacher, tmp_path: Path) -> None:
    treatment = create_treatment("mutual")
    run = set_up_run(treatment, source, teacher, tmp_path)
    run.objective.weights = (7.5,)  # by a balance, after the treatment was attached
    train(run)
    assert [objective.weights for objective in treatment.objectives] == [(7.5,)]


def test_conditional_mutual_information_against_numpy() -> None:
    rng = np.random.default_rng(2)
    logits, labels = rng.normal(size=(6, 3)), np.array([0, 2, 1, -1, 2, 0])
    centroids = np.stack([softmax(rng.normal(size=3)) for _ in range(3)])
    found = conditional_mutual_information(torch.tensor(logits), torch.tensor(centroids), torch.tensor(labels))
    for b, label in enumerate(labels):
        expected = 0.0 if label < 0 else kl(softmax(logits[b]), centroids[label])
        assert float(found[b]) == pytest.approx(expected, abs=1e-12)


def test_mcmi_raises_the_information_that_a_plain_fine_tuning_lowers(source, teacher, tmp_path: Path) -> None:
    def information(net: nn.Module) -> float:
        run = set_up_run(None, source, teacher, tmp_path)
        run.student = net.eval()
        images, labels = source.images[run.ids], source.labels[run.ids]
        with torch.no_grad():
            p = net(run.normalise(images.float() / 255)).softmax(1)
        means = torch.stack([p[labels == c].mean(0) for c in range(3)])
        return float((p * (p / means[labels]).log()).sum(1).mean())

    scene = make_scene(source, tmp_path)
    settings = {"epochs_of_tuning": 6, "lr": 0.02}
    tuned = create_treatment("mcmi", weight=1.0, **settings).prepare_teacher(teacher, scene)
    plain = create_treatment("mcmi", weight=0.0, **settings).prepare_teacher(teacher, scene)
    assert information(tuned.net) > information(plain.net)


def test_early_stop_runs_its_share_on_the_whole_schedule(source, teacher, tmp_path: Path) -> None:
    recipe = Recipe(epochs=10)
    assert StopAfter(0.3).epochs(recipe) == 3
    run = set_up_run(None, source, teacher, tmp_path)
    run.hooks = StopAfter(0.5)
    history = train(run)
    assert len(history) == 1
    assert history[-1]["lr"] == pytest.approx(run.recipe.lr_at(1.0))
    assert history[-1]["lr"] > 0.4 * run.recipe.lr
    assert "tune" in history[-1]
    for share in (0.0, 1.0):
        with pytest.raises(AlambicError, match="share"):
            create_treatment("early_stop", share=share).prepare_teacher(teacher, make_scene(source, tmp_path))


def test_wide_copy_contains_the_student_and_teaches_it(source, teacher, tmp_path: Path) -> None:
    treatment = create_treatment("wide_student", factors=[1.5, 2.0], until=1.0)
    run = set_up_run(treatment, source, teacher, tmp_path)
    student = run.student
    widths = [shape.head.in_features for shape in treatment.shapes]
    assert widths == [12, 16]
    for index in range(2):
        weights = treatment.weights_of(student, index)
        for name, own in student.named_parameters():
            block = weights[name][tuple(slice(0, n) for n in own.shape)]
            assert torch.equal(block, own), name
        run.student.zero_grad()
        torch.func.functional_call(
            treatment.shapes[index], weights, (torch.randn(4, 1, 16, 16),)
        ).square().sum().backward()
        assert all(p.grad is not None and p.grad.any() for p in student.parameters() if p.ndim > 1)
    statistics = {k: v.clone() for k, v in student.named_buffers()}
    torch.func.functional_call(treatment.shapes[1], treatment.weights_of(student, 1), (torch.randn(4, 1, 16, 16),))
    assert all(torch.equal(v, statistics[k]) for k, v in student.named_buffers())


@pytest.mark.parametrize("name", ["resnet8_w8", "dscnn_8x2", "mbv2_tiny_32", "lowrank_resnet_64"])
def test_widening_keeps_the_zoo_whole(name: str) -> None:
    net = create_student(name, 3, 32, 5)
    wide = widen(net, torch.randn(2, 3, 32, 32), 1.5)
    assert wide(torch.randn(2, 3, 32, 32)).shape == (2, 5)
    assert sum(p.numel() for p in wide.parameters()) > 1.5 * sum(p.numel() for p in net.parameters())


def test_a_student_that_its_wide_copy_does_not_contain_is_refused(source, teacher, tmp_path: Path) -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv2d(1, 4, 3, 2, 1), nn.Linear(256, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.conv(x).relu().transpose(1, 3).flatten(1))

    run = set_up_run(None, source, teacher, tmp_path)
    run.student = Flat()
    with pytest.raises(AlambicError, match="channels move"):
        create_treatment("wide_student", factors=[2.0]).attach(run, make_scene(source, tmp_path))


def test_rounding_against_numpy() -> None:
    rng = np.random.default_rng(3)
    weight = rng.normal(size=(4, 3, 2, 2)).astype(np.float32)
    found = RoundWeights()(torch.tensor(weight)).numpy()
    for o in range(4):
        scale = np.abs(weight[o]).max() / np.float32(127)
        np.testing.assert_allclose(found[o], np.round(weight[o] / scale) * scale, atol=1e-6)
        assert len(np.unique(np.round(found[o] / scale))) <= 255
    layer = RoundInput()
    values = rng.uniform(0.5, 4, size=(2, 5)).astype(np.float32)
    found = layer(torch.tensor(values)).numpy()
    scale = values.max() / 255  # the range holds 0
    np.testing.assert_allclose(found, np.round(values / scale) * scale, atol=scale * 0.51)
    layer.eval()
    x = torch.tensor([[-1.0, 2.0, 9.0]], requires_grad=True)
    layer(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[0.0, 1.0, 0.0]]  # straight through inside the range, nothing outside


def test_fake_quant_leaves_no_trace_and_trains_the_float_weights() -> None:
    net = create_student("resnet8_w8", 1, 16, 3)
    images, clean = torch.randn(8, 1, 16, 16), copy.deepcopy(net)
    insert_fake_quant(net)
    rounded = net(images)
    assert not torch.equal(rounded, clean.train()(images))
    rounded.square().sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    remove_fake_quant(net)
    for (a, x), (b, y) in zip(net.named_parameters(), clean.named_parameters(), strict=True):
        assert a == b
        assert torch.equal(x, y)


def test_qat_learns_from_labels_alone_first(source, teacher, tmp_path: Path) -> None:
    run = set_up_run(create_treatment("qat", self_study=0.5), source, teacher, tmp_path)
    history = train(run)
    assert set(history[0]["loss"]) == {"ce"}
    assert set(history[1]["loss"]) == {"ce", "kd"}


def test_shuffled_teacher_never_speaks_of_the_image_itself(source, teacher, tmp_path: Path) -> None:
    run = set_up_run(create_treatment("shuffled_teacher"), source, teacher, tmp_path)
    assert isinstance(run.feed, ShuffledFeed)
    other = run.feed.other[run.ids]
    assert not (other == run.ids).any()
    assert set(other.tolist()) == set(run.ids.tolist())
    views = torch.zeros_like(run.ids[:4])
    assert run.feed.spec == run.feed.feed.spec
    shown = run.feed(run.ids[:4], views).need_logits()
    torch.testing.assert_close(shown, run.feed.feed(other[:4], views).need_logits())


def test_branches_reach_the_teacher_and_skip_the_students_first_blocks(source, teacher) -> None:
    from alambic.training.setup import teacher_spec

    def student(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return create_student("dscnn_8x2", 1, 16, 3)

    spec = teacher_spec(teacher)
    branches = make_branches(student, spec, (1, 16, 16), "student", 0)
    stage = spec.stages[len(spec.stages) - len(branches) - 1]
    assert stage.size is not None
    given = torch.randn(4, stage.channels, *stage.size, requires_grad=True)
    branches[0](given).square().sum().backward()
    assert given.grad is not None
    assert given.grad.any()
    assert all(p.grad is None for p in branches[0].student.stem.parameters())
    assert all(p.grad is not None for p in branches[0].student.head.parameters())
    assert not any(module._forward_hooks for module in branches[0].modules())


def test_patient_mixes_and_shows_fresh_views(source, teacher, tmp_path: Path) -> None:
    run = set_up_run(create_treatment("patient", factor=2.0), source, teacher, tmp_path, method="funmatch")
    assert (run.recipe.epochs, run.views.count, run.views.mix) == (4, 0, "mixup")
    given: Inputs = gather(run, run.ids[:8], 0)
    again = gather(run, run.ids[:8], 1)
    assert given.batch.lam is not None
    assert not torch.equal(given.images, again.images)
    with pytest.raises(AlambicError, match="mixup"):
        create_treatment("patient", mix="mix").views(run.views)
