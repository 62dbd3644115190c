"""Calibrated temperature: the teacher's confidence is put right before it teaches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from alambic.errors import AlambicError
from alambic.methods.base import Method, Paper, Specs
from alambic.methods.modifier import Modifier
from alambic.models.feature import Outputs

GRID = torch.logspace(-1, 1, 201, dtype=torch.float64)


def adaptive_calibration_error(logits: Tensor, labels: Tensor, bins: int = 15) -> float:
    """Mean over equally filled bins of |accuracy - confidence| of the predicted class, in [0, 1].

    Args:
        logits: N x C. labels: int64 N, all known. bins: at most N.
    """
    confidence, predicted = logits.double().softmax(1).max(1)
    order = confidence.argsort()
    correct = (predicted == labels).double()[order]
    gaps = [
        (a.mean() - b.mean()).abs()
        for a, b in zip(correct.tensor_split(bins), confidence[order].tensor_split(bins), strict=True)
        if len(a)
    ]
    return float(torch.stack(gaps).mean())


def fit_temperature(logits: Tensor, labels: Tensor, criterion: str = "ace") -> float:
    """The temperature in [.1, 10] (201 steps, even in the logarithm) at which held-out predictions are calibrated best.

    Args:
        logits: N x C of the teacher on images that it was not trained on. labels: int64 N; -1 rows are left out.
        criterion: "ace" (adaptive calibration error, 15 bins) or "nll" (negative log likelihood).
    """
    known = labels >= 0
    logits, labels = logits[known].double(), labels[known]
    if len(labels) < 2 or criterion not in ("ace", "nll"):
        raise AlambicError(
            f"expected at least two labelled rows and criterion 'ace' or 'nll', got {len(labels)} rows and "
            f"{criterion!r}, because a temperature is fitted to labels; try the tune split"
        )
    if criterion == "nll":
        errors = [float(F.cross_entropy(logits / t, labels)) for t in GRID]
    else:
        errors = [adaptive_calibration_error(logits / t, labels) for t in GRID]
    return float(GRID[min(range(len(errors)), key=errors.__getitem__)])


class CalibratedTemperature(Modifier):
    """The Role of Teacher Calibration in Knowledge Distillation, Kim et al., IEEE Access 2025.

    Divides the teacher's logits by the temperature T* that calibrates it on held-out images (``fit_temperature``),
    before the loss applies its own. T* = 1 changes nothing.
    """

    paper = Paper(
        "The Role of Teacher Calibration in Knowledge Distillation",
        "Kim, Park, Lee, Kwak",
        "IEEE Access",
        2025,
        "2508.20224",
    )
    formula = "z_t -> z_t / T*, T* = argmin_T ACE(softmax(z_t / T)) on held-out images"
    fidelity = "B"
    differences = (
        "no released code; the error is of the predicted class alone, in equally filled bins, where Nixon et al. "
        "(arXiv 1904.01685) take every class; the paper's own form and number of bins are not known to us, 15 are usual"
    )
    evidence = (
        "CIFAR-100, 17 CNN teachers: R2 of their calibration error with the student's accuracy .92 and .90, of their "
        "accuracy .68 and .56 [N]"
    )

    temperature: float = 1.0

    def check(self, specs: Specs) -> None:
        if self.temperature <= 0 or specs.classes < 2:
            raise AlambicError(
                f"modifier 'calibrated_temperature' expected a temperature above 0 and at least 2 classes, got "
                f"{self.temperature} and {specs.classes}, because it softens class probabilities; "
                "try fit_temperature on the tune split"
            )

    def check_methods(self, methods: list[Method]) -> None:
        super().check_methods(methods)
        for method in methods:
            if method.teacher_classes(2) != 2:
                raise AlambicError(
                    f"modifier 'calibrated_temperature' expected a teacher of the task's classes, got {method.name!r}, "
                    "whose teacher has more, because it is calibrated on the task's labels; try it with kd"
                )

    def fit(self, logits: Tensor, labels: Tensor) -> dict[str, Any]:
        return {"temperature": fit_temperature(logits, labels)}

    def transform(self, s: Outputs, t: Outputs, progress: float) -> tuple[Outputs, Outputs]:
        return s, replace(t, logits=t.need_logits() / self.temperature)
