"""PEFD: an ensemble of projectors, and directions instead of values."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from alambic.functional.relation import to_unit
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs
from alambic.models.projector import linear


def pefd_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None) -> Tensor:
    """1 - cos(s, t); embeddings B x D of the same width -> B values in [0, 2]."""
    return 1 - (to_unit(student) * to_unit(teacher)).sum(1)


class PEFD(Method):
    """Improved Feature Distillation via Projector Ensemble, Chen et al., NeurIPS 2022.

    The mean of several differently drawn projectors stands between the embeddings; only its direction is compared.
    """

    paper = Paper(
        "Improved Feature Distillation via Projector Ensemble",
        "Chen, Wang, Liu, Xu, de Hoog, Huang",
        "NeurIPS",
        2022,
        "2210.15274",
        "chenyd7/PEFD",
    )
    formula = "L = CE + 25 (1 - cos(mean_k relu(W_k f_s + b_k), f_t))"
    family = "embedding"
    needs = Needs.of("embedding", "embedding")
    fidelity = "A"
    differences = (
        "relu = false leaves out the projectors' ReLU: a transformer's embedding has both signs, which no ReLU matches "
        "(the authors' teachers are CNNs whose embeddings are never negative)"
    )
    evidence = "up to 1 point over earlier feature losses on CIFAR-100, CNN pairs [N]"
    min_classes = 1
    pure = staticmethod(pefd_loss)
    pure_input = "embedding"

    weight: float = 25.0
    projectors: int = 3
    relu: bool = True

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        assert specs.student.embedding is not None
        assert specs.teacher.embedding is not None
        self.ensemble = nn.ModuleList(
            linear(specs.student.embedding, specs.teacher.embedding) for _ in range(self.projectors)
        )

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        projected = torch.stack([layer(s.need_embedding()) for layer in self.ensemble])
        mean = (projected.relu() if self.relu else projected).mean(0)
        return {"pefd": self.weight * pefd_loss(mean, t.need_embedding())}
