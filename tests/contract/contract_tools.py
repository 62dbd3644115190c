"""What the contract checks share: building a method for a pair and evaluating it without side effects."""

from __future__ import annotations

import copy
from typing import Any

import torch
from contract_nets import Pair, make_pair, map_outputs, tensors_of
from torch import Tensor

from alambic.errors import AlambicError
from alambic.methods.base import Batch, Method, Parts
from alambic.models.feature import Outputs

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


def pair_for(cls: MethodClass, form: str, channels: int, classes: int, extra: int = 0) -> Pair:
    """A pair whose teacher has the logits that the method wants, or ``extra`` more."""
    teacher = cls().teacher_classes(classes) + extra
    return make_pair(form, channels, classes, None if teacher == classes else teacher)


def suitable_pair(cls: MethodClass) -> Pair:
    """The richest pair that the method accepts: five classes, three channels."""
    classes = max(5, cls.min_classes)
    for form in ("map", "tokens", "nhwc"):
        pair = pair_for(cls, form, 3, classes)
        try:
            built(cls, pair)
        except AlambicError:
            continue
        return pair
    raise AssertionError("no teacher form with maps is accepted at five classes")


def moments(cls: MethodClass) -> list[float]:
    """One progress in the middle of each stage of the training; half-way where there is one stage."""
    middles, start = [], 0.0
    for _, share in cls.stages:
        middles.append(start + share / 2)
        start += share
    return [*middles, (start + 1) / 2]


def run(method: Method, s: Outputs, t: Outputs, batch: Batch) -> Parts:
    """The parts of every stage of the training; a name that comes back is marked ``name@progress``."""
    found: Parts = {}
    for progress in moments(type(method)):
        for name, value in method.loss(s, t, batch, progress).items():
            found[f"{name}@{progress:.2f}" if name in found else name] = value
    return found


def evaluate(
    method: Method, s: Outputs, t: Outputs, batch: Batch, progress: float | None = None, seed: int = 3
) -> Parts:
    """The parts (of every stage, or at a progress), from equal random numbers, the method's buffers unchanged."""
    fresh = copy.deepcopy(method)
    torch.manual_seed(seed)
    return run(fresh, s, t, batch) if progress is None else fresh.loss(s, t, batch, progress)


def is_batch_part(cls: MethodClass, name: str) -> bool:
    return name.split("@")[0] in cls.batch_parts


def total(parts: Parts) -> Tensor:
    return torch.stack([value.mean() for value in parts.values()]).sum()


def as_leaves(outputs: Outputs) -> Outputs:
    return map_outputs(outputs, lambda x: x.detach().clone().requires_grad_())


def flat(outputs: Outputs) -> list[Tensor]:
    return [value for values in tensors_of(outputs).values() for value in values]
