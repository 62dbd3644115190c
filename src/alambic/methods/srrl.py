"""SRRL: the student's embedding must do under the teacher's classifier what the teacher's own does."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from alambic.errors import AlambicError
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs


def srrl_loss(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor | None = None,
    *,
    classifier: Tensor | None = None,
    softmax_weight: float = 1.0,
) -> Tensor:
    """mean_d (s - t)_d² + softmax_weight mean_c (W (s - t))_c².

    Args:
        student: embedding B x D, already transformed. teacher: B x D.
        classifier: the teacher's weight W, C x D (its bias cancels); None leaves the second term out.

    Returns: B values >= 0.
    """
    matching = (student - teacher).square().mean(1)
    if classifier is None:
        return matching
    return matching + softmax_weight * logit_gap(student, teacher, classifier)


def logit_gap(student: Tensor, teacher: Tensor, classifier: Tensor) -> Tensor:
    """mean_c (W (s - t))_c²: how far the teacher's classifier tells the two embeddings apart; B values."""
    return ((student - teacher) @ classifier.T).square().mean(1)


class SRRL(Method):
    """Knowledge distillation via softmax regression representation learning, Yang et al., ICLR 2021.

    The deployable cousin of SimKD: the transformation is thrown away, the student keeps its own classifier. The
    student's classes may differ from the teacher's, because only the teacher's classifier compares.
    """

    paper = Paper(
        "Knowledge distillation via softmax regression representation learning",
        "Yang, Martinez, Bulat, Tzimiropoulos",
        "ICLR",
        2021,
        "",
        "jingyang2017/KD_SRRL",
    )
    formula = "L = CE + mean_d (h(F_s) - f_t)_d^2 + mean_c (FC_t(h(F_s)) - z_t)_c^2, h = GAP relu BN conv1x1"
    family = "embedding"
    needs = Needs.of("stages", "embedding head")
    fidelity = "A"
    differences = "relu = false leaves out the transformation's ReLU, for teachers whose embedding has both signs"
    evidence = (
        "ImageNet: ResNet34 to ResNet18 71.73, ResNet50 to MobileNet 72.49 (KD 70.66, 70.50) [R]; CIFAR-100, "
        "ResNet32x4 to ShuffleNetV2x1.5 77.55 (KD 76.82) [R]"
    )
    min_classes = 1
    pure = staticmethod(srrl_loss)
    pure_input = "embedding"

    weight: float = 1.0
    softmax_weight: float = 1.0
    relu: bool = True

    def check(self, specs: Specs) -> None:
        super().check(specs)
        if not specs.student.stages or specs.student.stages[-1].size is None:
            raise AlambicError(
                "method 'srrl' expected a student whose last stage is a map, got "
                f"{specs.student.stages[-1:] or 'none'}, because it transforms the map before it pools; try "
                "embedding_mse, which reads the embedding"
            )

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        assert specs.teacher.embedding is not None
        inputs, outputs = specs.student.stages[-1].channels, specs.teacher.embedding
        conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        self.transform = nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU() if self.relu else nn.Identity())

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        transformed = self.transform(s.stages[-1].as_map()).mean((2, 3))
        teacher, weight = t.need_embedding(), t.need_head().weight.detach().float()
        return {
            "matching": self.weight * srrl_loss(transformed, teacher),
            "softmax": self.weight * self.softmax_weight * logit_gap(transformed, teacher, weight),
        }
