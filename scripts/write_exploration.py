"""Writes the README of an exploration from its exported ledger: `python scripts/write_exploration.py FOLDER`.

FOLDER holds ``study.toml``, ``about.md`` (prose, typed by a person, without a number of the results) and ``ledger/``.
A test writes it again and compares.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alambic.errors import AlambicError
from alambic.methods import all_methods
from alambic.study.ledger import Ledger, Row


@dataclass(frozen=True)
class Scores:
    """What a table needs of one ledger: rows by arm, and which tune images each arm has right."""

    rows: dict[str, Row]
    right: dict[str, np.ndarray[Any, Any]]
    plain: str


def read_scores(ledger: Ledger) -> Scores:
    labels = np.array(json.loads(ledger.meta("labels_tune") or "[]"))
    rows = {row.content["arm"]["name"]: row for row in ledger.rows()}
    right = {}
    for name, row in rows.items():
        found = ledger.predictions(row.id, "tune", "fp32")
        if row.state == "done" and found is not None:
            right[name] = found.predicted == labels
    return Scores(rows, right, "none")


def tell(scores: Scores, arm: str) -> str:
    """The difference to the plain student in points; a star where it is over twice its error over the images.

    The images' error knows nothing of the spread over seeds, hence a floor and not a test.
    """
    row = scores.rows.get(arm)
    if row is None:
        return "not run yet"
    if arm not in scores.right:
        return row.state
    change = scores.right[arm].astype(float) - scores.right[scores.plain]
    error = change.std(ddof=1) / math.sqrt(len(change))
    star = " ★" if abs(change.mean()) > 2 * error else ""
    return f"{100 * change.mean():+.2f}{star}"


def write_table(scores: Scores, weights: tuple[float, ...]) -> list[str]:
    head = "| method | family | " + " | ".join(f"×{w:g}" for w in weights) + " | seconds |"
    lines = [head, "|---" * (3 + len(weights)) + "|"]
    methods = sorted({name.rsplit(" x", 1)[0] for name in scores.rows if " x" in name} & set(all_methods()))

    def best(method: str) -> float:
        shown = [scores.right[a].mean() for w in weights if (a := f"{method} x{w:g}") in scores.right]
        return max(shown, default=-1.0)

    for method in sorted(methods, key=best, reverse=True):
        arms = [f"{method} x{w:g}" for w in weights]
        seconds = [scores.rows[a].numbers["seconds"] for a in arms if a in scores.right]
        cost = f"{np.mean(seconds):.0f}" if seconds else ""
        told = " | ".join(tell(scores, arm) for arm in arms)
        lines.append(f"| `{method}` | {all_methods()[method].family} | {told} | {cost} |")
    return lines


def write_others(scores: Scores, weights: tuple[float, ...]) -> list[str]:
    swept = {f"{method} x{w:g}" for method in all_methods() for w in weights}
    lines = ["| arm | difference to `none` | seconds |", "|---|---|---|"]
    for arm in sorted(set(scores.right) - swept - {scores.plain}):
        lines.append(f"| {arm} | {tell(scores, arm)} | {scores.rows[arm].numbers['seconds']:.0f} |")
    return lines


def write_readme(folder: Path) -> str:
    """The page as Markdown."""
    ledger = Ledger(folder / "ledger", read_only=True)
    scores = read_scores(ledger)
    if scores.plain not in scores.right:
        raise AlambicError(f"{folder}: expected a finished cell of {scores.plain!r}, which all differ from; got none")
    weights = (0.1, 1.0, 10.0)
    states = {state: len(ledger.rows(state)) for state in ("done", "skipped", "failed")}
    plain = scores.right[scores.plain].mean()
    skipped = {row.content["arm"]["methods"][0]: row.reason for row in ledger.rows("skipped")}
    failed = {row.content["arm"]["name"]: row.reason for row in ledger.rows("failed")}
    lines = [
        (folder / "about.md").read_text().rstrip(),
        "",
        f"The ledger holds {states['done']} finished cells, {states['skipped']} skipped and {states['failed']} failed. "
        f"The plain student (`none`) has {100 * plain:.2f} % of the {len(scores.right[scores.plain]):,} tune images "
        "right. Differences are in points; seconds are of one training on one thread of a machine that others used.",
        "",
        *write_table(scores, weights),
        "",
        "Arms beside the sweep: controls, modifiers, treatments.",
        "",
        *write_others(scores, weights),
    ]
    if skipped or failed:
        lines += ["", "Skipped or failed:", ""]
        lines += [f"- `{name}`: {reason}" for name, reason in sorted({**skipped, **failed}.items())]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    place = Path(sys.argv[1])
    (place / "README.md").write_text(write_readme(place))
