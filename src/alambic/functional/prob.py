"""Functions of class scores."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from alambic.functional.relation import to_unit


def kl_divergence(student: Tensor, teacher: Tensor, temperature: float | Tensor = 1.0) -> Tensor:
    """KL(teacher || student) of the softened class probabilities, per sample, not scaled by T².

    Args:
        student, teacher: logits, B x C.
        temperature: divides both logits; a tensor must broadcast to B x C.

    Returns: B values >= 0.
    """
    log_student = F.log_softmax(student / temperature, dim=1)
    log_teacher = F.log_softmax(teacher / temperature, dim=1)
    return (log_teacher.exp() * (log_teacher - log_student)).sum(1)


def soft_targets(labels: Tensor, classes: int, partner: Tensor | None = None, lam: Tensor | None = None) -> Tensor:
    """Class targets of a batch, mixed where images are mixed.

    Args:
        labels: int64 B; -1 (unlabelled) gives a row of zeros.
        classes: C.
        partner: int64 B, labels of the mixing partners.
        lam: B, share of the image itself.

    Returns: float32 B x C; rows sum to 1, to 0 where unlabelled.
    """
    own = _one_hot(labels, classes)
    if partner is None or lam is None:
        return own
    known = ((labels >= 0) & (partner >= 0)).float()[:, None]
    return known * (lam[:, None] * own + (1 - lam[:, None]) * _one_hot(partner, classes))


def _one_hot(labels: Tensor, classes: int) -> Tensor:
    hot = F.one_hot(labels.clamp_min(0), classes).float()
    return hot * (labels >= 0)[:, None]


def pearson(student: Tensor, teacher: Tensor, dim: int = 1) -> Tensor:
    """Pearson correlation along ``dim``, 0 where one of the two is constant; shapes equal, ``dim`` is removed."""
    a = student - student.mean(dim, keepdim=True)
    b = teacher - teacher.mean(dim, keepdim=True)
    return (to_unit(a, dim) * to_unit(b, dim)).sum(dim)


def entropy(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Entropy in nats of the softened class probabilities; B x C -> B."""
    log_p = F.log_softmax(logits / temperature, dim=1)
    return -(log_p.exp() * log_p).sum(1)


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy against (possibly zero) target rows; logits and targets B x C -> B."""
    return -(targets * F.log_softmax(logits, dim=1)).sum(1)


def standardise(values: Tensor, dim: int, eps: float, unbiased: bool = False) -> Tensor:
    """(values - mean) / (std + eps) along ``dim``."""
    centred = values - values.mean(dim, keepdim=True)
    return centred / (torch.std(values, dim=dim, keepdim=True, unbiased=unbiased) + eps)


def mix_labels(
    term: Callable[[Tensor], Tensor], labels: Tensor, partner: Tensor | None = None, lam: Tensor | None = None
) -> Tensor:
    """A loss of hard labels on mixed images: lam term(labels) + (1 - lam) term(partner), B values.

    Args:
        term: int64 B labels -> B values, 0 where a label is -1.
        labels, partner: own labels and those of the mixing partners. lam: B, share of the image itself.

    A mixed row of which one label is missing gives 0, as in ``soft_targets``.
    """
    own = term(labels)
    if partner is None or lam is None:
        return own
    both = (labels >= 0) & (partner >= 0)
    return both * (lam * own + (1 - lam) * term(partner))


def kl_of_logs(log_student: Tensor, log_teacher: Tensor, dim: int = 1) -> Tensor:
    """KL(teacher || student) from log-probabilities along ``dim``, which is removed; the teacher's 0 log 0 is 0."""
    return (log_teacher.exp() * (log_teacher - log_student)).sum(dim)


def leave_out(logits: Tensor, mask: Tensor) -> Tensor:
    """Logits with the masked classes (bool B x C) so low that their probability is exactly 0 and their log finite."""
    return logits.masked_fill(mask, max(-1e9, torch.finfo(logits.dtype).min))


def target_mask(labels: Tensor, classes: int) -> Tensor:
    """bool B x C, True at the label; a missing label (-1) marks no class."""
    return labels[:, None] == torch.arange(classes, device=labels.device)


def binary_logs(logits: Tensor, mask: Tensor) -> Tensor:
    """B x 2: log probability of the masked class (one True a row) and of all others together."""
    whole = logits.logsumexp(1)
    inside = leave_out(logits, ~mask).logsumexp(1)
    return torch.stack([inside - whole, leave_out(logits, mask).logsumexp(1) - whole], dim=1)


def join_subclasses(logits: Tensor, subclasses: Tensor) -> Tensor:
    """log [p(class) p(subclass | class)]: the class probabilities are exactly the sums of their subclasses'.

    Args:
        logits: of the classes, B x C. subclasses: scores B x C x S, a softmax over S within each class.

    Returns: B x (C S), the subclasses of one class side by side.
    """
    joint = F.log_softmax(logits, dim=1)[:, :, None] + F.log_softmax(subclasses, dim=2)
    return joint.flatten(1)
