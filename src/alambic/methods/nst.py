"""NST: the distribution of the channels' spatial patterns, compared by a kernel."""

from __future__ import annotations

from torch import Tensor

from alambic.functional.relation import to_unit
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs
from alambic.models.projector import check_grids, meet, paired_maps


def nst_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None) -> Tensor:
    """Squared maximum mean discrepancy of the channels' unit patterns under k(x, y) = (x·y)².

    Args:
        student, teacher: maps B x C x H x W; channels may differ, the larger map is average-pooled to the smaller.

    Returns: B values >= 0.
    """
    a, b = (to_unit(x.flatten(2), 2) for x in meet(student, teacher))
    return _kernel(b, b) + _kernel(a, a) - 2 * _kernel(a, b)


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    """Mean of the kernel over all pairs of channels; B x C x P twice -> B."""
    if a.shape[2] < min(a.shape[1], b.shape[1]):
        # the same sum by products of positions, of which there are fewer
        products = (a.transpose(1, 2) @ a) * (b.transpose(1, 2) @ b)
        return products.sum((1, 2)) / (a.shape[1] * b.shape[1])
    return (a @ b.transpose(1, 2)).square().mean((1, 2))


class NST(Method):
    """Like What You Like: Knowledge Distill via Neuron Selectivity Transfer, Huang and Wang, 2017."""

    paper = Paper(
        "Like What You Like: Knowledge Distill via Neuron Selectivity Transfer",
        "Huang, Wang",
        "arXiv",
        2017,
        "1707.01219",
        "HobbitLong/RepDistiller",
    )
    formula = "L = CE + 50 sum_i MMD^2(channels of N(F_s^i), channels of N(F_t^i)), k(x, y) = (x.y)^2"
    family = "map"
    needs = Needs.of("stages", "stages")
    fidelity = "A"
    differences = (
        "the authors' code is in MXNet (TuSimple/neuron-selectivity-transfer): the last stage alone, before its ReLU; "
        "ours, after RepDistiller, sums every pair of stages, where blocks end, at the same weight each. Sides are "
        "pooled one by one"
    )
    evidence = "CIFAR-100 to MobileNetV2 (64.60): from vgg13 58.16, from ResNet50 64.96; a negative control [R]"
    min_classes = 1
    pure = staticmethod(nst_loss)
    pure_input = "map"

    weight: float = 50.0

    def check(self, specs: Specs) -> None:
        super().check(specs)
        check_grids(self.name, specs.student, specs.teacher)

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        return {f"nst{k}": self.weight * nst_loss(*maps) for k, maps in enumerate(paired_maps(s, t), start=1)}
