"""Small sums that several estimators share; all in double precision."""

from __future__ import annotations

import torch
from torch import Tensor

from alambic.functional.prob import kl_divergence


def mean_kl(p: Tensor, q: Tensor) -> float:
    """Mean over images of KL(softmax(p) || softmax(q)) in nats; logits N x C."""
    return float(kl_divergence(q.double(), p.double()).mean())


def centre(values: Tensor) -> Tensor:
    """N x D minus its column means, in double."""
    values = values.double()
    return values - values.mean(0)


def top_two(logits: Tensor) -> Tensor:
    """N x 2: the two largest logits of each image, largest first."""
    return logits.double().topk(2, dim=1).values


def effective_rank(values: Tensor) -> float:
    """exp of the entropy of the covariance's normalised eigenvalues, between 1 and D; N x D.

    Roy and Vetterli, EUSIPCO 2007; 0 where nothing varies.
    """
    eigenvalues = torch.linalg.svdvals(centre(values)).square()
    total = eigenvalues.sum()
    if total <= 0:
        return 0.0
    share = eigenvalues / total
    share = share[share > 0]
    return float((-(share * share.log()).sum()).exp())
