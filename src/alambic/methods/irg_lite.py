"""IRG: the graph of distances between the images of a batch, in units of its longest edge."""

from __future__ import annotations

from torch import Tensor

from alambic.functional.relation import squared_distances
from alambic.methods.base import Batch, Method, Needs, Paper, Parts
from alambic.models.feature import Outputs


def irg_lite_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None) -> Tensor:
    """Row i: sum_j (E(s)_ij - E(t)_ij)² / 2, E the squared distances over the largest of the batch.

    Args:
        student, teacher: embeddings B x D_s and B x D_t; the widths may differ.

    Returns: B values >= 0.
    """
    edges = []
    for features in (student, teacher):
        squares = squared_distances(features)
        edges.append(squares / squares.max().clamp_min(1e-12))
    return (edges[0] - edges[1]).square().sum(1) / 2


class IRG(Method):
    """Knowledge Distillation via Instance Relationship Graph, Liu et al., CVPR 2019: its edges.

    The value grows with the batch: a row is summed, not averaged.
    """

    paper = Paper(
        "Knowledge Distillation via Instance Relationship Graph",
        "Liu, Cao, Li, Yuan, Hu, Li, Duan",
        "CVPR",
        2019,
        "",
        "yufanLIU/IRG",
    )
    formula = "L = CE + .005 / (2B) sum_ij (E(f_s) - E(f_t))_ij^2, E_ij = |f_i - f_j|^2 / max_ij |f_i - f_j|^2"
    family = "relation"
    needs = Needs.of("embedding", "embedding")
    fidelity = "A"
    differences = (
        "the released single graph (IRG.prototxt) without the graph's transformation from the first to the last block "
        "of a stage, which needs two taps of one width in a stage; the gradient is the value's own, where the released "
        "layer holds the largest edge constant (a small student's loss then rose here) and differentiates one end of "
        "an edge"
    )
    components = (
        ("edges between images", True),
        ("features of the images (vertices)", False),
        ("transformation between layers", False),
    )
    evidence = "the authors report ResNet20 to its half on CIFAR-10, as a picture; no pair across architectures [R]"
    min_classes = 1
    pure = staticmethod(irg_lite_loss)
    pure_input = "embedding"

    weight: float = 0.005

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        return {"edges": self.weight * irg_lite_loss(s.need_embedding(), t.need_embedding())}
