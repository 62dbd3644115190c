"""What each kind of evidence will cost here, told before anything is collected, and what a budget leaves out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from alambic.models.teacher import Teacher
from alambic.suitability.base import all_estimators
from alambic.suitability.collect import GRADIENT_IMAGES, PASSES
from alambic.suitability.sketch import DIRECTIONS

TRIED = 16


@dataclass(frozen=True)
class Price:
    """Seconds that one kind of evidence takes for all teachers and students together; ``buys`` names estimators."""

    need: str
    seconds: float
    buys: tuple[str, ...]


def measure_seconds(teacher: Teacher, images: int = TRIED) -> float:
    """Seconds an image of one forward pass of a teacher here, from a batch of random images, after one to warm up."""
    batch = torch.randn(images, len(teacher.mean), *teacher.size)
    with torch.no_grad():
        teacher.net(batch)
        started = time.perf_counter()
        teacher.net(batch)
    return (time.perf_counter() - started) / images


def quote(
    teacher_seconds: Sequence[float],
    student_speeds: Mapping[str, float],
    images: int,
    warm_up_images: int,
    pilot_images: int,
    down: int = 1,
) -> list[Price]:
    """Prices in the order in which a budget is spent: what everything needs first, then the cheapest.

    Args:
        teacher_seconds: an image, of each teacher. student_speeds: training images a second, of each student.
        images: held-out ones. warm_up_images, pilot_images: seen by a student in each. down: of the student's sensor.
    """
    forward, students = sum(teacher_seconds) * images, len(student_speeds)
    step = sum(1 / speed for speed in student_speeds.values())
    common = [
        Price("clean", forward, _buyers(None)),
        Price("warm-up", warm_up_images * step, _buyers("student")),
    ]
    others = []
    for name, count in PASSES.items():
        times = count * (students if name == "crops" else 1) * (0 if name == "small" and down == 1 else 1)
        # of an image's training step a student's own forward pass is about a third
        own = count * images * step / 3 if name == "low" else 0.0
        others.append(Price(name, times * forward + own, _buyers(name)))
    others.append(Price("gradients", GRADIENT_IMAGES * DIRECTIONS * step, _buyers("gradients")))
    trainings = (len(teacher_seconds) + 1) * pilot_images * step
    others.append(Price("pilot", trainings + sum(teacher_seconds) * pilot_images * students, _buyers("pilot")))
    return common + sorted(others, key=lambda price: price.seconds)


def _buyers(need: str | None) -> tuple[str, ...]:
    """Estimators that a need is for; None: those that ask nothing but the clean images."""
    known = all_estimators()
    extra = {*PASSES, "gradients", "pilot"}
    if need == "student":
        return tuple(name for name, cls in known.items() if cls.cost in ("both forwards", "gradients"))
    if need is None:
        return tuple(name for name, cls in known.items() if not cls.needs & extra and cls.cost != "free")
    if need in ("small", "shuffled"):
        return ("locality",)
    return tuple(name for name, cls in known.items() if need in cls.needs)


def spend(prices: Sequence[Price], budget: float | None) -> dict[str, str]:
    """Need -> why it is left out, so that the rest fits the budget (seconds; None spends all).

    Clean passes and warm-ups are always bought: without them there is nothing to say.
    """
    refused: dict[str, str] = {}
    if budget is None:
        return refused
    left = budget
    for price in prices:
        if price.need in ("clean", "warm-up") or price.seconds <= max(left, 0.0):
            left -= price.seconds
        else:
            refused[price.need] = f"its price of {price.seconds:.1f} s does not fit what is left of the budget"
    return refused
