"""SEED: the student's similarities to a queue of past teacher embeddings are the teacher's; no label is read."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alambic.errors import AlambicError
from alambic.functional.relation import to_unit
from alambic.methods.base import Batch, Method, Needs, Paper, Parts, Specs
from alambic.models.feature import Outputs


def seedkd_loss(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor | None = None,
    *,
    student_temperature: float = 0.2,
    teacher_temperature: float = 1e-4,
    queue: Tensor | None = None,
) -> Tensor:
    """-sum_k softmax(t·q_k / teacher_temperature) log softmax(s·q_k / student_temperature), all of length 1.

    Args:
        student: B x D, already projected. teacher: B x D.
        queue: K x D, past teacher embeddings; the image's own teacher embedding is the first column beside them.
            None: the columns are the teacher embeddings of this batch.

    Returns: B values >= 0, a cross-entropy.
    """
    s, t = to_unit(student), to_unit(teacher)
    if queue is None:
        of_student, of_teacher = s @ t.T, t @ t.T
    else:
        keys = to_unit(queue)
        of_student = torch.cat([(s * t).sum(1, keepdim=True), s @ keys.T], 1)
        of_teacher = torch.cat([(t * t).sum(1, keepdim=True), t @ keys.T], 1)
    target = (of_teacher / teacher_temperature).softmax(1)
    return -(target * F.log_softmax(of_student / student_temperature, dim=1)).sum(1)


LARGEST_SHARE = 0.25  # of the images, that a queue may hold


class SEED(Method):
    """SEED: Self-supervised Distillation For Visual Representation, Fang et al., ICLR 2021.

    Made for small students of label-free teachers, and the source of LightlyTrain's first method, which is this with
    both temperatures .07 and a queue of a quarter to half of the images. At the authors' teacher temperature of 1e-4
    the target is the image itself: a contrast; larger ones tell which images are alike.
    """

    paper = Paper(
        "SEED: Self-supervised Distillation For Visual Representation",
        "Fang, Wang, Wang, Zhang, Yang, Liu",
        "ICLR",
        2021,
        "2101.04731",
        "jacobswan1/SEED",
    )
    formula = "L = CE - sum_k softmax(t.q_k / 1e-4) log softmax(h(s).q_k / .2), q = own teacher embedding and a queue"
    family = "embedding"
    needs = Needs.of("embedding", "embedding")
    fidelity = "A"
    differences = (
        "the teacher's embedding itself, where the authors take its self-supervised projection of width 128; the queue "
        "has at most a quarter as many rows as there are images (theirs has 5 % of ImageNet's), because a longer one "
        "holds each image's own last view, its hardest negative; cross-entropy joins in, the authors use no labels"
    )
    evidence = (
        "ImageNet without labels, linear probe: EfficientNet-B0 42.2 alone, 67.6 with SEED; MobileNetV3-Large 36.3, "
        "68.2 (ResNet-family teachers) [R]"
    )
    min_classes = 1
    at_equal = "none, because a cross-entropy equals an entropy there"
    pure = staticmethod(seedkd_loss)
    pure_input = "embedding"

    weight: float = 1.0
    student_temperature: float = 0.2
    teacher_temperature: float = 1e-4
    queue_rows: int = 65536

    queue: Tensor
    pointer: Tensor

    def check(self, specs: Specs) -> None:
        super().check(specs)
        if specs.train_size < 1:
            raise AlambicError(
                f"method 'seedkd' expected the number of training images, got {specs.train_size}, because its queue "
                "has at most as many rows; try embedding_mse, which needs no queue"
            )

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        inputs, outputs = specs.student.embedding, specs.teacher.embedding
        assert inputs is not None
        assert outputs is not None
        self.projector = nn.Sequential(nn.Linear(inputs, inputs), nn.ReLU(), nn.Linear(inputs, outputs))
        self.register_buffer("queue", to_unit(torch.randn(self._rows(specs.train_size), outputs)))
        self.register_buffer("pointer", torch.zeros((), dtype=torch.int64))
        self._pending: Tensor | None = None

    def _rows(self, images: int) -> int:
        return max(1, min(self.queue_rows, int(LARGEST_SHARE * images)))

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        teacher = t.need_embedding()
        value = seedkd_loss(
            self.projector(s.need_embedding()),
            teacher,
            student_temperature=self.student_temperature,
            teacher_temperature=self.teacher_temperature,
            queue=self.queue,
        )
        self._pending = to_unit(teacher)[: len(self.queue)]
        return {"seed": self.weight * value}

    @torch.no_grad()
    def after_step(self) -> None:
        if self._pending is None:
            return
        count = len(self._pending)
        rows = (self.pointer + torch.arange(count, device=self.pointer.device)) % len(self.queue)
        self.queue.index_copy_(0, rows, self._pending)
        self.pointer.copy_((self.pointer + count) % len(self.queue))
        self._pending = None
