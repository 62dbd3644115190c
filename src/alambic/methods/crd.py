"""CRD: tell the image's own teacher embedding from thousands of others, with a memory bank of both sides."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from alambic.errors import AlambicError
from alambic.functional.relation import to_unit
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs
from alambic.models.projector import linear

EPS = 1e-7


def crd_loss(student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, temperature: float = 0.07) -> Tensor:
    """The loss of a bank that holds this very batch: all other images (of other classes) are the negatives.

    Args:
        student, teacher: embeddings B x D of one width, scaled to length 1 here.
        labels: int64 B; images of the same class are no negatives, -1 is a class of its own. None: all others are.
        temperature: divides the cosines.

    Returns: B values, the sum of the two directions.
    """
    count = len(student)
    bank_s, bank_t = to_unit(student), to_unit(teacher)
    keep = ~torch.eye(count, dtype=torch.bool, device=student.device)
    if labels is not None:
        keep = keep & ((labels[:, None] != labels) | (labels[:, None] < 0))
    # the first column is the positive; its repetition among the negatives is one of those that `keep` leaves out
    order = torch.arange(count, device=student.device)
    rows = torch.cat([order[:, None], order.expand(count, count)], 1)
    total = student.new_zeros(count)
    for anchor, bank in ((bank_s, bank_t.detach()), (bank_t, bank_s.detach())):
        scores = (anchor @ bank.T / temperature).gather(1, rows).exp()
        own = torch.cat([torch.ones_like(keep[:, :1]), ~torch.eye(count, dtype=torch.bool, device=keep.device)], 1)
        normaliser = (scores * own).sum() / own.sum() * count
        total = total + nce(scores / normaliser, keep, count - 1, count)
    return total


def nce(ratios: Tensor, keep: Tensor, negatives: int, population: int) -> Tensor:
    """Noise-contrastive estimation: -log h(positive) - (negatives / kept) sum_kept log(1 - h), h = p / (p + K / N).

    Args:
        ratios: B x (1 + columns), exp(score) over the normalising constant, the positive first.
        keep: bool B x columns, which columns are negatives at all; the sum is scaled up to all ``negatives``.
        negatives: K. population: N, the number of images.

    Returns: B values.
    """
    noise = negatives / population
    positive = (ratios[:, 0] / (ratios[:, 0] + noise + EPS)).log()
    others = torch.where(keep, noise / (ratios[:, 1:] + noise + EPS), 1.0).log()
    return -positive - others.sum(1) * negatives / keep.sum(1).clamp_min(1)


class CRD(Method):
    """Contrastive Representation Distillation, Tian et al., ICLR 2020.

    Two banks of ``width`` numbers an image (``bank_bytes`` says how much); a batch costs two products of B x width x
    images. Image ids may be any subset of [0, id_count): each gets a row of the bank when it is first seen.
    """

    paper = Paper(
        "Contrastive Representation Distillation",
        "Tian, Krishnan, Isola",
        "ICLR",
        2020,
        "1910.10699",
        "HobbitLong/RepDistiller",
    )
    formula = "L = CE + .8 sum_sides -log h(s, t+) - sum_k log(1 - h(s, t-_k)), h = p/(p + K/N), p = e^(s.t/.07)/Z"
    family = "embedding"
    needs = Needs.of("embedding", "embedding", labels=True, ids=True)
    fidelity = "A"
    differences = (
        "negatives are drawn with replacement from the whole bank, those of the image's own class are then left out "
        "and the sum is scaled up (the released loader draws from the other classes): the same expectation, and no "
        "list of classes; classes are known from the second epoch on; the bank is updated after the step, not before "
        "it; the released mode `relax`, which draws the positive from the image's class, is not there"
    )
    evidence = (
        "CIFAR-100 to MobileNetV2 (64.60): from vgg13 69.73, from ResNet50 69.11 (KD 67.37, 67.35) [R]; across "
        "architectures +3.95 on average for CNN students, below scratch for ViT students [M]"
    )
    stochastic = True
    min_classes = 1
    at_equal = "none, because the value depends on the negatives"
    pure = staticmethod(crd_loss)
    pure_input = "embedding"

    weight: float = 0.8
    width: int = 128
    negatives: int = 16384
    temperature: float = 0.07
    momentum: float = 0.5

    bank_student: Tensor
    bank_teacher: Tensor
    bank_labels: Tensor
    row_of_id: Tensor
    used: Tensor
    normalisers: Tensor

    def check(self, specs: Specs) -> None:
        super().check(specs)
        if specs.train_size < 2:
            raise AlambicError(
                f"method 'crd' expected the number of training images, got {specs.train_size}, because its bank has a "
                "row for each; try rsd, which needs no bank"
            )

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        assert specs.student.embedding is not None
        assert specs.teacher.embedding is not None
        self.embed_student = linear(specs.student.embedding, self.width)
        self.embed_teacher = linear(specs.teacher.embedding, self.width)
        bound = math.sqrt(3 / self.width)
        for name in ("bank_student", "bank_teacher"):
            self.register_buffer(name, torch.empty(specs.train_size, self.width).uniform_(-bound, bound))
        self.register_buffer("bank_labels", torch.full((specs.train_size,), -1))
        self.register_buffer("row_of_id", torch.full((max(specs.id_count, specs.train_size),), -1))
        self.register_buffer("used", torch.zeros((), dtype=torch.int64))
        self.register_buffer("normalisers", torch.full((2,), -1.0))
        self._pending: tuple[Tensor, ...] | None = None

    @property
    def bank_bytes(self) -> int:
        """Memory of the bank, in bytes; the device holds all of it."""
        return sum(buffer.numel() * buffer.element_size() for buffer in self.buffers())

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        if batch.ids is None:
            raise AlambicError(
                "method 'crd' expected the images' ids, got none, because its bank has a row for each image; try "
                "passing ids, or rsd, which needs none"
            )
        student = to_unit(self.embed_student(s.need_embedding()))
        teacher = to_unit(self.embed_teacher(t.need_embedding()))
        population, known = len(self.bank_student), self.row_of_id[batch.ids]
        fresh = known < 0
        # ids beyond the promised number of images take the oldest rows
        rows = torch.where(fresh, self.used + fresh.cumsum(0) - 1, known) % population
        drawn = torch.randint(population, (len(rows), self.negatives), device=rows.device)
        keep = self._negatives(drawn, rows, batch)
        columns = torch.cat([rows[:, None], drawn], 1)
        sides, normalisers = [], []
        for k, (anchor, bank) in enumerate(((student, self.bank_teacher), (teacher, self.bank_student))):
            scores = (anchor @ bank.T / self.temperature).gather(1, columns).exp()
            first = scores.detach().mean() * population
            normaliser = torch.where(self.normalisers[k] < 0, first, self.normalisers[k])
            normalisers.append(normaliser)
            sides.append(nce(scores / normaliser, keep, self.negatives, population))
        self._pending = (
            batch.ids, rows, self.used + fresh.sum(), batch.labels.long(),
            student.detach(), teacher.detach(), torch.stack(normalisers),
        )  # fmt: skip
        return {"student": self.weight * sides[0], "teacher": self.weight * sides[1]}

    def _negatives(self, drawn: Tensor, rows: Tensor, batch: Batch) -> Tensor:
        """Which drawn rows are negatives: not the image itself, nor one of its class (of either class where mixed)."""
        classes, own = self.bank_labels[drawn], batch.labels.long()[:, None]
        partner, lam = batch.partner, batch.lam
        keep = (drawn != rows[:, None]) & ((classes != own) | (own < 0))
        if partner is None or lam is None:
            return keep
        other = partner.long()[:, None]
        return keep & ((classes != other) | (other < 0) | (lam[:, None] >= 1))

    @torch.no_grad()
    def after_step(self) -> None:
        if self._pending is None:
            return
        ids, rows, used, labels, student, teacher, normalisers = self._pending
        for bank, values in ((self.bank_student, student), (self.bank_teacher, teacher)):
            mixed = self.momentum * bank[rows] + (1 - self.momentum) * values
            bank.index_copy_(0, rows, mixed / mixed.norm(dim=1, keepdim=True).clamp_min(EPS))
        self.row_of_id.index_copy_(0, ids, rows)
        self.bank_labels.index_copy_(0, rows, labels)
        self.used.copy_(used)
        self.normalisers.copy_(normalisers)
        self._pending = None
