"""A sound toy method, and the register of its broken variants."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from alambic.functional.prob import cross_entropy, kl_divergence, soft_targets
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs


def toy_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, temperature: float = 2.0) -> Tensor:
    """KL on logits plus the student's cross-entropy; B x C -> B values."""
    value = kl_divergence(student, teacher, temperature)
    if labels is None:
        return value
    return value + cross_entropy(student, soft_targets(labels, student.shape[1]))


class Toy(Method):
    """Sound: logits with labels, and an embedding term with a projector, a learned scalar and a buffer."""

    paper = Paper("A toy", "Nobody", "nowhere", 2024)
    formula = "L = KL + CE + exp(theta) |P f_s - f_t - m|^2"
    family = "embedding"
    needs = Needs.of("logits embedding", "logits embedding", labels=True)
    fidelity = "A"
    evidence = "none [M]"
    at_equal = "none, because labels add to it"
    pure = staticmethod(toy_loss)
    pure_input = "logits"

    temperature: float = 2.0

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        assert specs.student.embedding is not None
        assert specs.teacher.embedding is not None
        self.projector = nn.Linear(specs.student.embedding, specs.teacher.embedding)
        self.theta = nn.Parameter(torch.zeros(()))
        self.register_buffer("mean", torch.randn(specs.teacher.embedding))

    def logit_part(self, s: Outputs, t: Outputs, batch: Batch) -> Tensor:
        student, teacher = s.need_logits(), t.need_logits()
        targets = soft_targets(batch.labels, student.shape[1], batch.partner, batch.lam)
        return kl_divergence(student, teacher, self.temperature) + cross_entropy(student, targets)

    def embedding_part(self, s: Outputs, t: Outputs) -> Tensor:
        gap = self.projector(s.need_embedding()) - t.need_embedding() - self.mean
        return self.theta.exp() * gap.square().mean(1)

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        return {"logit": self.logit_part(s, t, batch), "embedding": self.embedding_part(s, t)}


BROKEN: list[tuple[str, str, type[Method]]] = []


def breaks(check: str, message: str) -> Any:
    """Registers a broken method together with the check that must catch it and words of its complaint."""

    def register(cls: type[Method]) -> type[Method]:
        BROKEN.append((check, message, cls))
        return cls

    return register
