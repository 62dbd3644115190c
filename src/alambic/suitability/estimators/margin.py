"""E3: how far the teacher's first class stands above its second."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from alambic.suitability.base import Estimator
from alambic.suitability.evidence import Evidence
from alambic.suitability.measures import top_two


def centred_margin(logits: Tensor) -> float:
    """Mean of (z_(1) - z_(2)) / std_c(z), population std over classes; a row without spread counts 0. N x C."""
    best = top_two(logits)
    spread = logits.double().std(1, correction=0)
    return float(((best[:, 0] - best[:, 1]) / spread.clamp_min(1e-12)).mean())


def raw_ratio(logits: Tensor) -> float:
    """R12 = mean of z_(1) / z_(2): it moves when a constant is added to all logits of an image. N x C."""
    best = top_two(logits)
    rows = best[best[:, 1] != 0]
    return float((rows[:, 0] / rows[:, 1]).mean())


def secondary_spread(logits: Tensor, k: int = 3) -> float:
    """SSP: mean over images of the std of the 2nd to (k+1)th largest class probability; N x C, C > k."""
    secondary = logits.double().softmax(1).topk(k + 1, dim=1).values[:, 1:]
    return float(secondary.std(1, correction=0).mean())


class Margin(Estimator):
    """Mean top-2 margin in units of the logits' own spread."""

    code = "E3"
    title = "centred top-2 margin"
    source = (
        "R12, raw-logit ratio, FGVC13 workshop at CVPR 2026: mean Spearman .63 with student accuracy over 1,216 runs, "
        "accuracy .52, SSP .56 [N]"
    )
    formula = "E[(z_(1) - z_(2)) / std_c(z)]; also R12 = E[z_(1) / z_(2)] and SSP"
    differences = "R12 moves with a constant added to the logits, so it cannot compare architectures: centred here"
    cost = "teacher forward"
    sign = "-"
    needs = frozenset({"logits"})
    variants: ClassVar = {"raw_ratio": "-", "secondary_spread": "+"}
    min_classes = 3
    degenerate = "with two the margin over the spread is always 2"

    def estimate(self, evidence: Evidence) -> float:
        return centred_margin(evidence.teacher.logits)

    def measure_variants(self, evidence: Evidence) -> dict[str, float]:
        logits = evidence.teacher.logits
        found = {"raw_ratio": raw_ratio(logits)}
        if logits.shape[1] > 3:
            found["secondary_spread"] = secondary_spread(logits)
        return found
