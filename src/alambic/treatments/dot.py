"""DOT: the distillation's gradient gets more momentum than the task's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from alambic.errors import AlambicError
from alambic.methods.base import Paper
from alambic.training.hooks import Inputs, judge
from alambic.training.loop import Run
from alambic.treatments.base import Scene, Treatment

Gradients = list[Tensor | None]


class TwoMomenta(torch.optim.Optimizer):
    """SGD with one momentum buffer for the task's gradient and one for the distillation's.

    v_task <- (mu - delta) v_task + g_task + wd p; v_kd <- (mu + delta) v_kd + g_kd; p <- p - lr (v_task + v_kd).
    A parameter that only one of the two reaches (projectors: the distillation) moves with the mean momentum mu, and
    decays by the one gradient that it has. A buffer starts as its first gradient.

    Args:
        groups: dicts with ``params`` and ``weight_decay``, as other optimisers take.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], lr: float, momentum: float, delta: float) -> None:
        super().__init__(groups, {"lr": lr, "momentum": momentum, "delta": delta, "weight_decay": 0.0})

    @property
    def parameters(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    @torch.no_grad()
    def apply(self, task: Gradients, distillation: Gradients) -> None:
        """One step with the two gradients of each of ``parameters``; None where a loss does not reach it."""
        pairs = iter(zip(task, distillation, strict=True))
        for group in self.param_groups:
            for p in group["params"]:
                g_task, g_kd = next(pairs)
                both = g_task is not None and g_kd is not None
                delta = group["delta"] if both else 0.0
                if g_task is not None:
                    g_task = g_task.add(p, alpha=group["weight_decay"])
                elif g_kd is not None:
                    g_kd = g_kd.add(p, alpha=group["weight_decay"])
                moves = [
                    self._momentum(p, name, gradient, group["momentum"] + sign * delta)
                    for name, gradient, sign in (("task", g_task, -1), ("distillation", g_kd, 1))
                    if gradient is not None
                ]
                for move in moves:
                    p.add_(move, alpha=-group["lr"])

    def _momentum(self, p: Tensor, name: str, gradient: Tensor, momentum: float) -> Tensor:
        state = self.state[p]
        if name not in state:
            state[name] = gradient.clone()
            return state[name]
        buffer: Tensor = state[name]
        return buffer.mul_(momentum).add_(gradient)

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Refused: this optimiser needs the two gradients apart (``apply``)."""
        raise TypeError("TwoMomenta has no step: call apply(task gradients, distillation gradients)")


class DOT(Treatment):
    """DOT: A Distillation-Oriented Trainer, Zhao et al., ICCV 2023.

    Two backward passes a step: the task's loss (cross-entropy) and all the methods' parts together.
    """

    paper = Paper(
        "DOT: A Distillation-Oriented Trainer",
        "Zhao, Cui, Song, Liang",
        "ICCV",
        2023,
        "2307.08436",
        "megvii-research/mdistiller",
    )
    formula = "v_task <- (mu - delta) v_task + g_task, v_kd <- (mu + delta) v_kd + g_kd, p <- p - lr (v_task + v_kd)"
    fidelity = "A"
    differences = (
        "weight decay leaves biases and norms alone, as everywhere here; clipping is of the two gradients' sum; both "
        "momenta are plain ones, as in their code, where the recipe's own SGD is Nesterov's; delta is the code's "
        "default, their ImageNet files have .09"
    )
    evidence = "Tiny-ImageNet, ResNet18 to MobileNetV2: 58.35 to 64.01 [R]; CNN pairs"
    kind = "step"
    needs_teacher = True

    delta: float = 0.075

    def attach(self, run: Run, scene: Scene) -> None:
        momentum = run.recipe.momentum
        if run.recipe.optimizer != "sgd" or not 0 < self.delta < min(momentum, 1 - momentum):
            raise AlambicError(
                f"treatment 'dot' expected sgd with a momentum more than delta = {self.delta} away from 0 and 1, got "
                f"{run.recipe.optimizer} with {momentum}, because it moves the momentum both ways; try "
                'optimizer = "sgd", momentum = 0.9'
            )
        if not run.objective.ce_weight:
            raise AlambicError(
                "treatment 'dot' expected a cross-entropy beside the distillation, got weight 0, because it sets the "
                "two against each other; try kd, or ce_weight = 1.0"
            )

    def make_optimizer(self, run: Run) -> torch.optim.Optimizer:
        plain = super().make_optimizer(run)
        groups = [{"params": g["params"], "weight_decay": g["weight_decay"]} for g in plain.param_groups]
        return TwoMomenta(groups, run.recipe.lr, run.recipe.momentum, self.delta)

    def step(self, run: Run, given: Inputs, progress: float, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
        assert isinstance(optimizer, TwoMomenta)
        loss = judge(run, given, progress)
        task = [value for name, value in loss.parts.items() if name == "ce"]
        rest = [value for name, value in loss.parts.items() if name != "ce"]
        gradients = [_gradients(parts, optimizer.parameters) for parts in (task, rest)]
        if run.recipe.clip:
            _clip(gradients, run.recipe.clip)
        optimizer.apply(*gradients)
        run.objective.after_step()
        return {name: value.detach() for name, value in loss.parts.items()}


def _gradients(parts: list[Tensor], parameters: list[Tensor]) -> Gradients:
    if not parts:  # a stage of pre-training has no cross-entropy
        return [None] * len(parameters)
    found = torch.autograd.grad(torch.stack(parts).sum(), parameters, retain_graph=True, allow_unused=True)
    return list(found)


def _clip(gradients: list[Gradients], largest: float) -> None:
    """Scales both so that their sum's norm is at most ``largest``; in place."""
    sums = [a if b is None else b if a is None else a + b for a, b in zip(*gradients, strict=True)]
    norm = torch.stack([value.norm() for value in sums if value is not None]).norm()
    factor = (largest / (norm + 1e-6)).clamp_max(1.0)
    for side in gradients:
        for value in side:
            if value is not None:
                value.mul_(factor)
