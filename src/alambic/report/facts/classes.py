"""Gains class by class: whom a method helps, paired with the student alone on the images of one class."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from alambic.report.facts.contrasts import Contrast
from alambic.report.facts.fact import Fact, Facts
from alambic.report.facts.gather import Array, Group, Scored
from alambic.study.ledger import Ledger
from alambic.study.stats import DRAWS, bootstrap_interval

HOW = (
    "predicted classes of both arms in table predictions against labels_{split}, images of this class, paired by seed; "
    "95 % interval: alambic.study.stats.bootstrap_interval, 2000 draws over seeds and images of the class"
)


FEWEST = 3  # seeds: with two, an interval of one class is wider than all that a gain can be


@dataclass(frozen=True)
class ClassGain:
    """One class: its accuracy without a teacher and what the arm adds."""

    name: str
    images: int
    alone: Fact
    gain: Fact


@dataclass(frozen=True)
class ClassFindings:
    """Of the arm with the highest mean. ``classes`` by gain, highest first; ``clear``: intervals without zero."""

    contrast: Contrast
    classes: tuple[ClassGain, ...]
    clear: Fact


def measure_classes(
    ledger: Ledger, contrasts: tuple[Contrast, ...], scored: Scored, facts: Facts
) -> ClassFindings | None:
    """Of the contrast with the highest gain; None without predictions, two classes, or under FEWEST seeds."""
    text, names = ledger.meta(f"labels_{scored.split}"), ledger.meta("class_names")
    if text is None or not contrasts:
        return None
    labels = np.array(json.loads(text), dtype=np.int64)
    known = np.unique(labels[labels >= 0])
    best = max(contrasts, key=lambda c: (c.gain.value, c.group.key))
    first, second = (_rights(ledger, group, scored, labels) for group in (best.group, best.other))
    seeds = sorted(first.keys() & second.keys())
    if len(known) < 3 or len(seeds) < FEWEST:
        return None
    called = json.loads(names) if names is not None else [str(label) for label in range(int(known.max()) + 1)]
    difference = np.stack([first[seed] - second[seed] for seed in seeds])
    alone = np.stack([second[seed] for seed in seeds])
    rows, how = (*best.group.ids, *best.other.ids), HOW.format(split=scored.split)
    found = []
    for label in known:
        own = np.flatnonzero(labels == label)
        part = difference[:, own]
        weights = np.random.default_rng([0, int(label)]).multinomial(len(own), np.full(len(own), 1 / len(own)), DRAWS)
        low, high, source = _bound(part, weights)
        key = f"class {label}/{scored.number}/{best.group.key}-{best.other.key}"
        least, most = -float(alone[:, own].mean()), 1 - float(alone[:, own].mean())
        bounds = (max(low, least), min(high, most))
        gain = facts.add(f"gain of {key}", float(part.mean()), "points", rows, "", how + source, bounds)
        score = facts.add(f"alone in {key}", float(alone[:, own].mean()), "share", best.other.ids, "", how)
        found.append(ClassGain(str(called[label]), len(own), score, gain))
    clear = [c for c in found if c.gain.low is not None and c.gain.high is not None and c.gain.low * c.gain.high > 0]
    told = f"classes whose interval leaves out zero, of {len(found)}"
    count = facts.add(f"clear classes/{scored.number}/{best.group.key}", len(clear), "classes", rows, "", told)
    return ClassFindings(best, tuple(sorted(found, key=lambda c: (-c.gain.value, c.name))), count)


def _bound(part: Array, weights: Array) -> tuple[float, float, str]:
    """95 % interval of the mean of seeds x images, each resample weighing the images; what else its source is.

    Few seeds that agree by chance leave an interval narrower than one image: then that over the images alone counts.
    """
    images = part.shape[1]
    moved = part @ weights.T / images
    seen = bootstrap_interval(part.mean(1), moved)
    if seen.high - seen.low >= 1 / images:
        return seen.low, seen.high, ""
    low, high = np.quantile(moved.mean(0), [0.025, 0.975])
    return float(low), float(high), "; narrower than one image, hence over images alone"


def _rights(ledger: Ledger, group: Group, scored: Scored, labels: Array) -> dict[int, Array]:
    """Seed -> whether each image is right, for the cells that keep their predictions."""
    found = {}
    for row in group.rows:
        kept = ledger.predictions(row.id, scored.split, scored.precision)
        if kept is not None and len(kept.predicted) == len(labels):
            found[row.content["seed"]] = (kept.predicted == labels).astype(np.float64)
    return found
