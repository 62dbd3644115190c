"""Rounding a network's numbers while it computes: which call's output is rounded, on which grid.

The places are found from one recorded run, so that functions (``F.relu``, ``+``) count as much as modules, and module
names stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from alambic.errors import AlambicError

LAYERS = (nn.Conv2d, nn.Linear)
ACTIVATIONS = ("relu", "relu_", "relu6", "hardtanh", "hardtanh_")
POOLS = ("avg_pool2d", "adaptive_avg_pool2d", "mean")
COMPUTED = (
    "conv2d", "linear", "batch_norm", "add", "__add__", "__radd__", "__iadd__", "add_", "mul", "__mul__", "__rmul__",
    "cat", "hardswish", "hardsigmoid", "sigmoid", "silu", *ACTIVATIONS, *POOLS,
)  # fmt: skip
TINY = 1e-8


@dataclass
class Call:
    """One function call of a run: its name, and which earlier calls made its inputs (-1: the image)."""

    name: str
    inputs: list[int]
    module: nn.Module | None = None


class _Recorder(TorchFunctionMode):
    """Writes down the functions of ``COMPUTED`` and, for all others, whose output they pass on."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.makers: dict[int, int] = {id(image): -1}
        self.alive: list[Any] = [image]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        found = [self.makers[id(item)] for item in _tensors(args) if id(item) in self.makers]
        if isinstance(result, Tensor) and found:
            if func.__name__ in COMPUTED:
                self.calls.append(Call(func.__name__, found))
                self.makers[id(result)] = len(self.calls) - 1
            else:
                self.makers[id(result)] = found[0]
            self.alive.append(result)
        return result


def _tensors(args: Any) -> list[Tensor]:
    found: list[Tensor] = []
    for item in args:
        found += _tensors(item) if isinstance(item, list | tuple) else [item] if isinstance(item, Tensor) else []
    return found


def record_calls(net: nn.Module, images: Tensor) -> list[Call]:
    """The calls of one run in evaluation mode; calls of convolutions and BatchNorm carry their modules."""
    modes = {module: module.training for module in net.modules()}
    recorder = _Recorder(images)

    def note(module: nn.Module, args: Any, output: Any) -> None:
        if recorder.calls:
            recorder.calls[-1].module = module

    watched = [module for module in net.modules() if isinstance(module, (*LAYERS, nn.BatchNorm2d))]
    hooks = [module.register_forward_hook(note) for module in watched]
    net.eval()
    try:
        with torch.no_grad(), recorder:
            net(images)
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes.items():
            module.training = mode
    return recorder.calls


class RoundedWeight(nn.Module):
    """A weight O x ... on a symmetric grid of 2^bits - 1 levels, its largest magnitude at the end."""

    def __init__(self, bits: int = 8, per_channel: bool = True) -> None:
        super().__init__()
        self.top, self.per_channel = 2 ** (bits - 1) - 1, per_channel

    def forward(self, weight: Tensor) -> Tensor:
        size = weight.detach().abs()
        if not self.per_channel:
            scale = (size.amax() / self.top).clamp_min(TINY)
            zero = torch.zeros((), dtype=torch.int32, device=weight.device)
            return torch.fake_quantize_per_tensor_affine(weight, scale, zero, -self.top, self.top)
        scale = (size.flatten(1).amax(1) / self.top).clamp_min(TINY)
        zero = torch.zeros_like(scale, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(weight, scale, zero, 0, -self.top, self.top)


class Range(nn.Module):
    """An activation on an affine grid of 2^bits levels; in training the range follows the batches' extremes."""

    low: Tensor
    high: Tensor
    started: Tensor

    def __init__(self, bits: int = 8, momentum: float = 0.05) -> None:
        super().__init__()
        self.levels, self.momentum = 2**bits - 1, momentum
        for name in ("low", "high", "started"):
            self.register_buffer(name, torch.zeros(()))

    def follow(self, values: Tensor) -> None:
        """Moves the range towards a batch's extremes; zero always lies in it."""
        with torch.no_grad():
            share = torch.where(self.started > 0, self.momentum, torch.ones_like(self.low))
            self.low.lerp_(values.detach().amin().float().clamp_max(0), share)
            self.high.lerp_(values.detach().amax().float().clamp_min(0), share)
            self.started.fill_(1.0)

    def forward(self, values: Tensor) -> Tensor:
        bottom = -(self.levels + 1) // 2
        scale = ((self.high - self.low) / self.levels).clamp_min(TINY)
        zero = (bottom - self.low / scale).round().clamp(bottom, bottom + self.levels).int()
        return torch.fake_quantize_per_tensor_affine(values.float(), scale, zero, bottom, bottom + self.levels)


@dataclass
class Slot:
    """Where a call's output is rounded: by which range, and whether that range follows it."""

    range: int
    follows: bool


class Rounder(nn.Module):
    """Rounds the image and the outputs of a network's calls. Holds no weights.

    While ``observing`` it only takes ranges, and changes nothing.
    """

    def __init__(self, calls: list[Call], bits: int) -> None:
        super().__init__()
        self.slots, count = plan_slots(calls)
        self.ranges = nn.ModuleList(Range(bits) for _ in range(count))
        self.mode: _Rounding | None = None
        self.observing = False

    def round(self, slot: Slot, values: Tensor) -> Tensor:
        chosen = self.ranges[slot.range]
        assert isinstance(chosen, Range)
        if slot.follows and (self.training or self.observing):
            chosen.follow(values)
        return values if self.observing else chosen(values)

    def begin(self, net: nn.Module, args: Any) -> Any:
        """Hook before the network's forward pass: rounds the image, then watches the calls."""
        image = self.round(Slot(0, True), args[0])
        self.mode = _Rounding(self)
        self.mode.__enter__()
        return (image, *args[1:])

    def end(self, net: nn.Module, args: Any, output: Any) -> None:
        """Hook behind it, also after an exception."""
        mode, self.mode = self.mode, None
        if mode is None:
            return
        mode.__exit__(None, None, None)
        if output is not None and mode.seen != len(self.slots):
            raise AlambicError(
                f"{type(net).__name__}: expected {len(self.slots)} computing calls in a forward pass, got {mode.seen}, "
                "because its path depends on the mode or on values; try a network with one path"
            )


def plan_slots(calls: list[Call]) -> tuple[list[Slot | None], int]:
    """A slot a call: None between a layer and the activation fused into it, the input's own range after pooling.

    Returns the slots and the number of ranges; the first range is the image's.
    """
    slots: list[Slot | None] = []
    ranges = 1
    at = {-1: 0}  # call -> range of its output
    for index, call in enumerate(calls):
        readers = [other for other in calls if index in other.inputs]
        if len(readers) == 1 and readers[0].name in ACTIVATIONS and call.name not in POOLS:
            slots.append(None)
            continue
        source = at.get(call.inputs[0])
        if call.name in POOLS and source is not None:
            at[index] = source
            slots.append(Slot(source, False))
            continue
        at[index] = ranges
        slots.append(Slot(ranges, True))
        ranges += 1
    return slots, ranges


class _Rounding(TorchFunctionMode):
    def __init__(self, rounder: Rounder) -> None:
        super().__init__()
        self.rounder, self.seen = rounder, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.__name__ not in COMPUTED or not isinstance(result, Tensor):
            return result
        slots, self.seen = self.rounder.slots, self.seen + 1
        slot = slots[self.seen - 1] if self.seen <= len(slots) else None
        return result if slot is None else self.rounder.round(slot, result)
