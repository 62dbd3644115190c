"""Baseline: the usual calibration error."""

from __future__ import annotations

import torch
from torch import Tensor

from alambic.suitability.base import Estimator
from alambic.suitability.evidence import Evidence


def expected_calibration_error(logits: Tensor, labels: Tensor, bins: int = 15) -> float:
    """ECE: sum over equally wide confidence bins of share x |accuracy - confidence|, in [0, 1].

    Args:
        logits: N x C. labels: int64 N, all known.
    """
    confidence, predicted = logits.double().softmax(1).max(1)
    right = (predicted == labels).double()
    bin_of = (confidence * bins).long().clamp_max(bins - 1)
    gaps = torch.zeros(bins, dtype=torch.float64).index_add_(0, bin_of, right - confidence)
    return float(gaps.abs().sum() / len(labels))


class CalibrationError(Estimator):
    """Expected calibration error of the teacher on held-out images."""

    title = "expected calibration error"
    source = "Guo et al., ICML 2017, arXiv 1706.04599"
    formula = "sum over 15 equally wide bins of share x |acc - conf|"
    cost = "teacher forward"
    kind = "baseline"
    sign = "-"
    needs = frozenset({"scores"})

    def estimate(self, evidence: Evidence) -> float:
        known = evidence.known
        return expected_calibration_error(evidence.teacher.logits[known], evidence.labels[known])
