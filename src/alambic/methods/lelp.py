"""LELP: pseudo-subclasses from linear projections of the teacher's embedding."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from alambic.errors import AlambicError
from alambic.functional.prob import join_subclasses, kl_divergence, kl_of_logs, target_mask
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Head, Outputs

LARGEST = 2**26  # numbers in the classes' second moments: .5 GB


def lelp_loss(
    student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, coordinates: Tensor, beta: float = 1.0
) -> Tensor:
    """KL over pseudo-subclasses of p_t(c) softmax_k(coordinates_ck / beta) and the student's.

    Args:
        student: log probabilities of the subclasses, B x (C S).
        teacher: logits of the classes, B x C. coordinates: of the teacher's embedding in each class, B x C x S.

    Returns: B values >= 0.
    """
    return kl_of_logs(student, join_subclasses(teacher, coordinates / beta))


class LELP(Method):
    """Linear Projections of Teacher Embeddings for Few-Class Distillation, Loo et al., 2024.

    In the first ``stages`` share of the training the student learns the class probabilities while the teacher's
    embeddings are collected: mean and covariance for each class that the teacher predicts. Then each class gets the
    principal directions of its covariance in the null space of the classifier (what the logits do not say already),
    turned by a random rotation so that all carry alike.
    """

    paper = Paper(
        "Linear Projections of Teacher Embeddings for Few-Class Distillation",
        "Loo, Iliopoulos, Hu, Vee",
        "",
        2024,
        "2409.20449",
    )
    formula = (
        "L = KL[p_t(c) softmax_k(r_ck / beta), p_s(c) p_s(k | c)], r_c = R^T V_c^T (f_t - mean_c), V_c the principal "
        "directions of class c without span(W)"
    )
    family = "embedding"
    needs = Needs.of("logits embedding", "logits embedding head")
    fidelity = "C"
    differences = (
        "from reviews and summaries of the paper: its number of subclasses, its beta and the scale of r are not known "
        "to us (here r has unit variance); classes are the teacher's predictions; the statistics are collected during "
        "the first 2 % of the training; the student is deployed with C outputs, theirs has C S"
    )
    evidence = (
        "Amazon reviews, 5 classes, language: 78.06, subclass distillation 76.28 [N]; images: only CIFAR as two classes"
    )
    degenerate = "the softmax of one logit is always 1: use a teacher with two classes"
    at_equal = "none, because student and teacher have different shapes"
    pure = staticmethod(lelp_loss)
    pure_input = "logits"
    stages = (("collect", 0.02),)

    subclasses: int = 5
    beta: float = 1.0
    weight: float = 1.0
    ce_weight: float = 0.0

    count: Tensor
    first: Tensor
    second: Tensor
    rotation: Tensor
    centres: Tensor
    directions: Tensor

    def check(self, specs: Specs) -> None:
        super().check(specs)
        width, classes = specs.teacher.embedding or 0, specs.classes
        if width < classes + self.subclasses or classes * width**2 > LARGEST:
            raise AlambicError(
                f"method 'lelp' expected a teacher's embedding of at least {classes + self.subclasses} dimensions and "
                f"at most {int((LARGEST / classes) ** 0.5)}, got {width} with {classes} classes, because it keeps a "
                "covariance for each class and leaves out the classifier's directions; try fewer subclasses, or rsd"
            )

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        classes, width, count = specs.classes, specs.teacher.embedding, self.subclasses
        assert width is not None  # the base has checked the need
        assert specs.student.embedding is not None
        self.within = nn.Linear(specs.student.embedding, classes * count)
        self.register_buffer("count", torch.zeros(classes, dtype=torch.float64))
        self.register_buffer("first", torch.zeros(classes, width, dtype=torch.float64))
        self.register_buffer("second", torch.zeros(classes, width, width, dtype=torch.float64))
        self.register_buffer("rotation", nn.init.orthogonal_(torch.empty(count, count)))
        # made from the moments at the first step of the main stage, so a resumed training makes them again
        self.register_buffer("centres", torch.zeros(classes, width), persistent=False)
        self.register_buffer("directions", torch.zeros(classes, width, count), persistent=False)
        self._fitted = False

    def collect(self, t: Outputs) -> None:
        """Adds a batch to the classes' counts and moments."""
        member = target_mask(t.need_logits().argmax(1), len(self.count)).double().T
        values = t.need_embedding().double()
        self.count += member.sum(1)
        self.first += member @ values
        self.second += (member[:, :, None] * values).transpose(1, 2) @ values

    @torch.no_grad()
    def fit(self, head: Head) -> None:
        """Sets the centres C x D and the scaled directions C x D x S; a direction without variance is 0."""
        share = self.count.clamp_min(1)[:, None]
        mean = self.first / share
        covariance = self.second / share[:, :, None] - mean[:, :, None] * mean[:, None, :]
        _, strength, rows = torch.linalg.svd(head.weight.double(), full_matrices=False)
        span = rows * (strength > 1e-6 * strength.amax())[:, None]  # two opposite rows span one direction, not two
        outside = torch.eye(span.shape[1], dtype=span.dtype, device=span.device) - span.T @ span
        spread, axes = torch.linalg.eigh(outside @ covariance @ outside)
        spread, axes = spread[:, -self.subclasses :].clamp_min(0), axes[:, :, -self.subclasses :]
        sign = axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()
        used = (spread > 1e-6 * spread.amax(1, keepdim=True)) & (spread > 1e-12)
        scale = spread.mean(1)[:, None, None].clamp_min(1e-12).sqrt()
        self.centres.copy_(mean)
        self.directions.copy_((axes * sign * used[:, None, :] / scale) @ self.rotation.double())

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        logits = s.need_logits()
        if self.stage_at(progress) == "collect":
            self.collect(t)
            return {"classes": self.weight * kl_divergence(logits, t.need_logits())}
        if not self._fitted:
            self.fit(t.need_head())
            self._fitted = True
        offsets = t.need_embedding()[:, None, :] - self.centres
        coordinates = torch.einsum("bcd,cdk->bck", offsets, self.directions)
        within = self.within(s.need_embedding()).view(*logits.shape, self.subclasses)
        joint = join_subclasses(logits, within)
        return {"lelp": self.weight * lelp_loss(joint, t.need_logits(), coordinates=coordinates, beta=self.beta)}
