"""Dense feature regression: the student's last map must give the teacher's patch features, linearly."""

from __future__ import annotations

import torch
from torch import Tensor

from alambic.functional.space import mean_square
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs
from alambic.models.projector import check_grids, init_trunc_normal, linear, resize_map


def dense_feature_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None) -> Tensor:
    """Mean squared difference, not normalised; maps B x C x H x W, the student's already projected -> B values >= 0."""
    return mean_square(student, teacher)


class DenseFeature(Method):
    """Foundation-feature distillation as LightlyTrain does it (its method distillationv2).

    Needs no label, so it pre-trains on unlabelled images; the library's authors use it with mixed images.
    """

    paper = Paper(
        "LightlyTrain: dense feature distillation (distillationv2)",
        "Lightly AG",
        "software",
        2025,
        "",
        "lightly-ai/lightly-train",
    )
    formula = "L = CE + mean (W F_s + b - F_t)^2 over positions and channels of the last map"
    family = "map"
    needs = Needs.of("stages", "stages")
    fidelity = "A"
    differences = (
        "the teacher's last tap instead of its last two blocks side by side, and without its final norm, because taps "
        "stand at quarters of a network; a larger student map is pooled, not sampled bilinearly; cross-entropy joins "
        "in, where the authors pre-train without labels; no mixing of images, which is the data's part here"
    )
    evidence = "no accuracy published for this loss alone; LightlyTrain recommends it for purely dense tasks [C]"
    min_classes = 1
    pure = staticmethod(dense_feature_loss)
    pure_input = "map"

    weight: float = 1.0

    def check(self, specs: Specs) -> None:
        super().check(specs)
        check_grids(self.name, specs.student, specs.teacher)

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        self.projector = linear(specs.student.stages[-1].channels, specs.teacher.stages[-1].channels)
        self.projector.apply(init_trunc_normal)

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        teacher = t.stages[-1].as_map()
        # resizing and projecting are both linear along different axes: the order does not change the result
        student = resize_map(s.stages[-1].as_map(), (teacher.shape[2], teacher.shape[3])).movedim(1, 3)
        return {"dense": self.weight * dense_feature_loss(self.projector(student).movedim(3, 1), teacher)}
