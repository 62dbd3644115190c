"""No distillation: the student alone."""

from __future__ import annotations

from alambic.methods.base import Batch, Method, Needs, Paper, Parts
from alambic.models.feature import Outputs


class NoDistillation(Method):
    """Cross-entropy only: the baseline that every gain is quoted against. It has no teacher."""

    paper = Paper("none", "", "", 0)
    formula = "L = CE"
    family = "baseline"
    needs = Needs.of("", "")
    fidelity = "A"
    min_classes = 1
    at_equal = "none, because there is no loss"
    pure = None
    pure_input = "none"

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        return {}
