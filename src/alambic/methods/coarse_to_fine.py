"""Coarse-to-fine targets: first what the teacher says of the class, then what it says of the image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from alambic.errors import AlambicError
from alambic.functional.prob import kl_divergence
from alambic.functional.schedule import ramp
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs


def coarse_to_fine_loss(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor | None = None,
    *,
    detail: float = 0.5,
    temperature: float = 4.0,
    coarse: Tensor | None = None,
) -> Tensor:
    """T² KL(softmax(q / T) || softmax(z_s / T)), q = (1 - detail) coarse + detail z_t, z_t less its mean over classes.

    Args:
        student, teacher: logits B x C.
        detail: share of what is the image's own; 1 is plain distillation, 0 leaves the class's mean.
        coarse: B x C, the teacher's mean logits over images that it gives the same class; None takes the batch's.

    Returns: B values >= 0.
    """
    own = teacher - teacher.mean(1, keepdim=True)
    if coarse is None:
        sums, counts = sum_by_class(own)
        coarse = read_means(own, sums, counts)
    return temperature**2 * kl_divergence(student, torch.lerp(coarse, own, detail), temperature)


def sum_by_class(logits: Tensor) -> tuple[Tensor, Tensor]:
    """(sums C x C, counts C): row c adds up the logits B x C of the images whose largest logit is c."""
    chosen = F.one_hot(logits.argmax(1), logits.shape[1]).to(logits.dtype)
    return chosen.T @ logits, chosen.sum(0)


def read_means(logits: Tensor, sums: Tensor, counts: Tensor) -> Tensor:
    """Each image's class mean, B x C; its own logits where its class was never seen."""
    chosen = logits.argmax(1)
    seen = counts[chosen][:, None]
    return torch.where(seen > 0, sums[chosen] / seen.clamp_min(1), logits)


class CoarseToFine(Method):
    """Our own, not published: a curriculum from C x C numbers to the teacher's whole answer.

    Hypothesis: a teacher's answer is its class's mean (which classes resemble which, C x C numbers) plus what is this
    image's own. At first a tiny network can only use the former, and the latter is noise of its gradient; so the target
    starts at the class's mean and grows towards the image's own logits. In the exploratory round of
    ``studies/cifar100-explore`` losses that regress each image's maps (mgd, dense_feature, ab) fell to chance where
    they pulled ten times as hard as cross-entropy, and cat_kd, in class space, did not (one seed: a hint, no more).

    Falsifier: ``start = end = 1`` (plain distillation) does as well at the same trials; and if ``start = end = 0``
    ties, all that a tiny network takes from a teacher is a table that could be printed.
    """

    paper = Paper("Coarse-to-fine targets (ours, not published)", "The authors of alambic", "alambic", 2026)
    formula = "L = CE + w T^2 KL[softmax(q/T), p_s^T], q = (1 - a) mean(z_t of the class) + a z_t, a rises 0 to 1"
    family = "logit"
    needs = Needs.of("logits", "logits")
    warms_up = True
    fidelity = "O"
    evidence = (
        "no number of its own yet: ours; that less specific answers teach small students better is known: early-epoch "
        "teachers beat fully trained ones in a low-data study, and editing non-target logits recovers it [A]"
    )
    degenerate = "the softmax of one logit is always 1, so there is no divergence"
    at_equal = "none, because the target is not the teacher but on the way from its class's mean"
    pure = staticmethod(coarse_to_fine_loss)
    pure_input = "logits"

    weight: float = 1.0
    temperature: float = 4.0
    start: float = 0.0
    end: float = 1.0
    share: float = 0.5

    sums: Tensor
    counts: Tensor

    def check(self, specs: Specs) -> None:
        super().check(specs)
        if not (0 <= self.start <= 1 and 0 <= self.end <= 1):
            raise AlambicError(
                f"method 'coarse_to_fine' expected start and end in [0, 1], got {self.start} and {self.end}, because "
                "they are shares of the image's own answer; try 0.0 and 1.0"
            )

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        self.register_buffer("sums", torch.zeros(specs.classes, specs.classes))
        self.register_buffer("counts", torch.zeros(specs.classes))
        self._pending: tuple[Tensor, Tensor] | None = None

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        teacher = t.need_logits()
        own = teacher - teacher.mean(1, keepdim=True)
        self._pending = sum_by_class(own)
        value = coarse_to_fine_loss(
            s.need_logits(),
            teacher,
            detail=self.start + (self.end - self.start) * ramp(progress, self.share),
            temperature=self.temperature,
            coarse=read_means(own, self.sums, self.counts),
        )
        return {"coarse_to_fine": self.weight * value}

    @torch.no_grad()
    def after_step(self) -> None:
        if self._pending is None:
            return
        sums, counts = self._pending
        self.sums.add_(sums)
        self.counts.add_(counts)
        self._pending = None
