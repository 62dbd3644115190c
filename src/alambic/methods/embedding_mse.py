"""Embedding regression: the student's embedding, through one linear layer, predicts the teacher's."""

from __future__ import annotations

import torch
from torch import Tensor

from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs
from alambic.models.projector import init_trunc_normal, linear


def embedding_mse_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None) -> Tensor:
    """mean_d (s_d - t_d)²; embeddings B x D of the same width -> B values >= 0."""
    return (student - teacher).square().mean(1)


class EmbeddingMSE(Method):
    """LightlyTrain's label-free distillation of foundation models (DINOv2, DINOv3), here on the pooled embedding.

    It needs neither labels nor a classifier on the teacher's side: the plain way to learn from a foundation model,
    and the baseline that every other loss on embeddings has to beat.
    """

    paper = Paper(
        "LightlyTrain: dense feature distillation (distillationv2), on the embedding",
        "Lightly AG",
        "software",
        2025,
        "",
        "lightly-ai/lightly-train",
    )
    formula = "L = CE + mean_d (W f_s + b - f_t)_d^2"
    family = "embedding"
    needs = Needs.of("embedding", "embedding")
    fidelity = "B"
    differences = (
        "LightlyTrain regresses the tokens of the teacher's last two blocks at every position, on mixed images, before "
        "any labels are used; here the pooled embedding is regressed beside cross-entropy (ce_weight = 0 leaves it out)"
    )
    evidence = (
        "CustomKD (CVPR 2025): a larger foundation model does not give a proportionally better small student by "
        "feature regression alone [A]"
    )
    min_classes = 1
    pure = staticmethod(embedding_mse_loss)
    pure_input = "embedding"

    weight: float = 1.0

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        assert specs.student.embedding is not None
        assert specs.teacher.embedding is not None
        self.projector = linear(specs.student.embedding, specs.teacher.embedding)
        self.projector.apply(init_trunc_normal)

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        projected = self.projector(s.need_embedding())
        return {"regression": self.weight * embedding_mse_loss(projected, t.need_embedding())}
