"""Quantisation-aware training with distillation, in stages."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from alambic.errors import AlambicError
from alambic.methods.base import Paper
from alambic.training.hooks import Inputs, descend, see
from alambic.training.loop import Run
from alambic.treatments.base import Scene, Treatment
from alambic.treatments.fake_quant import insert_fake_quant, remove_fake_quant


class QAT(Treatment):
    """QKD: Quantization-aware Knowledge Distillation, Kim et al., 2019; SQAKD, Zhao and Zhao, AISTATS 2024.

    The student computes on int8-rounded weights and inputs from the first step. In the first ``self_study`` of the
    training it learns from labels alone, then by the arm's methods (tutoring). For SQAKD set ``self_study`` = 0 and
    let the student's own full-precision twin (``self_distillation``) teach by ``funmatch``, without labels.

    Another quantiser takes the place of the plain one as ``QAT.insert`` and ``QAT.remove``, which act on a network in
    place. BatchNorm is not folded while training; the deployed network is quantised by the deployment's own recipe.
    """

    paper = Paper(
        "QKD: Quantization-aware Knowledge Distillation", "Kim, Bhalgat, Lee, Patel, Kwak", "arXiv", 2019, "1911.12491"
    )
    formula = "self-study: CE(q(student)); tutoring: the arm's loss of q(student), q = rounding to int8"
    fidelity = "B"
    differences = "ranges follow extremes, where the authors learn them; the shares of the stages are ours"
    components = (
        ("self-study", True),
        ("co-study (the teacher trains, too)", False),
        ("tutoring", True),
    )
    evidence = "ImageNet at four bits: ResNet18 +1.3, MobileNetV2 +2.6 over earlier QAT [A]; at eight bits .2 [A]"
    kind = "student"

    insert: ClassVar[Callable[[nn.Module], None]] = staticmethod(insert_fake_quant)
    remove: ClassVar[Callable[[nn.Module], None]] = staticmethod(remove_fake_quant)

    self_study: float = 0.3

    def wrap_student(self, student: nn.Module, scene: Scene) -> nn.Module:
        if not 0 <= self.self_study < 1:
            raise AlambicError(f"treatment 'qat' expected self_study in [0, 1), got {self.self_study}; try 0.3")
        type(self).insert(student)
        return student

    def unwrap_student(self, student: nn.Module) -> nn.Module:
        type(self).remove(student)
        return student

    def step(self, run: Run, given: Inputs, progress: float, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
        if progress >= self.self_study:
            return super().step(run, given, progress, optimizer)
        logits, batch = see(run, given.images).need_logits().float(), given.batch
        loss = run.objective.task.loss(logits, batch.labels, batch.partner, batch.lam).mean()
        descend(run, loss, optimizer)
        return {"ce": loss.detach()}
