"""A teacher of many classes for a task of few: the classes that a class map merges speak with one voice."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import torch
from torch import Tensor, nn

from alambic.errors import AlambicError
from alambic.models.teacher import Teacher

Groups = tuple[tuple[int, ...], ...]


class GroupedClasses(nn.Module):
    """A network whose class scores are merged: B x old classes -> B x groups.

    A group's score is the log of the sum of exponentials of its classes' scores, so that the softmax over groups is
    exactly the sum of the network's probabilities in each group, classes of no group left out. Nothing is learnt.

    Args:
        groups: old classes of each new one; each at least one, none twice.
    """

    def __init__(self, net: nn.Module, groups: Groups) -> None:
        super().__init__()
        self.net, self.groups = net, groups

    def forward(self, images: Tensor) -> Tensor:
        return merge_scores(self.net(images), self.groups)


def merge_scores(logits: Tensor, groups: Groups) -> Tensor:
    """B x old classes -> B x groups: log-sum-exp over each group's columns."""
    return torch.stack([logits[:, list(group)].logsumexp(1) for group in groups], 1)


def group_classes(teacher: Teacher, groups: Groups) -> Teacher:
    """The teacher with its classes merged; another hash, since its answers are others.

    Raises AlambicError for groups that do not fit its classes.
    """
    flat = [old for group in groups for old in group]
    if not all(groups) or len(set(flat)) != len(flat) or min(flat) < 0 or max(flat) >= (teacher.classes or 0):
        raise AlambicError(
            f"teacher {teacher.name!r}: expected groups of different classes out of its {teacher.classes}, at least "
            f"one each, got {[list(group) for group in groups]}"
        )
    text = f"{teacher.hash} {groups}"
    return replace(
        teacher,
        net=GroupedClasses(teacher.net, groups).eval(),
        spec=replace(teacher.spec, groups=groups),
        classes=len(groups),
        hash=hashlib.sha256(text.encode()).hexdigest(),
    )
