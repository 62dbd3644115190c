"""Baseline: the teacher's size."""

from __future__ import annotations

import math

from alambic.suitability.base import Estimator
from alambic.suitability.evidence import Evidence


class Size(Estimator):
    """Decimal logarithm of the teacher's parameters."""

    title = "size"
    source = "the bigger the better, against the capacity gap of Mirzadeh et al., AAAI 2020, arXiv 1902.03393"
    formula = "log10 of the parameters"
    cost = "free"
    kind = "baseline"
    sign = "+"
    needs = frozenset({"parameters"})

    def estimate(self, evidence: Evidence) -> float:
        return math.log10(evidence.teacher.parameters)
