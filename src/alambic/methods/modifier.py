"""The contract of a modifier: it changes what any logit loss sees, or how much each sample counts.

One file of ``alambic/treatments`` = one modifier (a subclass of ``Modifier``); the file's name is its name. The
contract stands on the methods' floor, because the objective below the treatments applies it.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from alambic.errors import AlambicError
from alambic.methods.base import Batch, Method, Needs, Paper, Specs
from alambic.methods.settings import apply_settings
from alambic.models.feature import Outputs


class Modifier(nn.Module):
    """Base of modifiers.

    Class attributes:
        paper, formula, fidelity, differences, evidence: as for methods.
        needs: what it reads beside the logits.
        refuses_batch_parts: True where a loss that belongs to the batch (DIST within classes) cannot be weighted.
        refuses_exits: True where it changes the student's logits, so that the logits of exits (OFA) would be left out.
    Hyper-parameters are annotated class attributes, as for methods.
    """

    paper: ClassVar[Paper]
    formula: ClassVar[str] = ""
    fidelity: ClassVar[str]
    differences: ClassVar[str] = ""
    evidence: ClassVar[str] = ""
    needs: ClassVar[Needs] = Needs.of("logits", "logits")
    refuses_batch_parts: ClassVar[bool] = False
    refuses_exits: ClassVar[bool] = False

    def __init__(self, **hyper: Any) -> None:
        super().__init__()
        apply_settings(self, "modifier", self.name, Modifier, hyper)

    @property
    def name(self) -> str:
        return type(self).__module__.rsplit(".", 1)[-1]

    def check_methods(self, methods: list[Method]) -> None:
        """Refuses methods that it cannot modify, at construction."""
        for method in methods:
            if method.family != "logit":
                raise AlambicError(
                    f"modifier {self.name!r} changes logit losses: expected methods of the logit family, got "
                    f"{method.name!r} ({method.family}), because it would not change them; try kd, dkd or ofa_logit"
                )
            if self.refuses_batch_parts and method.batch_parts:
                raise AlambicError(
                    f"modifier {self.name!r} expected a loss of single samples, got {method.name!r}, because its parts "
                    f"{', '.join(sorted(method.batch_parts))} belong to the whole batch; try kd, dkd or ofa_logit"
                )
            if self.refuses_exits and "stages" in method.needs.student:
                raise AlambicError(
                    f"modifier {self.name!r} expected a loss of the final logits, got {method.name!r}, because the "
                    "logits of its exits would stay unchanged; try kd, dkd or ofa_logit"
                )

    def check(self, specs: Specs) -> None:
        """Refuses a task on which it degenerates."""

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        """Creates learned scalars; the base has none."""

    def transform(self, s: Outputs, t: Outputs, progress: float) -> tuple[Outputs, Outputs]:
        """The outputs that logit losses see instead."""
        return s, t

    def fit(self, logits: Tensor, labels: Tensor) -> dict[str, Any]:
        """Settings that a study finds for each teacher before it starts, where its file does not give them.

        Args:
            logits: N x C of the teacher on the clean tune split. labels: int64 N, -1 = unlabelled.
        """
        return {}

    def sample_weight(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Tensor | None:
        """B factors on the sample parts of logit losses, None for 1."""
        return None
