"""E7: whether teacher and student read the same spatial frequencies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from alambic.models.feature import pair_stages
from alambic.suitability.base import Estimator
from alambic.suitability.evidence import Evidence


def curve_distance(first: Sequence[float], second: Sequence[float]) -> float:
    """Mean over cut-offs of |a - b|: the area between two curves over [0, 1] on an even grid."""
    return sum(abs(a - b) for a, b in zip(first, second, strict=True)) / len(first)


def energy_distance(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> float:
    """Mean over paired stages (from the deep end) of the L1 distance of their energy shares at equal frequencies."""
    pairs = pair_stages(len(student), len(teacher))
    return sum(float((student[i] - teacher[j]).abs().sum()) for i, j in pairs) / len(pairs)


class SpectralGap(Estimator):
    """Area between the accuracies of teacher and warmed-up student on low-passed scenes.

    Both see the same scenes, low-passed before either side's sensor, so f is the same for both.
    """

    code = "E7"
    title = "spectral gap"
    source = "ours, after UHKD (arXiv 2510.24116) and LFCC, which explain bad hints by it; not validated"
    formula = "integral over cut-off f of |A_t(f) - A_s0(f)|, A = accuracy on scenes low-passed at f; L1 of energies"
    cost = "both forwards"
    sign = "-"
    needs = frozenset({"scores", "low"})
    variants: ClassVar = {"shape": "-", "energy": "-"}

    def estimate(self, evidence: Evidence) -> float:
        return curve_distance(*_curves(evidence))

    def measure_variants(self, evidence: Evidence) -> dict[str, float]:
        found = {}
        if evidence.teacher.spectra and evidence.student.spectra:
            found["energy"] = energy_distance(evidence.student.spectra, evidence.teacher.spectra)
        if not evidence.lacks("low") and not evidence.lacks("scores"):
            teacher, student = _curves(evidence)
            if teacher[-1] and student[-1]:
                found["shape"] = curve_distance([a / teacher[-1] for a in teacher], [a / student[-1] for a in student])
        return found


def _curves(evidence: Evidence) -> tuple[list[float], list[float]]:
    teacher = [evidence.accuracy(logits) for logits in evidence.teacher.altered["low"]]
    return teacher, [evidence.accuracy(logits) for logits in evidence.student.low]
