"""The contract of a suitability estimator, and the registry that finds the files of ``estimators/``.

An estimator reads an ``Evidence`` (what was collected once of a teacher, a student and held-out images) and gives one
number. It trains nothing, runs no network and never sees the test set.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import ClassVar, Literal

from alambic.errors import AlambicError, Skip, nearest
from alambic.suitability.evidence import QUANTITIES, Evidence

Sign = Literal["+", "-", "peak"]
Cost = Literal["free", "teacher forward", "both forwards", "gradients", "pilot"]
Kind = Literal["estimator", "baseline", "yardstick"]


class Estimator:
    """Base of all estimators. Subclass in a file of ``estimators/``; the file's name is the estimator's name.

    Class attributes to declare:
        code: E1 to E12 for those of the survey, "" for the others. title: a few words.
        source: paper with its arXiv id or venue, and what is known of it. formula: one line of plain text.
        differences: from the source's formula, "" if none.
        cost: what it needs beside the labels. kind: estimator; baseline (what everybody knows of a teacher);
            yardstick (a short training, what a cheap estimator must not fall behind).
        sign: "+" where more of it promises more gain, "-" less, "peak" where the middle of the pool does.
        needs: names out of ``QUANTITIES``.
        variants: further numbers that ``measure_variants`` may give, with their signs.
        min_classes: fewest classes with which the number means something. degenerate: why, for that refusal.
    """

    code: ClassVar[str] = ""
    title: ClassVar[str]
    source: ClassVar[str]
    formula: ClassVar[str]
    differences: ClassVar[str] = ""
    cost: ClassVar[Cost]
    kind: ClassVar[Kind] = "estimator"
    sign: ClassVar[Sign]
    needs: ClassVar[frozenset[str]]
    variants: ClassVar[Mapping[str, Sign]] = {}
    min_classes: ClassVar[int] = 2
    degenerate: ClassVar[str] = ""

    @property
    def name(self) -> str:
        return type(self).__module__.rsplit(".", 1)[-1]

    def estimate(self, evidence: Evidence) -> float:
        """The number; only called with evidence that holds ``needs``."""
        raise TypeError(f"estimator {self.name!r} defines no estimate")

    def measure_variants(self, evidence: Evidence) -> dict[str, float]:
        """Further numbers of the same kind, those that this evidence allows; names out of ``variants``."""
        return {}

    def check(self, evidence: Evidence) -> None:
        """Raises Skip, naming the teacher, where the evidence lacks a need or the task is too small."""
        teacher = evidence.teacher.name
        for need in sorted(self.needs):
            reason = evidence.lacks(need)
            if reason:
                wanted = QUANTITIES[need]
                raise Skip(f"{self.name} expected {wanted} for teacher {teacher!r}, got none, because {reason}")
        if evidence.classes < self.min_classes:
            raise Skip(
                f"{self.name} expected at least {self.min_classes} classes, got {evidence.classes}, because "
                f"{self.degenerate}"
            )

    def measure(self, evidence: Evidence) -> float:
        """``estimate`` after ``check``. Raises Skip too where the number is not finite."""
        self.check(evidence)
        value = float(self.estimate(evidence))
        if not math.isfinite(value):
            raise Skip(f"{self.name} expected a finite number for teacher {evidence.teacher.name!r}, got {value}")
        return value


@cache
def all_estimators() -> Mapping[str, type[Estimator]]:
    """Every estimator by name, the survey's twelve first in their order, then yardstick and baselines."""
    found: dict[str, type[Estimator]] = {}
    package = importlib.import_module("alambic.suitability.estimators")
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"alambic.suitability.estimators.{info.name}")
        classes = [
            item
            for item in vars(module).values()
            if isinstance(item, type) and issubclass(item, Estimator) and item.__module__ == module.__name__
        ]
        if len(classes) != 1:
            raise AlambicError(
                f"suitability/estimators/{info.name}.py: expected exactly one Estimator class, got {len(classes)}"
            )
        found[info.name] = classes[0]
    kinds = ("estimator", "yardstick", "baseline")

    def place(name: str) -> tuple[int, int, str]:
        cls = found[name]
        return kinds.index(cls.kind), int(cls.code[1:] or 0) if cls.code else 99, name

    return {name: found[name] for name in sorted(found, key=place)}


def create_estimator(name: str) -> Estimator:
    """An estimator by name; unknown names are answered with the nearest ones."""
    known = all_estimators()
    if name not in known:
        raise AlambicError(f"unknown estimator {name!r}: {nearest(name, known)}")
    return known[name]()


def sign_of(name: str) -> Sign:
    """The sign of an estimator, or of a variant written ``estimator.variant``."""
    base, _, variant = name.partition(".")
    cls = type(create_estimator(base))
    return cls.variants[variant] if variant else cls.sign
