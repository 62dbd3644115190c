"""RKD: distances between two samples and angles between three."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from alambic.functional.relation import angles, block_size, blocks, distances, unit_sides, widen
from alambic.methods.base import Batch, Method, Needs, Paper, Parts
from alambic.models.feature import Outputs


def rkd_loss(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor | None = None,
    *,
    distance_weight: float = 25.0,
    angle_weight: float = 50.0,
) -> Tensor:
    """Row i: distance_weight mean_j huber(d_ij) + angle_weight mean_jk huber(a_ijk).

    Args:
        student, teacher: embeddings B x D_s and B x D_t; the widths may differ.

    Returns: B values >= 0, in the wider of the two types, at least float32.
    """
    return distance_weight * distance_rows(student, teacher) + angle_weight * angle_rows(student, teacher)


def distance_rows(student: Tensor, teacher: Tensor) -> Tensor:
    """mean_j huber of the gap between distances, each in units of its batch's mean distance; B values."""
    student, teacher = widen(student, teacher)
    return F.smooth_l1_loss(_scaled(student), _scaled(teacher), reduction="none").mean(1)


def _scaled(features: Tensor) -> Tensor:
    matrix = distances(features)
    pairs = max(matrix.numel() - len(matrix), 1)
    return matrix / (matrix.sum() / pairs).clamp_min(torch.finfo(matrix.dtype).tiny)


def angle_rows(student: Tensor, teacher: Tensor) -> Tensor:
    """mean_jk huber of the gap between the cosines at sample i; B values. Costs B² D_s values of memory.

    The teacher gets no gradient.
    """
    return cast(Tensor, _AngleRows.apply(*widen(student, teacher)))


class _AngleRows(torch.autograd.Function):
    """Block by block of anchors i, with each anchor's gradient at once: autograd would keep several B x B x B tensors.

    huber(g) = c (g - c / 2) and its derivative is c, the gap g clipped to [-1, 1]; c is symmetric in j and k.
    """

    @staticmethod
    def forward(ctx: Any, student: Tensor, teacher: Tensor) -> Tensor:
        size, rows = len(student), []
        slopes = student.new_empty(size, *student.shape) if ctx.needs_input_grad[0] else None
        slices = list(blocks(size, size * max(size, student.shape[1]), block_size(student.device)))
        for anchors, target in zip(slices, angles(teacher, slices), strict=True):
            sides, factor = unit_sides(student, anchors)
            gap = target.baddbmm_(sides, sides.mT, beta=-1)
            clipped = gap.clamp(-1, 1)
            rows.append(gap.sub_(clipped, alpha=0.5).mul_(clipped).mean((1, 2)))
            if slopes is not None:
                slope = torch.bmm(clipped, sides, out=slopes[anchors])
                along = (slope * sides).sum(2, keepdim=True)
                slope.addcmul_(sides, along, value=-1).mul_(factor * (2 / size**2))
                slope.diagonal(anchors.start).copy_(-slope.sum(1).mT)  # the anchor is one end of each side
        if slopes is not None:
            ctx.save_for_backward(slopes)
        return torch.cat(rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor, None]:
        (slopes,) = ctx.saved_tensors
        return torch.tensordot(weights, slopes, 1), None


class RKD(Method):
    """Relational Knowledge Distillation, Park et al., CVPR 2019."""

    paper = Paper(
        "Relational Knowledge Distillation",
        "Park, Kim, Lu, Cho",
        "CVPR",
        2019,
        "1904.05068",
        "lenscloth/RKD",
    )
    formula = "L = CE + 25 mean_ij huber(d_ij(s), d_ij(t)) + 50 mean_ijk huber(cos_ijk(s), cos_ijk(t)), d over its mean"
    family = "relation"
    needs = Needs.of("embedding", "embedding")
    fidelity = "A"
    differences = (
        "the weights are RepDistiller's: the authors' advise 1 and 2, and do not scale the student's embedding to "
        "length 1"
    )
    evidence = (
        "CIFAR-100 to MobileNetV2 (64.60): from vgg13 64.52, from ResNet50 64.43 [R]; from Swin-T at 224 px below "
        "scratch, 69.00 against 73.68 [M]"
    )
    min_classes = 1
    pure = staticmethod(rkd_loss)
    pure_input = "embedding"

    distance_weight: float = 25.0
    angle_weight: float = 50.0

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        student, teacher = s.need_embedding(), t.need_embedding()
        return {
            "distance": self.distance_weight * distance_rows(student, teacher),
            "angle": self.angle_weight * angle_rows(student, teacher),
        }
