"""Student branches on a teacher: what a student's later blocks make of the teacher's maps while the teacher learns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from alambic.errors import AlambicError
from alambic.functional.prob import kl_divergence
from alambic.models.feature import Feature, OutputSpec, pair_stages
from alambic.models.projector import connector, resize_map
from alambic.models.taps import Tapped
from alambic.training.hooks import Hooks, Inputs, descend, see
from alambic.training.loop import Run
from alambic.training.setup import probe


class Branch(nn.Module):
    """A student's blocks after one of its stages, fed with a teacher's map: B x D x H x W -> B x classes.

    The student runs on blank images, and the module at ``stage`` answers with the adapted teacher map instead of its
    own output; so any network can be a branch, and its earlier blocks get no gradient.

    Args:
        student: with fresh weights; becomes part of the branch. stage: name of the module whose output is replaced.
        inputs, channels, size: the teacher's channels, and what the student has there.
        image: C x H x W of the student.
    """

    def __init__(
        self,
        student: nn.Module,
        stage: str,
        inputs: int,
        channels: int,
        size: tuple[int, int],
        image: tuple[int, int, int],
    ) -> None:
        super().__init__()
        self.student, self.stage, self.size, self.image = student, stage, size, image
        self.adapter = nn.Sequential(connector(inputs, channels), nn.ReLU())

    def forward(self, teacher_map: Tensor) -> Tensor:
        adapted = self.adapter(resize_map(teacher_map, self.size))

        def answer(module: nn.Module, args: Any, output: Tensor) -> Tensor:
            return adapted

        handle = self.student.get_submodule(self.stage).register_forward_hook(answer)
        try:
            with torch.autocast(adapted.device.type, enabled=False):
                return self.student(adapted.new_zeros(len(adapted), *self.image))
        finally:
            handle.remove()


def make_branches(
    student: Callable[[int], nn.Module], teacher: OutputSpec, image: tuple[int, int, int], label: str, seed: int
) -> nn.ModuleList:
    """One branch for each pair of stages but the last (nothing of the student is left behind it), shallow to deep.

    The list is as long as the pairs, so that a branch's place tells its stage, counted from the deep end.
    """
    shapes = probe(student(seed), torch.zeros(2, *image), label)
    branches = nn.ModuleList()
    for i, j in pair_stages(len(shapes.stages), len(teacher.stages))[:-1]:
        own, theirs = shapes.stages[i], teacher.stages[j]
        net = student(seed + 1 + i)
        known = dict(net.named_modules())
        if own.form != "map" or own.size is None or theirs.size is None or own.name not in known:
            raise AlambicError(
                f"expected a convolutional {label} and a teacher with spatial grids, got {own.form} at {own.name!r} "
                f"and {theirs.form} at {theirs.name!r}, because the student's blocks go on from the teacher's maps; "
                "try a student of the zoo, and a CNN or a transformer with patches as the teacher"
            )
        branches.append(Branch(net, own.name, theirs.channels, own.channels, own.size, image))
    if not len(branches):
        raise AlambicError(f"expected a {label} and a teacher with two stages in common, got fewer; try early_stop")
    return branches


class BranchTraining(Hooks):
    """Trains a teacher with branches: CE + mean_branches (ce_weight CE(branch) + kl_weight KL[teacher, branch]).

    Args:
        pools: one list of branches for each student; a step takes one of them, drawn at random.
    """

    def __init__(
        self, run: Run, pools: list[nn.ModuleList], ce_weight: float, kl_weight: float, temperature: float
    ) -> None:
        super().__init__()
        self.pools = nn.ModuleList(pools)
        self.ce_weight, self.kl_weight, self.temperature = ce_weight, kl_weight, temperature
        example = torch.zeros(2, run.normalise.mean.shape[1], *run.size)
        self.tapped = Tapped(run.student, example, {"logits", "stages"}, label="teacher")

    def step(self, run: Run, given: Inputs, progress: float, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
        seen = see(run, given.images, self.tapped)
        loss = run.objective(seen, given.taught, given.batch, progress)
        choice = int(torch.randint(len(self.pools), ())) if len(self.pools) > 1 else 0
        branches = list(cast(nn.ModuleList, self.pools[choice]))
        # the last pair of stages has no branch
        stages: tuple[Feature, ...] = seen.stages[len(seen.stages) - len(branches) - 1 : -1]
        batch, task, teacher = given.batch, run.objective.task, seen.need_logits().float()
        labels, distances = [], []
        for branch, stage in zip(branches, stages, strict=True):
            logits = branch(stage.as_map().float()).float()
            labels.append(task.loss(logits, batch.labels, batch.partner, batch.lam).mean())
            distances.append(self.temperature**2 * kl_divergence(logits, teacher, self.temperature).mean())
        ce, kl = self.ce_weight * torch.stack(labels).mean(), self.kl_weight * torch.stack(distances).mean()
        descend(run, loss.total + ce + kl, optimizer)
        return {"ce": loss.total.detach(), "branch_ce": ce.detach(), "branch_kl": kl.detach()}
