"""Counter-based random numbers: a hash of integers, vectorised, equal bit for bit on every device.

``torch.rand`` depends on device, batch and call order. A view must not: what image 7 looks like at view 3 is a
function of (seed, 7, 3) alone. The mixer is the finaliser of splitmix64 (Steele, Lea, Flood, "Fast splittable
pseudorandom number generators", OOPSLA 2014) in wrap-around int64 arithmetic.
"""

from __future__ import annotations

import torch
from torch import Tensor

_WORD = 1 << 64
_GOLDEN = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB


def _signed(value: int) -> int:
    """The two's complement reading of a 64-bit word, as torch's int64 wants it."""
    value %= _WORD
    return value - _WORD if value >= _WORD // 2 else value


_GOLDEN_I, _FIRST_I, _SECOND_I = _signed(_GOLDEN), _signed(_FIRST), _signed(_SECOND)


def mix_int(state: int, value: int) -> int:
    """``mix`` on Python integers: absorbs ``value`` into ``state``; both and the result are 64-bit words."""
    word = (state + (value + 1) * _GOLDEN) % _WORD
    word = ((word ^ (word >> 30)) * _FIRST) % _WORD
    word = ((word ^ (word >> 27)) * _SECOND) % _WORD
    return word ^ (word >> 31)


def mix(state: Tensor | int, value: Tensor | int) -> Tensor:
    """Absorbs ``value`` into ``state`` (int64 tensors that broadcast; one may be an int). A bijection in either.

    Returns: int64, all 64 bits well mixed. Because it is a bijection, values that differ never collide.
    """
    if isinstance(value, int):
        word = state + _signed((value + 1) * _GOLDEN)
    else:
        word = value * _GOLDEN_I
        word += _signed(state + _GOLDEN) if isinstance(state, int) else state + _GOLDEN_I
    assert isinstance(word, Tensor), "mix wants at least one tensor; mix_int takes two integers"
    # torch shifts int64 arithmetically: the mask clears the copies of the sign bit.
    word = (word ^ ((word >> 30) & 0x3FFFFFFFF)).mul_(_FIRST_I)
    word = (word ^ ((word >> 27) & 0x1FFFFFFFFF)).mul_(_SECOND_I)
    return word ^ ((word >> 31) & 0x1FFFFFFFF)


def uniform(word: Tensor) -> Tensor:
    """float32 in [0, 1), from the top 24 bits of hashed words: exact, so equal on every device."""
    return ((word >> 40) & 0xFFFFFF).to(torch.float32).mul_(2.0**-24)
