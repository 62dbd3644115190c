"""CAT-KD: class activation maps, which have the same width for every architecture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from alambic.errors import AlambicError
from alambic.functional.relation import to_unit
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Head, Outputs


def cat_kd_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, size: int = 2) -> Tensor:
    """Mean over classes and positions of (N(AP(s)) - N(AP(t)))², AP average-pools to size x size, N per class map.

    Args:
        student, teacher: class activation maps B x C x H x W; sizes may differ.
        size: side after pooling; maps smaller than that are repeated.

    Returns: B values >= 0.
    """
    maps = [to_unit(F.adaptive_avg_pool2d(x, size).flatten(2), 2) for x in (student, teacher)]
    return (maps[0] - maps[1]).square().mean((1, 2))


def class_maps(features: Tensor, head: Head) -> Tensor:
    """The classifier's weight at each position, without its bias; B x D x H x W -> B x C x H x W."""
    if head.weight.shape[1] != features.shape[1]:
        raise AlambicError(
            f"method 'cat_kd' expected a classifier that reads the last stage's {features.shape[1]} channels, got one "
            f"of {head.weight.shape[1]}, because class maps are the classifier applied at each position; try kd or rsd"
        )
    return torch.einsum("bdhw,cd->bchw", features, head.weight.float())


class CATKD(Method):
    """Class Attention Transfer Based Knowledge Distillation, Guo et al., CVPR 2023.

    Class space needs no projector, for any teacher whose classifier can be applied at each position.
    """

    paper = Paper(
        "Class Attention Transfer Based Knowledge Distillation",
        "Guo, Yan, Li, Lin",
        "CVPR",
        2023,
        "2304.12777",
        "GzyAftermath/CAT-KD",
    )
    formula = "L = CE + 400 mean_chw (N(AP_2(W_s F_s)) - N(AP_2(W_t F_t)))_chw^2, N over the positions of each class"
    family = "map"
    needs = Needs.of("stages head", "stages head")
    fidelity = "A"
    differences = (
        "the authors rebuild networks to end in a 1x1 convolution and average pooling; here the classifier is applied "
        "at each position of the last stage, without what a network does between the two (a transformer's final norm). "
        "The weight is the code's default, which no file of theirs uses: with normalised maps, as here, their files "
        "have 10 to 600 per pair (10 to 40 for MobileNetV2 at size 2); pairs of one family have .5 to 15 without"
    )
    evidence = "the authors report CNN pairs only (README without tables); weights differ 60-fold between pairs [C]"
    min_classes = 1
    pure = staticmethod(cat_kd_loss)
    pure_input = "map"

    weight: float = 400.0
    size: int = 2

    def check(self, specs: Specs) -> None:
        super().check(specs)
        for side, spec in (("student", specs.student), ("teacher", specs.teacher)):
            last = spec.stages[-1] if spec.stages else None
            apart = last is not None and spec.embedding not in (None, last.channels)
            if last is None or last.size is None or min(last.size) < 2 or apart:
                raise AlambicError(
                    f"method 'cat_kd' expected a {side} whose classifier reads its last stage, a grid of 2 x 2 or "
                    f"more with its embedding's {spec.embedding or ''} channels, got {last or 'no stages'}, because "
                    "class maps are the classifier applied at each position; try kd on logits or rsd on embeddings"
                )
        if specs.teacher.classes != specs.student.classes:
            raise AlambicError(
                f"method 'cat_kd' compares maps class by class: expected a teacher with {specs.student.classes} "
                f"classes, got {specs.teacher.classes}; try rsd on embeddings, or fit a head for the teacher"
            )

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        student = class_maps(s.stages[-1].as_map(), s.need_head())
        teacher = class_maps(t.stages[-1].as_map(), t.need_head()).detach()
        return {"cat": self.weight * cat_kd_loss(student, teacher, size=self.size)}
