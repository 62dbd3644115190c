"""What a treatment may change of a training: how long it goes, its optimiser, and what one step does.

The loop holds one ``Hooks`` and knows nothing of treatments, which live a floor above. The base changes nothing: its
step is the library's plain one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from alambic.methods.base import Batch
from alambic.models.feature import Outputs
from alambic.models.taps import Tapped
from alambic.training import stop
from alambic.training.objective import Loss, Objective

if TYPE_CHECKING:
    from alambic.training.loop import Run
    from alambic.training.recipe import Recipe


@dataclass(frozen=True)
class Inputs:
    """One batch, ready: the student's images (normalised), the teacher's outputs, labels and ids.

    ``second`` is another view of the same images with the teacher's outputs for it, where a method compares two.
    """

    images: Tensor
    taught: Outputs
    batch: Batch
    second: tuple[Tensor, Outputs] | None = None


class Hooks(nn.Module):
    """Called by the loop; a subclass registers what it trains or keeps, which the checkpoint then holds.

    Modules and buffers registered here move to the run's device and are saved and restored with the student. The
    student itself must not be registered.
    """

    def epochs(self, recipe: Recipe) -> int:
        """How many epochs are run; the schedule stays the recipe's."""
        return recipe.epochs

    def make_optimizer(self, run: Run) -> torch.optim.Optimizer:
        """Over the student, its objective's projectors and what is registered here."""
        return run.recipe.make_optimizer(run.student, run.objective, self)

    def block(self, ids: Tensor) -> Tensor:
        """What this process takes of a batch's ids, int64: all, but where several processes share a training."""
        return ids

    def stops(self) -> bool:
        """Whether the training ends here, between two steps, its state saved."""
        return stop.asked()

    def start_epoch(self, run: Run, epoch: int) -> None:
        """Before each epoch, from 0; torch's global generator is at the epoch's own seed."""

    def step(self, run: Run, given: Inputs, progress: float, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
        """One step on one batch. Returns detached 0-d parts of the loss for the epoch's record."""
        loss = judge(run, given, progress)
        descend(run, loss.total, optimizer)
        return {name: value.detach() for name, value in loss.parts.items()}


def see(run: Run, images: Tensor, tapped: Tapped | None = None) -> Outputs:
    """The student's outputs (or those of another tapped network) in the recipe's precision."""
    with torch.autocast(run.device.type, torch.bfloat16, enabled=run.recipe.precision == "bf16"):
        return (tapped or run.tapped)(images)


def judge(
    run: Run, given: Inputs, progress: float, tapped: Tapped | None = None, objective: Objective | None = None
) -> Loss:
    """The objective of the student (or of another network with an objective of its own) on one batch."""
    batch = given.batch
    seen = see(run, given.images, tapped)
    if given.second is not None:
        images, taught = given.second
        batch = replace(batch, second=(see(run, images, tapped), taught))
    return (objective or run.objective)(seen, given.taught, batch, progress)


def descend(
    run: Run, total: Tensor, optimizer: torch.optim.Optimizer, before_clip: Callable[[], None] | None = None
) -> None:
    """Gradient of a 0-d loss, clipping, optimiser step, the methods' own update.

    Args:
        before_clip: what is done to the gradients first.
    """
    optimizer.zero_grad(set_to_none=True)
    total.backward()
    if before_clip is not None:
        before_clip()
    clip(run, optimizer)
    optimizer.step()
    run.objective.after_step()


def clip(run: Run, optimizer: torch.optim.Optimizer) -> None:
    """The recipe's clipping, over everything that the optimiser trains."""
    if run.recipe.clip:
        nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], run.recipe.clip)
