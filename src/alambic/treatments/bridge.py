"""NetAug bridge: teacher to a wider student that shares the small one's weights, and from it to the small one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.func import functional_call

from alambic.errors import AlambicError
from alambic.functional.prob import kl_divergence
from alambic.methods.base import Paper
from alambic.models.feature import Outputs
from alambic.training.hooks import Inputs, clip, descend, judge, see
from alambic.training.loop import Run
from alambic.treatments.base import Scene, Treatment
from alambic.treatments.wide_student import WideStudent

Gradients = Sequence[Tensor | None]


def keep_agreeing(own: Gradients, other: Gradients) -> list[Tensor | None]:
    """``other`` without what runs against ``own``: PCGrad's projection, over all tensors together.

    g_other - min(0, g_own . g_other) / |g_own|² g_own, the products over the tensors that both have.
    """
    pairs = [(a, b) for a, b in zip(own, other, strict=True) if a is not None and b is not None]
    if not pairs:
        return list(other)
    product = torch.stack([(a * b).sum() for a, b in pairs]).sum()
    square = torch.stack([a.square().sum() for a, _ in pairs]).sum()
    share = product.clamp_max(0) / square.clamp_min(torch.finfo(square.dtype).tiny)
    return [b if a is None or b is None else b - share * a for a, b in zip(own, other, strict=True)]


class Bridge(Treatment):
    """Our own (idea I8), not published: a bridge of the student's own kind between a teacher and a tiny network.

    Hypothesis: an assistant helps if it shares the student's weights and learns from the teacher (fuse before
    transfer), and a tiny network needs width while it learns (NetAug). So the arm's methods teach the wide network,
    the wide one teaches the small one, and a gradient of the wide one that runs against the small one's is projected
    away. The width shrinks to the student's own: in the last ``1 - until`` the arm's plain loss follows.

    Falsifier: ``wide_student`` with the arm's methods on the small network, or ``assistant`` of equal compute, do as
    well.
    """

    paper = Paper("NetAug bridge (ours, not published)", "The authors of alambic", "alambic", 2026)
    formula = (
        "L_arm(s+) + CE(s) + weight T^2 KL[p_s+, p_s], s+ = [W, W_aug] ever narrower; the gradient of s+ by PCGrad"
    )
    fidelity = "O"
    differences = (
        "the width goes down the steps of ``factors`` (the idea's note draws it); only the wide network's gradient is "
        "projected, so that the deployed network has the last word"
    )
    evidence = (
        "no number of its own yet: ours; of its parts, NetAug: ImageNet, MobileNetV2-Tiny 53.3 [R], up to +2.2 [A]; a "
        "fused assistant without the teacher's loss collapses Swin-T to ResNet18 to 25.57 [N]"
    )
    kind = "student"
    needs_teacher = True

    factors: tuple[float, ...] = (2.6, 1.8, 1.4)
    until: float = 0.5
    weight: float = 1.0
    temperature: float = 4.0

    def attach(self, run: Run, scene: Scene) -> None:
        if run.objective.task.classes < 2 or not run.objective.needs.student <= {"logits"}:
            raise AlambicError(
                "treatment 'bridge' expected at least 2 classes and methods that read the student's logits only, got "
                f"{run.objective.task.classes} classes and {', '.join(sorted(run.objective.needs.student))}, because "
                "the arm's methods teach the wide network, whose features have other widths; try kd or dist"
            )
        if run.objective.needs.views == 2:
            raise AlambicError(
                "treatment 'bridge' expected methods of one view, got one that compares two, because the wide network "
                "sees one; try kd or dist"
            )
        self.wide = WideStudent(factors=self.factors, until=self.until)
        self.wide.attach(run, scene)

    def width_at(self, progress: float) -> int | None:
        """Which wide network (0 the narrowest) learns at a progress in [0, 1]; None at the student's own width."""
        if progress >= self.until:
            return None
        count = len(self.factors)
        return count - 1 - min(int(progress / self.until * count), count - 1)

    def step(self, run: Run, given: Inputs, progress: float, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
        index = self.width_at(progress)
        if index is None:
            plain = judge(run, given, progress)
            descend(run, plain.total, optimizer)
            return {name: value.detach() for name, value in plain.parts.items()}
        small = see(run, given.images).need_logits().float()
        weights = self.wide.weights_of(run.student, index)
        with torch.autocast(run.device.type, torch.bfloat16, enabled=run.recipe.precision == "bf16"):
            wide = functional_call(self.wide.shapes[index], weights, (given.images,))
        loss = run.objective(Outputs(logits=wide), given.taught, given.batch, progress)
        batch, squared = given.batch, self.temperature**2
        own = run.objective.task.loss(small, batch.labels, batch.partner, batch.lam).mean()
        passed = self.weight * squared * kl_divergence(small, wide.float().detach(), self.temperature).mean()
        self._descend(run, own + passed, loss.total, optimizer)
        parts = {f"wide {name}": value.detach() for name, value in loss.parts.items()}
        return {"ce": own.detach(), "bridge": passed.detach(), **parts}

    def _descend(self, run: Run, own: Tensor, other: Tensor, optimizer: torch.optim.Optimizer) -> None:
        """A step along the small network's gradient and what of the wide one's agrees with it."""
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        mine = torch.autograd.grad(own, parameters, allow_unused=True)
        theirs = keep_agreeing(mine, torch.autograd.grad(other, parameters, allow_unused=True))
        for p, a, b in zip(parameters, mine, theirs, strict=True):
            p.grad = b if a is None else a if b is None else a + b
        clip(run, optimizer)
        optimizer.step()
        run.objective.after_step()
