"""Functions of a batch's relations: who lies near whom, and in which direction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor


def widen(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Both in the wider of their types, at least float32: sums over pairs and triples overflow or vanish in half."""
    dtype = torch.promote_types(torch.promote_types(student.dtype, teacher.dtype), torch.float32)
    return student.to(dtype), teacher.to(dtype)


def to_unit(vectors: Tensor, dim: int = 1, eps: float = 1e-16) -> Tensor:
    """Vectors along ``dim`` scaled to length 1; shape kept.

    Where the squared length is at most ``eps`` the result and its gradient are 0: the gradient would grow as 1/length,
    and one dead sample would end a training.
    """
    squares = vectors.square().sum(dim, keepdim=True)
    return vectors * squares.clamp_min(eps).rsqrt() * (squares > eps)


def gram(features: Tensor) -> Tensor:
    """Inner products of the samples; B x anything -> B x B."""
    flat = features.flatten(1)
    return flat @ flat.T


def cosine_matrix(features: Tensor, eps: float = 1e-7) -> Tensor:
    """Cosines between the samples, with ``eps`` added to each norm; B x D -> B x B in [-1, 1]."""
    unit = features / (torch.linalg.vector_norm(features, dim=1, keepdim=True) + eps)
    return unit @ unit.T


def squared_distances(features: Tensor) -> Tensor:
    """Squared Euclidean distances between the samples; B x D -> B x B >= 0, the diagonal exactly 0.

    The batch's mean is taken off first: distances do not change, and float32 loses fewer digits.
    """
    centred = features - features.mean(0)
    products = centred @ centred.T
    norms = products.diagonal()
    squares = (norms[:, None] + norms[None, :] - 2 * products).clamp_min(0)
    return squares * ~torch.eye(len(squares), dtype=torch.bool, device=squares.device)


def distances(features: Tensor, eps: float = 1e-12) -> Tensor:
    """Euclidean distances between the samples, squares bounded by ``eps``; B x D -> B x B, the diagonal exactly 0.

    The bound keeps the square root's gradient finite for samples that coincide.
    """
    squares = squared_distances(features).clamp_min(eps)
    return squares.sqrt() * ~torch.eye(len(squares), dtype=torch.bool, device=squares.device)


def unit_sides(features: Tensor, anchors: slice, eps: float = 1e-16) -> tuple[Tensor, Tensor]:
    """Directions from the anchor samples to all samples, as in ``to_unit``, and one over their lengths.

    Args:
        features: B x D. anchors: K of the B samples.

    Returns: K x B x D unit vectors and K x B x 1 factors; both 0 where the squared length is at most ``eps``.
    """
    sides = features[None] - features[anchors, None]
    squares = torch.linalg.vector_norm(sides, dim=2, keepdim=True).square()
    factor = squares.clamp_min(eps).rsqrt() * (squares > eps)
    return sides.mul_(factor), factor


def angles(features: Tensor, anchors: Iterable[slice], eps: float = 1e-16) -> Iterator[Tensor]:
    """Cosine of the angle at an anchor i between samples j and k, for each slice of K anchors: K x B x B.

    Computed from inner products, in float64 because they are differences of larger numbers: the width of ``features``,
    B x D, then costs nothing. Angles count 0 where a side's squared length is at most ``eps``, or lost in rounding.
    Not differentiable.
    """
    centred = features.detach().double()
    centred = centred - centred.mean(0)
    products = centred @ centred.T
    norms = products.diagonal()
    sums = norms[:, None] + norms
    squares = sums - 2 * products
    factors = squares.clamp_min(eps).rsqrt() * (squares > (1e-12 * sums).clamp_min(eps))
    factors, offsets = factors.to(features.dtype), products - norms[:, None] / 2
    for rows in anchors:
        factor, offset = factors[rows], offsets[rows]
        cosines = (products - offset[:, :, None]).sub_(offset[:, None]).to(features.dtype)
        yield cosines.mul_(factor[:, :, None]).mul_(factor[:, None])


def blocks(rows: int, values: int, most: int) -> Iterator[slice]:
    """Slices that cover the rows, each of at most ``most`` values where a row has ``values``; at least a row each."""
    step = max(1, most // max(values, 1))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def block_size(device: torch.device) -> int:
    """How many values a block of ``blocks`` had best hold there.

    On a CPU it fits a core's cache: the arithmetic on a large fresh tensor takes less time than getting its memory.
    Elsewhere starting a kernel costs more, so a block is as large as memory allows: 64 MB in float32.
    """
    return 2**17 if device.type == "cpu" else 2**24


def info_nce(student: Tensor, teacher: Tensor, temperature: float | Tensor) -> Tensor:
    """-log of the share of one's own teacher among all teachers of the batch, under softmax(cosine / temperature).

    Args:
        student, teacher: B x D. temperature: > 0, a number or a 0-d tensor.

    Returns: B values >= 0; log B where nothing is told apart.
    """
    scores = to_unit(student) @ to_unit(teacher).T / temperature
    return -F.log_softmax(scores, dim=1).diagonal()
