"""CTKD: a temperature learned against the student."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from alambic.errors import AlambicError
from alambic.methods.base import Batch, Method, Paper, Specs
from alambic.methods.modifier import Modifier
from alambic.models.feature import Outputs


def reversal_strength(progress: float, ramp: float) -> float:
    """How strongly the gradient is reversed: 0 at the start, by half a cosine to 1 at ``ramp``, then 1."""
    return 0.5 - 0.5 * math.cos(math.pi * min(progress / ramp, 1.0)) if ramp > 0 else 1.0


class CTKD(Modifier):
    """Curriculum Temperature for Knowledge Distillation, Li et al., AAAI 2023: one global temperature.

    Both logits are divided by T = 1 + 20 sigmoid(theta) and each sample's loss is multiplied by T². Theta ascends the
    loss: its gradient is reversed, the more the further the training has gone. Use it with methods at temperature 1.
    """

    paper = Paper(
        "Curriculum Temperature for Knowledge Distillation",
        "Li, Li, Yang, Zhao, Song, Luo, Li, Yang",
        "AAAI",
        2023,
        "2211.16231",
        "zhengli97/CTKD",
    )
    formula = (
        "T = 1 + 20 sigmoid(theta), z -> z / T, loss times T^2, d theta reversed, from 0 to 1 over 10 of 240 epochs"
    )
    fidelity = "A"
    differences = "the reversal grows continuously, not by epoch"
    evidence = "CIFAR-100, at most +.7 over KD on CNN pairs; ImageNet, ResNet34 to ResNet18 71.51, KD 70.66 [R]"
    refuses_batch_parts = True
    refuses_exits = True

    lowest: float = 1.0
    span: float = 20.0
    ramp: float = 10 / 240

    def check_methods(self, methods: list[Method]) -> None:
        super().check_methods(methods)
        for method in methods:
            own = {name: value for name, value in method.hyper().items() if name.endswith("temperature")}
            other = [f"{name} = {value}" for name, value in own.items() if value != 1.0]
            if other:
                raise AlambicError(
                    f"modifier 'ctkd' expected {method.name!r} at temperature 1, got {', '.join(other)}, because it "
                    f"learns the temperature itself; try {' and '.join(f'{name} = 1.0' for name in own)}"
                )

    def check(self, specs: Specs) -> None:
        if specs.classes < 2:
            raise AlambicError(
                f"modifier 'ctkd' expected at least 2 classes, got {specs.classes}, because the softmax of one logit "
                "is always 1 at any temperature; try two classes"
            )

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        self.theta = nn.Parameter(torch.ones(()))

    def temperature(self, progress: float) -> Tensor:
        """0-d: the temperature, its gradient to theta reversed."""
        value = self.lowest + self.span * self.theta.sigmoid()
        kept = value.detach()
        return kept - reversal_strength(progress, self.ramp) * (value - kept)

    def transform(self, s: Outputs, t: Outputs, progress: float) -> tuple[Outputs, Outputs]:
        temperature = self.temperature(progress)
        return (
            replace(s, logits=s.need_logits() / temperature),
            replace(t, logits=t.need_logits() / temperature),
        )

    def sample_weight(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Tensor | None:
        return self.temperature(progress).square() * torch.ones_like(s.need_logits()[:, 0])
