"""Control: the same training for longer."""

from __future__ import annotations

from dataclasses import replace

from alambic.methods.base import Paper
from alambic.training.recipe import Recipe
from alambic.treatments.base import Treatment


class LongerSchedule(Treatment):
    """What plain training reaches with the time that distillation costs: epochs times a factor."""

    paper = Paper("none", "", "", 0)
    formula = "epochs x 2"
    fidelity = "A"
    kind = "control"

    factor: float = 2.0

    def recipe(self, recipe: Recipe) -> Recipe:
        return replace(recipe, epochs=max(1, round(self.factor * recipe.epochs)))
