"""From ledger rows to groups: the cells that differ by seed alone, and the one score that all are compared on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alambic.errors import AlambicError
from alambic.report.facts.fact import Fact, Facts, fall_query, mean_query
from alambic.study.ledger import Ledger, Predictions, Row
from alambic.study.stats import bootstrap_interval, resample_scores, weigh_scores
from alambic.suitability.gains import SCORES, choose_number, describe_kind, describe_setting, is_alone
from alambic.suitability.gains import SETTING as SHARED

Array = np.ndarray[Any, Any]
BROKEN = 0.1  # of the images: int8 that costs one training more is told apart from the mean
BOOTSTRAP = "95 % interval: alambic.study.stats.bootstrap_interval, 2000 draws over seeds and images"
BOOTSTRAP_SEEDS = "95 % interval: alambic.study.stats.bootstrap_interval, 2000 draws over seeds (no predictions stored)"


@dataclass(frozen=True)
class Group:
    """Cells that differ by seed alone.

    Attributes:
        key: hash of their content without the seed. setting: number of the setting (data, views, recipe, task,
            environment) that they share with what they may be compared to.
        arm, teacher, student: names. variant: number of this version among those of the same arm in the ledger, in the
            order of their keys: 1 is neither the newest nor the fullest of several, see ``find_fullest``.
        rows: by seed. score: the mean of the score that the report compares on, with its interval.
        starred: a method in it was reconstructed from an abstract.
    """

    key: str
    setting: int
    student: str
    teacher: str | None
    arm: str
    variant: int
    starred: bool
    rows: tuple[Row, ...]
    score: Fact
    numbers: dict[str, Fact]

    @property
    def place(self) -> str:
        """What is alike for cells that a treatment gave another recipe or other images: their setting but for these."""
        return _hash({key: self.rows[0].content.get(key) for key in SHARED if key not in ("recipe", "data")})

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(row.id for row in self.rows)

    @property
    def is_baseline(self) -> bool:
        """The student alone (``suitability.gains.is_alone``)."""
        return is_alone(self.rows[0].content)

    def values(self, number: str) -> dict[int, float]:
        """Seed -> a number, of the cells that have it; "a - b" is one minus the other."""
        first, *less = number.split(" - ")
        return {
            row.content["seed"]: row.numbers[first] - sum(row.numbers[name] for name in less)
            for row in self.rows
            if all(name in row.numbers for name in (first, *less))
        }


@dataclass(frozen=True)
class Scored:
    """The score that a report compares on.

    Attributes:
        number: its name in the ledger. missing: ids of finished cells without it.
        metric: of the task. images: how many labelled ones it is measured on; 0 where the ledger does not say.
        draws: cell id -> its score on 2,000 resamples of the images. contradicted: ids of cells whose stored
            predictions do not give their stored score. unseen: ids of cells with the score but without a prediction for
            each labelled image; none where no images are known.
    """

    number: str
    missing: tuple[str, ...]
    metric: str
    images: int
    draws: dict[str, Array]
    contradicted: tuple[str, ...]
    unseen: tuple[str, ...] = ()

    @property
    def split(self) -> str:
        return self.number.split("_")[0]

    @property
    def precision(self) -> str:
        return "int8" if self.number.endswith("_int8") else "fp32"


def choose_score(ledger: Ledger, done: list[Row]) -> Scored:
    """The score that ``choose_number`` gives of the finished cells; where most share none, the first that one has."""
    metric = str(done[0].content.get("task", {}).get("metric", "accuracy"))
    some = [name for name in SCORES if any(name in row.numbers for row in done)]
    if not some:
        raise AlambicError(
            f"ledger {ledger.path}: expected a score among {SCORES} in its finished cells, got none; try running the "
            "study again"
        )
    # a claim computes the test split for what it declared and for nothing else: that is what it is about
    number = (choose_number(done) if ledger.meta("confirm") is None else None) or some[0]
    missing = tuple(row.id for row in done if number not in row.numbers)
    told = Scored(number, missing, metric, 0, {}, ())
    text = ledger.meta(f"labels_{told.split}")
    if text is None:
        return told
    labels = np.array(json.loads(text), dtype=np.int64)
    scored = [row.id for row in done if number in row.numbers]
    stored = _read_stored(ledger, scored, told.split, told.precision, len(labels))
    images = int((labels >= 0).sum())
    unseen = tuple(key for key in scored if key not in stored) if images else ()
    if not stored or not images:
        return Scored(number, missing, metric, images, {}, (), unseen)
    predicted, margin = _stack(stored)
    draws = dict(zip(stored, resample_scores(metric, predicted, margin, labels), strict=True))
    known = labels >= 0
    again = weigh_scores(metric, predicted[:, known], margin[:, known], labels[known], np.ones((1, images), np.float32))
    given = np.array([row.numbers[number] for row in done if row.id in stored])
    # margins are stored as fp16: a ranking metric may move by a tied pair, a counted one may not
    tolerance = 1e-5 if metric in ("accuracy", "balanced_accuracy") else 5e-3
    by_id = dict(zip(stored, again[:, 0], strict=True))
    order = [row.id for row in done if row.id in stored]
    wrong = [key for key, value in zip(order, given, strict=True) if abs(by_id[key] - value) > tolerance]
    return Scored(number, missing, metric, images, draws, tuple(wrong), unseen)


def choose_cost(ledger: Ledger, done: list[Row], scored: Scored) -> Scored:
    """What int8 costs on the split of ``scored``, below zero where it costs: "test_int8 - test" or "tune_int8 - tune".

    An image is drawn for both at once.
    """
    split, draws = scored.split, {}
    names = (f"{split}_int8", split)
    both = [row.id for row in done if all(name in row.numbers for name in names)]
    if scored.images:
        labels = np.array(json.loads(ledger.meta(f"labels_{split}") or "[]"), dtype=np.int64)
        after, before = (_read_stored(ledger, both, split, precision, len(labels)) for precision in ("int8", "fp32"))
        seen = [key for key in both if key in after and key in before]
        if seen:
            found = [
                resample_scores(scored.metric, *_stack({key: side[key] for key in seen}), labels)
                for side in (after, before)
            ]
            draws = dict(zip(seen, found[0] - found[1], strict=True))
    missing = tuple(row.id for row in done if row.id not in both)
    return Scored(" - ".join(names), missing, scored.metric, scored.images, draws, ())


def _read_stored(ledger: Ledger, ids: list[str], split: str, precision: str, images: int) -> dict[str, Predictions]:
    """Cell id -> its predictions, of cells that keep one for each image."""
    found = {key: ledger.predictions(key, split, precision) for key in ids}
    whole = (images, images)
    return {k: v for k, v in found.items() if v is not None and (len(v.predicted), len(v.margin)) == whole}


def _stack(stored: dict[str, Predictions]) -> tuple[Array, Array]:
    """Predicted classes and margins, cells x images."""
    found = list(stored.values())
    return np.stack([value.predicted for value in found]), np.stack([value.margin for value in found])


def group_rows(done: list[Row], scored: Scored, facts: Facts) -> list[Group]:
    """Groups in a stable order: setting, student, no teacher first, teacher, arm."""
    found: dict[str, list[Row]] = {}
    for row in done:
        if scored.number in row.numbers:
            found.setdefault(_hash(describe_kind(row.content)), []).append(row)
    for rows in found.values():
        rows.sort(key=lambda row: row.content["seed"])
    settings = sorted({_setting(rows[0]) for rows in found.values()})
    seen: dict[tuple[Any, ...], int] = {}
    groups = []
    for key, rows in sorted(found.items(), key=lambda item: (_name(item[1][0]), item[0])):
        first = rows[0].content
        place = (_setting(rows[0]), *_name(rows[0]))
        seen[place] = seen.get(place, 0) + 1
        groups.append(
            Group(
                key,
                settings.index(_setting(rows[0])) + 1,
                first["student"],
                first.get("teacher"),
                first["arm"]["name"],
                seen[place],
                is_reconstructed(first["arm"]["methods"]),
                tuple(rows),
                _score_fact(facts, key, rows, scored),
                _number_facts(facts, key, rows),
            )
        )
    return groups


def find_fullest(versions: Sequence[Group]) -> Group | None:
    """The version of an arm with the most seeds; None where several have as many: nothing tells which is meant."""
    most = max(len(group.rows) for group in versions)
    fullest = [group for group in versions if len(group.rows) == most]
    return fullest[0] if len(fullest) == 1 else None


def _score_fact(facts: Facts, key: str, rows: list[Row], scored: Scored) -> Fact:
    draws = np.stack([scored.draws[row.id] for row in rows]) if all(row.id in scored.draws for row in rows) else None
    interval = bootstrap_interval(np.array([row.numbers[scored.number] for row in rows]), draws)
    ids = [row.id for row in rows]
    how = BOOTSTRAP if draws is not None else BOOTSTRAP_SEEDS
    bounds = (max(interval.low, 0.0), min(interval.high, 1.0))  # few seeds: t reaches beyond what a share can be
    return facts.add(
        f"score/{scored.number}/{key}", interval.mean, "share", ids, mean_query(scored.number, ids), how, bounds
    )


def _number_facts(facts: Facts, key: str, rows: list[Row]) -> dict[str, Fact]:
    """Means over seeds of what the cells measured, where all have it."""
    units = {"weight_bytes": "bytes", "arena_bytes": "bytes", "peak_activation_bytes": "bytes", "seconds": "seconds"}
    units |= {"parameters": "number", "macs": "number", "agreement_int8": "share", "test": "share", "tune": "share"}
    units |= {"test_int8": "share", "tune_int8": "share", "int8_seconds": "seconds"}
    ids = [row.id for row in rows]
    found = {}
    for name, unit in units.items():
        if all(name in row.numbers for row in rows):
            value = float(np.mean([row.numbers[name] for row in rows]))
            found[name] = facts.add(f"{name}/{key}", value, unit, ids, mean_query(name, ids))  # type: ignore[arg-type]
    for split in ("test", "tune"):
        if split in found and f"{split}_int8" in found:
            values = np.array([row.numbers[split] - row.numbers[f"{split}_int8"] for row in rows])
            interval = bootstrap_interval(values)
            found["fall"] = facts.add(
                f"fall/{key}",
                interval.mean,
                "effect",
                ids,
                fall_query(split, f"{split}_int8", ids),
                "95 % interval: alambic.study.stats.bootstrap_interval over seeds",
                (interval.low, interval.high),
            )
            worst = rows[int(values.argmax())]
            if values.max() > BROKEN:
                query = fall_query(split, f"{split}_int8", [worst.id])
                found["broken"] = facts.add(f"broken/{key}", float(values.max()), "effect", [worst.id], query)
            break
    return found


def is_reconstructed(methods: list[str]) -> bool:
    """Whether one of the methods has fidelity C: reconstructed from an abstract."""
    from alambic.methods import all_methods

    known = all_methods()
    return any(name in known and known[name].fidelity == "C" for name in methods)


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def _setting(row: Row) -> str:
    """Cells with the same one may be compared."""
    return _hash(describe_setting(row.content))


def _name(row: Row) -> tuple[str, str, str]:
    return row.content["student"], row.content.get("teacher") or "", row.content["arm"]["name"]
