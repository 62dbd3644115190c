"""One training spread over several processes: each takes its block of every batch, and all hold the same weights.

The recipe keeps its meaning: the batch is the recipe's, split among the processes; order, views, warm-up and learning
rates are those of one process, and the last incomplete batch is left out as ever. After each gradient one exchange
adds up, weighted by the images of each block: gradients (clipped afterwards, so by the norm of the whole batch), the
parts of the loss (so that a NaN in one process ends all of them, with one error) and BatchNorm's running numbers.

What differs from one process:

- **BatchNorm** normalises by its own block, as everyone's data parallel training does (torch synchronises statistics
  on GPUs alone); its running mean and variance are the average over the processes. A network without BatchNorm ends
  with the weights of one process, but for rounding.
- **Dropout** and what else draws numbers in a step has a stream for each process and step.
- **Methods** must be means over images, measured before the first step: one that compares the images of a batch, or
  fills a table of its own, is refused.

Only the first process writes. Words (a stop that was asked for, which parameters have a gradient) go over gloo in each
step, so a process that ends, however it ends, is noticed by all others in the same step; one that hangs while they
train, after ``PATIENCE``, one that never begins to, or never finishes the teacher, after ``together.PATIENCE``. Numbers
go over nccl where each process has a GPU of its own, over gloo else.
"""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import torch
from torch import Tensor, distributed, nn

from alambic.errors import AlambicError
from alambic.files import hash_tensors
from alambic.methods.base import Method
from alambic.training import stop, together
from alambic.training.hooks import Hooks, Inputs, descend, judge
from alambic.training.loop import Run, gather
from alambic.training.recipe import stream_seed

PATIENCE = timedelta(minutes=10)  # for the slowest process's step, or its evaluation and checkpoint
RUNNING = ("running_mean", "running_var", "num_batches_tracked")
PROBED = 8  # images that tell whether a loss is a mean over images
ALIKE = 5e-4  # as a share: means over images come within 1e-5 in fp32, the methods that compare beyond 2e-3


@contextmanager
def spread(run: Run) -> Iterator[None]:
    """Inside, ``train(run)`` is shared by the joined processes, each of which calls it with the same run.

    Raises AlambicError for a batch too small for the processes, for a method that cannot be split, and, while it
    trains, where a process is lost or the processes do not start from the same state.
    """
    number, count = together.place()
    if count == 1:
        yield
        return
    with together.all_or_none():  # all are here, so that no group waits for one that ended before
        check_batch(run, count)
        check_separable(run)
        _ = run.saved  # every process goes on from the file that the first one writes
    words = distributed.new_group(backend="gloo", timeout=PATIENCE)
    own = _own_gpus(run, count, words)
    numbers = distributed.new_group(backend="nccl", timeout=PATIENCE) if own else words
    run.hooks = Spread(words, numbers)
    if number:
        run.checkpoint = None
    yield
    for group in {words, numbers}:  # where training broke, all groups are left at once
        distributed.destroy_process_group(group)


def _own_gpus(run: Run, count: int, words: Any) -> bool:
    """Whether every process has a GPU of its own: nccl refuses to share one."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", count))
    return all(together.gather(run.device.type == "cuda" and torch.cuda.device_count() >= here, words))


def check_batch(run: Run, count: int) -> None:
    """Refuses a batch of which some process would get fewer than two images, too few for BatchNorm."""
    size = min(run.recipe.batch, len(run.ids))
    if size < 2 * count:
        raise AlambicError(
            f"expected a batch of at least {2 * count} images for {count} processes, got {size}, because each takes "
            "two or more; try a larger recipe.batch, or fewer processes"
        )


def check_separable(run: Run) -> None:
    """Refuses a loss that is not the mean of its images' own losses: computed block by block it would be another one.

    The network and the methods are in evaluation mode for this, and nothing of them changes.
    """
    for method in run.objective.methods:
        tables = [name for name, _ in method.named_buffers() if name.rpartition(".")[2] not in RUNNING]
        if tables or type(method).after_step is not Method.after_step:
            why = f"it keeps numbers of its own between steps ({', '.join(tables) or 'after each step'})"
        elif method.batch_parts or not _adds_up(run):
            why = "it compares the images of a batch with each other, or draws numbers for them together"
        else:
            continue
        raise AlambicError(
            f"method {method.name!r} expected one process, got several, because {why}, and each process sees a part "
            "of the batch; try kd, or one process"
        )


def _adds_up(run: Run) -> bool:
    """Whether each part of the loss of a few images is the mean over its two unequal halves, in fp32."""
    ids, cut = run.ids[:PROBED], PROBED // 2 - 1
    objective, was = copy.deepcopy(run.objective).to(run.device).eval(), run.student.training
    exact = dataclasses.replace(run, recipe=dataclasses.replace(run.recipe, precision="fp32"))
    run.student.to(run.device).eval()

    def values(rows: Tensor, progress: float) -> Tensor:
        parts = judge(exact, gather(exact, rows, 0), progress, objective=objective).parts
        return len(rows) * torch.stack(list(parts.values()))

    try:
        with torch.no_grad():
            for progress in (0.0, 0.5, 1.0):
                whole = values(ids, progress)
                halves = values(ids[:cut], progress) + values(ids[cut:], progress)
                if not torch.allclose(halves, whole, rtol=ALIKE, atol=1e-6):
                    return False
    finally:
        run.student.train(was)
    return True


class Spread(Hooks):
    """The plain step on this process's block, with one exchange between gradient and clipping.

    Args:
        words: the process group of flags on the host. numbers: of gradients, where they lie.
    """

    def __init__(self, words: Any, numbers: Any) -> None:
        super().__init__()
        self.words, self.numbers = words, numbers
        self.number, self.count = together.place()
        self.stopping, self.checked = False, False

    def block(self, ids: Tensor) -> Tensor:
        return ids.tensor_split(self.count)[self.number]

    def stops(self) -> bool:
        return self.stopping

    def start_epoch(self, run: Run, epoch: int) -> None:
        if self.checked:
            return
        states = together.gather((epoch, hash_tensors(run.student.state_dict())), self.words)
        if len(set(states)) > 1:
            raise AlambicError(
                f"expected {self.count} processes that start from the same weights, got epochs and weights "
                f"{', '.join(f'{before} {text[:8]}' for before, text in states)}, because they see other files or draw "
                "other numbers; try a folder on a disk that all of them see, and the same versions of all packages"
            )
        self.checked = True

    def step(self, run: Run, given: Inputs, progress: float, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
        torch.manual_seed(stream_seed(run.seed, f"step of process {self.number} at {progress!r}"))
        share = len(given.batch.labels) / min(run.recipe.batch, len(run.ids))
        loss = judge(run, given, progress)
        means = torch.stack([value.detach() for value in loss.parts.values()]) * share
        descend(run, loss.total * share, optimizer, partial(self._add_up, run, optimizer, share, means))
        return dict(zip(loss.parts, means.unbind(), strict=True))

    def _add_up(self, run: Run, optimizer: torch.optim.Optimizer, share: float, means: Tensor) -> None:
        """Sums over the processes, in place: gradients and means, which hold their share; running numbers, times it."""
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        told = torch.tensor([stop.asked(), *(p.grad is not None for p in parameters)], dtype=torch.uint8)
        with together.noticing("in a step of the training"):
            distributed.all_reduce(told, distributed.ReduceOp.MAX, self.words)
        self.stopping, *used = (bool(flag) for flag in told)
        targets = [means]
        for p, anywhere in zip(parameters, used, strict=True):
            if anywhere:  # a part of the network may have seen no image here
                p.grad = torch.zeros_like(p) if p.grad is None else p.grad
                targets.append(p.grad)
        averaged = [t for module in (run.student, run.objective) for t in _running(module)]
        pieces = [*targets, *(share * t for t in averaged)]
        flat = torch.cat([piece.float().flatten() for piece in pieces])
        with together.noticing("in a step of the training"):
            distributed.all_reduce(flat, group=self.numbers)
        with torch.no_grad():
            for target, value in zip([*targets, *averaged], flat.split([p.numel() for p in pieces]), strict=True):
                target.copy_(value.view(target.shape))


def _running(module: nn.Module) -> list[Tensor]:
    """BatchNorm's running means and variances."""
    return [t for name, t in module.named_buffers() if name.rpartition(".")[2] in RUNNING and t.is_floating_point()]
