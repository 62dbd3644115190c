"""Methods whose values, random numbers, labels or refusals are wrong, each with the check that must catch it."""

from __future__ import annotations

import numpy as np
import torch
from contract_toys import Toy, breaks
from torch import Tensor

from alambic.errors import AlambicError
from alambic.functional.prob import cross_entropy, kl_divergence, soft_targets
from alambic.methods.base import Batch, Needs, Parts, Specs
from alambic.models.feature import Outputs


@breaks("shapes", "expanded to the batch")
class Expanded(Toy):
    def embedding_part(self, s: Outputs, t: Outputs) -> Tensor:
        value = super().embedding_part(s, t)
        return value.mean().expand(len(value))


@breaks("shapes", "one value for the whole batch")
class Repeated(Toy):
    def embedding_part(self, s: Outputs, t: Outputs) -> Tensor:
        value = super().embedding_part(s, t)
        return value.mean().repeat(len(value))


@breaks("shapes", "expected (10,)")
class UndeclaredBatchPart(Toy):
    def embedding_part(self, s: Outputs, t: Outputs) -> Tensor:
        return super().embedding_part(s, t).mean()


@breaks("shapes", "in batch_parts but has shape")
class FalseBatchPart(Toy):
    batch_parts = frozenset({"embedding"})


@breaks("shapes", "does not return")
class MissingBatchPart(Toy):
    batch_parts = frozenset({"another"})


@breaks("finite", "not finite with logits of a hundred")
class Overflows(Toy):
    def logit_part(self, s: Outputs, t: Outputs, batch: Batch) -> Tensor:
        return super().logit_part(s, t, batch) + s.need_logits().exp().sum(1).log()


@breaks("finite", "gradient is not finite with a student that gives zeros")
class RootOfZero(Toy):
    def embedding_part(self, s: Outputs, t: Outputs) -> Tensor:
        return super().embedding_part(s, t) + s.need_embedding().square().sum(1).sqrt()


@breaks("autocast", "expected float32")
class HalfPrecision(Toy):
    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        return {name: value.bfloat16() for name, value in super().loss(s, t, batch, progress).items()}


@breaks("permutation", "part 'embedding'")
class WeighsByRow(Toy):
    def embedding_part(self, s: Outputs, t: Outputs) -> Tensor:
        value = super().embedding_part(s, t)
        return value * torch.linspace(0.5, 1.5, len(value))


@breaks("permutation", "order is inert")
class FalselyOrdered(Toy):
    order_dependent = "not at all"


@breaks("random_numbers", "other random numbers change the loss: True")
class UndeclaredDropout(Toy):
    def embedding_part(self, s: Outputs, t: Outputs) -> Tensor:
        return super().embedding_part(s, t) * torch.rand(1)


@breaks("random_numbers", "two builds from one seed differ")
class ForeignRandomness(Toy):
    def build(self, specs: Specs, generator: torch.Generator) -> None:
        super().build(specs, generator)
        self.mean.copy_(torch.from_numpy(np.random.default_rng().normal(size=len(self.mean))))


@breaks("state", "differs after loading")
class UnregisteredBuffer(Toy):
    def build(self, specs: Specs, generator: torch.Generator) -> None:
        super().build(specs, generator)
        mean = self.mean
        del self.mean
        self.mean = mean


@breaks("device", "")
class ReadsBack(Toy):
    def embedding_part(self, s: Outputs, t: Outputs) -> Tensor:
        value = super().embedding_part(s, t)
        return value / value.mean().item()


@breaks("device", "")
class Branches(Toy):
    def embedding_part(self, s: Outputs, t: Outputs) -> Tensor:
        value = super().embedding_part(s, t)
        return value if value.mean() > 0 else -value


@breaks("device", "")
class MasksRows(Toy):
    def logit_part(self, s: Outputs, t: Outputs, batch: Batch) -> Tensor:
        value = super().logit_part(s, t, batch)
        return value + value[batch.labels >= 0].sum()


@breaks("device", "")
class MakesOnCpu(Toy):
    def embedding_part(self, s: Outputs, t: Outputs) -> Tensor:
        return super().embedding_part(s, t) * torch.ones(len(t.need_embedding()))


@breaks("labels", "a missing label moved other rows")
class MeanOverLabelled(Toy):
    def logit_part(self, s: Outputs, t: Outputs, batch: Batch) -> Tensor:
        known = (batch.labels >= 0).float()
        return super().logit_part(s, t, batch) / (known.mean() + 1e-6)


@breaks("labels", "unlabelled images is not finite")
class DividesByLabelled(Toy):
    def logit_part(self, s: Outputs, t: Outputs, batch: Batch) -> Tensor:
        return super().logit_part(s, t, batch) / (batch.labels >= 0).float().mean()


@breaks("labels", "mixing with lam = 1")
class MixesTheWrongWay(Toy):
    def logit_part(self, s: Outputs, t: Outputs, batch: Batch) -> Tensor:
        lam = None if batch.lam is None else 1 - batch.lam
        targets = soft_targets(batch.labels, 5, batch.partner, lam)
        return kl_divergence(s.need_logits(), t.need_logits()) + cross_entropy(s.need_logits(), targets)


@breaks("labels", "mixing changes nothing")
class MixingReadOnly(Toy):
    def logit_part(self, s: Outputs, t: Outputs, batch: Batch) -> Tensor:
        assert (batch.partner is None) == (batch.lam is None)
        targets = soft_targets(batch.labels, 5)
        return kl_divergence(s.need_logits(), t.need_logits()) + cross_entropy(s.need_logits(), targets)


def clamped_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None) -> Tensor:
    assert labels is not None
    return -student.log_softmax(1).gather(1, labels.clamp_min(0)[:, None])[:, 0]


@breaks("unlabelled_pure", "one class specially")
class UnlabelledIsClassZero(Toy):
    pure = staticmethod(clamped_loss)


@breaks("class_counts", "accepts 1 classes")
class AcceptsTooFew(Toy):
    needs = Needs.of("logits", "logits")

    def check(self, specs: Specs) -> None:
        pass

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        pass

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        return {"gap": (s.need_logits() - t.need_logits()).square().sum(1)}


@breaks("class_counts", "hides its reason")
class HidesItsReason(Toy):
    degenerate = "of something"

    def check(self, specs: Specs) -> None:
        if specs.classes < 2:
            raise AlambicError("expected 2 classes, got 1, because I say so")


@breaks("class_counts", "the student gets no gradient")
class Degenerates(Toy):
    needs = Needs.of("logits", "logits")
    min_classes = 1

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        pass

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        return {"kl": kl_divergence(s.need_logits(), t.need_logits())}


@breaks("class_counts", "needs `degenerate`")
class NoReason(Toy):
    min_classes = 3


@breaks("other_classes", "accepts a teacher with other classes")
class AcceptsOtherClasses(Toy):
    def check(self, specs: Specs) -> None:
        pass

    def logit_part(self, s: Outputs, t: Outputs, batch: Batch) -> Tensor:
        return super().logit_part(s, Outputs(logits=t.need_logits()[:, :5]), batch)


@breaks("other_classes", "reads no logits but refuses")
class RefusesOtherClasses(Toy):
    needs = Needs.of("embedding", "embedding")

    def check(self, specs: Specs) -> None:
        if specs.teacher.classes != specs.student.classes:
            raise AlambicError("expected equal classes, got others, because")

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        return {"embedding": self.embedding_part(s, t)}
