"""ASD: the directions of the teacher's embedding that the student can already follow, and no others."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from alambic.errors import AlambicError
from alambic.functional.prob import pearson
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs

RIDGE = 1e-2  # of the mean variance, added to the covariances that are inverted
SOURCES = ("absorbable", "pca", "random")


def asd_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, kept: Tensor | None = None) -> Tensor:
    """sum_k kept_k (1 - corr(s_k, t_k)), correlations over the batch.

    Args:
        student, teacher: scores along paired directions, B x K.
        kept: K factors, None for 1.

    Returns: 0-d in [0, 2 K].
    """
    apart = 1 - pearson(student, teacher, dim=0)
    return (apart if kept is None else kept * apart).sum()


def follow_directions(own: Tensor, cross: Tensor, theirs: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """(best linear predictor of each teacher direction D_s x K, its correlation K) from covariances.

    Args:
        own: D_s x D_s. cross: D_s x D_t. theirs: D_t x D_t. directions: D_t x K.
    """
    target = cross @ directions
    follower = torch.cholesky_solve(target, _factor(own))
    reach = (follower * target).sum(0).clamp_min(0)
    spread = (directions * (theirs @ directions)).sum(0)
    return follower, (reach / spread.clamp_min(torch.finfo(spread.dtype).tiny)).sqrt()


def absorbable_directions(own: Tensor, cross: Tensor, theirs: Tensor, count: int) -> Tensor:
    """The leading canonical directions of the teacher by regularised CCA, D_t x count, best first.

    The eigenproblem is the student's, which is the smaller network.
    """
    factor = _factor(own)
    back = torch.cholesky_solve(cross.T, _factor(theirs))
    half = torch.linalg.solve_triangular(factor, cross, upper=False)
    shared = half @ torch.linalg.solve_triangular(factor, back.T, upper=False).T
    _, vectors = torch.linalg.eigh((shared + shared.T) / 2)
    leading = torch.linalg.solve_triangular(factor.T, vectors.flip(1)[:, :count], upper=True)
    return back @ leading


def _factor(covariance: Tensor) -> Tensor:
    """Lower Cholesky factor with a ridge that keeps it invertible; no wait for a device."""
    size = covariance.shape[0]
    ridge = RIDGE * covariance.diagonal().mean() + torch.finfo(covariance.dtype).eps
    return torch.linalg.cholesky_ex(covariance + ridge * torch.eye(size, device=covariance.device))[0]


class ASD(Method):
    """Our own (idea I2), not published: absorbable-subspace distillation.

    Hypothesis: losses on embeddings spend a tiny network's 32 to 128 dimensions on a teacher's hundreds. Of the
    teacher's embedding only those directions are asked for that the student follows with a correlation above ``tau``
    (regularised CCA on running covariances, renewed every ``every`` steps); their number grows as the student learns.

    Falsifier: as many random directions (``source = "random"``) or principal ones ("pca") of the teacher do as well.
    """

    paper = Paper("Absorbable-subspace distillation (ours, not published)", "The authors of alambic", "alambic", 2026)
    formula = "L = CE + w sum_{k: rho_k > tau} (1 - corr(u_k f_s, v_k f_t)), (u, v, rho) = CCA(f_s, f_t), renewed"
    family = "embedding"
    needs = Needs.of("embedding", "embedding")
    fidelity = "O"
    differences = (
        "the first directions, before the first step, are random ones, all of them kept; a renewal waits for the "
        "device. The weight pulls about twice as hard as cross-entropy at the start (resnet8 on Fashion-MNIST)"
    )
    evidence = (
        "no number of its own yet: ours; that correlations of the embeddings carry across architectures is RSD's: "
        "CIFAR-100, Swin-T to ResNet18 80.65 by the diagonal alone [N]"
    )
    min_classes = 1
    pure = staticmethod(asd_loss)
    pure_input = "embedding"
    batch_parts: ClassVar[frozenset[str]] = frozenset({"asd"})

    weight: float = 0.05
    tau: float = 0.5
    most: int = 32
    every: int = 50
    momentum: float = 0.01
    source: str = "absorbable"

    moments: Tensor
    student_side: Tensor
    teacher_side: Tensor
    kept: Tensor

    def check(self, specs: Specs) -> None:
        super().check(specs)
        if self.source not in SOURCES or not 0 <= self.tau < 1 or min(self.most, self.every) < 1:
            raise AlambicError(
                f"method 'asd' expected source out of {', '.join(SOURCES)}, tau in [0, 1), most and every of at least "
                f"1, got {self.source!r}, {self.tau}, {self.most} and {self.every}; try the defaults"
            )

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        own, theirs = specs.student.embedding, specs.teacher.embedding
        assert own is not None
        assert theirs is not None
        count = min(own, theirs, self.most)
        self.widths = (own, theirs)
        self.steps = 0
        self._pending: Tensor | None = None
        # rows and columns: 1, the student's and the teacher's dimensions; entry [0, 1:] holds the means
        self.register_buffer("moments", torch.zeros(1 + own + theirs, 1 + own + theirs))
        self.register_buffer("student_side", torch.linalg.qr(torch.randn(own, count))[0])
        self.register_buffer("teacher_side", torch.linalg.qr(torch.randn(theirs, count))[0])
        self.register_buffer("kept", torch.ones(count))

    def get_extra_state(self) -> Tensor:
        return torch.tensor(self.steps)

    def set_extra_state(self, state: Tensor) -> None:
        self.steps = int(state)

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        student, teacher = s.need_embedding(), t.need_embedding()
        self._pending = torch.cat([torch.ones_like(student[:, :1]), student.detach(), teacher], 1)
        scores = student @ self.student_side, teacher @ self.teacher_side
        return {"asd": self.weight * asd_loss(*scores, kept=self.kept)}

    @torch.no_grad()
    def after_step(self) -> None:
        """Follows the second moments, a plain mean at first; every ``every`` steps finds the directions anew."""
        if self._pending is None:
            return
        seen = self._pending
        self.steps += 1
        self.moments.lerp_(seen.T @ seen / len(seen), max(1 / self.steps, self.momentum))
        self._pending = None
        doubled = self.steps & (self.steps - 1) == 0  # early statistics are poor: 1, 2, 4, ... steps
        if self.steps % self.every == 0 or (doubled and self.steps < self.every):
            self._renew()

    def _renew(self) -> None:
        mean = self.moments[0, 1:]
        covariance = self.moments[1:, 1:] - mean[:, None] * mean
        width = self.widths[0]
        own, cross, theirs = covariance[:width, :width], covariance[:width, width:], covariance[width:, width:]
        count = len(self.kept)
        best = absorbable_directions(own, cross, theirs, count)
        absorbed = follow_directions(own, cross, theirs, best)[1] > self.tau
        absorbed[0] = True  # never nothing
        if self.source == "absorbable":
            self.teacher_side.copy_(best)
        elif self.source == "pca":
            self.teacher_side.copy_(torch.linalg.eigh(theirs)[1].flip(1)[:, :count])
        self.student_side.copy_(follow_directions(own, cross, theirs, self.teacher_side)[0])
        # the controls keep as many directions, their own first
        self.kept.copy_(torch.arange(count, device=absorbed.device) < absorbed.sum())
