"""E2: whether the teacher's confidence can be believed."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from alambic.suitability.base import Estimator
from alambic.suitability.evidence import Evidence
from alambic.treatments.calibrated_temperature import adaptive_calibration_error, fit_temperature


def overconfidence(logits: Tensor, labels: Tensor, bins: int = 15) -> float:
    """Sum over equally wide confidence bins of share x max(0, confidence - accuracy), in [0, 1].

    Args:
        logits: N x C. labels: int64 N, all known.
    """
    confidence, predicted = logits.double().softmax(1).max(1)
    right = (predicted == labels).double()
    bin_of = (confidence * bins).long().clamp_max(bins - 1)
    excess = torch.zeros(bins, dtype=torch.float64).index_add_(0, bin_of, confidence - right)
    return float(excess.clamp_min(0).sum() / len(labels))


class Calibration(Estimator):
    """Adaptive calibration error of the teacher on held-out images."""

    code = "E2"
    title = "calibrated confidence"
    source = (
        "The Role of Teacher Calibration in Knowledge Distillation, Kim et al., IEEE Access 2025, arXiv 2508.20224: "
        "R2 .92 and .90 with student accuracy over 17 CNN teachers on CIFAR-100 [N]"
    )
    formula = "ACE = mean over 15 equally filled bins of |acc - conf|; ECE_over; |log T*|, T* = argmin_T NLL"
    cost = "teacher forward"
    sign = "-"
    needs = frozenset({"scores"})
    variants: ClassVar = {"overconfidence": "-", "log_temperature": "-"}

    def estimate(self, evidence: Evidence) -> float:
        known = evidence.known
        return adaptive_calibration_error(evidence.teacher.logits[known], evidence.labels[known])

    def measure_variants(self, evidence: Evidence) -> dict[str, float]:
        if evidence.lacks("scores"):
            return {}
        known = evidence.known
        logits, labels = evidence.teacher.logits[known], evidence.labels[known]
        return {
            "overconfidence": overconfidence(logits, labels),
            "log_temperature": abs(math.log(fit_temperature(logits, labels, "nll"))),
        }
