"""Shapes and values: finite, in fp32, independent of the batch's order, the seed and the device."""

from __future__ import annotations

import copy
import io
from dataclasses import replace

import torch
from contract_nets import map_batch, map_outputs, needed
from contract_tools import (
    MethodClass,
    as_leaves,
    built,
    evaluate,
    flat,
    is_batch_part,
    moments,
    run,
    suitable_pair,
    total,
)
from torch import Tensor

from alambic.models.feature import Outputs
from alambic.training.objective import Objective
from alambic.training.task import Task


def check_shapes(cls: MethodClass) -> None:
    """Sample parts hold B different values, batch parts are 0-d, and both are declared as what they are."""
    pair = suitable_pair(cls)
    method = built(cls, pair)
    parts = evaluate(method, *needed(pair, method))
    assert parts or cls.family == "baseline", "the loss has no part"
    rows = len(pair.batch.labels)
    for name, value in parts.items():
        if is_batch_part(cls, name):
            assert value.ndim == 0, f"part {name!r} is in batch_parts but has shape {tuple(value.shape)}, not ()"
            continue
        assert tuple(value.shape) == (rows,), f"part {name!r} has shape {tuple(value.shape)}, expected ({rows},)"
        assert value.stride() != (0,), f"part {name!r} is one value expanded to the batch; name it in batch_parts"
        assert value.abs().max() == 0 or value.max() > value.min(), f"part {name!r} has one value for the whole batch"
    absent = cls.batch_parts - set(parts)
    assert not absent, f"batch_parts names {sorted(absent)}, which the loss does not return"


def check_finite(cls: MethodClass) -> None:
    """Values and gradients stay finite at each end of the training, for saturated logits and for a dead student."""
    pair = suitable_pair(cls)
    method = built(cls, pair)
    s, t, batch = needed(pair, method)

    def scaled(outputs: Outputs, factor: float) -> Outputs:
        return map_outputs(outputs, lambda x: x * factor)

    def collapsed(outputs: Outputs) -> Outputs:
        return map_outputs(outputs, torch.zeros_like)

    cases: dict[str, tuple[Outputs, Outputs, float | None]] = {
        "at the start": (s, t, 0.0),
        "at the end": (s, t, 1.0),
        "with logits of a hundred": (scaled(s, 30.0), scaled(t, 30.0), None),
        "with a student that gives zeros": (collapsed(s), t, None),
    }
    for what, (student, teacher, progress) in cases.items():
        leaves = as_leaves(student)
        parts = evaluate(method, leaves, teacher, batch, progress)
        if not parts:
            continue
        assert all(value.isfinite().all() for value in parts.values()), f"the loss is not finite {what}"
        if total(parts).requires_grad:
            total(parts).backward()
        grads = [x.grad for x in flat(leaves) if x.grad is not None]
        assert all(grad.isfinite().all() for grad in grads), f"the gradient is not finite {what}"


def check_autocast(cls: MethodClass) -> None:
    """Under bf16 autocast the objective gives the very value that fp32 gives on the rounded outputs."""
    pair = suitable_pair(cls)
    method = built(cls, pair)
    objective = Objective([method], Task(pair.specs.classes), ce_weight=0.0)
    s, t, batch = needed(pair, method)
    s, t = replace(s, logits=pair.s.logits), map_outputs(t, lambda x: x)
    low = replace(map_outputs(s, lambda x: x.bfloat16()), head=s.head)  # autocast leaves weights in fp32
    state, progress = copy.deepcopy(method.state_dict()), moments(cls)[-1]
    torch.manual_seed(3)
    expected = objective(map_outputs(low, lambda x: x.float()), t, batch, progress).total
    method.load_state_dict(state)
    torch.manual_seed(3)
    with torch.autocast("cpu", torch.bfloat16):
        got = objective(as_leaves(low), t, batch, progress).total
    assert got.dtype == torch.float32, f"the loss is {got.dtype} under autocast, expected float32"
    assert got.isfinite(), "the loss is not finite under autocast"
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-6)


def check_permutation(cls: MethodClass) -> None:
    """Permuting the batch permutes the sample parts and leaves the batch parts, unless ``order_dependent`` says why."""
    pair = suitable_pair(cls)
    method = built(cls, pair)
    s, t, batch = needed(pair, method)
    if cls.stochastic:
        return  # each row draws its own numbers; check_random_numbers holds the declaration to account
    order = torch.randperm(len(batch.labels), generator=torch.Generator().manual_seed(4))

    def permute(x: Tensor) -> Tensor:
        return x[order]

    def permute_rows(outputs: Outputs) -> Outputs:
        return replace(map_outputs(replace(outputs, head=None), permute), head=outputs.head)

    second = None if batch.second is None else (permute_rows(batch.second[0]), permute_rows(batch.second[1]))
    turned = replace(map_batch(replace(batch, second=None), permute), second=second)
    before = evaluate(method, s, t, batch)
    after = evaluate(method, permute_rows(s), permute_rows(t), turned)
    if cls.order_dependent:
        assert not torch.allclose(total(after), total(before), rtol=1e-4), "order_dependent is said, but order is inert"
        return
    for name, value in before.items():
        expected = value if is_batch_part(cls, name) else value[order]
        scale = float(value.detach().abs().max())
        torch.testing.assert_close(
            after[name], expected, rtol=2e-3, atol=1e-5 * scale + 1e-7, msg=lambda m, n=name: f"part {n!r}: {m}"
        )


def check_random_numbers(cls: MethodClass) -> None:
    """``stochastic`` says whether the loss draws random numbers; the build depends on the generator alone."""
    pair = suitable_pair(cls)
    method, twin = built(cls, pair, seed=0), built(cls, pair, seed=0)
    for (name, mine), theirs in zip(method.state_dict().items(), twin.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs), f"two builds from one seed differ in {name}"
    inputs = needed(pair, method)
    first, second = evaluate(method, *inputs, seed=5), evaluate(method, *inputs, seed=6)
    draws = any(not torch.equal(value, second[name]) for name, value in first.items())
    assert draws == cls.stochastic, f"stochastic is {cls.stochastic}, but other random numbers change the loss: {draws}"


def check_state(cls: MethodClass) -> None:
    """A saved state, loaded into an instance built from another seed, gives the same loss."""
    pair = suitable_pair(cls)
    method, other = built(cls, pair, seed=0), built(cls, pair, seed=1)
    s, t, batch = needed(pair, method)
    parts = run(method, as_leaves(s), t, batch)
    if parts and any(True for _ in method.parameters()):
        total(parts).backward()
        torch.optim.SGD(method.parameters(), lr=1e-4).step()
    method.after_step()
    file = io.BytesIO()
    torch.save(method.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    expected, got = evaluate(method, s, t, batch), evaluate(other, s, t, batch)
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value, rtol=1e-6, atol=1e-8, msg=f"part {name!r} differs after loading")


def check_device(cls: MethodClass) -> None:
    """On tensors without data nothing may be read back, branched on, masked out or made on the CPU.

    What fails here would stall a GPU at each step, or fail on it.
    """
    pair = suitable_pair(cls)
    method = built(cls, pair).to("meta")
    s, t, batch = needed(pair, method)

    def to_meta(x: Tensor) -> Tensor:
        return x.to("meta")

    parts = run(method, map_outputs(s, to_meta), map_outputs(t, to_meta), map_batch(batch, to_meta))
    assert all(value.device.type == "meta" for value in parts.values()), "a part is not on the inputs' device"
