"""Measured gains from a ledger's rows, and their blocks with scorecards for the judge."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from alambic.suitability.composite import combine, score_pool
from alambic.suitability.judge import Block
from alambic.suitability.ranks import spearman
from alambic.suitability.scorecard import Scorecard, gather_values

SETTING = ("data", "views", "recipe", "task", "environment", "threads")
SCORES = ("test_int8", "test", "tune_int8", "tune")
COMPOSITES = {"composite": True, "composite_cheap": False}  # name -> whether it counts what needs a pilot


class RowLike(Protocol):
    """What is read of a ledger's row (``alambic.study.ledger.Row`` is one; that room stands above this)."""

    @property
    def content(self) -> dict[str, Any]: ...

    @property
    def numbers(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Gains:
    """Of one student, setting and arm.

    Attributes:
        data: source and training images. split_hash: of its split. method: the arm's name.
        gains: teacher hash -> seed -> points over the student alone, same seed and setting. names: hash -> name.
    """

    student: str
    data: str
    split_hash: str
    method: str
    gains: dict[str, dict[int, float]]
    names: dict[str, str]


def choose_number(rows: Sequence[RowLike]) -> str | None:
    """The first of int8 on test, fp32 on test, int8 on tune, fp32 on tune that every row has; None without any."""
    return next((number for number in SCORES if rows and all(number in row.numbers for row in rows)), None)


def is_alone(content: dict[str, Any]) -> bool:
    """Whether a cell is the student alone, on labels: no method, modifier or treatment."""
    arm = content["arm"]
    return list(arm["methods"]) == ["none"] and not arm.get("modifiers") and not arm.get("treatments")


def shared_recipe(content: dict[str, Any]) -> Any:
    """The recipe under which a cell may be compared: its study's, also where the arm has a tuned one of its own."""
    return content.get("shared_recipe", content.get("recipe"))


def measure_gains(rows: Iterable[RowLike], number: str) -> list[Gains]:
    """Gains of every arm with teachers over the student alone, in points, paired by seed.

    Args:
        rows: finished cells. number: the score to compare, such as ``test``.
    """
    alone: dict[tuple[str, str], dict[int, float]] = {}
    taught: dict[tuple[str, str, str], dict[str, dict[int, float]]] = {}
    told: dict[tuple[str, str], tuple[str, str]] = {}
    names: dict[str, str] = {}
    for row in rows:
        if number not in row.numbers:
            continue
        content = row.content
        shared = {key: content.get(key) for key in SETTING} | {"recipe": shared_recipe(content)}
        setting = json.dumps(shared, sort_keys=True)
        place = (content["student"], setting)
        data = content["data"]
        told[place] = (f"{data['source']} {data['train_images']:,}", data["split_hash"])
        if content["teacher"] is None and is_alone(content):
            alone.setdefault(place, {})[content["seed"]] = row.numbers[number]
        elif content["teacher"] is not None:
            names[content["teacher_hash"]] = content["teacher"]
            arm = taught.setdefault((*place, content["arm"]["name"]), {})
            arm.setdefault(content["teacher_hash"], {})[content["seed"]] = row.numbers[number]
    found = []
    for (student, setting, method), scores in sorted(taught.items()):
        base = alone.get((student, setting), {})
        gains = {
            teacher: {seed: 100 * (value - base[seed]) for seed, value in own.items() if seed in base}
            for teacher, own in scores.items()
        }
        gains = {teacher: own for teacher, own in gains.items() if own}
        if gains:
            own_names = {teacher: names[teacher] for teacher in gains}
            found.append(Gains(student, *told[(student, setting)], method, gains, own_names))
    return found


def make_blocks(cards: Sequence[Scorecard], measured: Sequence[Gains]) -> list[Block]:
    """Joins scorecards and gains by student, split and the teacher's weights.

    A block's seeds are those that most of its teachers have; teachers that lack one of them are left out.
    """
    blocks = []
    for given in measured:
        own = {c.hash: c for c in cards if c.student == given.student and c.split_hash == given.split_hash}
        shared = [teacher for teacher in given.gains if teacher in own]
        seeds = _common_seeds([given.gains[teacher] for teacher in shared])
        shared = sorted(
            (t for t in shared if seeds and set(seeds) <= set(given.gains[t])), key=lambda t: own[t].teacher
        )
        if shared:
            table = np.array([[given.gains[teacher][seed] for seed in seeds] for teacher in shared])
            scores = score_pool(gather_values([own[teacher] for teacher in shared]))
            scores |= {name: combine(scores, pilot) for name, pilot in COMPOSITES.items()}
            teachers = tuple(own[teacher].teacher for teacher in shared)
            blocks.append(Block(given.student, given.data, given.method, teachers, table, scores))
    return blocks


def _common_seeds(gains: Sequence[dict[int, float]]) -> list[int]:
    """Seeds that at least half of the teachers have."""
    counts: dict[int, int] = {}
    for own in gains:
        for seed in own:
            counts[seed] = counts.get(seed, 0) + 1
    return sorted(seed for seed, count in counts.items() if 2 * count >= len(gains))


def compare_rankings(blocks: Sequence[Block]) -> dict[tuple[str, str], float]:
    """(method, method) -> mean Spearman of their gains over shared teachers, for each student and data.

    Where two methods rank teachers differently, a teacher is not good or bad as such: rank (teacher, method) pairs.
    """
    found: dict[tuple[str, str], list[float]] = {}
    for index, first in enumerate(blocks):
        for second in blocks[index + 1 :]:
            if (first.student, first.data) != (second.student, second.data) or first.method == second.method:
                continue
            shared = set(first.teachers) & set(second.teachers)
            if len(shared) >= 4:
                pair = (first.keep(shared), second.keep(shared))
                key = (min(first.method, second.method), max(first.method, second.method))
                found.setdefault(key, []).append(spearman(pair[0].gain, pair[1].gain))
    return {key: float(np.mean(values)) for key, values in sorted(found.items())}
