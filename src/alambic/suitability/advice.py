"""What a person is told of each teacher before any distillation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from alambic.suitability.base import all_estimators
from alambic.suitability.composite import combine, score_pool
from alambic.suitability.scorecard import Scorecard, gather_values

Array = np.ndarray[Any, Any]
FEWEST = 3  # teachers, below which a z-score over the pool says nothing
FEWEST_MEASURED = 4
GAP = -0.5  # z-score of E6 or E7 below which the student is held not to see what the teacher does
ABSORBABLE = 0.25  # share of variance below which an embedding is held out of reach, whatever the pool's

LOSSES = {
    "embedding": ("rsd", "srd", "vkd"),
    "logit": ("kd", "dist", "dkd"),
    "class space or low-pass": ("cat_kd", "lfcc", "uhkd"),
}


@dataclass(frozen=True)
class Opinion:
    """One estimator on one teacher: raw value, and z-score over the pool, oriented (above 0 speaks for it)."""

    estimator: str
    value: float
    z: float


@dataclass(frozen=True)
class Advice:
    """One teacher's place and why.

    Attributes:
        composite: mean oriented z-score of the survey's estimators; NaN in a pool under three teachers.
        speak_for, speak_against: strongest first. teaches: whether it is more accurate than the warmed-up student;
            one that is not goes last, since an easy function is worth nothing when it is wrong. loss, methods, why: the
            class of loss that it suits, three of its methods, the reason.
    """

    card: Scorecard
    composite: float
    speak_for: tuple[Opinion, ...]
    speak_against: tuple[Opinion, ...]
    teaches: bool
    loss: str
    methods: tuple[str, ...]
    why: str


def choose_order(cards: Sequence[Scorecard]) -> str:
    """What teachers are ordered by: accuracy where all have one, else the gain of a pilot where all have that.

    In the study of this repository (22 teachers, CIFAR-100) accuracy had a surely higher rank correlation with gains
    than a pilot had; what their first teachers lost was near equal. Never the composite, which ranked them the wrong
    way round there.
    """
    piloted = all("pilot_gain" in card.values for card in cards)
    return "pilot_gain" if piloted and not all("accuracy" in card.values for card in cards) else "accuracy"


def advise(cards: Sequence[Scorecard]) -> list[Advice]:
    """The teachers of one student, ordered by ``choose_order``; who lacks it comes late, who teaches nothing last."""
    raw = gather_values(cards)
    scores = score_pool(raw)
    enough = len(cards) >= FEWEST
    composite = combine(scores) if enough else np.full(len(cards), np.nan)
    survey = [name for name, cls in all_estimators().items() if cls.kind == "estimator" and name in scores]
    found = []
    for index, card in enumerate(cards):
        opinions = [Opinion(name, float(raw[name][index]), float(scores[name][index])) for name in survey]
        opinions = [opinion for opinion in opinions if not math.isnan(opinion.z) and enough]
        liked = sorted((o for o in opinions if o.z > 0), key=lambda o: -o.z)
        disliked = sorted((o for o in opinions if o.z < 0), key=lambda o: o.z)
        loss, why = suggest_loss({o.estimator: o.z for o in opinions}, card.values.get("absorbable", 0.0))
        teaches = card.values.get("headroom", 1.0) > 0
        methods = LOSSES.get(loss, ("kd",))
        found.append(Advice(card, float(composite[index]), tuple(liked), tuple(disliked), teaches, loss, methods, why))
    order = choose_order(cards)

    def place(advice: Advice) -> tuple[bool, float, float, str]:
        values = advice.card.values
        return (
            not advice.teaches,
            -values.get(order, -math.inf),
            -values.get("pilot_gain", -math.inf),
            advice.card.teacher,
        )

    return sorted(found, key=place)


def suggest_loss(z: Mapping[str, float], absorbable: float) -> tuple[str, str]:
    """(class of loss, reason) from oriented z-scores and E9's R2: rules of thumb of the survey, not yet judged.

    A large gap in locality or frequency asks for losses in class space or on low frequencies; much absorbable variance
    for losses on embeddings; a soft, calibrated teacher for losses on logits.
    """
    if not z:
        return "", f"a class of loss is told from {FEWEST} teachers on, since scores are relative to their pool"
    gaps = {name: z[name] for name in ("locality", "spectral_gap") if name in z}
    worst = min(gaps, key=lambda name: gaps[name]) if gaps else ""
    if worst and gaps[worst] <= GAP:
        return "class space or low-pass", f"it reads what the student cannot ({worst} {gaps[worst]:+.1f})"
    if z.get("absorbable", -1.0) >= 0 and absorbable >= ABSORBABLE:
        return "embedding", f"the student's features already predict {absorbable:.0%} of its embedding's variance"
    soft = [z[name] for name in ("margin", "calibration") if name in z]
    if soft and float(np.mean(soft)) >= 0:
        return "logit", "its embedding is out of reach, its soft labels are soft and calibrated"
    return "logit", "nothing else suits it better; calibrate its temperature first"


@dataclass(frozen=True)
class Expected:
    """Gain in points that a teacher may be expected to give, with a 95 % prediction interval.

    ``teachers`` is how many others it was learnt from; never the teacher itself.
    """

    gain: float
    low: float
    high: float
    teachers: int


def expect_gain(score: Array, gain: Array, index: int) -> Expected | None:
    """Linear regression of measured gain on a score over the other teachers; None with under four of them.

    Args:
        score, gain: T each, NaN where not known. index: of the teacher asked for.
    """
    others = ~np.isnan(score) & ~np.isnan(gain)
    others[index] = False
    count = int(others.sum())
    if count < FEWEST_MEASURED or math.isnan(score[index]):
        return None
    x, y = score[others], gain[others]
    spread = float(((x - x.mean()) ** 2).sum())
    slope = float(((x - x.mean()) * (y - y.mean())).sum()) / spread if spread > 1e-12 else 0.0
    ahead = float(score[index]) - float(x.mean())
    predicted = float(y.mean()) + slope * ahead
    residual = y - y.mean() - slope * (x - x.mean())
    scale = math.sqrt(float(residual @ residual) / (count - 2))
    reach = 1 + 1 / count + (ahead**2 / spread if spread > 1e-12 else 0.0)
    half = float(stats.t.ppf(0.975, count - 2)) * scale * math.sqrt(reach)
    return Expected(predicted, predicted - half, predicted + half, count)
