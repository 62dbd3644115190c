"""Writes docs/views.md, what finite views cost, from studies/bank-or-live/*/ledger: `python scripts/write_views.py`.

The four ledgers differ in V, the number of views, alone, so their cells pair by arm and seed. Points are of the tune
split; intervals are 95 %, over seeds and images. A test writes the page again and compares.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alambic.errors import AlambicError
from alambic.study.ledger import Ledger
from alambic.study.specs import DEFAULT_VIEWS
from alambic.study.stats import Array, Interval, compare, resample_scores

ROOT = Path(__file__).resolve().parent.parent
STUDY, PAGE = "studies/bank-or-live", "docs/views.md"
NAMES, ARMS = ("v1", "v4", "v16", "fresh"), ("none", "kd", "dist", "rsd")
MARGIN = 0.003  # a difference whose interval stays above minus this is no loss that anyone would notice

Key = tuple[str, str, int]  # ledger, arm, seed


@dataclass(frozen=True)
class Scores:
    """Of each ledger, arm and seed: the score, and the scores on the same 2,000 resamples of the tune images."""

    scores: dict[Key, float]
    draws: dict[Key, Array]
    images: int
    epochs: int
    train_images: int

    def of(self, name: str, arm: str) -> dict[int, float]:
        return {key[2]: value for key, value in self.scores.items() if key[:2] == (name, arm)}

    def differ(self, first: tuple[str, str], second: tuple[str, str]) -> Interval:
        """First minus second, each a ledger and an arm, seed by seed."""

        def draws(side: tuple[str, str]) -> dict[int, Array]:
            return {key[2]: value for key, value in self.draws.items() if key[:2] == side}

        return compare(self.of(*first), self.of(*second), draws(first), draws(second)).interval


def read_scores(root: Path) -> Scores:
    """All cells of the four ledgers; AlambicError where one is missing or they were not judged by the same images."""
    scores: dict[Key, float] = {}
    predicted: dict[Key, tuple[Array, Array]] = {}
    labels, content = None, {}
    for name in NAMES:
        ledger = Ledger(root / STUDY / name / "ledger", read_only=True)
        told = ledger.meta("labels_tune")
        if told is None or labels not in (None, told):
            raise AlambicError(f"{STUDY}/{name}: expected the tune labels of the other ledgers, got others or none")
        labels = told
        for row in ledger.rows("done"):
            content = row.content
            key = (name, content["arm"]["name"], content["seed"])
            found = ledger.predictions(row.id, "tune", "fp32")
            if found is None:
                raise AlambicError(f"{STUDY}/{name}: expected the predictions of cell {row.id}, got none")
            scores[key], predicted[key] = row.numbers["tune"], (found.predicted, found.margin)
    seeds = {seed for _, _, seed in scores}
    missing = [key for name in NAMES for arm in ARMS for seed in seeds if (key := (name, arm, seed)) not in scores]
    if missing:
        raise AlambicError(f"{STUDY}: expected every arm and seed in every ledger, {missing[:3]} are missing")
    truth = np.array(json.loads(labels or "[]"))
    stacked = [np.stack(arrays) for arrays in zip(*predicted.values(), strict=True)]
    drawn = resample_scores("accuracy", stacked[0], stacked[1], truth)
    return Scores(
        scores,
        dict(zip(predicted, drawn, strict=True)),
        len(truth),
        content["recipe"]["epochs"],
        content["data"]["train_images"],
    )


def title(name: str) -> str:
    return "fresh, live teacher" if name == "fresh" else f"V = {name[1:]}"


def judge(scores: Scores) -> list[str]:
    """For each V what its bank is seen to lose to fresh views, in a sentence."""
    lines = []
    for name in NAMES[:-1]:
        found = {arm: scores.differ((name, arm), ("fresh", arm)) for arm in ARMS}
        lost = [f"`{arm}` {one.in_points()}" for arm, one in found.items() if one.high < 0]
        safe = [f"`{arm}`" for arm, one in found.items() if one.low > -MARGIN]
        said = [f"surely loses with {', '.join(lost)}"] if lost else ["no arm surely loses"]
        said += [f"surely loses less than {100 * MARGIN:.1f} points with {', '.join(safe)}"] if safe else []
        lines.append(f"- **{title(name)}**: {'; '.join(said)}.")
    return lines


def write_page(root: Path) -> str:
    """The page as Markdown."""
    scores = read_scores(root)
    seeds = len(scores.of("fresh", "none"))
    head = f"| | {' | '.join(title(name) for name in NAMES)} |"
    rule = "|---" * (1 + len(NAMES)) + "|"
    passes = [str(scores.epochs if name == "fresh" else int(name[1:])) for name in NAMES]
    lines = [
        "<!-- made by scripts/write_views.py from the ledgers in studies/bank-or-live -->",
        "# A bank of finite views, or a live teacher?",
        "",
        "A bank holds what the teacher says of V views of each image; every arm and seed reads it again. A live "
        "teacher sees a fresh view each epoch and is paid each epoch. What do finite views cost in accuracy?",
        "",
        f"{scores.train_images:,} images of Fashion-MNIST, {scores.epochs} epochs, `dscnn_48x4`, {seeds} seeds, the "
        f"same in every column; a ResNet trained on labels teaches. Accuracy on {scores.images:,} tune images; "
        "differences in points with 95 % intervals over seeds and images. The files and the commands that ran them: "
        f"[{STUDY}](../{STUDY}).",
        "",
        "Mean accuracy in %:",
        "",
        head,
        rule,
    ]
    for arm in ARMS:
        means = [100 * float(np.mean(list(scores.of(name, arm).values()))) for name in NAMES]
        lines.append(f"| `{arm}` | {' | '.join(f'{mean:.2f}' for mean in means)} |")
    lines.append(f"| teacher passes an image | {' | '.join(passes)} |")
    lines += ["", "Difference to fresh views:", "", f"| | {' | '.join(map(title, NAMES[:-1]))} |", rule[:-4]]
    for arm in ARMS:
        told = [scores.differ((name, arm), ("fresh", arm)).in_points() for name in NAMES[:-1]]
        lines.append(f"| `{arm}` | {' | '.join(told)} |")
    lines += ["", "Gain over `none` on the same views:", "", head, rule]
    for arm in ARMS[1:]:
        told = [scores.differ((name, arm), (name, "none")).in_points() for name in NAMES]
        lines.append(f"| `{arm}` | {' | '.join(told)} |")
    lines += ["", *judge(scores), ""]
    lines += [
        f"A study file that names no `views.count` gets {DEFAULT_VIEWS}. One data set, one student, one "
        "teacher: where views differ more than by a flip and two pixels, measure again with the four files.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (ROOT / PAGE).write_text(write_page(ROOT))
