"""The objective of one student: cross-entropy plus the weighted parts of its methods, through the modifiers.

The engine's loop and ``alambic.Distiller`` both use this and nothing else, so that a study and a user's own loop
compute the same loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from alambic.errors import AlambicError
from alambic.methods.base import Batch, Method, Needs, Specs
from alambic.methods.modifier import Modifier
from alambic.models.feature import Outputs
from alambic.training.recipe import drawing
from alambic.training.task import Task

Schedule = Callable[[float], float]


@dataclass(frozen=True)
class Loss:
    """The total and its named parts, each already weighted, so that parts sum to the total.

    It takes what a loop does with a scalar tensor: ``backward``, ``item``, ``float``, ``detach``, a factor or divisor
    (which the parts get too), a sum or difference with other losses (a tensor). What asks for a tensor gets ``total``,
    for example ``scaler.scale(loss.total)`` or Lightning's ``return loss.total``.

    ``total`` and the parts are 0-d tensors on the device; reading a float of them syncs a GPU.
    """

    total: Tensor
    parts: dict[str, Tensor]

    def backward(self, *given: Any, **more: Any) -> None:
        """As ``Tensor.backward`` of the total."""
        self.total.backward(*given, **more)

    def detach(self) -> Tensor:
        """The total without its graph."""
        return self.total.detach()

    def item(self) -> float:
        return float(self.total.detach())

    def __float__(self) -> float:
        return self.item()

    def __format__(self, form: str) -> str:
        return format(self.item(), form) if form else str(self)

    def __mul__(self, factor: float | Tensor) -> Loss:
        return Loss(self.total * factor, {name: part * factor for name, part in self.parts.items()})

    __rmul__ = __mul__

    def __truediv__(self, divisor: float | Tensor) -> Loss:
        return Loss(self.total / divisor, {name: part / divisor for name, part in self.parts.items()})

    def __neg__(self) -> Loss:
        return self * -1.0

    def __sub__(self, other: float | Tensor | Loss) -> Tensor:
        return self.total - (other.total if isinstance(other, Loss) else other)

    def __rsub__(self, other: float | Tensor) -> Tensor:
        return other - self.total

    def __add__(self, other: float | Tensor | Loss) -> Tensor:
        return self.total + (other.total if isinstance(other, Loss) else other)

    __radd__ = __add__


def check_weight(method: Method, weight: float, ce_weight: float, origin: str = "") -> None:
    """Raises AlambicError from the weight on at which a method that softens labels rewards wrong classes.

    Without cross-entropy (``ce_weight`` 0) there are no labels to soften: whoever asks for that part alone gets it.
    """
    if ce_weight > 0 and weight >= method.largest_weight * ce_weight:
        raise AlambicError(
            f"method {method.name!r}: expected a weight under {method.largest_weight * ce_weight:g}, got {weight:.3g}"
            f"{origin}, because from there on the loss rewards wrong classes; try a smaller one, or the method's own "
            "settings"
        )


class Objective(nn.Module):
    """Cross-entropy (once) and any number of methods.

    Args:
        methods: their parts add up; each keeps its own weight.
        task: gives the cross-entropy.
        modifiers: change the logits that methods see, or weigh samples.
        weights: factor per method on all of its parts (default 1).
        schedules: factor per method as a function of progress in [0, 1] (default constant 1).
        ce_weight: of the cross-entropy; None takes the largest of the methods' defaults, so that it counts once.
    """

    def __init__(
        self,
        methods: Sequence[Method],
        task: Task,
        modifiers: Sequence[Modifier] = (),
        weights: Sequence[float] | None = None,
        schedules: Sequence[Schedule] | None = None,
        ce_weight: float | None = None,
    ) -> None:
        super().__init__()
        if weights is not None and len(weights) != len(methods):
            raise AlambicError(f"expected {len(methods)} method weights, one per method, got {len(weights)}")
        self.task = task
        self._methods, self._modifiers = nn.ModuleList(methods), nn.ModuleList(modifiers)
        self.weights = tuple(weights or [1.0] * len(methods))
        self.schedules = tuple(schedules or [_constant] * len(methods))
        self.ce_weight = max(method.ce_weight for method in methods) if ce_weight is None else ce_weight
        names = [method.name for method in methods]
        if len(set(names)) != len(names):
            raise AlambicError(f"expected different methods, got {names}; try one of each with a weight")
        for modifier in modifiers:
            modifier.check_methods(list(methods))

    @property
    def methods(self) -> list[Method]:
        return cast(list[Method], list(self._methods))

    @property
    def modifiers(self) -> list[Modifier]:
        return cast(list[Modifier], list(self._modifiers))

    def _items(self) -> list[Method | Modifier]:
        return [*self.methods, *self.modifiers]

    @property
    def needs(self) -> Needs:
        """The union of what methods and modifiers read."""
        needs = Needs.of("logits", "")
        for item in self._items():
            needs = needs | item.needs
        return needs

    @property
    def uses_teacher(self) -> bool:
        return bool(self.needs.teacher)

    @property
    def borrowed(self) -> str:
        """The method that predicts with the teacher's classifier, so that the student's own stays untrained; or ""."""
        kept = [method.name for method in self.methods if not method.deployable]
        return kept[0] if kept and not self.ce_weight else ""

    @property
    def reads_progress(self) -> bool:
        """Whether a method has a warm-up or pre-training stages."""
        return any(method.warms_up or method.stages for method in self.methods)

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        """Checks the pair and builds projectors; random draws stay inside the generator's stream."""
        with drawing(int(torch.randint(2**62, (1,), generator=generator))):
            for method, weight in zip(self.methods, self.weights, strict=True):
                check_weight(method, weight, self.ce_weight)
            for item in self._items():
                item.check(specs)
                item.build(specs, generator)

    def forward(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Loss:
        """Student and teacher outputs of one batch to a ``Loss``; computed in fp32 under any autocast."""
        device_type = s.need_logits().device.type
        with torch.autocast(device_type, enabled=False):
            s, t = _full_precision(s), _full_precision(t)
            if batch.second is not None:
                batch = replace(batch, second=(_full_precision(batch.second[0]), _full_precision(batch.second[1])))
            parts = {}
            pre_training = any(method.stage_at(progress) for method in self.methods)
            if self.ce_weight and not pre_training:
                parts["ce"] = self.ce_weight * self.task.loss(s.need_logits(), batch.labels, batch.partner, batch.lam)
            seen_s, seen_t, seen_batch, sample_weight = s, t, batch, None
            for modifier in self.modifiers:
                seen_s, seen_t = modifier.transform(seen_s, seen_t, progress)
                if seen_batch.second is not None:
                    seen_batch = replace(seen_batch, second=modifier.transform(*seen_batch.second, progress))
                extra = modifier.sample_weight(s, t, batch, progress)
                if extra is not None:
                    sample_weight = extra if sample_weight is None else sample_weight * extra
            for method, weight, schedule in zip(self.methods, self.weights, self.schedules, strict=True):
                reads_modified = method.family == "logit"
                given = (seen_s, seen_t, seen_batch) if reads_modified else (s, t, batch)
                named = method.loss(*given, progress)
                factor = weight * schedule(progress)
                for name, value in named.items():
                    if sample_weight is not None and reads_modified and value.ndim == 1:
                        value = value * sample_weight
                    parts[_part_name(method.name, name, len(self.methods))] = factor * value
        means = {name: value.mean() for name, value in parts.items()}
        if not means:
            means["ce"] = s.need_logits().sum() * 0.0
        return Loss(torch.stack(list(means.values())).sum(), means)

    def after_step(self) -> None:
        for method in self.methods:
            method.after_step()


def _constant(progress: float) -> float:
    return 1.0


def _part_name(method: str, part: str, methods: int) -> str:
    return part if methods == 1 or part == method else f"{method}.{part}"


def _full_precision(outputs: Outputs) -> Outputs:
    return replace(
        outputs,
        logits=None if outputs.logits is None else outputs.logits.float(),
        embedding=None if outputs.embedding is None else outputs.embedding.float(),
        stages=tuple(stage.float() for stage in outputs.stages),
        energy=tuple(energy.float() for energy in outputs.energy),
    )


def finite_means(sums: dict[str, Tensor], steps: int, epoch: int) -> dict[str, float]:
    """Means of the parts over an epoch: the one place where the loop waits for the device."""
    means = {name: float(value) / steps for name, value in sums.items()}
    broken = [name for name, value in means.items() if not np.isfinite(value)]
    if broken:
        raise AlambicError(
            f"expected finite losses, got {', '.join(broken)} = NaN or infinity in epoch {epoch + 1}, because the "
            "training diverged; try a lower learning rate, a smaller weight of the method, or recipe.clip = 1.0"
        )
    return means
