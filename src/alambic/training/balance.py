"""Weights by gradients: how much a method must weigh so that it pulls at the start as hard as cross-entropy does."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from itertools import islice

import torch
from torch import Tensor

from alambic.errors import AlambicError
from alambic.functional.schedule import SCHEDULES
from alambic.methods.base import Method
from alambic.training.hooks import judge, see
from alambic.training.loop import Run, batches, gather
from alambic.training.objective import Objective, check_weight
from alambic.training.recipe import drawing, stream, stream_seed

BATCHES = 4


def balance(run: Run, multiple: float) -> tuple[float, ...]:
    """The weight of each of the run's methods at which its gradient is ``multiple`` times cross-entropy's.

    Cross-entropy counts with weight 1; the objective's own weights stay as shares between several methods.
    Gradients are those of the student's weights, meaned over the first batches of the first epoch, before any step.
    A method with stages of pre-training is measured in the first stage in which it reaches the student, one with a
    warm-up in the middle of its training; a schedule, which may be 0 there, comes on top of the weight. Nothing of the
    run changes. Raises AlambicError where a method gives the student no gradient at the start.
    """
    student = {name: value.clone() for name, value in run.student.state_dict().items()}
    objective = deepcopy(run.objective)  # a method may keep more than its state_dict tells
    objective.schedules = (SCHEDULES["constant"],) * len(objective.methods)
    order = run.ids[torch.randperm(len(run.ids), generator=stream(run.seed, "order", 0))]
    with drawing(stream_seed(run.seed, "balance"), run.device):
        run.student.train()
        objective.train()
        ids = [rows for _, rows in islice(batches(run, order), BATCHES)]
        task = _norm(run, (_task_loss(run, rows) for rows in ids))
        found = []
        for method, weight in zip(objective.methods, objective.weights, strict=True):
            norm = _distillation_norm(run, objective, method, ids)
            if not norm > 0:
                raise AlambicError(
                    f"method {method.name!r}: expected a gradient of the student at the start, got {norm}, because its "
                    "weight is set against cross-entropy's; try a weight of your own"
                )
            needed = multiple * weight * weight * task / norm
            check_weight(method, needed, objective.ce_weight, f" by a balance of {multiple:g}")
            found.append(needed)
    run.student.load_state_dict(student)
    return tuple(found)


def _task_loss(run: Run, ids: Tensor) -> Tensor:
    given = gather(run, ids, 0)
    batch = given.batch
    return run.objective.task.loss(see(run, given.images).need_logits().float(), batch.labels, batch.partner, batch.lam)


def _distillation_norm(run: Run, objective: Objective, method: Method, ids: list[Tensor]) -> float:
    """Of the method's weighted parts, in the first of its stages that reaches the student."""
    alone = len(objective.methods) == 1
    for progress in middles(method):

        def parts(progress: float = progress) -> Iterable[Tensor]:
            for rows in ids:
                loss = judge(run, gather(run, rows, 0), progress, objective=objective)
                own = [
                    value
                    for name, value in loss.parts.items()
                    if name != "ce" and (alone or name == method.name or name.startswith(f"{method.name}."))
                ]
                if own and any(value.requires_grad for value in own):
                    yield torch.stack(own).sum()
                objective.after_step()

        norm = _norm(run, parts())
        if norm > 0:
            return norm
    return 0.0


def middles(method: Method) -> list[float]:
    """Progress in the middle of each stage of pre-training, then of the main stage."""
    found, end = [], 0.0
    for _, share in method.stages:
        found.append(end + share / 2)
        end += share
    return [*found, (1 + end) / 2]


def _norm(run: Run, losses: Iterable[Tensor]) -> float:
    """Norm of the mean gradient of the student's weights over some losses; 0 where none reaches it."""
    weights = [p for p in run.student.parameters() if p.requires_grad]
    sums, count = [torch.zeros_like(p) for p in weights], 0
    for loss in losses:
        count += 1
        for total, gradient in zip(sums, torch.autograd.grad(loss.mean(), weights, allow_unused=True), strict=True):
            if gradient is not None:
                total += gradient
    return float(torch.stack([total.norm() for total in sums]).norm()) / max(count, 1)
