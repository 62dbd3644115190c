"""E5: how little the teacher's answer moves when the image hardly does."""

from __future__ import annotations

from typing import ClassVar

from alambic.suitability.base import Estimator
from alambic.suitability.evidence import Evidence
from alambic.suitability.measures import mean_kl


class Smoothness(Estimator):
    """KL between the teacher's answers to an image and to the same image with noise, and to an augmented one."""

    code = "E5"
    title = "input smoothness"
    source = "ours: a rough function is out of a tiny network's reach; not validated"
    formula = "E KL[p_t(x), p_t(x + eps)] (mean over eps uniform in +-1/2 and +-2 of 1/255) + E KL[p_t(x), p_t(aug x)]"
    cost = "teacher forward"
    sign = "-"
    needs = frozenset({"logits", "noise", "augmented"})
    variants: ClassVar = {"noise": "-", "augmented": "-"}

    def estimate(self, evidence: Evidence) -> float:
        return sum(self.measure_variants(evidence).values())

    def measure_variants(self, evidence: Evidence) -> dict[str, float]:
        clean, altered = evidence.teacher.logits, evidence.teacher.altered
        found: dict[str, float] = {}
        for name in ("noise", "augmented"):
            if name in altered:
                found[name] = sum(mean_kl(clean, moved) for moved in altered[name]) / len(altered[name])
        return found
