"""What ``alambic examine`` left beside a ledger, as facts: calibration, agreement with the teacher, CKA."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alambic.errors import AlambicError
from alambic.report.facts.fact import Fact, Facts, Unit
from alambic.report.facts.gather import Array, Group, Scored
from alambic.study.ledger import Ledger
from alambic.study.stats import bootstrap_interval

NAME, VERSION = "examination.json", 1
NUMBERS: dict[str, Unit] = {"ece": "share", "nll": "nats", "agreement": "share"}
BINS = 15


@dataclass(frozen=True)
class Alignment:
    """CKA of one student and teacher: student stages x teacher stages; ``alone`` is the student without a teacher."""

    teacher: str
    before: Array
    alone: Array | None
    after: Array
    group: Group
    means: dict[str, Fact]


@dataclass(frozen=True)
class Examination:
    """Images that networks were examined on, and facts: group's key -> number -> fact."""

    split: str
    images: int
    cka_images: int
    numbers: dict[str, dict[str, Fact]]
    alignments: dict[str, tuple[Alignment, ...]]
    left_out: int


def read_examination(folder: Path, groups: list[Group], facts: Facts) -> Examination | None:
    """Reads examination.json of a folder; None without one. Raises AlambicError for a foreign file."""
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        told = json.loads(path.read_text())
        if told["version"] != VERSION:
            raise AlambicError(f"{path}: expected version {VERSION}, got {told['version']}; run alambic examine again")
        cells: dict[str, dict[str, Any]] = dict(told["cells"])
        numbers = {group.key: _numbers(group, cells, facts) for group in groups}
        aligned = {
            student: tuple(_align([g for g in groups if g.student == student], cells, facts))
            for student in dict.fromkeys(group.student for group in groups)
        }
        left_out = len(told["left_out"])
        return Examination(told["split"], told["images"], told["cka_images"], numbers, aligned, left_out)
    except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise AlambicError(
            f"expected what alambic examine writes in {path}, got something else ({error}); run it again"
        ) from error


def _numbers(group: Group, cells: dict[str, dict[str, Any]], facts: Facts) -> dict[str, Fact]:
    found = {}
    for name, unit in NUMBERS.items():
        values = [cells[key][name] for key in group.ids if name in cells.get(key, {})]
        if len(values) == len(group.ids):
            seen = bootstrap_interval(np.array(values))
            how = f"{NAME}, mean of cells[].{name}; 95 % interval over seeds"
            bounds = (max(seen.low, 0.0), seen.high)  # none of them can be negative
            found[name] = facts.add(f"{name}/{group.key}", seen.mean, unit, group.ids, "", how, bounds)
    return found


def _align(groups: list[Group], cells: dict[str, dict[str, Any]], facts: Facts) -> list[Alignment]:
    """One a teacher: the arm with the highest score that has matrices, beside the student alone."""
    untaught = sorted((group for group in groups if group.is_baseline), key=lambda group: group.score.value)
    alone = {t: m for group in untaught for _, t, m in _matrices(group, cells)}  # of the one that scores highest
    best: dict[str, tuple[Group, str, dict[str, Any]]] = {}
    for group in sorted(groups, key=lambda g: (-g.score.value, g.key)):
        for cell, teacher, matrices in _matrices(group, cells):
            if group.teacher is not None:
                best.setdefault(teacher, (group, cell, matrices))
    made = []
    for teacher, (group, cell, matrices) in sorted(best.items()):
        plain = np.array(alone[teacher]["after"]) if teacher in alone else None
        tables = {"before": np.array(matrices["before"]), "alone": plain, "after": np.array(matrices["after"])}
        how = f"{NAME}, mean over stages of cells[{cell}].cka[{teacher}]; for the student alone, of its own cell"
        means = {
            name: facts.add(f"cka {name}/{group.key}", float(table.mean()), "decimal", group.ids, "", how)
            for name, table in tables.items()
            if table is not None and table.size
        }
        if tables["before"] is not None and tables["after"] is not None and "after" in means:
            made.append(Alignment(teacher, tables["before"], plain, tables["after"], group, means))
    return made


def _matrices(group: Group, cells: dict[str, dict[str, Any]]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(key, teacher, m) for key in group.ids for teacher, m in cells.get(key, {}).get("cka", {}).items()]


def measure_two_classes(
    ledger: Ledger, groups: list[Group], scored: Scored, facts: Facts
) -> dict[str, dict[str, Fact]]:
    """Calibration from the ledger alone, where there are two classes: the margin is the log-odds of the answer.

    Returns group's key -> ``ece``, ``nll``, ``ece_int8``, ``nll_int8`` -> fact; empty with more classes.
    """
    text = ledger.meta(f"labels_{scored.split}")
    labels = np.array(json.loads(text), dtype=np.int64) if text is not None else np.empty(0, dtype=np.int64)
    if text is None or labels.max(initial=-1) > 1:
        return {}
    found: dict[str, dict[str, Fact]] = {}
    for group in groups:
        if int(group.rows[0].content.get("task", {}).get("classes", 3)) > 2:
            continue
        for precision, suffix in (("fp32", ""), ("int8", "_int8")):
            kept = [ledger.predictions(row.id, scored.split, precision) for row in group.rows]
            if any(one is None or len(one.predicted) != len(labels) for one in kept):
                continue
            rated = [rate_margins(one.predicted, one.margin, labels) for one in kept if one is not None]
            for index, name in enumerate(("ece", "nll")):
                seen = bootstrap_interval(np.array([pair[index] for pair in rated]))
                how = f"margins of table predictions, {scored.split} {precision}, as log-odds; 95 % interval over seeds"
                unit, bounds = NUMBERS[name], (max(seen.low, 0.0), seen.high)
                key = f"{name}{suffix}"
                fact = facts.add(f"{key} by margin/{group.key}", seen.mean, unit, group.ids, "", how, bounds)
                found.setdefault(group.key, {})[key] = fact
    return found


def rate_margins(predicted: Array, margin: Array, labels: Array) -> tuple[float, float]:
    """(expected calibration error over 15 bins, mean negative log-likelihood in nats) of two-class answers.

    Args:
        predicted: N, 0 or 1. margin: N log-odds of the predicted class, whatever their sign. labels: N, -1 unknown.
    """
    known = labels >= 0
    odds = np.abs(margin[known].astype(np.float64))
    right = predicted[known] == labels[known]
    confidence = 1 / (1 + np.exp(-odds))
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(odds)), float(np.logaddexp(0, np.where(right, -odds, odds)).mean())
