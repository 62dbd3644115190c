"""The fitted composite: ridge regression of gains on all estimators, always judged on what it was not fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from alambic.suitability.base import all_estimators
from alambic.suitability.composite import standardise
from alambic.suitability.judge import FEWEST, Block, judge
from alambic.suitability.others import OTHERS, add_others
from alambic.suitability.ranks import spearman, step_over
from alambic.suitability.verdict import Verdict

Array = np.ndarray[Any, Any]
PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # times the number of rows
Leave = Literal["teacher", "student"]
FITTED: dict[str, Leave] = {"ridge_new_teacher": "teacher", "ridge_new_student": "student"}


def design(block: Block, names: Sequence[str]) -> Array:
    """T x K: z-scores in the pool; a refused one counts 0, the pool's mean."""
    return np.column_stack([np.nan_to_num(standardise(block.scores[name])) for name in names])


def fit_ridge(x: Array, y: Array) -> Array:
    """K weights without an intercept; the penalty is chosen among ``PENALTIES`` by leave-one-row-out error."""
    square, product = x.T @ x, x.T @ y
    best, found = np.inf, np.zeros(x.shape[1])
    for penalty in PENALTIES:
        inverse = np.linalg.inv(square + penalty * len(x) * np.eye(x.shape[1]))
        weights = inverse @ product
        leverage = np.einsum("ik,kl,il->i", x, inverse, x)
        error = float(np.mean(((y - x @ weights) / (1 - leverage)) ** 2))
        if error < best:
            best, found = error, weights
    return found


def predict_left_out(blocks: Sequence[Block], names: Sequence[str], leave: Leave) -> list[Array]:
    """Scores of each block's teachers by a model that never saw the teacher (or the student) that it scores.

    Gains are standardised within a block over the rows that the model may see. NaN for every teacher of a block where
    nothing is left to fit to.
    """
    designs = [design(block, names) for block in blocks]
    found = [np.full(len(block.teachers), np.nan) for block in blocks]
    if leave == "teacher":
        for teacher in sorted({t for block in blocks for t in block.teachers}):
            seen = [np.array([t != teacher for t in block.teachers]) for block in blocks]
            weights = _fit(blocks, designs, seen)
            for index, block in enumerate(blocks):
                if weights is not None and teacher in block.teachers:
                    row = block.teachers.index(teacher)
                    found[index][row] = designs[index][row] @ weights
        return found
    for student in sorted({block.student for block in blocks}):
        seen = [np.full(len(block.teachers), block.student != student) for block in blocks]
        weights = _fit(blocks, designs, seen)
        for index, block in enumerate(blocks):
            if weights is not None and block.student == student:
                found[index] = designs[index] @ weights
    return found


def _fit(blocks: Sequence[Block], designs: Sequence[Array], seen: Sequence[Array]) -> Array | None:
    rows, targets = [], []
    for block, table, chosen in zip(blocks, designs, seen, strict=True):
        if chosen.sum() >= FEWEST - 1:
            rows.append(table[chosen])
            targets.append(standardise(block.gain[chosen]))
    return fit_ridge(np.concatenate(rows), np.concatenate(targets)) if rows else None


def add_fitted(blocks: Sequence[Block], names: Sequence[str]) -> list[Block]:
    """The blocks with two more scores: ``ridge_new_teacher`` and ``ridge_new_student``."""
    made = {name: predict_left_out(blocks, names, leave) for name, leave in FITTED.items()}
    return [
        replace(block, scores={**block.scores, **{name: scores[index] for name, scores in made.items()}})
        for index, block in enumerate(blocks)
    ]


@dataclass(frozen=True)
class Chance:
    """A fitted score beside what chance gives it.

    Attributes:
        rho: its mean Spearman over blocks. null: the mean of it with permuted teachers. p: two-sided, twice the smaller
            tail, since chance is not the same on both sides of zero. visible: the rho from which p is 5 % on the side
            of a score that ranks rightly.
    """

    rho: float
    null: float
    visible: float
    p: float


def permute_fitted(
    blocks: Sequence[Block], names: Sequence[str], leave: Leave, draws: int = 200, seed: int = 0
) -> Chance:
    """Chance of the fitted composite: the model is fitted anew each time that the gains went to other teachers.

    One permutation of teachers serves all students and methods, so a teacher that gives much to one still gives much to
    the others and only the estimators have lost their meaning. A model for a new student has then seen the gains of
    the very teachers that it ranks, and remembers them by whatever estimators tell them apart: its mean under chance
    lies above zero. That is no fault of the permutation, it is what memory alone gives, and the score says something
    of estimators only above it. Permuting each student's gains by itself would bring the mean to zero, and call
    memory a finding. A model for a new teacher has seen all but that one's gains, and leans away from them: below zero.
    """
    observed = _mean_rho(blocks, predict_left_out(blocks, names, leave))
    teachers = sorted({t for block in blocks for t in block.teachers})
    place = {teacher: index for index, teacher in enumerate(teachers)}
    orders = np.random.default_rng(seed).random((draws, len(teachers))).argsort(1)
    moves = [step_over(orders, [place[t] for t in block.teachers]) for block in blocks]
    null = np.empty(draws)
    for draw in range(draws):
        moved = [replace(block, gains=block.gains[move[draw]]) for block, move in zip(blocks, moves, strict=True)]
        null[draw] = _mean_rho(moved, predict_left_out(moved, names, leave))
    tail = min((null >= observed - 1e-12).sum(), (null <= observed + 1e-12).sum())
    p = min(1.0, 2 * float(1 + tail) / (1 + draws))
    return Chance(observed, float(null.mean()), float(np.quantile(null, 0.975)), p)


def _mean_rho(blocks: Sequence[Block], scores: Sequence[Array]) -> float:
    return float(
        np.mean([spearman(s, block.gain) for block, s in zip(blocks, scores, strict=True) if not np.isnan(s).any()])
    )


def judge_all(
    blocks: Sequence[Block],
    controls: Sequence[str] = (),
    nasty: Sequence[str] = (),
    variants: bool = False,
    draws: int = 2000,
    refits: int = 200,
) -> list[Verdict]:
    """The judge on every estimator, baseline and composite of the blocks, then on the fitted ones and their rival.

    Args:
        variants: judge the estimators' variants too; they are exploration and no part of Holm's count.
        refits: permutations for which the fitted composites are fitted anew.
    """
    blocks = add_others(blocks)
    present = {name for block in blocks for name in block.scores}
    names = [*all_estimators(), *sorted(name for name in present if name.startswith("composite")), *OTHERS]
    names += sorted(name for name in present if "." in name) if variants else []
    verdicts = judge(blocks, [name for name in names if name in present], controls, nasty, draws)
    outside = {*controls, *nasty}
    inside = [block.leave_out(outside) for block in blocks]
    inside = [block for block in inside if len(block.teachers) >= FEWEST]
    survey = [name for name, cls in all_estimators().items() if cls.kind == "estimator"]
    survey = [name for name in survey if all(name in block.scores for block in inside)]
    if not survey:
        return verdicts
    scored = add_fitted(inside, survey)
    for name, leave in FITTED.items():
        for verdict in judge(scored, [name], draws=draws, others=tuple(OTHERS)):
            chance = permute_fitted(inside, survey, leave, refits)
            verdicts.append(replace(verdict, p=chance.p, null=chance.null, visible=chance.visible))
    return verdicts
