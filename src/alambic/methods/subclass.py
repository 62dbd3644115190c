"""Subclass distillation: a teacher that invented subclasses tells more than two classes can."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alambic.functional.prob import join_subclasses, kl_divergence
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs


def subclass_loss(
    student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, temperature: float = 4.0
) -> Tensor:
    """T² KL(softmax(z_t / T) || softmax(z_s / T)) over all subclasses; logits B x (C S) -> B values >= 0."""
    return temperature**2 * kl_divergence(student, teacher, temperature)


def subclass_contrast(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """What a teacher must minimise beside its cross-entropy, so that it uses its subclasses.

    mean_i log mean_j exp(v_i . v_j / T) - 1 / T, v the logits of a sample without their mean, at unit length: samples
    of one batch should not share a subclass. Its cross-entropy is on classes: a class's probability is the sum of its
    subclasses' probabilities.

    Args:
        logits: B x (C S).

    Returns: 0-d <= 0.
    """
    unit = F.normalize(logits - logits.mean(1, keepdim=True), dim=1)
    similarity = unit @ unit.T / temperature
    rows = torch.tensor(float(len(logits)), device=logits.device).log()
    return (similarity.logsumexp(1) - rows).mean() - 1 / temperature


class Subclass(Method):
    """Subclass Distillation, Mueller, Kornblith and Hinton, 2020: for tasks with few classes.

    The teacher has ``subclasses`` logits a class, side by side, and was trained with ``subclass_contrast``.
    """

    paper = Paper(
        "Subclass Distillation", "Mueller, Kornblith, Hinton", "", 2020, "2002.03936", "google-research/google-research"
    )
    formula = "L = .5 CE + .5 T^2 KL[softmax(z_t/T), softmax(u/T)] over C S subclasses, u = log p_s(c) p_s(k | c)"
    family = "logit"
    needs = Needs.of("logits embedding", "logits")
    fidelity = "B"
    differences = (
        "the student's subclasses within a class come from a training-only linear head on its embedding, its classes "
        "from its own head, so that it is deployed with C outputs (theirs has C S); a divergence where the authors' "
        "notebook (subclass_distillation/mnist_colab) has the cross-entropy: the gradient is the same"
    )
    evidence = "CIFAR-10 as two classes: above KD on class probabilities in its paper [M]; no pair across architectures"
    degenerate = "the softmax of one logit is always 1: train the teacher with two classes"
    pure = staticmethod(subclass_loss)
    pure_input = "logits"

    subclasses: int = 5
    temperature: float = 4.0
    weight: float = 0.5
    ce_weight: float = 0.5

    def teacher_classes(self, classes: int) -> int:
        return classes * self.subclasses

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        assert specs.student.embedding is not None  # the base has checked the need
        self.within = nn.Linear(specs.student.embedding, specs.classes * self.subclasses)

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        logits = s.need_logits()
        within = self.within(s.need_embedding()).view(*logits.shape, self.subclasses)
        value = subclass_loss(join_subclasses(logits, within), t.need_logits(), temperature=self.temperature)
        return {"subclass": self.weight * value}
