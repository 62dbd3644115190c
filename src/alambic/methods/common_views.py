"""Common views: what a teacher says of an image under two views alike, and only later of each view."""

from __future__ import annotations

import torch
from torch import Tensor

from alambic.errors import AlambicError
from alambic.functional.prob import kl_divergence
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs


def common_views_loss(
    student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, common: float = 1.0, temperature: float = 4.0
) -> Tensor:
    """T² mean_v KL(softmax(q_v / T) || softmax(z_s,v / T)), q_v = common mean_v z_t,v + (1 - common) z_t,v.

    Logits are taken less their mean over classes, so a view's constant does not count.

    Args:
        student, teacher: logits of the same images under V views, B x C x V.
        common: 1 asks under each view for what the teacher says of all, 0 for its answer to that view.

    Returns: B values >= 0.
    """
    centred = teacher - teacher.mean(1, keepdim=True)
    target = torch.lerp(centred, centred.mean(2, keepdim=True).expand_as(centred), common)
    return temperature**2 * kl_divergence(student, target, temperature).mean(1)


class CommonViews(Method):
    """Our own, not published: the part of the teacher that does not depend on the view.

    Hypothesis: a teacher's answers to two views of one image differ by what hangs on a few pixels; a tiny network of
    coarse strides cannot compute that part, and it is noise of its gradient. Both views are asked for the teacher's
    mean answer, an ensemble that costs nothing where a bank holds the views. This runs against function matching,
    which asks for each view's own answer and wins after very long training; so it is a bet on short ones.

    Falsifier: ``common = 0`` (the teacher's own answer to each of the two views, at the same cost) does as well, or kd
    at the temperature that gives its targets the same mean entropy (then it only smooths).
    """

    paper = Paper("Common-views distillation (ours, not published)", "The authors of alambic", "alambic", 2026)
    formula = "L = CE + w T^2 mean_v KL[softmax(q_v/T), p_s,v^T], q_v = a mean_v z_t,v + (1 - a) z_t,v, two views"
    family = "logit"
    needs = Needs.of("logits", "logits", views=2)
    fidelity = "O"
    evidence = (
        "no number of its own yet: ours; against it stands FunMatch: the same view for both networks, 82.8 on ImageNet "
        "after 9600 epochs [M]; for it, that less-confident teachers beat fully trained ones in a low-data study [A]"
    )
    degenerate = "the softmax of one logit is always 1, so there is no divergence"
    at_equal = "none, because the views differ"
    pure = staticmethod(common_views_loss)
    pure_input = "logits"

    common: float = 1.0
    temperature: float = 4.0
    weight: float = 1.0

    def check(self, specs: Specs) -> None:
        super().check(specs)
        if not 0 <= self.common <= 1:
            raise AlambicError(
                f"method 'common_views' expected common in [0, 1], got {self.common}, because it is the share of what "
                "the views have in common; try 1.0"
            )

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        if batch.second is None:
            raise AlambicError(
                "method 'common_views' expected a second view of each image, got none, because it compares two; try "
                "second=other_view in a call of the Distiller, or views.count = 2 in a study"
            )
        student, teacher = (
            torch.stack([one.need_logits(), two.need_logits()], dim=2)
            for one, two in zip((s, t), batch.second, strict=True)
        )
        value = common_views_loss(student, teacher, common=self.common, temperature=self.temperature)
        return {"common_views": self.weight * value}
