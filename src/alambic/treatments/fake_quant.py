"""Rounding to int8 during training: weights per output channel, a layer's input per tensor, gradients straight through.

This is the plain quantiser that ``qat`` uses until it is given another (``QAT.insert`` and ``QAT.remove``).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

LAYERS = (nn.Conv2d, nn.Linear)


def round_through(values: Tensor, scale: Tensor, zero: Tensor, low: int, high: int) -> Tensor:
    """scale (clamp(round(x / scale) + zero, low, high) - zero); the gradient is 1 inside the range and 0 outside."""
    place = values / scale + zero
    rounded = place + (place.round() - place).detach()
    return (rounded.clamp(low, high) - zero) * scale


class RoundWeights(nn.Module):
    """Symmetric int8 per output channel: scale = max |w| / 127; O x ... -> O x ..."""

    def forward(self, weight: Tensor) -> Tensor:
        scale = weight.detach().flatten(1).abs().amax(1).clamp_min(1e-8) / 127
        shape = [-1] + [1] * (weight.ndim - 1)
        return round_through(weight, scale.view(shape), weight.new_zeros(()), -127, 127)


class RoundInput(nn.Module):
    """Affine int8 of a layer's input; the range follows the batches' extremes slowly and always holds 0."""

    low: Tensor
    high: Tensor
    started: Tensor

    def __init__(self, momentum: float = 0.01) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))
        self.register_buffer("started", torch.zeros(()))

    def forward(self, values: Tensor) -> Tensor:
        if self.training:
            with torch.no_grad():
                low, high = values.detach().amin().float().clamp_max(0), values.detach().amax().float().clamp_min(0)
                share = torch.where(self.started > 0, self.momentum, torch.ones_like(low))
                self.low.lerp_(low, share)
                self.high.lerp_(high, share)
                self.started.fill_(1.0)
        scale = ((self.high - self.low) / 255).clamp_min(1e-8)
        zero = (-128 - self.low / scale).round()
        return round_through(values, scale, zero, -128, 127)


def insert_fake_quant(net: nn.Module) -> None:
    """Makes every convolution and linear layer compute on rounded weights and inputs, in place."""
    for module in list(net.modules()):
        if isinstance(module, LAYERS):
            parametrize.register_parametrization(module, "weight", RoundWeights())
            module.add_module("rounded_input", RoundInput())
            module.register_forward_pre_hook(_round_input)


def _round_input(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    return (module.get_submodule("rounded_input")(args[0]), *args[1:])


def remove_fake_quant(net: nn.Module) -> None:
    """Takes the rounding off in place: the float weights behind it stay."""
    for module in list(net.modules()):
        if isinstance(module, LAYERS) and parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)
            module.register_parameter("bias", module._parameters.pop("bias"))  # behind the weight again, as before
            del module.rounded_input
            for key, hook in list(module._forward_pre_hooks.items()):
                if hook is _round_input:
                    del module._forward_pre_hooks[key]
