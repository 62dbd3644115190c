"""Methods whose gradients or declared needs are wrong, each with the check that must catch it."""

from __future__ import annotations

import torch
from contract_toys import Toy, breaks
from torch import Tensor, nn

from alambic.functional.prob import cross_entropy, kl_divergence, soft_targets
from alambic.methods.base import Batch, Needs, Parts, Specs
from alambic.models.feature import Outputs


@breaks("student_gradient", "no gradient reaches the student's embedding")
class DetachedStudent(Toy):
    def embedding_part(self, s: Outputs, t: Outputs) -> Tensor:
        return self.theta.exp() * (self.projector(s.need_embedding().detach()) - t.need_embedding()).square().mean(1)


@breaks("parameter_gradient", "no gradient reaches the method's parameter projector.weight")
class DetachedProjector(Toy):
    def embedding_part(self, s: Outputs, t: Outputs) -> Tensor:
        projected = self.projector(s.need_embedding()).detach() + s.need_embedding().mean(1, keepdim=True)
        return self.theta.exp() * (projected - t.need_embedding()).square().mean(1)


@breaks("parameter_gradient", "learned tensors that no optimiser sees")
class ScalarInList(Toy):
    def build(self, specs: Specs, generator: torch.Generator) -> None:
        super().build(specs, generator)
        self.variances = [torch.zeros(3, requires_grad=True)]


@breaks("parameter_gradient", "learned tensors that no optimiser sees")
class ProjectorInList(Toy):
    def build(self, specs: Specs, generator: torch.Generator) -> None:
        super().build(specs, generator)
        self.more = [nn.Linear(3, 3)]


@breaks("parameter_gradient", "theta is zero")
class StuckScalar(Toy):
    def embedding_part(self, s: Outputs, t: Outputs) -> Tensor:
        gap = self.projector(s.need_embedding()) - t.need_embedding() - self.mean
        return gap.square().mean(1) + 0 * self.theta


@breaks("teacher_untouched", "are the teacher's own tensors")
class TeacherTrained(Toy):
    needs = Needs.of("logits embedding", "logits embedding head", labels=True)

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        self.stolen = nn.Parameter(t.need_head().weight)
        return super().loss(s, t, batch, progress)


@breaks("teacher_untouched", "head.weight got a gradient")
class TeacherGraph(Toy):
    needs = Needs.of("logits embedding", "logits embedding head", labels=True)

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        weight = t.need_head().weight.requires_grad_()
        return super().loss(s, t, batch, progress) | {"extra": (t.need_embedding() @ weight.T).square().mean(1)}


@breaks("teacher_untouched", "in place")
class TeacherOverwritten(Toy):
    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        t.need_logits().mul_(2)
        return super().loss(s, t, batch, progress)


@breaks("needs", "without declaring it")
class UndeclaredNeed(Toy):
    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        for stage in t.stages:
            stage.as_map()
        return super().loss(s, t, batch, progress)


@breaks("needs", "never reads it")
class IdleNeed(Toy):
    needs = Needs.of("logits embedding stages", "logits embedding", labels=True)


@breaks("needs", "a mixed image would pass as pure")
class MixingIgnored(Toy):
    def logit_part(self, s: Outputs, t: Outputs, batch: Batch) -> Tensor:
        student = s.need_logits()
        return kl_divergence(student, t.need_logits()) + cross_entropy(student, soft_targets(batch.labels, 5))


@breaks("needs", "needs.labels is False")
class UndeclaredLabels(Toy):
    needs = Needs.of("logits embedding", "logits embedding")


@breaks("needs", "needs.ids")
class UndeclaredIds(Toy):
    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        return super().loss(s, t, batch, progress) if batch.ids is None else {}


@breaks("needs", "second view")
class IdleViews(Toy):
    needs = Needs.of("logits embedding", "logits embedding", labels=True, views=2)
