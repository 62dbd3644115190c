"""E9: how much of the teacher's representation the student's features already predict."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from alambic.suitability.base import Estimator
from alambic.suitability.evidence import Evidence
from alambic.suitability.measures import centre, effective_rank
from alambic.training.recipe import stream

FOLDS = 5
RIDGE = 1e-3


def divide(count: int) -> Tensor:
    """int64 N: the fold of each image."""
    return torch.randperm(count, generator=stream(0, "folds")) % FOLDS


def ridge_predictions(features: Tensor, targets: Tensor) -> Tensor:
    """Cross-validated ridge predictions N x D of targets N x D from features N x d.

    Five folds of a random division that depends on N alone (a division by order would leave out whole classes of
    ordered images). The penalty is 1e-3 of the features' mean variance, times the rows. Means come from the training
    folds.
    """
    features, targets = features.double(), targets.double()
    fold = divide(len(features))
    predicted = torch.empty_like(targets)
    for index in range(FOLDS):
        held = fold == index
        x, y = features[~held], targets[~held]
        mean_x, mean_y = x.mean(0), y.mean(0)
        x, y = x - mean_x, y - mean_y
        square = x.T @ x
        penalty = RIDGE * square.diagonal().mean() + 1e-12
        weight = torch.linalg.solve(square + penalty * torch.eye(len(square), dtype=torch.float64), x.T @ y)
        predicted[held] = (features[held] - mean_x) @ weight + mean_y
    return predicted


def explained_share(targets: Tensor, predicted: Tensor) -> float:
    """R2 = 1 - sum of squared errors / sum of squares about the mean, over all dimensions together; NaN if constant."""
    targets = targets.double()
    total = float(centre(targets).square().sum())
    return 1 - float((targets - predicted).square().sum()) / total if total > 0 else float("nan")


class Absorbable(Estimator):
    """Share of the teacher embedding's variance that a linear map of the warmed-up student's embedding explains."""

    code = "E9"
    title = "absorbable variance"
    source = "ours: a cheap bound for losses on embeddings (RSD, SRD, VkD); not validated"
    formula = "cross-validated ridge R2 of f_t (and of z_t centred) from f_s0; effective rank of what is predicted"
    cost = "both forwards"
    sign = "+"
    needs = frozenset({"embedding"})
    variants: ClassVar = {"logits": "+", "rank": "+"}

    def estimate(self, evidence: Evidence) -> float:
        target = evidence.teacher.embedding
        assert target is not None
        return explained_share(target, ridge_predictions(evidence.student.embedding, target))

    def measure_variants(self, evidence: Evidence) -> dict[str, float]:
        features = evidence.student.embedding
        z = evidence.teacher.logits.double()
        z = z - z.mean(1, keepdim=True)
        found = {"logits": explained_share(z, ridge_predictions(features, z))}
        if evidence.teacher.embedding is not None:
            found["rank"] = effective_rank(ridge_predictions(features, evidence.teacher.embedding))
        return found
