"""OFD: a partial L2 distance that forgives what ReLU would cut."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from alambic.functional.space import negative_sums
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs
from alambic.models.projector import check_grids, connector, meet, paired_maps, paired_specs


def ofd_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, margin: Tensor | None = None) -> Tensor:
    """Sum of (student - m(teacher))² where student > m(teacher) or teacher > 0, with m(x) = max(x, margin).

    Args:
        student, teacher: B x C x H x W, the student's already connected.
        margin: C values <= 0, the mean negative response of each channel; None takes the batch's own.

    Returns: B values >= 0, sums over C H W.
    """
    if margin is None:
        total, count = negative_sums(teacher)
        margin = (total / count.clamp_min(1)).to(teacher.dtype)
    target = torch.maximum(teacher, margin.reshape(1, -1, 1, 1))
    active = ((student > target) | (target > 0)).to(student.dtype)
    return ((student - target).square() * active).flatten(1).sum(1)


class OFD(Method):
    """A Comprehensive Overhaul of Feature Distillation, Heo et al., ICCV 2019."""

    paper = Paper(
        "A Comprehensive Overhaul of Feature Distillation",
        "Heo, Kim, Yun, Park, Kwak, Choi",
        "ICCV",
        2019,
        "1904.01866",
        "clovaai/overhaul-distillation",
    )
    formula = "L = CE + 1e-3 sum_i 2^(i-n) sum_chw d(r_i(F_s), max(F_t, m)), d partial L2, m_c = E[F_t,c | F_t,c < 0]"
    family = "map"
    needs = Needs.of("stages", "stages")
    fidelity = "A"
    differences = (
        "the margin is the running mean of the teacher's negative responses, not computed from the BatchNorm before "
        "its ReLU, because the teacher may have neither; taps stand where blocks end, so that a teacher whose blocks "
        "end in ReLU has margin 0; maps of different size are pooled to the smaller; a channel that is hardly ever "
        "negative has its observed mean as margin, theirs three deviations below; the weight is the authors' for "
        "CIFAR, on ImageNet they take a tenth"
    )
    evidence = "ImageNet ResNet50 to MobileNetV1 68.87 to 71.25; CIFAR-100 WRN28-4 to ResNet56 72.32 to 75.56 [R]"
    min_classes = 1
    pure = staticmethod(ofd_loss)
    pure_input = "map"

    weight: float = 0.001

    def check(self, specs: Specs) -> None:
        super().check(specs)
        check_grids(self.name, specs.student, specs.teacher)

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        pairs = paired_specs(specs.student, specs.teacher)
        self.connectors = nn.ModuleList([connector(student.channels, teacher.channels) for student, teacher in pairs])
        for i, (_, teacher) in enumerate(pairs):
            for kind in ("total", "count"):
                # float64: counts of positions over a whole training pass 2^24
                self.register_buffer(f"negative_{kind}{i}", torch.zeros(teacher.channels, dtype=torch.float64))

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        pairs = paired_maps(s, t)
        parts = {}
        for i, (student, teacher) in enumerate(pairs):
            small, target = meet(student, teacher)
            value = ofd_loss(self.connectors[i](small), target, margin=self._margin(i, target))
            parts[f"ofd{i + 1}"] = self.weight * 2.0 ** (i + 1 - len(pairs)) * value
        return parts

    def _margin(self, i: int, teacher: Tensor) -> Tensor:
        """Each channel's mean negative response so far, this batch included."""
        seen_total, seen_count = getattr(self, f"negative_total{i}"), getattr(self, f"negative_count{i}")
        total, count = negative_sums(teacher)
        seen_total += total
        seen_count += count
        return (seen_total / seen_count.clamp_min(1)).to(teacher.dtype)
