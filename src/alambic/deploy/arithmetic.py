"""How a device computes: grids of its numbers, its accumulator, its rounding. One entry of chips.toml holds one."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from alambic.deploy.integer import Rounding
from alambic.errors import AlambicError, nearest

Scales = Literal["float", "power-of-two"]


@dataclass(frozen=True)
class Arithmetic:
    """The default is TFLite-Micro's.

    Attributes:
        scales: ``float``, or ``power-of-two`` where the device only shifts.
        per_channel: one weight scale an output channel, else one a layer.
        symmetric: activations have zero point 0; else affine.
        weight_bits, activation_bits: 2 to 8, two's complement; weights leave the lowest integer out.
        accumulator_bits: of the register that sums products and bias, 8 to 32.
        saturate: the register clips, else it wraps around; either is applied to the finished sum.
        rounding: of the rescaled sum, see ``integer.rescale``.
    """

    scales: Scales = "float"
    per_channel: bool = True
    symmetric: bool = False
    weight_bits: int = 8
    activation_bits: int = 8
    accumulator_bits: int = 32
    saturate: bool = True
    rounding: Rounding = "double"

    @property
    def lowest(self) -> int:
        """Of activations."""
        return -(1 << (self.activation_bits - 1))

    @property
    def highest(self) -> int:
        """Of activations."""
        return (1 << (self.activation_bits - 1)) - 1


TFLM = Arithmetic()
CHOICES = {"scales": get_args(Scales), "rounding": get_args(Rounding)}
BITS = {"weight_bits": (2, 8), "activation_bits": (2, 8), "accumulator_bits": (8, 32)}
# the arithmetics that the int8 drop of students is told for
VARIANTS = {
    "per channel": TFLM,
    "per tensor": Arithmetic(per_channel=False),
    "symmetric": Arithmetic(symmetric=True),
    "power-of-two scales": Arithmetic(scales="power-of-two", per_channel=False, symmetric=True),
    "4-bit weights": Arithmetic(weight_bits=4),
}


def read_arithmetic(where: str, table: Any) -> Arithmetic:
    """From a table of a chips file; ``where`` names it in errors."""
    if not isinstance(table, dict):
        raise AlambicError(f"{where}: expected a table [chip.arithmetic], got {table!r}")
    known = {item.name for item in fields(Arithmetic)}
    for key, value in table.items():
        if key not in known:
            raise AlambicError(f"{where}: expected known keys of arithmetic, got {key!r}; {nearest(key, known)}")
        if key in CHOICES and value not in CHOICES[key]:
            raise AlambicError(f"{where}: expected {key} {' or '.join(CHOICES[key])}, got {value!r}")
        low, high = BITS.get(key, (0, 0))
        if key in BITS and not (type(value) is int and low <= value <= high):
            raise AlambicError(f"{where}: expected {key} from {low} to {high}, got {value!r}")
        if key not in CHOICES and key not in BITS and not isinstance(value, bool):
            raise AlambicError(f"{where}: expected {key} true or false, got {value!r}")
    return Arithmetic(**table)
