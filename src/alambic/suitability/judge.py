"""The judge: does an estimator rank teachers as their measured gains do?

A block is one (student, data, method): the same teachers, scored before and measured after. Teachers are what was
drawn at random, so teachers are resampled and permuted, the same ones in every block; never cells, which repeat them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alambic.errors import AlambicError
from alambic.suitability.base import all_estimators
from alambic.suitability.ranks import (
    adjust_holm,
    kendall,
    noise_ceiling,
    partial_spearman,
    rank_middle,
    regret,
    spearman,
    spearman_weighted,
    step_over,
    top_hit,
)
from alambic.suitability.verdict import Verdict

Array = np.ndarray[Any, Any]
FEWEST, DRAWS, LEVEL = 4, 2000, 0.05
ACCURACY, SIZE, PILOT = "accuracy", "size", "pilot_gain"
RIVALS = (ACCURACY, PILOT)  # what an estimator's regret is compared with


@dataclass(frozen=True)
class Block:
    """Teachers of one student, data and method.

    Attributes:
        gains: T x S, points gained over the same student without a teacher, paired by seed.
        scores: name -> T oriented scores (higher promises more), NaN where it was refused.
        teachers: T labels that tell teachers apart. names: T names, by which controls are left out; the labels where
            they are not given. Two teachers of one name have two labels.
    """

    student: str
    data: str
    method: str
    teachers: tuple[str, ...]
    gains: Array
    scores: dict[str, Array]
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", self.names or self.teachers)

    @property
    def gain(self) -> Array:
        """T: mean over seeds."""
        return np.asarray(self.gains.mean(1))

    def keep(self, teachers: Iterable[str]) -> Block:
        """The block with some of its teachers, by their labels."""
        kept = set(teachers)
        rows = np.array([label in kept for label in self.teachers], dtype=bool)
        labels, names = (tuple(itertools.compress(told, rows)) for told in (self.teachers, self.names))
        scores = {name: score[rows] for name, score in self.scores.items()}
        return replace(self, teachers=labels, gains=self.gains[rows], scores=scores, names=names)

    def leave_out(self, names: Collection[str]) -> Block:
        """The block without the teachers of these names, whatever their weights."""
        return self.keep(t for t, name in zip(self.teachers, self.names, strict=True) if name not in names)


def judge(
    blocks: Sequence[Block],
    names: Sequence[str],
    controls: Sequence[str] = (),
    nasty: Sequence[str] = (),
    draws: int = DRAWS,
    seed: int = 0,
    others: Sequence[str] = (),
) -> list[Verdict]:
    """Judges each named score, in the given order; those with too few teachers everywhere are left out.

    Args:
        controls: teachers that are there to check, not to be ranked: left out of every statistic, since one bad teacher
            alone makes any estimator look good. nasty: controls that an estimator must put last.
        others: scores that are rivals of a fitted one, beside accuracy and the pilot.

    Raises AlambicError where no block has four teachers beside the controls.
    """
    outside = {*controls, *nasty}
    inside = [block.leave_out(outside) for block in blocks]
    most = max((len(block.teachers) for block in inside), default=0)
    if most < FEWEST:
        raise AlambicError(
            f"expected a student, data and method with at least {FEWEST} teachers that have gains and scores, got "
            f"{most}, because fewer cannot be ranked; try a study with more teachers"
        )
    found, known = [], all_estimators()
    count = sum(cls.kind == "estimator" for cls in known.values())
    for name in names:
        own = [kept for block in inside if (kept := _scored(block, name)) is not None]
        if own:
            verdict = _judge_one(own, name, draws, seed, others, count)
            found.append(replace(verdict, nasty_last=_share_last(blocks, name, nasty, outside)))
    survey = [v for v in found if v.name in known and known[v.name].kind == "estimator"]
    adjusted = dict(zip([v.name for v in survey], adjust_holm([v.p for v in survey]), strict=True))
    return [replace(verdict, p_holm=adjusted.get(verdict.name)) for verdict in found]


def _scored(block: Block, name: str) -> Block | None:
    """The block's teachers that have this score; None under four."""
    if name not in block.scores:
        return None
    known = ~np.isnan(block.scores[name])
    kept = block.keep(t for t, there in zip(block.teachers, known, strict=True) if there)
    return kept if len(kept.teachers) >= FEWEST else None


def _judge_one(blocks: list[Block], name: str, draws: int, seed: int, others: Sequence[str], count: int) -> Verdict:
    teachers = sorted({teacher for block in blocks for teacher in block.teachers})
    rho = float(np.mean([spearman(block.scores[name], block.gain) for block in blocks]))
    null = permute(blocks, name, teachers, draws, seed)
    weights = draw_teachers(len(teachers), draws, seed)
    resampled = resample(blocks, name, teachers, weights)
    low, high = bounds(resampled)
    rival = [block for block in blocks if not np.isnan(block.scores.get(ACCURACY, np.array([np.nan]))).any()]
    fair = _with_rivals(blocks, (*RIVALS, *others))
    above, surely = (math.nan, math.nan), math.nan
    if len(rival) == len(blocks):
        ahead = resampled - resample(blocks, ACCURACY, teachers, weights)
        above, surely = bounds(ahead), bounds(ahead, LEVEL / count)[0]
    return Verdict(
        name,
        len(blocks),
        len(teachers),
        rho,
        low,
        high,
        float(np.mean([kendall(block.scores[name], block.gain) for block in blocks])),
        float(np.quantile(np.abs(null), 0.95)),
        float((1 + (np.abs(null) >= abs(rho) - 1e-12).sum()) / (1 + draws)),
        float(null.mean()),
        _mean(noise_ceiling(block.gains) for block in blocks),
        _mean(_clear(block, name) for block in blocks),
        _mean(regret(block.scores[name], block.gain) for block in fair),
        _mean(_regret_of(block, ACCURACY) for block in fair),
        _mean(_regret_of(block, PILOT) for block in fair),
        _extremes(_mean(_regret_of(block, other) for block in fair) for other in others)[0],
        _mean(top_hit(block.scores[name], block.gain) for block in blocks),
        above,
        _extremes(_without_teacher(blocks, name, teacher) for teacher in teachers),
        _extremes(_without_student(blocks, name, student) for student in {block.student for block in blocks}),
        surely,
    )


def draw_teachers(count: int, draws: int, seed: int = 0) -> Array:
    """draws x count: how often each teacher is in each bootstrap sample."""
    return np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=draws)


def resample(blocks: Sequence[Block], name: str, teachers: Sequence[str], weights: Array) -> Array:
    """Mean Spearman over blocks of each bootstrap sample of teachers, the same sample in every block."""
    place = {teacher: index for index, teacher in enumerate(teachers)}
    found = [
        spearman_weighted(block.scores[name], block.gain, weights[:, [place[t] for t in block.teachers]])
        for block in blocks
    ]
    table = np.stack(found)
    counts = (~np.isnan(table)).sum(0)
    return np.asarray(np.where(counts > 0, np.nansum(table, 0) / np.maximum(counts, 1), np.nan))


def permute(blocks: Sequence[Block], name: str, teachers: Sequence[str], draws: int, seed: int = 0) -> Array:
    """Mean Spearman over blocks when scores belong to other teachers: one permutation of teachers for all blocks."""
    orders = np.random.default_rng(seed + 1).random((draws, len(teachers))).argsort(1)
    place = {teacher: index for index, teacher in enumerate(teachers)}
    total = np.zeros(draws)
    for block in blocks:
        x, y = (_normal(rank_middle(values)) for values in (block.scores[name], block.gain))
        total += x[step_over(orders, [place[t] for t in block.teachers])] @ y
    return total / len(blocks)


def bounds(values: Array, level: float = LEVEL) -> tuple[float, float]:
    """Percentile bounds of bootstrap values, at 95 % by default, NaN left out."""
    low, high = np.nanquantile(values, [level / 2, 1 - level / 2])
    return float(low), float(high)


def _normal(values: Array) -> Array:
    centred = values - values.mean()
    norm = float(np.sqrt(centred @ centred))
    return np.asarray(centred / norm) if norm > 1e-9 else np.zeros(len(values))


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def _extremes(values: Iterable[float]) -> tuple[float, float]:
    known = [value for value in values if not math.isnan(value)]
    return (min(known), max(known)) if known else (math.nan, math.nan)


def _with_rivals(blocks: Sequence[Block], rivals: Sequence[str]) -> Sequence[Block]:
    """The blocks and teachers that have these scores too; a rival without a block of four is passed over."""
    for rival in rivals:
        blocks = [kept for block in blocks if (kept := _scored(block, rival)) is not None] or blocks
    return blocks


def _regret_of(block: Block, name: str) -> float:
    score = block.scores.get(name)
    return math.nan if score is None or np.isnan(score).any() else regret(score, block.gain)


def _clear(block: Block, name: str) -> float:
    """Partial Spearman; of accuracy itself it is cleared of size alone, and the reverse."""
    others = [block.scores[other] for other in (ACCURACY, SIZE) if other != name and other in block.scores]
    if not others or any(np.isnan(other).any() for other in others):
        return math.nan
    return partial_spearman(block.scores[name], block.gain, others)


def _without_teacher(blocks: Sequence[Block], name: str, teacher: str) -> float:
    left = [block.keep(set(block.teachers) - {teacher}) for block in blocks]
    return _mean(spearman(block.scores[name], block.gain) for block in left if len(block.teachers) >= FEWEST - 1)


def _without_student(blocks: Sequence[Block], name: str, student: str) -> float:
    return _mean(spearman(block.scores[name], block.gain) for block in blocks if block.student != student)


def _share_last(blocks: Sequence[Block], name: str, nasty: Sequence[str], outside: Collection[str]) -> float:
    """Share of (block, nasty teacher) in which the nasty one alone has the lowest score among honest teachers."""
    found = []
    for block in blocks:
        if name not in block.scores:
            continue
        score = [pair for pair in zip(block.names, block.scores[name], strict=True) if not math.isnan(pair[1])]
        honest = [value for teacher, value in score if teacher not in outside]
        found += [value < min(honest) for teacher, value in score if teacher in nasty and honest]
    return float(np.mean(found)) if found else math.nan
