"""What a user's own loop gives to the ``Distiller``, held against what would train in silence on nonsense."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from alambic.errors import AlambicError
from alambic.models.feature import OutputSpec
from alambic.models.taps import is_compiled
from alambic.training.feed import Normalise
from alambic.training.setup import probe

Side = Sequence[float] | Tensor | npt.NDArray[Any]
Norm = tuple[Side, Side]  # mean and std, one number a channel
LOOK_EVERY = 100  # calls between two looks at values on an accelerator, which has to wait for each
LOW, HIGH = -0.5, 1.5  # images in [0, 1] after noise or a resize that overshoots; scales of 255 or of a norm lie beyond


def check_pair(student: nn.Module, teacher: nn.Module, images: Tensor, normed: bool) -> None:
    """Refuses networks that cannot be a pair, and an example that is no batch of images."""
    if images.ndim != 4 or len(images) == 0:
        raise AlambicError(
            f"expected example_input of shape B x C x H x W, got {tuple(images.shape)}; try images[None] of one image"
        )
    if student is teacher:
        raise AlambicError(
            "expected two networks, got one as student and teacher: its weights would be frozen; try copy.deepcopy"
        )
    _check_apart(student, teacher)
    if not any(parameter.requires_grad for parameter in student.parameters()):
        raise AlambicError(
            "expected a student with parameters that train, got one that is frozen or has none; try "
            "student.requires_grad_(True)"
        )
    for side, net in (("student", student), ("teacher", teacher)):
        if is_compiled(net):
            raise AlambicError(
                f"expected a plain {side}, got a compiled one, which gives nothing to read; try the plain one, which "
                "may be compiled after the Distiller is made where a method reads logits alone (kd)"
            )
    if not images.is_floating_point():
        raise AlambicError(f"expected images of floats in [0, 1], got {images.dtype}; try images.float() / 255")
    low, high = float(images.min()), float(images.max())
    if normed and not 0 <= low <= high <= 1:
        raise AlambicError(
            f"expected images in [0, 1] where a norm is given, got values from {low:g} to {high:g}; try images / 255, "
            "or leave the norms out where your loader normalises already"
        )


def _check_apart(student: nn.Module, teacher: nn.Module) -> None:
    """Refuses a teacher that holds weights of the student, be it the tensor or the memory of another."""
    own = {_identity(parameter): name for name, parameter in student.named_parameters()}
    for name, parameter in teacher.named_parameters():
        if _identity(parameter) in own:
            raise AlambicError(
                f"expected networks with weights of their own, got {own[_identity(parameter)]!r} of the student as "
                f"{name!r} of the teacher, because a teacher is frozen, and would freeze the student; try "
                "copy.deepcopy of what both share"
            )


def _identity(parameter: nn.Parameter) -> int:
    """The place of its numbers in memory; the tensor's own where it has none yet (lazy, meta)."""
    lazy = isinstance(parameter, nn.parameter.UninitializedParameter)
    return (0 if lazy else parameter.data_ptr()) or -id(parameter)


def make_norm(norm: Norm | None, images: Tensor) -> Normalise | None:
    """On the images' device; a side may be a tensor or an array.

    Raises AlambicError for statistics of neither one channel nor the images'.
    """
    if norm is None:
        return None
    sides = [side.flatten().tolist() if isinstance(side, (Tensor, np.ndarray)) else side for side in norm]
    if len(sides) != 2 or not all(isinstance(side, Sequence) for side in sides):
        raise AlambicError(
            f"expected a norm as ((mean per channel), (std per channel)), got {norm}; try ((0.5,), (0.25,))"
        )
    channels = images.shape[1]
    if len(sides[0]) not in (1, channels) and channels != 1:
        raise AlambicError(f"expected a norm for {channels} channels, got {norm}; try one mean and one std a channel")
    return Normalise(tuple(sides[0]), tuple(sides[1])).to(images.device)


def make_size(size: Any) -> tuple[int, int] | None:
    """(height, width) of ``teacher_size``, None where the images keep theirs."""
    sides = (size, size) if isinstance(size, int) else size
    if sides is None:
        return None
    whole = isinstance(sides, (tuple, list)) and all(type(side) is int and side >= 1 for side in sides)
    if not whole or len(sides) != 2:
        raise AlambicError(
            f"expected teacher_size as (height, width) or one number for both, got {size!r}; try teacher_size=224"
        )
    return sides[0], sides[1]


def probe_side(net: nn.Module, seen: Tensor, given: Tensor, side: str) -> OutputSpec:
    """The shapes that a network gives. A norm that changed the count of channels is named before the network is."""
    try:
        return probe(net, seen, side)
    except AlambicError as error:
        normed, channels = seen.shape[1], given.shape[1]
        if normed == channels:
            raise
        raise AlambicError(
            f"expected {side}_norm to have one mean and one std for each of the {channels} channels of the images, got "
            f"{normed}, because images are given to the {side} with as many channels as its norm has, and it fails on "
            f"them ({error}); try {channels} of each, or a {side} for {normed} channels"
        ) from error


def _casts(device: str) -> bool:
    """Whether types are torch's own choice now."""
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


class BatchCheck:
    """Refuses batches that are unlike the example, or hold values that no image or label has.

    Shapes and types are looked at in each call. Values are too on the CPU; an accelerator would have to wait, so that
    there they are looked at in the first call and each hundredth one.

    Args:
        example: a batch as the loop gives them. normed: a norm is applied to it, so images lie in [0, 1].
        classes: that labels may name. train_size: that ids lie below, 0 where no method reads them.
    """

    def __init__(self, example: Tensor, normed: bool, classes: int, train_size: int) -> None:
        self.channels, self.dtype = example.shape[1], example.dtype
        self.normed, self.classes, self.train_size = normed, classes, train_size
        self._calls = 0

    def __call__(self, images: Tensor, labels: Tensor, ids: Tensor | None, second: Tensor | None) -> None:
        self._check_form(images, "images")
        if second is not None:
            self._check_form(second, "second")
            if second.shape != images.shape:
                raise AlambicError(
                    f"expected second of the images' shape {tuple(images.shape)}, got {tuple(second.shape)}, because "
                    "it is another view of each of them; try the same crop size and batch"
                )
        if labels.shape != images.shape[:1]:
            raise AlambicError(
                f"expected one label per image ({len(images)}), got labels of shape {tuple(labels.shape)}; try "
                "labels.squeeze(1), or argmax(1) of one-hot labels"
            )
        if labels.dtype != torch.int64:
            raise AlambicError(f"expected labels of int64, got {labels.dtype}; try labels.long()")
        due, self._calls = self._calls % LOOK_EVERY == 0, self._calls + 1
        for view in (images, second):
            if view is not None and (due or view.device.type == "cpu"):
                self._check_pixels(view)
        if due or labels.device.type == "cpu":
            self._check_numbers(labels, ids)

    def _check_form(self, images: Tensor, name: str) -> None:
        if not isinstance(images, Tensor):
            raise AlambicError(
                f"expected {name} as a tensor, got {type(images).__name__}; try torch.as_tensor, or a loader's batch"
            )
        if len(images.shape) != 4 or images.shape[1] != self.channels:
            raise AlambicError(
                f"expected {name} of shape B x {self.channels} x H x W as example_input has, got "
                f"{tuple(images.shape)}; try images[:, None] for grey ones without a channel, or another example_input"
            )
        if len(images) == 0:
            raise AlambicError("expected at least one image, got an empty batch; try drop_last=True in the loader")
        if images.dtype != self.dtype and not (images.is_floating_point() and _casts(images.device.type)):
            way = ".to(example_input.dtype)" if images.is_floating_point() else ".float() / 255"
            raise AlambicError(
                f"expected {name} of {self.dtype} as example_input has, got {images.dtype}, because the networks were "
                f"tried on that; try {name}{way}"
            )

    def _check_pixels(self, images: Tensor) -> None:
        low, high = torch.stack(torch.aminmax(images.detach().float())).tolist()
        if not (math.isfinite(low) and math.isfinite(high)):
            raise AlambicError(
                f"expected images of finite numbers, got NaN or infinity (values from {low:g} to {high:g}), because of "
                "what the loader does; try torch.isfinite(images).all() after each of its steps"
            )
        if self.normed and not LOW <= low <= high <= HIGH:
            raise AlambicError(
                f"expected images in [0, 1] where a norm is given, got values from {low:g} to {high:g}, unlike "
                "example_input; try images / 255, or leave the norms out where your loader normalises already"
            )

    def _check_numbers(self, labels: Tensor, ids: Tensor | None) -> None:
        most = max(2, self.classes) - 1
        low, high = int(labels.min()), int(labels.max())
        if low < -1 or high > most:
            raise AlambicError(
                f"expected labels from 0 to {most}, or -1 where there is none, got {low} to {high}; does the student "
                "have a score for each class?"
            )
        if ids is not None and self.train_size and not 0 <= int(ids.min()) <= int(ids.max()) < self.train_size:
            raise AlambicError(
                f"expected ids from 0 to {self.train_size - 1}, got {int(ids.min())} to {int(ids.max())}; try "
                "train_size=len(dataset)"
            )
