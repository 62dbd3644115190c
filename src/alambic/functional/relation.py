"""Functions of a batch's relations: who lies near whom, and in which direction."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


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


def angles(features: Tensor) -> Tensor:
    """Cosine of the angle at sample i between samples j and k; B x D -> B x B x B, indices i, j, k.

    Angles with a side of no length count 0. Costs B² D values of memory.
    """
    sides = to_unit(features[None] - features[:, None], 2)
    return sides @ sides.transpose(1, 2)


def info_nce(student: Tensor, teacher: Tensor, temperature: float | Tensor) -> Tensor:
    """-log of the share of one's own teacher among all teachers of the batch, under softmax(cosine / temperature).

    Args:
        student, teacher: B x D. temperature: > 0, a number or a 0-d tensor.

    Returns: B values >= 0; log B where nothing is told apart.
    """
    scores = to_unit(student) @ to_unit(teacher).T / temperature
    return -F.log_softmax(scores, dim=1).diagonal()
