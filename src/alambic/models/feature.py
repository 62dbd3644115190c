"""What is read from a network: features with their form, and the outputs that methods see.

Floor: models. A ``Feature`` carries how its tensor is laid out, so that a method or a projector never guesses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from torch import Tensor

from alambic.errors import AlambicError

T = TypeVar("T")
STAGES = 4
Form = Literal["map", "tokens", "vector"]


@dataclass(frozen=True)
class Feature:
    """One intermediate tensor.

    Attributes:
        tensor: B x C x H x W for ``map``, B x N x D for ``tokens`` (prefix tokens first), B x D for ``vector``.
        form: which of the three.
        prefix: how many leading tokens (class, register) are not patches; 0 for maps and vectors.
        grid: (height, width) of the patch tokens, None where they do not form a grid.
        name: where it was read, for messages and logs.
    """

    tensor: Tensor
    form: Form
    prefix: int = 0
    grid: tuple[int, int] | None = None
    name: str = ""

    @property
    def channels(self) -> int:
        return int(self.tensor.shape[2] if self.form == "tokens" else self.tensor.shape[1])

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of the map or of the token grid; None where there is none."""
        if self.form == "map":
            return int(self.tensor.shape[2]), int(self.tensor.shape[3])
        return self.grid if self.form == "tokens" else None

    def as_map(self) -> Tensor:
        """B x C x H x W; prefix tokens are left out. Raises AlambicError for a vector or tokens without a grid."""
        if self.form == "map":
            return self.tensor
        if self.form == "tokens" and self.grid is not None:
            height, width = self.grid
            patches = self.tensor[:, self.prefix :]
            return patches.transpose(1, 2).reshape(patches.shape[0], patches.shape[2], height, width)
        raise AlambicError(
            f"expected a feature with a spatial grid at {self.name!r}, got {self.form} of shape "
            f"{tuple(self.tensor.shape)}; try a method on logits or embeddings, or another tap"
        )

    def as_tokens(self) -> Tensor:
        """B x N x D patch tokens in row order, without prefix tokens."""
        if self.form == "tokens":
            return self.tensor[:, self.prefix :]
        return self.as_map().flatten(2).transpose(1, 2)

    def as_vector(self) -> Tensor:
        """B x D: the mean over positions (over patch tokens for tokens)."""
        if self.form == "vector":
            return self.tensor
        return self.as_tokens().mean(1)

    def detach(self) -> Feature:
        return replace(self, tensor=self.tensor.detach())

    def float(self) -> Feature:
        return replace(self, tensor=self.tensor.float())


@dataclass(frozen=True)
class Head:
    """The classifier's weight (classes x D) and bias (classes, zeros where the layer has none)."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class Outputs:
    """What one network gave for one batch; only the quantities that were asked for are there.

    Attributes:
        logits: B x classes, before softmax (B x 1 for a one-logit task).
        embedding: B x D, the pooled penultimate vector.
        stages: up to four features at equal fractions of the network's blocks, shallow to deep.
        energy: per stage, B x H x W: the mean over channels of the squared stage map. A bank can hold it exactly
            where the maps themselves would be too large.
        head: the classifier, when a method asks for it.
    """

    logits: Tensor | None = None
    embedding: Tensor | None = None
    stages: tuple[Feature, ...] = ()
    energy: tuple[Tensor, ...] = ()
    head: Head | None = None

    def need_logits(self) -> Tensor:
        return _present(self.logits, "logits")

    def need_embedding(self) -> Tensor:
        return _present(self.embedding, "embedding")

    def need_head(self) -> Head:
        return _present(self.head, "head")

    def need_energy(self) -> tuple[Tensor, ...]:
        """The energies as read from a bank, or computed from live stages."""
        if self.energy:
            return self.energy
        return tuple(stage_energy(stage) for stage in _present(self.stages or None, "stages"))


def refuse_probabilities(scores: Any, label: str) -> None:
    """Refuses a network that ends in softmax, as many exports do: its probabilities would be taken for scores.

    Args:
        scores: what it gave; anything but B x classes with at least two of each passes. label: of it, for the message.
    """
    several = isinstance(scores, Tensor) and scores.ndim == 2 and min(scores.shape) > 1
    if several and bool((scores >= 0).all()) and bool(((scores.float().sum(1) - 1).abs() <= 1e-3).all()):
        raise AlambicError(
            f"{label}: expected scores before softmax, got probabilities, because each image's are >= 0 and sum to 1; "
            "try the network without its last layer"
        )


def _present(value: T | None, name: str) -> T:
    if value is None:
        raise AlambicError(f"a method read {name!r} without declaring it; add it to the method's `needs`")
    return value


def stage_energy(stage: Feature) -> Tensor:
    """B x H x W: mean over channels of the squared map."""
    return stage.as_map().float().square().mean(1)


@dataclass(frozen=True)
class StageSpec:
    """The shape of one stage: form, channels, (height, width) or None, prefix tokens, token count."""

    form: Form
    channels: int
    size: tuple[int, int] | None
    prefix: int = 0
    tokens: int = 0
    name: str = ""

    @classmethod
    def of(cls, feature: Feature) -> StageSpec:
        count = int(feature.tensor.shape[1]) - feature.prefix if feature.form == "tokens" else 0
        return cls(feature.form, feature.channels, feature.size, feature.prefix, count, feature.name)


@dataclass(frozen=True)
class OutputSpec:
    """Shapes of a network's outputs, probed once; ``None`` or empty where the network does not give them."""

    classes: int | None
    embedding: int | None
    stages: tuple[StageSpec, ...] = field(default=())

    @classmethod
    def of(cls, outputs: Outputs) -> OutputSpec:
        return cls(
            None if outputs.logits is None else int(outputs.logits.shape[1]),
            None if outputs.embedding is None else int(outputs.embedding.shape[1]),
            tuple(StageSpec.of(stage) for stage in outputs.stages),
        )


def square_grid(tokens: int) -> tuple[int, int] | None:
    """The square grid of a token count, None where it is not a square."""
    side = math.isqrt(tokens)
    return (side, side) if side * side == tokens else None


def stage_indices(blocks: int, stages: int = STAGES) -> list[int]:
    """Block indices at equal fractions of a network; fewer blocks than stages merge. (6, 4) gives [1, 2, 4, 5]."""
    return sorted({math.ceil(blocks * (k + 1) / stages) - 1 for k in range(stages)}) if blocks else []


def pair_stages(student: int, teacher: int) -> list[tuple[int, int]]:
    """Pairs of stage indices, counted from the deep end, shallow pair first: (2, 4) gives [(0, 2), (1, 3)]."""
    count = min(student, teacher)
    return [(student - count + i, teacher - count + i) for i in range(count)]
