"""int8 functions of one value as tables of 256 entries: hard-swish as TFLite-Micro's 16-bit fixed point, sigmoid."""

from __future__ import annotations

import numpy as np

from alambic.deploy.graph import Quantized
from alambic.deploy.integer import Ints, divide_by_power, multiply_high, narrow, split_factor
from alambic.errors import AlambicError

HALF = 15  # bits behind the point of a 16-bit value in [-1, 1)


def make_table(kind: str, given: Quantized, wanted: Quantized) -> Ints:
    """The output's integer for each input integer -128 ... 127."""
    steps = np.arange(-128, 128) - given.zero_point
    if kind == "hard_swish":
        return np.clip(_hard_swish(steps, given, wanted) + wanted.zero_point, -128, 127)
    if kind == "logistic":
        real = 1 / (1 + np.exp(-steps * np.float64(given.scale[0])))
        found = np.rint(real / np.float64(wanted.scale[0])) + wanted.zero_point
        return np.clip(found, -128, 127).astype(np.int64)
    raise AlambicError(f"expected hard_swish or logistic, got {kind!r}")


def _hard_swish(steps: Ints, given: Quantized, wanted: Quantized) -> Ints:
    """x * relu6(x + 3) / 6 in 16-bit registers: x on a fine scale, times a gate in [0, 1] that saturates."""
    fine = np.float32(1 / 128) * given.scale[0]
    factor, shift = _split_short(float(fine / wanted.scale[0]))
    fixed = steps * 128
    value = narrow(multiply_high(fixed, factor, HALF), 16)
    gate_factor, gate_shift = _split_short(float(fine / np.float32(3 / 32768)))
    gate = fixed
    if gate_shift > 0:
        gate = narrow(gate << (gate_shift - 1), 16)
    gate = narrow(multiply_high(gate, gate_factor, HALF), 16)
    gate = narrow(gate << 1, 16) if gate_shift > 0 else divide_by_power(gate, -gate_shift)
    gate = (gate + (1 << HALF)) >> 1
    product = gate * value
    towards_zero = np.where(product >= 0, product >> HALF, -(-product >> HALF))
    return divide_by_power(towards_zero, -shift)


def _split_short(factor: float) -> tuple[int, int]:
    """A factor as a 15-bit multiplier and a shift."""
    multiplier, shift = split_factor(factor)
    rounded = multiplier + (1 << 15)
    return (32767 if rounded >= 1 << 31 else rounded >> 16), shift
