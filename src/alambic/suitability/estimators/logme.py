"""E11: evidence of a linear model from the student's features to the teacher's logits."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from alambic.suitability.base import Estimator
from alambic.suitability.evidence import Evidence
from alambic.suitability.measures import centre

STEPS, TOLERANCE = 100, 1e-5


def log_evidence(features: Tensor, targets: Tensor) -> float:
    """LogME: largest log evidence of Bayesian linear regression, per image, mean over target columns.

    Args:
        features: N x d. targets: N x C; each column is standardised, a constant one is left out (NaN if all are).
    """
    x, y = centre(features), centre(targets)
    spread = y.square().mean(0).sqrt()
    y = y[:, spread > 1e-12] / spread[spread > 1e-12]
    if not y.shape[1]:
        return float("nan")
    left, singular, _ = torch.linalg.svd(x, full_matrices=False)
    power = singular.square()
    shares = (left.T @ y).square()
    totals = y.square().sum(0)
    found = [_evidence(power, share, len(x), float(total)) for share, total in zip(shares.T, totals, strict=True)]
    return sum(found) / len(found)


def _evidence(power: Tensor, share: Tensor, count: int, total: float) -> float:
    """Fixed point of MacKay for the precisions of weights (alpha) and noise (beta), of one target."""
    alpha = beta = 1.0
    outside = max(0.0, total - float(share.sum()))
    dimension = len(power)
    for _ in range(STEPS):
        shrink = alpha + beta * power
        weights = float((beta**2 * power * share / shrink.square()).sum())
        error = float((share * (alpha / shrink).square()).sum()) + outside
        gamma = float((beta * power / shrink).sum())
        new = gamma / max(weights, 1e-12), (count - gamma) / max(error, 1e-12)
        done = abs(math.log(new[0] / alpha)) + abs(math.log(new[1] / beta)) < TOLERANCE if alpha and new[0] else True
        alpha, beta = new
        if done:
            break
    shrink = alpha + beta * power
    weights = float((beta**2 * power * share / shrink.square()).sum())
    error = float((share * (alpha / shrink).square()).sum()) + outside
    # alpha can reach 0 only when no feature varies; its term then vanishes with the weights'
    log_alpha = math.log(alpha) if alpha > 0 else 0.0
    evidence = dimension * log_alpha + count * math.log(beta) - count * math.log(2 * math.pi)
    evidence -= beta * error + alpha * weights + float(shrink.log().sum())
    return 0.5 * evidence / count


def log_expected_prediction(student: Tensor, teacher: Tensor) -> float:
    """LEEP: mean log of sum_c P(y | c) p_s0(c | x), y the teacher's top class; logits N x C and N x C'."""
    p = student.double().softmax(1)
    y = teacher.argmax(1)
    joint = torch.zeros(teacher.shape[1], p.shape[1], dtype=torch.float64).index_add_(0, y, p) / len(p)
    conditional = joint / joint.sum(0).clamp_min(1e-300)
    return float((conditional[y] * p).sum(1).log().mean())


class LogME(Estimator):
    """Log evidence of predicting the teacher's logits linearly from the warmed-up student's embedding."""

    code = "E11"
    title = "LogME and LEEP on the teacher's targets"
    source = (
        "LogME, You et al., ICML 2021, arXiv 2102.11005; LEEP, Nguyen et al., ICML 2020, arXiv 2002.12462; "
        "inconsistent where they were baselines for teachers [N]"
    )
    formula = "max over alpha, beta of log p(z_t | f_s0, alpha, beta) / N, mean over classes; LEEP(s0, argmax p_t)"
    differences = (
        "z_t minus its mean over classes, features and columns centred, columns scaled to unit variance, because "
        "logits have any offset and scale"
    )
    cost = "both forwards"
    sign = "+"
    needs = frozenset({"logits"})
    variants: ClassVar = {"leep": "+"}

    def estimate(self, evidence: Evidence) -> float:
        z = evidence.teacher.logits.double()
        return log_evidence(evidence.student.embedding, z - z.mean(1, keepdim=True))

    def measure_variants(self, evidence: Evidence) -> dict[str, float]:
        return {"leep": log_expected_prediction(evidence.student.logits, evidence.teacher.logits)}
