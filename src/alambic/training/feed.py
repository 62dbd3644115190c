"""Where a teacher's outputs come from while a student trains: the live network. (A bank is the other feed.)

A feed answers ``feed(ids, views) -> Outputs``: the training loop does not know which one it holds.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor, nn

from alambic.data import Source, ViewSpec, render
from alambic.errors import AlambicError
from alambic.models.feature import Outputs, OutputSpec
from alambic.models.taps import Tapped

LIVE_SECOND = 1 << 20  # beyond any epoch: a live view's id is its epoch


class Feed(Protocol):
    """Teacher outputs for images and views, detached, without prefix of any kind of batch order."""

    spec: OutputSpec

    def __call__(self, ids: Tensor, views: Tensor) -> Outputs: ...


def other_views(views: Tensor, spec: ViewSpec) -> Tensor:
    """The second view of each image of a step, int64, B: never the first one, and in the bank where there is one."""
    return (views + 1) % spec.count if spec.count else views + LIVE_SECOND


def mean_by_class(feed: Feed, labels: Tensor, ids: Tensor, classes: int) -> Tensor:
    """classes x D: the mean teacher embedding of the labelled images of each class, on each one's view 0.

    Args:
        feed: bank or live teacher. labels: int64, of all images. ids: of the training images. A class without images
            gets zeros.
    """
    sums = torch.zeros(classes, feed.spec.embedding or 0)
    counts = torch.zeros(classes)
    labels, ids = labels.cpu(), ids.cpu()
    for rows in ids[labels[ids] >= 0].split(250):
        values, which = feed(rows, torch.zeros_like(rows)).need_embedding(), labels[rows]
        sums.index_add_(0, which.cpu(), values.float().cpu())
        counts += torch.bincount(which.cpu(), minlength=classes)
    return sums / counts.clamp_min(1)[:, None]


class Normalise(nn.Module):
    """(x - mean) / std per channel; turns grey into three channels, or colour into grey, where a network expects so."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        if len(mean) != len(std) or not all(0 < value < math.inf for value in std):
            raise AlambicError(
                f"expected one positive std per channel's mean, got mean {mean} and std {std}; "
                "try ((0.5,), (0.5,)) for grey images"
            )
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        channels = int(self.mean.shape[1])
        if images.shape[1] != channels:
            images = images.mean(1, keepdim=True) if channels == 1 else images.expand(-1, channels, -1, -1)
        return (images - self.mean) / self.std


class LiveFeed:
    """Runs the frozen teacher on its own side of the view: its size, its normalisation, the student's geometry.

    It runs where the source's images lie; ids and views are taken from there, or from the host. The teacher is put in
    evaluation mode and gets no gradient; nothing in it changes.
    """

    def __init__(
        self,
        net: nn.Module,
        source: Source,
        views: ViewSpec,
        want: frozenset[str],
        size: tuple[int, int],
        normalise: Normalise,
        pool_ids: Tensor | None = None,
        label: str = "teacher",
    ) -> None:
        device = source.images.device
        self.net = net.eval().requires_grad_(False).to(device)
        self.source, self.views, self.size, self.normalise = source, views, size, normalise.to(device)
        self.pool_ids = None if pool_ids is None else pool_ids.to(device)
        rows = source.splits["train"][:2].to(device)
        example = self._images(rows, torch.zeros_like(rows))
        self.tapped = Tapped(self.net, example, want, label=label)
        self.spec = self.tapped.spec

    def _images(self, ids: Tensor, views: Tensor) -> Tensor:
        pixels = render(self.source.images, ids, views, self.views, "teacher", self.size, self.pool_ids)
        return self.normalise(pixels)

    def __call__(self, ids: Tensor, views: Tensor) -> Outputs:
        self.net.eval()
        with torch.no_grad():
            return self.tapped(self._images(ids.to(self.source.images.device), views.to(self.source.images.device)))
