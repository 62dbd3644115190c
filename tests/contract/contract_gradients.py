"""Gradients reach the student, the projectors and the learned scalars, and never the teacher."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from contract_nets import detach, needed, tensors_of
from contract_tools import MethodClass, as_leaves, built, evaluate, flat, moments, run, suitable_pair, total
from torch import Tensor, nn

from alambic.methods.base import Method
from alambic.models.taps import Tapped
from alambic.training.objective import Objective
from alambic.training.task import Task


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
        total(run(method, s, t, batch)).backward()
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
    seen = Tapped(student, small, want_s)(small)
    with torch.no_grad():
        taught = Tapped(teacher, large, want_t)(large)
    _, _, batch = needed(pair, method)
    kept = detach(taught)
    losses = [objective(seen, taught, batch, moment).total for moment in moments(cls)]  # each stage of the training
    torch.stack(losses).sum().backward()
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
