"""The fitted composite: ridge regression of gains on all estimators, always judged on what it was not fitted to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from alambic.suitability.base import all_estimators
from alambic.suitability.composite import standardise
from alambic.suitability.judge import FEWEST, Block, Verdict, judge
from alambic.suitability.ranks import spearman

Array = np.ndarray[Any, Any]
PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # times the number of rows
Leave = Literal["teacher", "student"]


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
    made = {f"ridge_new_{leave}": predict_left_out(blocks, names, leave) for leave in ("teacher", "student")}
    return [
        replace(block, scores={**block.scores, **{name: scores[index] for name, scores in made.items()}})
        for index, block in enumerate(blocks)
    ]


def permute_fitted(
    blocks: Sequence[Block], names: Sequence[str], leave: Leave, draws: int = 200, seed: int = 0
) -> tuple[float, float]:
    """(mean Spearman, two-sided p) of the fitted composite, the model fitted anew for each permutation of teachers.

    A fitted score's chance level is not that of a given one, since it has seen the other teachers' gains.
    """
    observed = _mean_rho(blocks, predict_left_out(blocks, names, leave))
    teachers = sorted({t for block in blocks for t in block.teachers})
    generator = np.random.default_rng(seed)
    null = []
    for _ in range(draws):
        key = dict(zip(teachers, generator.random(len(teachers)), strict=True))
        null.append(_permuted_rho(blocks, names, leave, key.__getitem__))
    extreme = np.abs(np.array(null) - np.mean(null)) >= abs(observed - float(np.mean(null))) - 1e-12
    return observed, float((1 + extreme.sum()) / (1 + draws))


def _permuted_rho(blocks: Sequence[Block], names: Sequence[str], leave: Leave, key: Callable[[str], float]) -> float:
    moved = []
    for block in blocks:
        order = np.argsort([key(t) for t in block.teachers])
        moved.append(replace(block, gains=block.gains[order]))
    return _mean_rho(moved, predict_left_out(moved, names, leave))


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
    """The judge on every estimator, baseline and composite of the blocks, then on the fitted composites.

    Args:
        variants: judge the estimators' variants too; they are exploration and no part of Holm's count.
        refits: permutations for which the fitted composites are fitted anew.
    """
    present = {name for block in blocks for name in block.scores}
    names = [*all_estimators(), *sorted(name for name in present if name.startswith("composite"))]
    names += sorted(name for name in present if "." in name) if variants else []
    verdicts = judge(blocks, [name for name in names if name in present], controls, nasty, draws)
    outside = {*controls, *nasty}
    inside = [block.keep(set(block.teachers) - outside) for block in blocks]
    inside = [block for block in inside if len(block.teachers) >= FEWEST]
    survey = [name for name, cls in all_estimators().items() if cls.kind == "estimator"]
    survey = [name for name in survey if all(name in block.scores for block in inside)]
    if not survey:
        return verdicts
    scored = add_fitted(inside, survey)
    sides: tuple[Leave, ...] = ("teacher", "student")
    for leave in sides:
        for verdict in judge(scored, [f"ridge_new_{leave}"], draws=draws):
            verdicts.append(replace(verdict, p=permute_fitted(inside, survey, leave, refits)[1]))
    return verdicts
