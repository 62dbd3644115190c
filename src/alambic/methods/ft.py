"""FT: transfer factors that a paraphraser has drawn from the teacher's last map."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs
from alambic.models.projector import check_grids, meet


def ft_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None) -> Tensor:
    """Mean absolute difference of the two factors, each scaled to length 1; B x C x H x W -> B values >= 0."""
    return (F.normalize(student.flatten(1)) - F.normalize(teacher.flatten(1))).abs().mean(1)


class FT(Method):
    """Paraphrasing Complex Network: Network Compression via Factor Transfer, Kim et al., NeurIPS 2018.

    Two stages: the paraphraser, an autoencoder of the teacher's last map, learns alone; then it is frozen and the
    student's translator learns its factors.
    """

    paper = Paper(
        "Paraphrasing Complex Network: Network Compression via Factor Transfer",
        "Kim, Park, Kwak",
        "NeurIPS",
        2018,
        "1802.04977",
        "Jangho-Kim/Factor-Transfer-pytorch",
    )
    formula = (
        "stage 1: min |P'(P(F_t)) - F_t|_1 over the paraphraser; stage 2: L = CE + 500 mean |N(T(F_s)) - N(P(F_t))|, "
        "N the L2 norm of the whole factor"
    )
    family = "map"
    needs = Needs.of("stages", "stages")
    fidelity = "A"
    differences = (
        "the first stage is a share of the one training (the authors' 6 epochs and 164), in which the student "
        "learns nothing, and one learning-rate schedule spans both; "
        "factors of different size are pooled to the smaller"
    )
    evidence = (
        "ImageNet ResNet34 to ResNet18 71.43, rerun 71.56 against 71.37 of KD [R]; CIFAR-100 vgg13 to MobileNetV2 "
        "64.60 to 61.78, ResNet50 to MobileNetV2 64.60 to 60.99, by RepDistiller's form: factors' energies, weight "
        "200 [R]"
    )
    min_classes = 1
    pure = staticmethod(ft_loss)
    pure_input = "map"
    stages = (("paraphraser", 6 / 170),)

    weight: float = 500.0
    rate: float = 0.5

    def check(self, specs: Specs) -> None:
        super().check(specs)
        check_grids(self.name, specs.student, specs.teacher)

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        inputs, outputs = specs.student.stages[-1].channels, specs.teacher.stages[-1].channels
        factors = max(1, round(outputs * self.rate))
        self.paraphraser = _encoder(outputs, factors)
        self.decoder = nn.Sequential(
            *_block(nn.ConvTranspose2d(factors, factors, 3, padding=1)),
            *_block(nn.ConvTranspose2d(factors, outputs, 3, padding=1)),
            *_block(nn.ConvTranspose2d(outputs, outputs, 3, padding=1)),
        )
        self.translator = _encoder(inputs, factors)

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        teacher = t.stages[-1].as_map()
        if self.stage_at(progress):
            rebuilt = self.decoder(self.paraphraser(teacher))
            return {"paraphraser": (rebuilt - teacher).abs().flatten(1).mean(1)}
        with torch.no_grad():
            factor = self.paraphraser(teacher)
        return {"ft": self.weight * ft_loss(*meet(self.translator(s.stages[-1].as_map()), factor))}


def _block(conv: nn.Module) -> tuple[nn.Module, nn.Module]:
    return conv, nn.LeakyReLU(0.1)


def _encoder(inputs: int, outputs: int) -> nn.Sequential:
    """B x inputs x H x W -> B x outputs x H x W."""
    return nn.Sequential(
        *_block(nn.Conv2d(inputs, inputs, 3, padding=1)),
        *_block(nn.Conv2d(inputs, outputs, 3, padding=1)),
        *_block(nn.Conv2d(outputs, outputs, 3, padding=1)),
    )
