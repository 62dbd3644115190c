"""Outlier-safe targets: a rotation spreads the teacher's outlier channels before the student copies them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alambic.errors import AlambicError
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs


def outlier_safe_loss(
    student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, rotation: Tensor | None = None
) -> Tensor:
    """mean_d (s_d - (R LN(t))_d)², LN the layer normalisation without scale and shift (eps 1e-5).

    Args:
        student: B x D_s. teacher: B x D_t. rotation: R, D_s x D_t; None takes the identity.

    Returns: B values >= 0.
    """
    target = F.layer_norm(teacher, teacher.shape[1:])
    if rotation is not None:
        target = target @ rotation.T
    return (student - target).square().mean(1)


def outlier_safe_at_equal(teacher: Tensor, *, rotation: Tensor | None = None) -> Tensor:
    """The values at student = teacher: how far the teacher is from its normalised and rotated self."""
    wide = teacher.double()
    centred = wide - wide.mean(1, keepdim=True)
    target = centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()
    if rotation is not None:
        target = torch.stack([(rotation.double() * row).sum(1) for row in target])
    return (wide - target).square().mean(1)


def range_gap(maps: Sequence[Tensor], target: float) -> Tensor:
    """mean_l (kurtosis of all values of map l - target)²; 0-d. A uniform distribution has 1.8, a normal one 3."""
    gaps = []
    for values in maps:
        centred = values - values.mean()
        variance = centred.square().mean()
        kurtosis = centred.square().square().mean() / (variance.square() + 1e-12)
        gaps.append((kurtosis - target).square())
    return torch.stack(gaps).mean()


class OutlierSafe(Method):
    """Our own (idea I6), not published: an embedding loss that does not hand int8 the teacher's outlier channels.

    Hypothesis: transformers' embeddings have a few channels many times as large as the rest. A student that copies
    them spends the 256 codes of a tensor on them. A fixed random rotation spreads each over all channels; a control of
    the kurtosis keeps the student's maps near an even use of their range. The student's embedding itself is compared,
    with one learned scale for all channels: through a free linear layer a rotation would change nothing, and the
    student would never have to copy an outlier.

    Falsifier: with ``rotate = false`` the students' largest activation over its deviation and their loss from fp32 to
    int8 are the same.
    """

    paper = Paper("Outlier-safe feature targets (ours, not published)", "The authors of alambic", "alambic", 2026)
    formula = "L = CE + w mean_d (g f_s + b - R LN(f_t))_d^2 + range_weight mean_l (kurt(F_s^l) - 1.8)^2, R fixed"
    family = "embedding"
    needs = Needs.of("embedding stages", "embedding")
    fidelity = "O"
    evidence = (
        "no number of its own yet: ours; of its parts, the regression of LN(f_t) is VkD's: ImageNet, RegNetY-160 to "
        "DeiT-Ti 78.3 (79.2 in a rerun) [R], and kurtosis 1.8 (KURE) is of robust quantisation of weights [M]"
    )
    min_classes = 1
    at_equal = "formula: the teacher's distance from its normalised, rotated self (outlier_safe_at_equal)"
    pure = staticmethod(outlier_safe_loss)
    pure_at_equal = staticmethod(outlier_safe_at_equal)
    pure_input = "embedding"
    batch_parts = frozenset({"range"})

    weight: float = 1.0
    range_weight: float = 1e-3
    target: float = 1.8
    rotate: bool = True

    rotation: Tensor

    def check(self, specs: Specs) -> None:
        super().check(specs)
        if self.target < 1:
            raise AlambicError(
                f"method 'outlier_safe' expected a target of at least 1, got {self.target}, because no distribution "
                "has a smaller kurtosis; try 1.8, the uniform one's"
            )

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        own, theirs = specs.student.embedding, specs.teacher.embedding
        assert own is not None
        assert theirs is not None
        self.register_buffer("rotation", random_rotation(own, theirs) if self.rotate else random_choice(own, theirs))
        self.scale = nn.Parameter(torch.ones(()))
        self.shift = nn.Parameter(torch.zeros(own))

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        student = self.scale * s.need_embedding() + self.shift
        return {
            "match": self.weight * outlier_safe_loss(student, t.need_embedding(), rotation=self.rotation),
            "range": self.range_weight * range_gap([stage.tensor for stage in s.stages], self.target),
        }


def random_rotation(rows: int, columns: int) -> Tensor:
    """rows x columns of a random orthogonal matrix, scaled so that values of variance 1 keep it on average."""
    size = max(rows, columns)
    factor, upper = torch.linalg.qr(torch.randn(size, size))
    rotation = factor * upper.diagonal().sign()  # without the signs the solver's own would enter
    return rotation[:rows, :columns] * (size / columns) ** 0.5


def random_choice(rows: int, columns: int) -> Tensor:
    """rows x columns: each row is one channel, drawn without repetition as long as there are any; the control."""
    order = torch.randperm(columns)[torch.arange(rows) % columns]
    return F.one_hot(order, columns).float()
