"""RKD: distances between two samples and angles between three."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from alambic.functional.relation import angles, distances
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

    Returns: B values >= 0.
    """
    return distance_weight * distance_rows(student, teacher) + angle_weight * angle_rows(student, teacher)


def distance_rows(student: Tensor, teacher: Tensor) -> Tensor:
    """mean_j huber of the gap between distances, each in units of its batch's mean distance; B values."""
    return F.smooth_l1_loss(_scaled(student), _scaled(teacher), reduction="none").mean(1)


def _scaled(features: Tensor) -> Tensor:
    matrix = distances(features)
    pairs = max(matrix.numel() - len(matrix), 1)
    return matrix / (matrix.sum() / pairs).clamp_min(torch.finfo(matrix.dtype).tiny)


def angle_rows(student: Tensor, teacher: Tensor) -> Tensor:
    """mean_jk huber of the gap between the cosines at sample i; B values. Costs B³ and B² D values of memory."""
    return F.smooth_l1_loss(angles(student), angles(teacher), reduction="none").mean((1, 2))


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
