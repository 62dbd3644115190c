"""E8: how alike the two networks' features already are."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from alambic.suitability.base import Estimator
from alambic.suitability.evidence import Evidence
from alambic.suitability.measures import centre


def gram(features: Tensor) -> Tensor:
    """M x M inner products of centred features M x k, diagonal zero, as the debiased estimate takes it."""
    rows = centre(features)
    product = rows @ rows.T
    return product.fill_diagonal_(0)


def debiased_hsic(first: Tensor, second: Tensor) -> float:
    """Unbiased HSIC of two Gram matrices M x M with zero diagonals, M >= 4 (Song et al., JMLR 2012, eq. 5)."""
    count = len(first)
    ones = (first.sum() * second.sum()) / ((count - 1) * (count - 2))
    cross = 2 * (first.sum(0) @ second.sum(0)) / (count - 2)
    return float(((first * second).sum() + ones - cross) / (count * (count - 3)))


def debiased_cka(first: Tensor, second: Tensor) -> float:
    """Linear CKA of two Gram matrices, near 0 for unrelated features of any width, 1 for equal ones."""
    own = debiased_hsic(first, first) * debiased_hsic(second, second)
    return debiased_hsic(first, second) / own**0.5 if own > 0 else 0.0


class CKA(Estimator):
    """Mean debiased linear CKA over all pairs of stages of teacher and warmed-up student."""

    code = "E8"
    title = "debiased CKA"
    source = (
        "Kornblith et al., ICML 2019, arXiv 1905.00414, debiased as Nguyen et al., ICLR 2021, arXiv 2010.15327; used "
        "to explain bad hints (OFA, HeteroAKD), never shown to rank teachers"
    )
    formula = "mean and max over i, j of CKA(F_t^i, F_s0^j); CKA of the embeddings"
    differences = "stages are averaged down to at most 4 x 4 positions, on at most 1,000 images"
    cost = "both forwards"
    sign = "+"
    needs = frozenset({"stages"})
    variants: ClassVar = {"max": "+", "embedding": "+"}

    def estimate(self, evidence: Evidence) -> float:
        return float(stage_matrix(evidence).mean())

    def measure_variants(self, evidence: Evidence) -> dict[str, float]:
        found = {}
        if not evidence.lacks("stages"):
            found["max"] = float(stage_matrix(evidence).max())
        if evidence.teacher.embedding is not None:
            rows = slice(1000)
            pair = evidence.student.embedding[rows], evidence.teacher.embedding[rows]
            found["embedding"] = debiased_cka(gram(pair[0]), gram(pair[1]))
        return found


def stage_matrix(evidence: Evidence) -> Tensor:
    """Student stages x teacher stages of CKA."""
    students = [gram(stage) for stage in evidence.student.stages]
    teachers = [gram(stage) for stage in evidence.teacher.stages]
    return torch.tensor([[debiased_cka(s, t) for t in teachers] for s in students])
