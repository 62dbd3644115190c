"""Counter-based random numbers: a hash of integers, vectorised, equal bit for bit on every device.

``torch.rand`` depends on device, batch and call order. A view must not: what image 7 looks like at view 3 is a
function of (seed, 7, 3) alone. The mixer is the finaliser of splitmix64 (Steele, Lea, Flood, "Fast splittable
pseudorandom number generators", OOPSLA 2014) in wrap-around int64 arithmetic.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
# One odd constant each for ids, views and streams, so that no two of the small numbers in use give the same word.
_SILVER = 0xD1B54A32D192ED03
_BRONZE = 0xABC98388FB8FAC03
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB


def signed(word: int) -> int:
    """The two's complement reading of a 64-bit word, as torch's int64 wants it."""
    word %= 1 << 64
    return word - (1 << 64) if word >> 63 else word


def mix_int(state: int, value: int) -> int:
    """``finalise`` for Python integers: absorbs ``value`` into ``state``. Returns a signed 64-bit word."""
    mask = (1 << 64) - 1
    word = (state + (value + 1) * _GOLDEN) & mask
    word = ((word ^ (word >> 30)) * _FIRST) & mask
    word = ((word ^ (word >> 27)) * _SECOND) & mask
    return signed(word ^ (word >> 31))


def finalise(word: Tensor) -> Tensor:
    """Mixes all 64 bits of int64 words; a bijection, so words that differ stay different."""
    # torch shifts int64 arithmetically: each mask clears the copies of the sign bit.
    word = (word >> 30).bitwise_and_(0x3FFFFFFFF).bitwise_xor_(word).mul_(signed(_FIRST))
    word = (word >> 27).bitwise_and_(0x1FFFFFFFFF).bitwise_xor_(word).mul_(signed(_SECOND))
    return (word >> 31).bitwise_and_(0x1FFFFFFFF).bitwise_xor_(word)


def hash_keys(keys: Tensor, seed: int) -> Tensor:
    """int64 words of int64 keys: independent draws, one per key."""
    return finalise(keys * signed(_GOLDEN) + mix_int(0, seed))


@functools.lru_cache(maxsize=64)
def _offsets(seed: int, streams: tuple[int, ...], device: torch.device) -> Tensor:
    words = [signed(mix_int(0, seed) + stream * _BRONZE) for stream in streams]
    return torch.tensor(words, dtype=torch.int64, device=device)


def draw(seed: int, ids: Tensor, views: Tensor | int, streams: tuple[int, ...]) -> Tensor:
    """int64 words, B x len(streams): one independent draw for each (seed, id, view, stream).

    Args:
        ids: int64, B.
        views: int64, B, or one number for all.
    """
    base = ids * signed(_GOLDEN) + (views * signed(_SILVER) if isinstance(views, Tensor) else signed(views * _SILVER))
    return finalise(base.unsqueeze(1) + _offsets(seed, streams, ids.device))


def draw_many(seed: int, ids: Tensor, views: Tensor | int, stream: int, count: int) -> Tensor:
    """int64 words, B x count: as ``draw``, for noise that needs one word per pixel. Those of one row all differ."""
    counter = torch.arange(1, count + 1, dtype=torch.int64, device=ids.device).mul_(signed(_GOLDEN))
    return finalise(draw(seed, ids, views, (stream,)) + counter)


def uniform(words: Tensor) -> Tensor:
    """float32 in [0, 1), from the top 24 bits of hashed words: exact, so equal on every device."""
    return (words >> 40).bitwise_and_(0xFFFFFF).to(torch.float32).mul_(2.0**-24)


@functools.lru_cache(maxsize=8)
def _normal_table(device: torch.device) -> Tensor:
    steps = (torch.arange(65536, dtype=torch.float64) + 0.5) / 65536
    return torch.special.ndtri(steps).to(torch.float32).to(device)


def normal(seed: int, ids: Tensor, views: Tensor, stream: int, count: int) -> Tensor:
    """float32 standard normal draws, B x count, within ±4.3.

    Each takes 16 bits of a word and looks up the quantile: no logarithm or cosine, which differ between devices.
    """
    words = draw_many(seed, ids, views, stream, (count + 3) // 4)
    shifts = torch.tensor((0, 16, 32, 48), device=ids.device)
    index = (words.unsqueeze(2) >> shifts).bitwise_and_(0xFFFF).flatten(1)[:, :count]
    return _normal_table(ids.device).index_select(0, index.reshape(-1)).view(-1, count)
