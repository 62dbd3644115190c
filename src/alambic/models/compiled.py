"""A student's forward and backward pass as machine code of its own (``torch.compile``), read like the plain one.

What is compiled is a twin that shares the network's parameters and buffers: the network itself, its names in a
checkpoint and its evaluation stay plain. The twin hands over what a tap reads as outputs. Hooks could not: torch guards
no hook, so a second training in the process would silently read nothing, or the first one's taps (pytorch #173452).
"""

from __future__ import annotations

import copy
import os
import shutil
import sys
from typing import Any

import torch
from torch import Tensor, nn

from alambic.errors import AlambicError
from alambic.models.taps import Tap, Tapped

MANY = 1 << 16  # compiled forms that a process may hold; torch's limit of 8 is for shapes that change all the time


class Compiled(Tapped):
    """Reads what ``tapped`` reads, by compiled code while the network trains; equal but for the last bits.

    Compiled at the first step, for the batch's shape and the threads of that moment. Networks of one architecture in a
    process share the code, so that what a training gives does not depend on those before it.

    Raises AlambicError where the machine has no C++ compiler, or timm's own functions read the network.
    """

    def __init__(self, tapped: Tapped) -> None:
        self.__dict__.update(tapped.__dict__)
        if self._timm and not self.want <= {"logits"}:
            raise AlambicError(f"{self.label}: expected hooks to read it, but timm's functions do; try compile = false")
        check_compiler()
        self._reader: Any = None

    def _catch(self, images: Tensor, taps: tuple[Tap, ...]) -> tuple[Tensor, dict[Tap, Any]]:
        if not self.net.training:
            return super()._catch(images, taps)
        if self._reader is None:  # not before: the layout of the weights is settled when the training starts
            torch._dynamo.config.recompile_limit = torch._dynamo.config.accumulated_recompile_limit = MANY
            torch._inductor.config.compile_threads = 1  # the cores belong to the other cells
            torch._inductor.config.cpp.threads = torch.get_num_threads()  # code is cached by it, and computes by it
            self._reader = torch.compile(_Reader(self.net, taps, self._overwritten), fullgraph=True, dynamic=False)
        logits, caught = self._reader(images)
        return logits, dict(caught)

    def is_shared(self) -> bool:
        """Whether the twin holds the network's own tensors: not after a forward that puts others in their place."""
        sides = (self.net, self.net if self._reader is None else self._reader)
        own, twin = ([id(t) for t in (*net.parameters(), *net.buffers())] for net in sides)
        return own == twin


class _Reader(nn.Module):
    """The twin: images -> logits, and (tap, tensor) pairs in the order of the pass."""

    def __init__(self, net: nn.Module, taps: tuple[Tap, ...], copied: frozenset[Tap]) -> None:
        super().__init__()
        self.net = copy.deepcopy(net, {id(t): t for t in (*net.parameters(), *net.buffers())})
        self.caught: list[tuple[Tap, Any]] = []
        for tap in sorted(taps, key=lambda tap: -tap[0].count(".")):  # inner modules first: names stay valid
            self.net.set_submodule(tap[0], _Kept(self.net.get_submodule(tap[0]), tap, self.caught, tap in copied))

    def forward(self, images: Tensor) -> tuple[Tensor, tuple[tuple[Tap, Any], ...]]:
        logits = self.net(images)
        caught = tuple(self.caught)
        self.caught.clear()
        return logits, caught


class _Kept(nn.Module):
    def __init__(self, inner: nn.Module, tap: Tap, caught: list[tuple[Tap, Any]], copied: bool) -> None:
        super().__init__()
        self.inner, self.tap, self.caught, self.copied = inner, tap, caught, copied

    def forward(self, given: Any) -> Any:
        output = self.inner(given)
        seen = given if self.tap[1] == "input" else output
        self.caught.append((self.tap, seen.clone() if self.copied else seen))
        return output


def check_compiler() -> None:
    """Raises AlambicError where there is no C++ compiler."""
    name = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(name) is None:
        raise AlambicError(
            f"expected the C++ compiler {name}, found none, because torch.compile writes C++ for the CPU; try "
            "installing one, or naming another in the variable CXX"
        )
