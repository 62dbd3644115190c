"""E1: what the teacher knows beyond the student."""

from __future__ import annotations

from alambic.suitability.base import Estimator
from alambic.suitability.evidence import Evidence


class Headroom(Estimator):
    """Accuracy (the task's metric) of the teacher minus the warmed-up student's, on held-out images, at least 0.

    For one student it ranks as plain accuracy does, but for teachers below the student: they all have none.
    """

    code = "E1"
    title = "headroom"
    source = "accuracy gap; contradicted as a predictor by Cho and Hariharan, ICCV 2019, arXiv 1910.01348"
    formula = "max(0, acc_t - acc_s0)"
    cost = "teacher forward"
    sign = "+"
    needs = frozenset({"scores"})

    def estimate(self, evidence: Evidence) -> float:
        gap = evidence.accuracy(evidence.teacher.logits) - evidence.accuracy(evidence.student.logits)
        return max(0.0, gap)
