"""E4: how much a soft label tells beyond the hard one."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from alambic.functional.prob import entropy
from alambic.suitability.base import Estimator
from alambic.suitability.evidence import Evidence
from alambic.treatments.calibrated_temperature import fit_temperature


def normalised_cmi(logits: Tensor, labels: Tensor) -> float:
    """NCMI = E KL[p(x), Q_y] / E KL[Q_y, p(x') | y' != y], Q_y the mean p over class y.

    Args:
        logits: N x C. labels: int64 N, all known, of at least two classes (else NaN).
    """
    log_p = logits.double().log_softmax(1)
    p = log_p.exp()
    within, between, pairs = 0.0, 0.0, 0.0
    for label in labels.unique():
        own = labels == label
        q = p[own].mean(0)
        log_q = q.clamp_min(1e-300).log()
        within += float((p[own] * (log_p[own] - log_q)).sum())
        apart = (q * (log_q - log_p[~own])).sum(1)
        between += float(apart.sum()) * int(own.sum())
        pairs += len(apart) * int(own.sum())
    if not pairs or not between:
        return float("nan")
    return (within / len(labels)) / (between / pairs)


def perplexity(logits: Tensor, temperature: float) -> float:
    """exp of the mean entropy of softmax(z / T): how many classes a soft label speaks of; N x C."""
    return float(torch.exp(entropy(logits.double(), temperature).mean()))


class SoftLabels(Estimator):
    """Conditional mutual information of image and prediction given the class, over the classes' separation."""

    code = "E4"
    title = "soft-label information"
    source = (
        "Ye et al., Bayes Conditional Distribution Estimation for KD Based on Conditional Mutual Information, "
        "ICLR 2024, arXiv 2401.08732: teachers tuned to higher CMI teach better [A]"
    )
    formula = "NCMI = E KL[p_t(x), Q_y] / E KL[Q_y, p_t(x'), y' != y]; exp(H(p_t^T*))"
    differences = "taken as an inverted U: the middle of the pool is held the best"
    cost = "teacher forward"
    sign = "peak"
    needs = frozenset({"scores"})
    variants: ClassVar = {"perplexity": "peak"}

    def estimate(self, evidence: Evidence) -> float:
        known = evidence.known
        return normalised_cmi(evidence.teacher.logits[known], evidence.labels[known])

    def measure_variants(self, evidence: Evidence) -> dict[str, float]:
        if evidence.lacks("scores"):
            return {}
        known = evidence.known
        logits, labels = evidence.teacher.logits[known], evidence.labels[known]
        return {"perplexity": perplexity(logits, fit_temperature(logits, labels, "nll"))}
