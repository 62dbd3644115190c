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


def flat(outputs: Outputs) -> list[Tensor]:
    return [value for values in tensors_of(outputs).values() for value in values]
