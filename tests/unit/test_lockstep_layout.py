"""Students of two memory layouts in one group: each is shown its images in its own."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from alambic.data import DataSpec, Source, ViewSpec, from_arrays
from alambic.methods import create_method
from alambic.training.lockstep import train_group
from alambic.training.loop import Run, train
from alambic.training.objective import Objective
from alambic.training.recipe import Recipe
from alambic.training.setup import set_up
from alambic.training.task import Task


class Net(nn.Module):
    """A student that notes the layout of what it is shown; a strided 1x1 convolution of few channels, which is never
    called, makes it unsafe."""

    def __init__(self, safe: bool) -> None:
        super().__init__()
        self.first, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 3)
        self.risky = nn.Identity() if safe else nn.Conv2d(4, 4, 1, stride=2)
        self.shown: set[bool] = set()

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            self.shown.add(images.is_contiguous(memory_format=torch.channels_last))
        return self.head(self.first(images).relu().mean((2, 3)))


def make_source() -> Source:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 255, (80, 3, 8, 8)).astype(np.uint8)
    return from_arrays(images, np.arange(80) % 3, spec=DataSpec("arrays", tune=0.2, test=0.2))


def make_run(source: Source, safe: bool) -> Run:
    torch.manual_seed(0)
    recipe, splits = Recipe(epochs=1, batch=16), source.splits
    objective = Objective([create_method("none")], Task(3))
    return set_up(Net(safe), objective, source, splits["train"], splits["tune"], ViewSpec(shift=1), recipe, 0)


def test_each_member_gets_its_own_layout_and_the_numbers_it_gets_alone() -> None:
    source = make_source()
    for order in ((True, False), (False, True)):
        group = [make_run(source, safe) for safe in order]
        assert [run.channels_last for run in group] == list(order)
        outcomes = train_group(group)
        assert [run.student.shown for run in group] == [{safe} for safe in order]
        for safe, run, outcome in zip(order, group, outcomes, strict=True):
            alone = make_run(source, safe)
            assert [record["loss"] for record in train(alone)] == [record["loss"] for record in outcome.history]
            for mine, other in zip(alone.student.parameters(), run.student.parameters(), strict=True):
                assert torch.equal(mine, other)
