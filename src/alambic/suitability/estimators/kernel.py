"""E10: whether the teacher's function is easy for the student's own kernel."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from alambic.suitability.base import Estimator
from alambic.suitability.evidence import Evidence
from alambic.suitability.measures import centre

SMOOTHING = 0.1


def centred_kernel(features: Tensor) -> Tensor:
    """K x K inner products of centred rows K x P, with mean diagonal 1 (all zeros where nothing varies)."""
    rows = centre(features)
    kernel = rows @ rows.T
    return kernel / kernel.diagonal().mean().clamp_min(1e-300)


def centred_logits(logits: Tensor) -> Tensor:
    """Logits K x C minus their mean over classes, then over images."""
    z = logits.double()
    return centre(z - z.mean(1, keepdim=True))


def target_alignment(kernel: Tensor, targets: Tensor) -> float:
    """<K, Z Z^T> / (||K|| ||Z Z^T||), in [0, 1]; K x K and centred targets K x C."""
    product = targets @ targets.T
    return float((kernel * product).sum() / (kernel.norm() * product.norm()).clamp_min(1e-300))


def function_complexity(kernel: Tensor, targets: Tensor) -> float:
    """tr Z^T (K + .1 I)^-1 Z / ||Z||^2: squared norm of the function that the kernel needs, in (0, 10]."""
    smoothed = kernel + SMOOTHING * torch.eye(len(kernel), dtype=kernel.dtype)
    norm = targets.square().sum().clamp_min(1e-300)
    return float((targets * torch.linalg.solve(smoothed, targets)).sum() / norm)


def relation_score(student: Tensor, teacher: Tensor) -> float:
    """-||N(G_t) - N(G_s)||^2 / B^2, G = F F^T of the deepest maps B x k, rows L2-normalised; at most 0."""
    grams = [F.normalize(rows.double() @ rows.double().T, dim=1) for rows in (teacher, student)]
    return -float((grams[0] - grams[1]).square().sum()) / len(student) ** 2


class Kernel(Estimator):
    """Alignment of the warmed-up student's empirical neural tangent kernel with the teacher's logits."""

    code = "E10"
    title = "kernel alignment"
    source = (
        "kernel-target alignment, Cristianini et al., NeurIPS 2001; as a teacher score after C-MoNA (ICLR 2026 "
        "submission, rejected: Kendall mostly under .5 [N]); DisWOT, Dong et al., CVPR 2023, arXiv 2303.15678"
    )
    formula = "<K_s, Z Z^T> / (||K_s|| ||Z Z^T||); tr Z^T (K_s + .1 I)^-1 Z / ||Z||^2; DisWOT's relation score"
    differences = (
        "K_s is the mean over four random centred sums of logits, gradients sketched; of DisWOT only the relations "
        "between images, on maps averaged to 4 x 4: its class maps need a teacher with a linear classifier"
    )
    cost = "gradients"
    sign = "+"
    needs = frozenset({"logits", "gradients"})
    variants: ClassVar = {"complexity": "-", "diswot": "+"}

    def estimate(self, evidence: Evidence) -> float:
        kernel, targets = _pair(evidence)
        return target_alignment(kernel, targets)

    def measure_variants(self, evidence: Evidence) -> dict[str, float]:
        found = {}
        if not evidence.lacks("gradients"):
            found["complexity"] = function_complexity(*_pair(evidence))
        untrained, stages = evidence.student.untrained_map, evidence.teacher.stages
        if untrained is not None and stages:
            rows = slice(256)
            found["diswot"] = relation_score(untrained[rows], stages[-1][rows])
        return found


def _pair(evidence: Evidence) -> tuple[Tensor, Tensor]:
    gradients = evidence.student.gradients
    assert gradients is not None
    return centred_kernel(gradients), centred_logits(evidence.teacher.logits[: len(gradients)])
