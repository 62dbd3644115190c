"""FitNet: regress a hint layer of the teacher."""

from __future__ import annotations

import torch
from torch import Tensor

from alambic.functional.space import mean_square
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs
from alambic.models.projector import HintRegressor, check_grids, paired_maps, paired_specs


def fitnet_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None) -> Tensor:
    """Mean squared difference; maps B x C x H x W, the student's already regressed -> B values >= 0."""
    return mean_square(student, teacher)


class FitNet(Method):
    """FitNets: Hints for Thin Deep Nets, Romero et al., ICLR 2015.

    A negative control across architectures: the hint must be met value by value.
    """

    paper = Paper(
        "FitNets: Hints for Thin Deep Nets",
        "Romero, Ballas, Kahou, Chassang, Gatta, Bengio",
        "ICLR",
        2015,
        "1412.6550",
        "megvii-research/mdistiller",
    )
    formula = "L = CE + 100 mean (r(F_s) - F_t)^2 at one hint stage, r a convolutional regressor"
    family = "map"
    needs = Needs.of("stages", "stages")
    fidelity = "A"
    differences = (
        "the regressor does not end in ReLU (set relu = true for it), because transformers and ConvNeXts have signed "
        "features; sizes that differ by another factor than 2 are resized before a 1x1 convolution, where the authors "
        "take a kernel as large as the difference; one stage of training, as in the code, not the paper's two"
    )
    evidence = (
        "CIFAR-100 vgg13 to MobileNetV2 64.60 to 64.14 [R]; ViT-S to MobileNetV2 at 224 px 73.68 to 73.54, ConvNeXt-T "
        "to Swin-P 72.63 to 24.06 [N]"
    )
    min_classes = 1
    pure = staticmethod(fitnet_loss)
    pure_input = "map"

    hint: int = -2
    relu: bool = False
    weight: float = 100.0

    def check(self, specs: Specs) -> None:
        super().check(specs)
        check_grids(self.name, specs.student, specs.teacher)

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        pairs = paired_specs(specs.student, specs.teacher)
        self.regressor = HintRegressor(*pairs[self._hint(len(pairs))], relu=self.relu)

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        pairs = paired_maps(s, t)
        student, teacher = pairs[self._hint(len(pairs))]
        return {"hint": self.weight * fitnet_loss(self.regressor(student), teacher)}

    def _hint(self, count: int) -> int:
        """The hint's pair, counted from the deep end as -1, -2, ...; the nearest one where there are fewer."""
        return max(self.hint, -count) if self.hint < 0 else min(self.hint, count - 1)
