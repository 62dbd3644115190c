"""E12: how fast a short distillation brings the student to the teacher."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from alambic.suitability.base import Estimator
from alambic.suitability.evidence import Evidence


def drop_area(progress: Sequence[float], divergence: Sequence[float]) -> float:
    """Area over [0, 1] under the drop of the divergence, as a share of where it began; trapezes.

    Args:
        progress: in [0, 1], rising, 0 first. divergence: KL at each point; the first must be above 0 (else NaN).
    """
    first = divergence[0]
    if first <= 0:
        return float("nan")
    drops = [1 - value / first for value in divergence]
    points = zip(progress, drops, strict=True)
    area = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(points))
    return area / (progress[-1] - progress[0])


class FidelitySlope(Estimator):
    """Mean share of the initial KL to the teacher that a pilot of 3 % of the training has removed."""

    code = "E12"
    title = "fidelity slope of a pilot"
    source = "fidelity: Stanton et al., NeurIPS 2021, arXiv 2106.05945; as an estimator ours; not validated"
    formula = "area over the pilot of 1 - KL[p_t, p_s] / KL[p_t, p_s at its start], on held-out images"
    cost = "pilot"
    sign = "+"
    needs = frozenset({"pilot"})

    def estimate(self, evidence: Evidence) -> float:
        pilot = evidence.pilot
        assert pilot is not None
        return drop_area(pilot.progress, pilot.divergence)
