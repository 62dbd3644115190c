"""Tells a user's own loop what it leaves out in silence: projectors out of the optimiser, gradients of one process."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from alambic.training import together

LOOK_AFTER = 20  # calls between two looks at what the optimiser changed
SAMPLE = 64  # numbers of each parameter that a look compares


class LoopWatch:
    """Counts calls with gradients; each finding is warned of once.

    A look at values makes an accelerator wait, so that there is one in twenty calls, and none once it is known whether
    the projectors train. (A tensor's ``_version`` would cost nothing, but fused optimisers leave it alone.)

    Args:
        student: what the optimiser changes too. objective: its projectors, learned scalars.
    """

    def __init__(self, student: nn.Module, objective: nn.Module) -> None:
        self.student, self.objective = student, objective
        self.averaged = together.is_synchronised(student) and not any(True for _ in objective.parameters())
        self._calls, self._told_processes = 0, False
        self._settled = not any(p.requires_grad for p in objective.parameters())
        self._before: dict[str, Tensor] = {}
        self._student_before: list[tuple[Tensor, Tensor]] = []

    def __call__(self) -> None:
        """Before each call with gradients."""
        if self._calls % LOOK_AFTER == 0:
            if self._calls and not self.averaged and not self._told_processes and together.place()[1] > 1:
                self._told_processes = True
                warnings.warn(self._tell_processes(), stacklevel=3)
            if not self._settled:
                self._look()
        self._calls += 1

    def _look(self) -> None:
        """Compares weights with those of the look before, where a gradient says that they should have moved."""
        due = [(name, p) for name, p in self.objective.named_parameters() if name in self._before and _pulled(p)]
        if due and any(not torch.equal(seen, _sample(p)) for p, seen in self._student_before):
            left = [name for name, p in due if torch.equal(self._before[name], _sample(p))]
            self._settled = True
            if left:
                warnings.warn(
                    f"expected an optimiser that trains {left[0].removeprefix('_methods.')} (and {len(left) - 1} more "
                    f"of the method), got none in {LOOK_AFTER} calls that trained the student, because it was not "
                    "given to it: an untrained projector teaches something else; try "
                    "torch.optim.SGD(distiller.parameters(), ...)",
                    stacklevel=4,
                )
        self._before = {name: _sample(p) for name, p in self.objective.named_parameters() if p.requires_grad}
        self._student_before = [(p, _sample(p)) for p in self.student.parameters() if p.requires_grad]

    def _tell_processes(self) -> str:
        whose = "the projectors'" if together.is_synchronised(self.student) else "the student's"
        return (
            f"expected gradients that {together.place()[1]} processes average, got {whose} from each process alone, "
            "because nothing here does it: they would train apart; try distiller.average_gradients() between "
            "loss.backward() and optimizer.step() (no matter where a wrapper around both, such as Lightning's, does it)"
        )


def _sample(tensor: Tensor) -> Tensor:
    """Some of its numbers, copied."""
    return tensor.detach().flatten()[:SAMPLE].clone()


def _pulled(parameter: nn.Parameter) -> bool:
    """Whether a gradient says that its sampled numbers should move."""
    grad = parameter.grad
    return grad is not None and bool((grad.flatten()[:SAMPLE] != 0).any())
