"""Integer arithmetic of int8 kernels: a real factor as a 32-bit multiplier and a shift, and how the product rounds.

The formulas are those that TFLite-Micro's documentation and kernels publish (gemmlowp's fixed point, "Quantization and
Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", arXiv 1712.05877).
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Rounding = Literal["double", "single"]
FRACTION = 31  # bits of a multiplier behind the point


def split_factor(factor: float) -> tuple[int, int]:
    """(multiplier, shift) with factor = multiplier * 2^(shift - 31), multiplier in [2^30, 2^31); (0, 0) for nothing."""
    if factor <= 0:
        return 0, 0
    share, shift = math.frexp(factor)
    multiplier = math.floor(share * (1 << FRACTION) + 0.5)
    if multiplier == 1 << FRACTION:
        multiplier, shift = multiplier // 2, shift + 1
    return (0, 0) if shift < -FRACTION else (multiplier, shift)


def split_factors(factors: npt.NDArray[Any]) -> tuple[Ints, Ints]:
    """``split_factor`` of each of a list: (multipliers, shifts)."""
    pairs = np.array([split_factor(float(value)) for value in factors.ravel()], np.int64)
    return pairs[:, 0], pairs[:, 1]


def rescale(values: Ints, multiplier: Any, shift: Any, rounding: Rounding = "double") -> Ints:
    """values * multiplier * 2^(shift - 31), rounded to integers.

    Args:
        values: of 32-bit range, any shape. multiplier, shift: one number, or one for each index of the last axis.
        rounding: ``double``: first the 31-bit product to the nearest (halves away from zero), then the right shift to
            the nearest (halves away from zero), as TFLite-Micro's kernels and CMSIS-NN do; ``single``: one shift of
            the whole product to the nearest, halves up.
    """
    multiplier, shift = np.asarray(multiplier, np.int64), np.asarray(shift, np.int64)
    if rounding == "single":
        total = FRACTION - shift
        return (values * multiplier + (np.int64(1) << (total - 1))) >> total
    values = values << np.maximum(shift, 0) if (shift > 0).any() else values
    return divide_by_power(multiply_high(values, multiplier), np.maximum(-shift, 0))


def multiply_high(values: Ints, multiplier: Any, bits: int = FRACTION) -> Ints:
    """values * multiplier / 2^bits to the nearest integer, halves up.

    gemmlowp's SaturatingRoundingDoublingHighMul nudges by sign and then divides towards zero, which is just that.
    """
    return (values * multiplier + (np.int64(1) << (bits - 1))) >> bits


def divide_by_power(values: Ints, exponent: Any) -> Ints:
    """values / 2^exponent to the nearest integer, halves away from zero; exponent 0 or more."""
    exponent = np.asarray(exponent, np.int64)
    half = (np.int64(1) << exponent) >> 1
    return (values + half - ((values < 0) & (half > 0))) >> exponent


def narrow(values: Ints, bits: int, saturate: bool = True) -> Ints:
    """Values as a signed register of ``bits`` holds them: saturated at its ends, or wrapped around."""
    half = np.int64(1) << (bits - 1)
    if saturate:
        return np.clip(values, -half, half - 1)
    return ((values + half) & ((half << 1) - 1)) - half
