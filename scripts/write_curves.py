"""Writes docs/curves.md, gains over epochs, images and labels, from ledgers: `python scripts/write_curves.py`.

Each curve takes the same arms at several amounts of one thing. What is not run yet is left out. Intervals are 95 %,
over seeds and images, paired by seed. A test writes the page again and compares.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alambic.study.ledger import Ledger
from alambic.study.stats import Array, Interval, compare, resample_scores
from alambic.suitability.gains import is_alone

ROOT = Path(__file__).resolve().parent.parent
PAGE = "docs/curves.md"
PLATEAU = 0.3  # points: a student that gains no more from twice the epochs is at its plateau

SEEN = {"same": "the same images", "superset": "more images", "external": "other images", "unknown": "unknown images"}

Side = tuple[str, str | None]  # arm, teacher


@dataclass(frozen=True)
class Curve:
    """Ledgers that differ in one thing: its amount -> folder, in growing order. ``number``: the score."""

    title: str
    what: str
    number: str
    folders: dict[str, str]


CIFAR, PRESENCE = "studies/cross-architecture/cifar100", "studies/presence"
FRESH = (
    "; the student alone needs no bank, so it may see other views each epoch, and the taught ones, with their bank, "
    "are compared with it too; paired by seed"
)
CURVES = (
    Curve(
        "Epochs",
        "CIFAR-100, 10,000 training images, `dscnn_24x3`, accuracy on the tune images",
        "tune",
        {
            "24 epochs": CIFAR,
            "48 epochs": f"{CIFAR}/curves/epochs48",
            "96 epochs": f"{CIFAR}/plateau",
            "192 epochs": f"{CIFAR}/curves/epochs192",
            "384 epochs": f"{CIFAR}/curves/epochs384",
        },
    ),
    Curve(
        "Views",
        f"CIFAR-100, 10,000 training images, 24 epochs, `dscnn_24x3`, accuracy on the tune images{FRESH}",
        "tune",
        {"a bank of 4 views": CIFAR, "fresh views": f"{CIFAR}/curves/fresh"},
    ),
    Curve(
        "Views, where images are few",
        f"The same with 2,000 training images and 96 epochs{FRESH}",
        "tune",
        {"a bank of 4 views": f"{CIFAR}/curves/images2000", "fresh views": f"{CIFAR}/curves/fresh2000"},
    ),
    Curve(
        "Views, for long",
        f"The same with 10,000 training images and 96 epochs{FRESH}",
        "tune",
        {"a bank of 4 views": f"{CIFAR}/plateau", "fresh views": f"{CIFAR}/curves/fresh96"},
    ),
    Curve(
        "Views, behind the sensor",
        "A person or not behind a 16 x 16 grey sensor, 20,000 images of which 2,000 have a label, `resnet8_w8`, "
        f"average precision on the tune images{FRESH}",
        "tune",
        {"a bank of 8 views": f"{PRESENCE}/people", "fresh views": f"{PRESENCE}/fresh"},
    ),
    Curve(
        "Training images",
        "CIFAR-100, `dscnn_24x3`, accuracy on the tune images; fewer images are seen more often",
        "tune",
        {
            "2,000 images, 96 epochs": f"{CIFAR}/curves/images2000",
            "10,000 images, 24 epochs": CIFAR,
            "45,000 images, 8 epochs": f"{CIFAR}/curves/images45000",
        },
    ),
    Curve(
        "Labels",
        "A person or not behind a 16 x 16 grey sensor, 20,000 images of which few have a label, `resnet8_w8`, average "
        "precision of the int8 network on the test images",
        "test_int8",
        {
            "500 labels": f"{PRESENCE}/people500",
            "2,000 labels": f"{PRESENCE}/people",
            "10,000 labels": f"{PRESENCE}/people10000",
        },
    ),
)


@dataclass(frozen=True)
class Scores:
    """Of one ledger: arm and teacher -> seed -> score, and the score on the same resamples of the images.

    ``taught_on``: what its teachers saw of the student's images, in the words of a study file.
    """

    values: dict[Side, dict[int, float]]
    draws: dict[Side, dict[int, Array]]
    alone: Side
    taught_on: tuple[str, ...]

    def gain(self, side: Side, base: Scores) -> Interval:
        """Over the student alone of a ledger, this one or another with the same seeds and images."""
        alone = base.values[base.alone], base.draws[base.alone]
        return compare(self.values[side], alone[0], self.draws[side], alone[1]).interval


def read_scores(folder: Path, number: str) -> Scores | None:
    """None for a ledger that is not there."""
    if not (folder / "ledger" / "cells.parquet").is_file():
        return None
    ledger, split = Ledger(folder / "ledger", read_only=True), number.split("_")[0]
    rows = [row for row in ledger.rows("done") if number in row.numbers]
    found = [ledger.predictions(row.id, split, "int8" if number.endswith("int8") else "fp32") for row in rows]
    stored = [one for one in found if one is not None]
    assert len(stored) == len(rows), f"{folder}: some cells have no predictions"
    truth = np.array(json.loads(ledger.meta(f"labels_{split}") or "[]"))
    predicted, margin = (np.stack([getattr(one, name) for one in stored]) for name in ("predicted", "margin"))
    drawn = resample_scores(rows[0].content["task"]["metric"], predicted, margin, truth)
    values: dict[Side, dict[int, float]] = {}
    draws: dict[Side, dict[int, Array]] = {}
    for row, sample in zip(rows, drawn, strict=True):
        side = (row.content["arm"]["name"], row.content["teacher"])
        values.setdefault(side, {})[row.content["seed"]] = row.numbers[number]
        draws.setdefault(side, {})[row.content["seed"]] = sample
    (alone,) = {(row.content["arm"]["name"], None) for row in rows if is_alone(row.content)}
    taught_on = tuple(sorted({str(row.content["teacher_data"]) for row in rows if row.content["teacher"]}))
    return Scores(values, draws, alone, taught_on)


def tell_gain(scores: Scores, side: Side, bank: Scores | None) -> str:
    """The gain; with its seeds where they are not all there yet. ``bank``: the ledger that has the arm, else a dash."""
    own = scores if side in scores.values else bank
    if own is None or side not in own.values:
        return "–"
    count = len(own.values[side].keys() & scores.values[scores.alone].keys())
    few = f" ({count} seed{'s' if count > 1 else ''})" if count < len(scores.values[scores.alone]) else ""
    return own.gain(side, scores).in_points() + few


def name_side(side: Side) -> str:
    return f"`{side[0]}`" + (f" from {side[1]}" if side[1] else "")


def tell_steps(scores: dict[str, Scores], plateau: bool) -> list[str]:
    """What each amount more gives the student alone; of epochs, whether it was at its ``plateau`` before."""
    lines, amounts = [], list(scores)
    for less, more in itertools.pairwise(amounts):
        few, many = scores[less], scores[more]
        one = compare(many.values[many.alone], few.values[few.alone], many.draws[many.alone], few.draws[few.alone])
        seen = "is at its plateau" if one.interval.high < PLATEAU / 100 else "is not shown to be at its plateau"
        told = f": it {seen} at {less}" if plateau else ""
        paired = f"over the {len(one.seeds)} seeds that both have"
        gained = one.interval.in_points()
        lines.append(f"- From {less} to {more} the student alone gains {gained} points {paired}{told}.")
    return lines


def write_curve(curve: Curve, root: Path) -> list[str]:
    """A heading, what was trained, the table; nothing where fewer than two amounts are there."""
    read = {amount: read_scores(root / folder, curve.number) for amount, folder in curve.folders.items()}
    scores = {amount: found for amount, found in read.items() if found is not None}
    if len(scores) < 2:
        return []
    sides = sorted({side for one in scores.values() for side in one.values if side != one.alone}, key=str)
    counts = {amount: str(len(one.values[one.alone])) for amount, one in scores.items()}
    head = f"| | {' | '.join(scores)} |"
    lines = [f"## {curve.title}", "", f"{curve.what}.", "", head, "|---" * (1 + len(scores)) + "|"]
    alone = [f"{100 * np.mean(list(one.values[one.alone].values())):.2f}" for one in scores.values()]
    lines.append(f"| the student alone, % | {' | '.join(alone)} |")
    bank = next(iter(scores.values())) if curve.title.startswith("Views") else None
    for side in sides:
        told = [tell_gain(one, side, bank) for one in scores.values()]
        lines.append(f"| {name_side(side)}, points over it | {' | '.join(told)} |")
    if any(one.taught_on for one in scores.values()):
        seen = [" and ".join(SEEN[name] for name in one.taught_on) or "–" for one in scores.values()]
        lines.append(f"| the teachers saw, with labels | {' | '.join(seen)} |")
    lines.append(f"| seeds, where an arm tells no others | {' | '.join(counts.values())} |")
    steps = curve.title.startswith(("Epochs", "Views"))
    lines += ["", *tell_steps(scores, curve.title == "Epochs")] if steps else []
    places = {amount: curve.folders[amount] for amount in scores}
    return [*lines, "", "From " + ", ".join(f"[{amount}](../{place})" for amount, place in places.items()) + ".", ""]


def write_page(root: Path) -> str:
    """The page as Markdown."""
    lines = [
        "<!-- made by scripts/write_curves.py from committed ledgers -->",
        "# Does the gain last?",
        "",
        "The same arms with more epochs, more images, more labels: gains over the student alone in points, with 95 % "
        "intervals over seeds and images, paired by seed. Rounds on tune images explore.",
        "",
    ]
    for curve in CURVES:
        lines += write_curve(curve, root)
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    (ROOT / PAGE).write_text(write_page(ROOT))
