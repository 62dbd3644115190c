"""Function matching: patience and consistency."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from alambic.data import ViewSpec
from alambic.errors import AlambicError
from alambic.methods.base import Paper
from alambic.training.recipe import Recipe
from alambic.treatments.base import Treatment

Mix = Literal["none", "mixup", "cutmix"]
MIXES: tuple[Mix, ...] = ("none", "mixup", "cutmix")


class Patient(Treatment):
    """Knowledge distillation: A good teacher is patient and consistent, Beyer et al., CVPR 2022.

    Fresh views each epoch, the same for both networks, mixed by mixup, and many more epochs. Use it with ``funmatch``
    (no labels); since views are fresh, the teacher runs live. For networks of a few kB, measure ``mix`` = "none" too.
    """

    paper = Paper(
        "Knowledge distillation: A good teacher is patient and consistent",
        "Beyer, Zhai, Royer, Markeeva, Anil, Kolesnikov",
        "CVPR",
        2022,
        "2106.05237",
        "google-research/big_vision",
    )
    formula = "epochs x 10, one view for both networks, fresh each time, mixup"
    fidelity = "B"
    differences = (
        "the factor is a setting (the paper goes on to 9600 epochs); crops and photometry are the study's; mixing is "
        "the study's mix_alpha where it has one (theirs is Beta(1, 1)), and so is clipping"
    )
    evidence = "ImageNet, BiT-M-R152x2 to ResNet50: 82.8 after 9600 epochs [A]"
    kind = "recipe"
    needs_teacher = True

    factor: float = 10.0
    mix: str = "mixup"

    def recipe(self, recipe: Recipe) -> Recipe:
        return replace(recipe, epochs=max(1, round(self.factor * recipe.epochs)))

    def views(self, views: ViewSpec) -> ViewSpec:
        for mix in MIXES:
            if self.mix == mix:
                return replace(views, count=0, mix=mix)
        raise AlambicError(f"treatment 'patient' expected mix out of {', '.join(MIXES)}, got {self.mix!r}")
