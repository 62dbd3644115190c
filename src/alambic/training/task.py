"""The task: its loss on labels, and the metric that ranks.

Cross-entropy lives here and nowhere else. Label -1 is an unlabelled image: it adds nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from alambic.errors import AlambicError, nearest
from alambic.functional.prob import cross_entropy, soft_targets

Metric = Literal["accuracy", "balanced_accuracy", "average_precision", "recall_at_1_percent_false_alarms"]
METRICS: tuple[Metric, ...] = (
    "accuracy",
    "balanced_accuracy",
    "average_precision",
    "recall_at_1_percent_false_alarms",
)


@dataclass(frozen=True)
class Task:
    """Classification by softmax over ``classes`` >= 2 scores, or by one logit (``classes`` = 1, labels 0 and 1).

    Attributes:
        classes: width of the network's output.
        class_weights: one per class (softmax only), empty for none; scales an image's cross-entropy.
        metric: what ranks; the last two are for two classes or one logit and take class 1 as the positive one.
    """

    classes: int
    class_weights: tuple[float, ...] = ()
    metric: Metric = "accuracy"

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise AlambicError(f"unknown metric {self.metric!r}: {nearest(self.metric, METRICS)}")
        if self.metric in METRICS[2:] and self.classes > 2:
            raise AlambicError(f"metric {self.metric!r} expected one or two classes, got {self.classes}; try accuracy")
        if self.class_weights and len(self.class_weights) != self.classes:
            raise AlambicError(
                f"expected {self.classes} class weights, one per class, got {len(self.class_weights)}; "
                "try leaving class_weights out"
            )
        if self.class_weights and self.classes == 1:
            raise AlambicError(
                f"expected no class weights for one logit, got {self.class_weights}, because its loss has none; "
                "try leaving class_weights out"
            )
        check_class_weights(self.class_weights)

    def loss(self, logits: Tensor, labels: Tensor, partner: Tensor | None = None, lam: Tensor | None = None) -> Tensor:
        """Cross-entropy per sample, B values; 0 for unlabelled images. Mixed batches mix the targets."""
        if self.classes == 1:
            known = (labels >= 0).float()
            target = labels.clamp_min(0).float()
            if partner is not None and lam is not None:
                known = known * (partner >= 0).float()
                target = lam * target + (1 - lam) * partner.clamp_min(0).float()
            return known * F.binary_cross_entropy_with_logits(logits[:, 0].float(), target, reduction="none")
        targets = soft_targets(labels, self.classes, partner, lam)
        if self.class_weights:
            targets = targets * _on_device(self.class_weights, targets.device)
        return cross_entropy(logits.float(), targets)


def check_class_weights(weights: tuple[float, ...]) -> None:
    """Refuses weights of cross-entropy that would train in silence on nothing, or away from the labels."""
    if weights and not (all(0 <= weight < math.inf for weight in weights) and any(weights)):
        raise AlambicError(
            f"expected class weights that are finite and >= 0, not all of them 0, got {weights}, because each image's "
            "loss is multiplied by its class's; try leaving class_weights out"
        )


@lru_cache(maxsize=16)
def _on_device(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Copied to the device once: a copy in each step would make the host wait."""
    return torch.tensor(values, device=device)


def predict(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(predicted class int, margin) per image; N x C logits.

    The margin is the top score minus the second; for one logit it is the logit itself and the class is logit > 0.
    Raises AlambicError where a score is NaN or infinite: argmax would take it for a class.
    """
    wrong = int((~np.isfinite(logits)).any(axis=1).sum())
    if wrong:
        kind = "NaN" if np.isnan(logits).any() else "infinity"
        raise AlambicError(
            f"expected finite scores in evaluation, got {kind} for {wrong:,} of {len(logits):,} images, because the "
            "network overflows or divides by zero there; try a lower learning rate, or a look at its normalisation"
        )
    if logits.shape[1] == 1:
        return (logits[:, 0] > 0).astype(np.int64), logits[:, 0].astype(np.float32)
    top = np.partition(logits, -2, axis=1)[:, -2:]
    return logits.argmax(1), (top[:, 1] - top[:, 0]).astype(np.float32)


def evaluate_metric(metric: Metric, predicted: np.ndarray, margin: np.ndarray, labels: np.ndarray) -> float:
    """The metric from per-image predictions, in [0, 1]; unlabelled images are left out.

    Args:
        predicted, margin: as ``predict`` gives them; the positive class's score is +-margin by the prediction.
        labels: int, -1 = unlabelled.
    """
    known = labels >= 0
    if not known.any():
        raise AlambicError("expected at least one labelled image to evaluate, got none")
    predicted, margin, labels = predicted[known], margin[known], labels[known]
    if metric == "accuracy":
        return float((predicted == labels).mean())
    if metric == "balanced_accuracy":
        return float(np.mean([(predicted[labels == c] == c).mean() for c in np.unique(labels)]))
    score = np.where(predicted == 1, np.abs(margin), -np.abs(margin))
    positive = find_positives(metric, labels)
    if metric == "average_precision":
        return _average_precision(score, positive)
    return _recall_at(score, positive, 0.01)


def find_positives(metric: str, labels: np.ndarray) -> np.ndarray:
    """Which images are of class 1. Raises AlambicError where all are or none is: no order of them can be scored."""
    positive: np.ndarray = labels == 1
    if positive.all() or not positive.any():
        raise AlambicError(f"metric {metric!r} expected both classes among the images, got one")
    return positive


def _average_precision(score: np.ndarray, positive: np.ndarray) -> float:
    """Area under precision-recall by steps; tied scores are taken together, as in scikit-learn."""
    order = np.argsort(-score, kind="stable")
    score, positive = score[order], positive[order]
    ends = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)
    hits = np.cumsum(positive)[ends]
    precision, recall = hits / (ends + 1), hits / positive.sum()
    return float(np.sum(np.diff(np.append(0.0, recall)) * precision))


def _recall_at(score: np.ndarray, positive: np.ndarray, false_alarms: float) -> float:
    """Share of positives above the lowest threshold that lets at most that share of negatives through."""
    negatives = np.sort(score[~positive])[::-1]
    allowed = int(np.floor(false_alarms * len(negatives)))
    threshold = negatives[allowed]
    return float((score[positive] > threshold).mean())


def labels_of(labels: Tensor, ids: Tensor) -> np.ndarray:
    """Labels of some ids as an array."""
    return labels[ids].cpu().numpy().astype(np.int64)
