"""Baseline: is the teacher built like the student?"""

from __future__ import annotations

from alambic.suitability.base import Estimator
from alambic.suitability.evidence import Evidence

CONVOLUTIONAL = frozenset({"resnet", "convnext", "regnet", "mobilenet", "efficientnet"})


def kinship(teacher: str, student: str) -> float:
    """1 for the same family, .5 for another convolutional one, 0 for attention, mixers and unknown ones."""
    if teacher == student != "other":
        return 1.0
    return 0.5 if teacher in CONVOLUTIONAL else 0.0


class SameFamily(Estimator):
    """Whether teacher and student are of one family; the student is convolutional always."""

    title = "same family"
    source = "the field's default choice of a teacher"
    formula = "1 same family, 1/2 both convolutional, 0 otherwise"
    cost = "free"
    kind = "baseline"
    sign = "+"
    needs = frozenset()

    def estimate(self, evidence: Evidence) -> float:
        return kinship(evidence.teacher.family, evidence.student.family)
