"""The yardstick: what a pilot distillation gained over an equally long training on labels."""

from __future__ import annotations

from alambic.suitability.base import Estimator
from alambic.suitability.evidence import Evidence


class PilotGain(Estimator):
    """Accuracy of a pilot by kd minus that of the same steps on labels alone, held-out images, one seed."""

    title = "gain of a pilot"
    source = "common sense: a short training of the real thing"
    formula = "acc(pilot by kd) - acc(pilot on labels)"
    cost = "pilot"
    kind = "yardstick"
    sign = "+"
    needs = frozenset({"pilot"})

    def estimate(self, evidence: Evidence) -> float:
        pilot = evidence.pilot
        assert pilot is not None
        return pilot.accuracy - pilot.accuracy_alone
