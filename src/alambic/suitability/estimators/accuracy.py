"""Baseline: the teacher's accuracy."""

from __future__ import annotations

from alambic.suitability.base import Estimator
from alambic.suitability.evidence import Evidence


class Accuracy(Estimator):
    """Accuracy on held-out images, or the task's own metric.

    How most people choose a teacher, and what an estimator has to beat.
    """

    title = "accuracy"
    source = "mean Spearman .52 with student accuracy over 8 fine-grained sets; R2 .56 to .68 on CIFAR-100 [N]"
    formula = "acc_t"
    cost = "teacher forward"
    kind = "baseline"
    sign = "+"
    needs = frozenset({"scores"})

    def estimate(self, evidence: Evidence) -> float:
        return evidence.accuracy(evidence.teacher.logits)
