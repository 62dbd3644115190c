"""Control: the teacher speaks of another image."""

from __future__ import annotations

import torch
from torch import Tensor

from alambic.methods.base import Paper
from alambic.models.feature import Outputs
from alambic.training.feed import Feed
from alambic.training.loop import Run
from alambic.treatments.base import Scene, Treatment


class ShuffledFeed:
    """A feed that answers for each image with the outputs of a fixed other one, of the same view id."""

    def __init__(self, feed: Feed, ids: Tensor) -> None:
        self.feed, self.spec = feed, feed.spec
        order = torch.randperm(len(ids))
        self.other = torch.arange(int(ids.max()) + 1)
        self.other[ids[order]] = ids[order.roll(1)]

    def __call__(self, ids: Tensor, views: Tensor) -> Outputs:
        return self.feed(self.other.to(ids.device)[ids], views)


class ShuffledTeacher(Treatment):
    """The statistics of the teacher's outputs stay, what they say of the image goes: soft targets as mere noise."""

    paper = Paper("none", "", "", 0)
    formula = "teacher(x) -> teacher(pi(x)), pi one cycle through the training images"
    fidelity = "A"
    kind = "control"
    needs_teacher = True

    def attach(self, run: Run, scene: Scene) -> None:
        assert run.feed is not None
        run.feed = ShuffledFeed(run.feed, run.ids.cpu())
