"""E6: how much of the teacher's answer needs more of the image than the student can take in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from alambic.suitability.base import Estimator
from alambic.suitability.evidence import Evidence


def window_divergence(logits: Tensor, windows: Sequence[Tensor]) -> float:
    """Mean KL(p(x) || mean over windows of p(window)); logits N x C each."""
    log_p = logits.double().log_softmax(1)
    mean = torch.stack([window.double().softmax(1) for window in windows]).mean(0)
    return float((log_p.exp() * (log_p - mean.clamp_min(1e-300).log())).sum(1).mean())


class Locality(Estimator):
    """Gap between the teacher on the whole image and on windows as large as the student's receptive field."""

    code = "E6"
    title = "resolution and locality gap"
    source = "ours, after PAT's receptive-field argument (arXiv 2502.12436); not validated"
    formula = (
        "E KL[p_t(x), mean_j p_t(crop_j^R(x))], R the student's effective receptive field, five windows; accuracy at "
        "the student's resolution; accuracy lost when 4 x 4 patches are shuffled"
    )
    cost = "teacher forward"
    sign = "-"
    needs = frozenset({"logits", "crops"})
    variants: ClassVar = {"accuracy_small": "+", "shuffle_drop": "-"}

    def estimate(self, evidence: Evidence) -> float:
        return window_divergence(evidence.teacher.logits, evidence.crops)

    def measure_variants(self, evidence: Evidence) -> dict[str, float]:
        altered = evidence.teacher.altered
        found = {}
        if not evidence.lacks("scores"):
            if "small" in altered:
                found["accuracy_small"] = evidence.accuracy(altered["small"][0])
            if "shuffled" in altered:
                lost = evidence.accuracy(evidence.teacher.logits) - evidence.accuracy(altered["shuffled"][0])
                found["shuffle_drop"] = lost
        return found
