"""Deep mutual learning: students of one kind teach each other while they learn."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn

from alambic.errors import AlambicError
from alambic.functional.prob import kl_divergence
from alambic.methods.base import Paper
from alambic.models.taps import Tapped
from alambic.training.hooks import Inputs, descend, see
from alambic.training.loop import Run
from alambic.training.objective import Objective
from alambic.training.recipe import stream_seed
from alambic.treatments.base import Scene, Treatment


def mutual_losses(logits: list[Tensor], temperature: float = 1.0) -> list[Tensor]:
    """For each network the mean over the others of T² KL(other || it), without their gradient; B x C each -> 0-d."""
    found = []
    for i, own in enumerate(logits):
        others = [kl_divergence(own, other.detach(), temperature) for j, other in enumerate(logits) if j != i]
        found.append(temperature**2 * torch.stack(others).mean())
    return found


class Mutual(Treatment):
    """Deep Mutual Learning, Zhang et al., CVPR 2018.

    Peers have the student's architecture and other initial weights; each also learns by the arm's own methods, with
    its own projectors. Peers are thrown away at the end. A step costs as much as that many students.
    """

    paper = Paper("Deep Mutual Learning", "Zhang, Xiang, Hospedales, Lu", "CVPR", 2018, "1706.00384")
    formula = "L_i = L_arm(i) + weight mean_(j != i) KL[p_j, p_i]"
    fidelity = "B"
    differences = (
        "networks step together, where the paper lets them take turns within a step; the mean over peers, where the "
        "authors' code (YingZhangDUT/Deep-Mutual-Learning) has the sum, and one batch for all where each of theirs "
        "draws its own"
    )
    evidence = "CIFAR-100 and Market-1501 among equals, above distillation from a fixed teacher of equal size [M]"
    kind = "step"

    peers: int = 1
    weight: float = 1.0
    temperature: float = 1.0

    def attach(self, run: Run, scene: Scene) -> None:
        if run.objective.task.classes < 2 or self.peers < 1:
            raise AlambicError(
                f"treatment 'mutual' expected at least 2 classes and 1 peer, got {run.objective.task.classes} and "
                f"{self.peers}, because peers compare class probabilities; try two classes"
            )
        if run.objective.needs.views == 2:
            raise AlambicError(
                "treatment 'mutual' expected methods of one view, got one that compares two, because peers compare "
                "what they say of the same view; try kd or rsd"
            )
        self.students = nn.ModuleList()
        self.objectives = nn.ModuleList()
        example = torch.zeros(2, run.normalise.mean.shape[1], *run.size)
        self.tapped: list[Tapped] = []
        for i in range(self.peers):
            peer = scene.make_student(stream_seed(run.seed, "peer", i) % 2**31)
            self.students.append(peer)
            self.objectives.append(copy.deepcopy(run.objective))
            self.tapped.append(Tapped(peer, example, run.objective.needs.student | {"logits"}, label=f"peer {i + 1}"))

    def start_epoch(self, run: Run, epoch: int) -> None:
        for objective in self.objectives:
            cast(Objective, objective).weights = run.objective.weights  # which a balance sets once the peers are there

    def step(self, run: Run, given: Inputs, progress: float, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
        seen = [see(run, given.images), *(see(run, given.images, tapped) for tapped in self.tapped)]
        objectives = [run.objective, *self.objectives]
        losses = [
            objective(outputs, given.taught, given.batch, progress)
            for objective, outputs in zip(objectives, seen, strict=True)
        ]
        mutual = mutual_losses([outputs.need_logits().float() for outputs in seen], self.temperature)
        total = torch.stack([loss.total for loss in losses]).sum() + self.weight * torch.stack(mutual).sum()
        descend(run, total, optimizer)
        for objective in self.objectives:
            objective.after_step()  # type: ignore[operator]
        own = {name: value.detach() for name, value in losses[0].parts.items()}
        return {**own, "mutual": self.weight * mutual[0].detach()}
