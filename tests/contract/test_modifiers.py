"""The contract of every modifier: runs by itself over each modifier of ``alambic/treatments``."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from contract_golden import FOLDER, load_reference
from contract_nets import Pair, make_pair, map_batch, map_outputs, pick
from contract_tools import as_leaves, pair_for
from torch import Tensor

from alambic.errors import AlambicError
from alambic.methods import all_methods, create_method
from alambic.methods.base import Method
from alambic.methods.modifier import Modifier
from alambic.models.feature import Outputs
from alambic.training.objective import Objective
from alambic.training.task import Task
from alambic.treatments import all_modifiers, create_modifier
from alambic.treatments.calibrated_temperature import adaptive_calibration_error, fit_temperature
from alambic.treatments.ctkd import reversal_strength

NAMES = sorted(all_modifiers())


def made(name: str) -> Modifier:
    """A modifier with settings under which it changes something, built for the common pair."""
    hyper = getattr(load_reference(name, FOLDER / "modifiers"), "HYPER", {})
    modifier = create_modifier(name, **hyper)
    modifier.check(make_pair().specs)
    modifier.build(make_pair().specs, torch.Generator().manual_seed(0))
    return modifier


def logits_of(pair: Pair) -> tuple[Outputs, Outputs]:
    names = frozenset({"logits"})
    return pick(pair.s, names), pick(pair.t, names)


def objective_of(name: str | None, pair: Pair) -> Objective:
    """KD at temperature 1 under a modifier."""
    modifiers = [] if name is None else [made(name)]
    objective = Objective([create_method("kd", temperature=1.0)], Task(pair.specs.classes), modifiers, ce_weight=0.0)
    objective.build(pair.specs, torch.Generator().manual_seed(0))
    return objective


@pytest.mark.parametrize("name", NAMES)
def test_reference(name: str) -> None:
    module = load_reference(name, FOLDER / "modifiers")
    modifier, pair = made(name).double(), make_pair()
    s, t = (map_outputs(o, lambda x: x.double()) for o in logits_of(pair))
    for progress in (0.0, 0.02, 1.0):
        seen_s, seen_t = modifier.transform(s, t, progress)
        weight = modifier.sample_weight(s, t, pair.batch, progress)
        expected = module.reference(s.need_logits().numpy(), t.need_logits().numpy(), modifier, progress)
        weights = np.ones(len(pair.batch.labels)) if weight is None else weight.detach().numpy()
        assert weights.shape == (len(pair.batch.labels),)
        np.testing.assert_allclose(seen_s.need_logits().detach().numpy(), expected[0], rtol=1e-6)
        np.testing.assert_allclose(seen_t.need_logits().detach().numpy(), expected[1], rtol=1e-6)
        np.testing.assert_allclose(weights, expected[2], rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_changes_the_loss_and_only_logits(name: str) -> None:
    pair = make_pair()
    s, t = logits_of(pair)
    plain = objective_of(None, pair)(s, t, pair.batch, 0.5).total
    changed = objective_of(name, pair)(s, t, pair.batch, 0.5).total
    assert not torch.allclose(plain, changed)
    seen_s, seen_t = made(name).transform(pair.s, pair.t, 0.5)
    for before, after in ((pair.s, seen_s), (pair.t, seen_t)):
        assert after.embedding is before.embedding
        assert after.stages is before.stages


@pytest.mark.parametrize("name", NAMES)
def test_gradients(name: str) -> None:
    pair = make_pair()
    s, t = logits_of(pair)
    objective, leaves = objective_of(name, pair), as_leaves(s)
    objective(leaves, t, pair.batch, 0.5).backward()
    grad = leaves.need_logits().grad
    assert grad is not None
    assert grad.isfinite().all()
    assert grad.abs().sum() > 0
    for parameter in objective.modifiers[0].parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0


@pytest.mark.parametrize("name", NAMES)
def test_finite_for_saturated_and_dead_logits(name: str) -> None:
    pair = make_pair()
    s, t = logits_of(pair)
    cases: list[tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = [
        (lambda x: x * 100, lambda x: x * 100),
        (torch.zeros_like, lambda x: x),
        (lambda x: x, torch.zeros_like),
    ]
    for change_s, change_t in cases:
        leaves = as_leaves(map_outputs(s, change_s))
        value = objective_of(name, pair)(leaves, map_outputs(t, change_t), pair.batch, 0.5)
        assert value.total.isfinite()
        value.backward()
        grad = leaves.need_logits().grad
        assert grad is not None
        assert grad.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_permutation(name: str) -> None:
    pair, order = make_pair(), torch.randperm(10)
    s, t = logits_of(pair)
    turned = map_batch(replace(pair.batch, second=None), lambda x: x[order])
    objective = objective_of(name, pair)
    before = objective(s, t, pair.batch, 0.5).total
    after = objective(map_outputs(s, lambda x: x[order]), map_outputs(t, lambda x: x[order]), turned, 0.5).total
    torch.testing.assert_close(after, before)


@pytest.mark.parametrize("name", NAMES)
def test_autocast_computes_in_float32(name: str) -> None:
    pair = make_pair()
    s, t = logits_of(pair)
    low = map_outputs(s, lambda x: x.bfloat16())
    expected = objective_of(name, pair)(map_outputs(low, lambda x: x.float()), t, pair.batch, 0.5).total
    with torch.autocast("cpu", torch.bfloat16):
        got = objective_of(name, pair)(low, t, pair.batch, 0.5).total
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("name", NAMES)
def test_reads_nothing_back_from_the_device(name: str) -> None:
    pair = make_pair()
    s, t = (map_outputs(o, lambda x: x.to("meta")) for o in logits_of(pair))
    batch = map_batch(replace(pair.batch, second=None), lambda x: x.to("meta"))
    modifier = made(name).to("meta")
    seen_s, seen_t = modifier.transform(s, t, 0.5)
    weight = modifier.sample_weight(s, t, batch, 0.5)
    for value in (seen_s.need_logits(), seen_t.need_logits(), *([] if weight is None else [weight])):
        assert value.device.type == "meta"


@pytest.mark.parametrize("name", NAMES)
def test_state_survives_saving(name: str) -> None:
    pair = make_pair()
    s, t = logits_of(pair)
    first, second = objective_of(name, pair), objective_of(name, pair)
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.add_(0.3)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second.load_state_dict(torch.load(file, weights_only=True))
    torch.testing.assert_close(first(s, t, pair.batch, 0.5).total, second(s, t, pair.batch, 0.5).total)


@pytest.mark.parametrize("name", NAMES)
def test_every_method_works_or_is_refused_with_the_reason(name: str) -> None:
    accepted = []
    for method_name in all_methods():
        pair = pair_for(all_methods()[method_name], "map", 3, 5)
        method, reason = at_temperature_one(method_name), ""
        try:
            objective = Objective([method], Task(5), [made(name)], ce_weight=0.0)
        except AlambicError as refusal:
            reason = str(refusal)
        if reason:
            assert re.search("expected .* got .* because .* try ", reason), reason
            continue
        assert method.family == "logit"
        objective.build(pair.specs, torch.Generator().manual_seed(0))
        s = pick(pair.s, method.needs.student | {"logits"})
        t = pick(pair.t, method.needs.teacher | {"logits"})
        leaves = as_leaves(s)
        value = objective(leaves, t, pair.batch, 0.5)
        assert value.total.isfinite()
        value.backward()
        accepted.append(method_name)
    assert {"kd", "dkd", "ofa_logit"} <= set(accepted)


def at_temperature_one(name: str) -> Method:
    settings = {"temperature": 1.0} if "temperature" in all_methods()[name].hyper_defaults() else {}
    return create_method(name, **settings)


@pytest.mark.parametrize("name", NAMES)
def test_facts(name: str) -> None:
    cls = all_modifiers()[name]
    assert create_modifier(name).name == name
    assert cls.paper.title
    assert cls.paper.authors
    assert re.fullmatch(r"\d{4}\.\d{4,5}", cls.paper.arxiv)
    assert cls.formula
    assert cls.fidelity in ("A", "B", "C")
    assert cls.__doc__
    assert re.search(r"\[(C|R|A|N|M)\]", cls.evidence)


def test_unknown_modifier_names_the_nearest() -> None:
    with pytest.raises(AlambicError, match="'lskd'"):
        create_modifier("lsdk")
    with pytest.raises(AlambicError, match="has no setting 'temprature'"):
        create_modifier("ea_kd", temprature=2.0)


@pytest.mark.parametrize(
    ("name", "classes", "reason"), [("lskd", 2, "sign"), ("ea_kd", 1, "entropy"), ("ctkd", 1, "softmax")]
)
def test_degenerate_tasks_are_refused(name: str, classes: int, reason: str) -> None:
    with pytest.raises(AlambicError, match=reason):
        create_modifier(name).check(make_pair("map", 3, classes).specs)


@pytest.mark.parametrize(
    ("modifier", "method", "reason"),
    [
        ("ea_kd", "dist", "whole batch"),
        ("lskd", "ofa", "exits"),
        ("lskd", "rsd", "logit losses"),
        ("ctkd", "kd", "temperature"),
        ("ctkd", "rld", "confidence_temperature = "),
        ("calibrated_temperature", "subclass", "teacher of the task's classes"),
    ],
)
def test_wrong_methods_are_refused(modifier: str, method: str, reason: str) -> None:
    with pytest.raises(AlambicError, match=reason):
        Objective([create_method(method)], Task(5), [create_modifier(modifier)])


def test_lskd_ignores_shift_and_scale() -> None:
    pair = make_pair()
    s, t = logits_of(pair)
    seen, _ = made("lskd").transform(s, t, 0.5)
    moved, _ = made("lskd").transform(map_outputs(s, lambda x: 3 * x + 7), t, 0.5)
    torch.testing.assert_close(seen.need_logits(), moved.need_logits())


def test_ea_kd_weight_has_no_gradient_and_follows_uncertainty() -> None:
    flat, sharp = torch.zeros(1, 5), torch.tensor([[50.0, 0, 0, 0, 0]])
    student = torch.cat([flat, flat, sharp]).requires_grad_()
    teacher = torch.cat([flat, sharp, flat])
    weight = made("ea_kd").sample_weight(Outputs(logits=student), Outputs(logits=teacher), make_pair().batch, 0.5)
    assert weight is not None
    assert not weight.requires_grad
    np.testing.assert_allclose(weight.numpy(), [np.log(5), 0, np.log(5) / 2], atol=1e-4)


def test_ctkd_ascends_the_loss_with_growing_strength() -> None:
    """The student's own gradient is not reversed; theta's is, and not at all at the start."""
    pair = make_pair()
    s, t = logits_of(pair)

    def slope(progress: float) -> tuple[float, float]:
        objective = objective_of("ctkd", pair)
        theta: Any = objective.modifiers[0].theta
        objective(s, t, pair.batch, progress).backward()
        with torch.no_grad():
            values = []
            for step in (0.01, -0.01):
                theta.add_(step)
                values.append(float(objective(s, t, pair.batch, progress).total))
                theta.sub_(step)
        return float(theta.grad), (values[0] - values[1]) / 0.02

    given, true = slope(1.0)
    np.testing.assert_allclose(given, -true, rtol=1e-2)
    assert slope(0.0)[0] == 0
    assert [reversal_strength(p, 10 / 240) for p in (0.0, 5 / 240, 10 / 240, 1.0)] == pytest.approx([0, 0.5, 1, 1])


@pytest.mark.parametrize("criterion", ["ace", "nll"])
def test_fit_temperature_finds_the_overconfidence(criterion: str) -> None:
    """Labels drawn from softmax(z): logits multiplied by 3 need the temperature 3."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(6000, 4, generator=generator) * 1.5
    labels = torch.multinomial(z.softmax(1), 1, generator=generator)[:, 0]
    labels[:50] = -1
    assert fit_temperature(3 * z, labels, criterion) == pytest.approx(3.0, rel=0.12)
    known = labels >= 0
    assert adaptive_calibration_error(z[known], labels[known]) < 0.03
    assert adaptive_calibration_error(3 * z[known], labels[known]) > 0.1
    with pytest.raises(AlambicError, match="expected at least two labelled rows"):
        fit_temperature(z, torch.full_like(labels, -1))


def test_calibrated_temperature_refuses_nonsense() -> None:
    with pytest.raises(AlambicError, match="above 0"):
        create_modifier("calibrated_temperature", temperature=0.0)
