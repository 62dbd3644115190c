"""The checks that every method must pass; each raises AssertionError. ``test_suite_catches.py`` proves that they can."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from contract_nets import Pair, detach, make_pair, map_batch, map_outputs, needed, tensors_of
from torch import Tensor, nn

from alambic.errors import AlambicError
from alambic.methods.base import Batch, Method, Parts
from alambic.models.feature import Outputs
from alambic.models.taps import Tapped
from alambic.training.objective import Objective
from alambic.training.task import Task

MethodClass = type[Method]


def built(cls: MethodClass, pair: Pair, seed: int = 0, **hyper: Any) -> Method:
    """A method checked and built for a pair, from one seed."""
    method = cls(**hyper)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        method.check(pair.specs)
        method.build(pair.specs, generator)
    return method


def suitable_pair(cls: MethodClass) -> Pair:
    """The richest pair that the method accepts: five classes, three channels."""
    classes = max(5, cls.min_classes)
    for form in ("map", "tokens", "nhwc"):
        pair = make_pair(form, 3, classes)
        try:
            built(cls, pair)
        except AlambicError:
            continue
        return pair
    raise AssertionError("no teacher form with maps is accepted at five classes")


def evaluate(method: Method, s: Outputs, t: Outputs, batch: Batch, progress: float = 0.5, seed: int = 3) -> Parts:
    """The parts, from equal random numbers and without changing the method's buffers."""
    fresh = copy.deepcopy(method)
    torch.manual_seed(seed)
    return fresh.loss(s, t, batch, progress)


def total(parts: Parts) -> Tensor:
    return torch.stack([value.mean() for value in parts.values()]).sum()


def as_leaves(outputs: Outputs) -> Outputs:
    return map_outputs(outputs, lambda x: x.detach().clone().requires_grad_())


# --- gradients ---------------------------------------------------------------------------------------------------


def check_student_gradient(cls: MethodClass) -> None:
    """Each declared quantity of the student gets a finite gradient that is not zero, whole networks included."""
    pair = suitable_pair(cls)
    method = built(cls, pair)
    s, t, batch = needed(pair, method)
    leaves = as_leaves(s)
    total(evaluate(method, leaves, t, batch)).backward()
    for quantity, values in tensors_of(leaves).items():
        grads = [value.grad for value in values if value.grad is not None]
        assert grads, f"no gradient reaches the student's {quantity}"
        assert all(grad.isfinite().all() for grad in grads), f"the gradient of the student's {quantity} is not finite"
        assert any(grad.abs().sum() > 0 for grad in grads), f"the gradient of the student's {quantity} is zero"


def check_parameter_gradient(cls: MethodClass) -> None:
    """After one step (for zero-initialised layers) each parameter of the method gets a gradient that is not zero."""
    pair = suitable_pair(cls)
    method = built(cls, pair)
    s, t, batch = needed(pair, method)
    parameters = dict(method.named_parameters())
    hidden = [name for name, value in hidden_tensors(method) if value.requires_grad]
    assert not hidden, f"learned tensors that no optimiser sees: {hidden}; register them as nn.Parameter"
    if not parameters:
        return
    optimizer = torch.optim.SGD(method.parameters(), lr=1e-2)
    for _ in range(2):
        optimizer.zero_grad()
        total(method.loss(s, t, batch, 0.5)).backward()
        nn.utils.clip_grad_norm_(method.parameters(), 1.0)
        optimizer.step()
        method.after_step()
    for name, value in parameters.items():
        assert value.grad is not None, f"no gradient reaches the method's parameter {name}"
        assert value.grad.isfinite().all(), f"the gradient of the method's parameter {name} is not finite"
        assert value.grad.abs().sum() > 0, f"the gradient of the method's parameter {name} is zero"


def hidden_tensors(method: Method) -> Iterator[tuple[str, Tensor]]:
    """Tensors and modules' parameters that stand in plain attributes, lists, tuples or dicts: not in state_dict."""

    def walk(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
        if isinstance(value, Tensor):
            yield name, value
        elif isinstance(value, nn.Module):
            for inner, parameter in value.named_parameters():
                yield f"{name}.{inner}", parameter
        elif isinstance(value, dict):
            for key, item in value.items():
                yield from walk(f"{name}[{key}]", item)
        elif isinstance(value, list | tuple | set):
            for i, item in enumerate(value):
                yield from walk(f"{name}[{i}]", item)

    own = ("_parameters", "_buffers", "_modules")
    for path, module in method.named_modules():
        for name, value in vars(module).items():
            if name not in own:
                yield from walk(f"{path}.{name}".lstrip("."), value)


def check_teacher_untouched(cls: MethodClass) -> None:
    """A whole step on live networks: the student learns, the teacher has no gradient, no mode and no buffer changed."""
    pair = suitable_pair(cls)
    student, teacher = copy.deepcopy(pair.student), copy.deepcopy(pair.teacher).eval().requires_grad_(False)
    method = cls()
    objective = Objective([method], Task(pair.specs.classes), ce_weight=0.0)
    objective.build(pair.specs, torch.Generator().manual_seed(0))
    before = copy.deepcopy(teacher.state_dict())
    student.train()
    small, large = pair.images
    want_s, want_t = method.needs.student | {"logits"}, method.needs.teacher | {"logits"}
    seen = Tapped(student, small, want_s - {"tail"})(small)
    with torch.no_grad():
        taught = replace(Tapped(teacher, large, want_t - {"tail"})(large), tail=pair.t.tail)
    _, _, batch = needed(pair, method)
    kept = detach(taught)
    objective(seen, taught, batch, 0.5).backward()
    for old, new in zip(flat(kept), flat(taught), strict=True):
        assert torch.equal(old, new), "the loss changed the teacher's outputs in place"
    for name, parameter in teacher.named_parameters():
        assert parameter.grad is None, f"the teacher's parameter {name} got a gradient"
        assert not parameter.requires_grad, f"the loss switched on the gradient of the teacher's {name}"
    for name, value in teacher.state_dict().items():
        assert torch.equal(value, before[name]), f"the teacher's {name} changed"
    assert not any(module.training for module in teacher.modules()), "a part of the teacher left evaluation mode"
    mine = {parameter.data_ptr() for parameter in teacher.parameters()}
    shared = [name for name, parameter in method.named_parameters() if parameter.data_ptr() in mine]
    assert not shared, f"the method's parameters {shared} are the teacher's own tensors: an optimiser would train them"
    if method.needs.student:
        gained = [p for p in student.parameters() if p.grad is not None and p.grad.abs().sum() > 0]
        assert gained, "no parameter of the student got a gradient"


def flat(outputs: Outputs) -> list[Tensor]:
    return [value for values in tensors_of(outputs).values() for value in values]


# --- needs ---------------------------------------------------------------------------------------------------------


class Recorded(Outputs):
    """Outputs that note which quantities are read."""

    def __getattribute__(self, name: str) -> Any:
        if name in {field.name for field in fields(Outputs)}:
            object.__getattribute__(self, "__dict__").setdefault("_read", set()).add(name)
        return object.__getattribute__(self, name)

    @classmethod
    def of(cls, outputs: Outputs) -> Recorded:
        return cls(**{field.name: getattr(outputs, field.name) for field in fields(Outputs)})

    @property
    def read(self) -> set[str]:
        return set(object.__getattribute__(self, "__dict__").get("_read", set()))


class RecordedBatch(Batch):
    """A batch that notes which fields are read."""

    def __getattribute__(self, name: str) -> Any:
        if name in {field.name for field in fields(Batch)}:
            object.__getattribute__(self, "__dict__").setdefault("_read", set()).add(name)
        return object.__getattribute__(self, name)

    @property
    def read(self) -> set[str]:
        return set(object.__getattribute__(self, "__dict__").get("_read", set()))


def check_needs(cls: MethodClass) -> None:
    """The method reads each quantity that it declares, and no other; labels together with their mixing."""
    pair = suitable_pair(cls)
    method = built(cls, pair)
    s, t, batch = needed(pair, method)
    watched = [Recorded.of(s), Recorded.of(t)]
    second = None if batch.second is None else (Recorded.of(batch.second[0]), Recorded.of(batch.second[1]))
    note = RecordedBatch(batch.labels, batch.ids, None, None, None, second)
    evaluate(method, watched[0], watched[1], note)
    for side, declared, seen in zip(("student", "teacher"), (method.needs.student, method.needs.teacher), watched, strict=True):
        extra, idle = seen.read - declared, declared - seen.read
        assert not extra, f"reads the {side}'s {sorted(extra)} without declaring it"
        assert not idle, f"declares the {side}'s {sorted(idle)} but never reads it"
    labels, mixing = "labels" in note.read, {"partner", "lam"} <= note.read
    assert labels == method.needs.labels, f"needs.labels is {method.needs.labels}, but labels are read: {labels}"
    assert not labels or mixing, "reads labels but not batch.partner and batch.lam: a mixed image would pass as pure"
    assert ("ids" in note.read) == method.needs.ids, "needs.ids does not say whether batch.ids is read"
    assert ("second" in note.read) == (method.needs.views == 2), "needs.views does not say whether a second view is read"
    if second is not None:
        assert second[0].read or second[1].read, "declares two views but reads neither network's second one"


# --- values --------------------------------------------------------------------------------------------------------


def check_shapes(cls: MethodClass) -> None:
    """Sample parts hold B different values, batch parts are 0-d, and both are declared as what they are."""
    pair = suitable_pair(cls)
    method = built(cls, pair)
    parts = evaluate(method, *needed(pair, method))
    assert parts or cls.family == "baseline", "the loss has no part"
    rows = len(pair.batch.labels)
    for name, value in parts.items():
        if name in cls.batch_parts:
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

    cases: dict[str, tuple[Outputs, Outputs, float]] = {
        "at the start": (s, t, 0.0),
        "at the end": (s, t, 1.0),
        "with logits of a hundred": (scaled(s, 30.0), scaled(t, 30.0), 0.5),
        "with a student that gives zeros": (collapsed(s), t, 0.5),
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
    low = map_outputs(s, lambda x: x.bfloat16())
    state = copy.deepcopy(method.state_dict())
    torch.manual_seed(3)
    expected = objective(map_outputs(low, lambda x: x.float()), t, batch, 0.5).total
    method.load_state_dict(state)
    torch.manual_seed(3)
    with torch.autocast("cpu", torch.bfloat16):
        got = objective(as_leaves(low), t, batch, 0.5).total
    assert got.dtype == torch.float32, f"the loss is {got.dtype} under autocast, expected float32"
    assert got.isfinite(), "the loss is not finite under autocast"
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-6)


def check_permutation(cls: MethodClass) -> None:
    """Permuting the batch permutes the sample parts and leaves the batch parts."""
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
    for name, value in before.items():
        expected = value if name in cls.batch_parts else value[order]
        scale = float(value.abs().max())
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
    parts = method.loss(as_leaves(s), t, batch, 0.25)
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

    if "tail" in method.needs.teacher:
        return
    parts = method.loss(map_outputs(s, to_meta), map_outputs(t, to_meta), map_batch(batch, to_meta), 0.5)
    assert all(value.device.type == "meta" for value in parts.values()), "a part is not on the inputs' device"


# --- labels --------------------------------------------------------------------------------------------------------


def check_labels(cls: MethodClass) -> None:
    """A batch without labels gives a finite loss; a row's missing label does not disturb another row's value.

    A mixed batch with lam = 1 is a pure batch; one whose partner has the same label too.
    """
    pair = suitable_pair(cls)
    method = built(cls, pair)
    s, t, batch = needed(pair, method)
    if not cls.needs.labels:
        return
    none = evaluate(method, s, t, replace(batch, labels=torch.full_like(batch.labels, -1)))
    assert all(value.isfinite().all() for value in none.values()), "the loss of unlabelled images is not finite"
    some = batch.labels.clone()
    some[::3] = -1
    full, partial = evaluate(method, s, t, batch), evaluate(method, s, t, replace(batch, labels=some))
    known = some >= 0
    for name, value in full.items():
        assert partial[name].isfinite().all(), f"part {name!r} is not finite where some labels are missing"
        if name not in cls.batch_parts:
            torch.testing.assert_close(
                partial[name][known], value[known], rtol=1e-4, atol=1e-6, msg=f"{name}: a missing label moved other rows"
            )
    partner = batch.labels.flip(0)
    ones = torch.ones(len(partner))
    for what, mixed in {
        "lam = 1": replace(batch, partner=partner, lam=ones),
        "equal labels": replace(batch, partner=batch.labels.clone(), lam=ones * 0.3),
    }.items():
        for name, value in evaluate(method, s, t, mixed).items():
            torch.testing.assert_close(
                value, full[name], rtol=1e-4, atol=1e-5, msg=lambda m, n=name, w=what: f"mixing with {w}, part {n!r}: {m}"
            )
    half = evaluate(method, s, t, replace(batch, partner=partner, lam=ones * 0.5))
    assert any(not torch.allclose(half[name], value) for name, value in full.items()), "mixing changes nothing"


def check_unlabelled_pure(cls: MethodClass) -> None:
    """``pure`` without labels treats all classes alike: renaming the classes changes nothing (no leak of class 0)."""
    if not cls.needs.labels or cls.pure is None or cls.pure_input != "logits":
        return
    student, teacher = torch.randn(2, 6, 5, dtype=torch.float64)
    missing, order = torch.full((6,), -1), torch.tensor([3, 0, 4, 1, 2])
    one = cls.pure(student, teacher, missing)
    other = cls.pure(student[:, order], teacher[:, order], missing)
    assert one.isfinite().all(), "pure is not finite without labels"
    torch.testing.assert_close(one, other, msg="pure treats one class specially where there is no label")


# --- refusals and pairs --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """What became of a pair: accepted, or refused with the reason."""

    pair: str
    reason: str = ""


def try_pair(cls: MethodClass, pair: Pair) -> Verdict:
    """Builds and differentiates a method on a pair. Anything but an AlambicError at construction is a fault."""
    what = f"{pair.form} teacher, {pair.images[0].shape[1]} channels, {pair.specs.classes} classes"
    try:
        method = built(cls, pair)
    except AlambicError as refusal:
        reason = str(refusal)
        assert "expected" in reason, f"{what}: the refusal does not say what was expected: {reason}"
        assert "got" in reason, f"{what}: the refusal does not say what it got: {reason}"
        assert "because" in reason or "try" in reason, f"{what}: the refusal gives neither reason nor way out: {reason}"
        return Verdict(what, reason)
    s, t, batch = needed(pair, method)
    leaves = as_leaves(s)
    parts = method.loss(leaves, t, batch, 0.5)
    if parts:
        value = total(parts)
        assert value.isfinite(), f"{what}: the loss is not finite"
        value.backward()
        if flat(leaves):
            moved = [x.grad for x in flat(leaves) if x.grad is not None and x.grad.abs().sum() > 0]
            assert moved, f"{what}: accepted, but the student gets no gradient"
    return Verdict(what)


def check_class_counts(cls: MethodClass) -> None:
    """Refused below ``min_classes`` with the reason, works at it; one logit counts as one class."""
    fewest = cls.min_classes
    assert fewest >= 1, f"min_classes is {fewest}"
    assert fewest <= 2 or cls.degenerate, "min_classes above 2 needs `degenerate`: the reason"
    accepted = [form for form in ("map", "tokens", "nhwc") if not try_pair(cls, make_pair(form, 3, fewest)).reason]
    assert accepted, f"accepts no teacher at its own min_classes = {fewest}"
    if fewest > 1:
        verdict = try_pair(cls, make_pair("map", 3, fewest - 1))
        assert verdict.reason, f"accepts {fewest - 1} classes, below min_classes = {fewest}"
        assert (cls.degenerate or "constant") in verdict.reason, f"the refusal hides its reason: {verdict.reason}"


def check_other_classes(cls: MethodClass) -> None:
    """A teacher with other classes: logit methods refuse, those that read neither logits nor head work."""
    classes = max(5, cls.min_classes)
    pair = make_pair(suitable_pair(cls).form, 3, classes, classes + 2)
    verdict = try_pair(cls, pair)
    if "logits" in cls.needs.teacher:
        assert verdict.reason, "reads the teacher's logits and accepts a teacher with other classes"
    elif not cls.needs.teacher & {"head", "tail"}:
        assert not verdict.reason, f"reads no logits but refuses a teacher with other classes: {verdict.reason}"


Check = Callable[[MethodClass], None]
CHECKS: dict[str, Check] = {
    "student_gradient": check_student_gradient,
    "parameter_gradient": check_parameter_gradient,
    "teacher_untouched": check_teacher_untouched,
    "needs": check_needs,
    "shapes": check_shapes,
    "finite": check_finite,
    "autocast": check_autocast,
    "permutation": check_permutation,
    "random_numbers": check_random_numbers,
    "state": check_state,
    "device": check_device,
    "labels": check_labels,
    "unlabelled_pure": check_unlabelled_pure,
    "class_counts": check_class_counts,
    "other_classes": check_other_classes,
}
