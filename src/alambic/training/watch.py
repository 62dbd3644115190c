"""Tells a user's own loop what it leaves out in silence: projectors out of the optimiser, gradients of one process."""

from __future__ import annotations

import warnings

from torch import nn

from alambic.training import together

LOOK_AFTER = 20  # calls between two looks at what the optimiser changed


class LoopWatch:
    """Counts calls with gradients; each finding is warned of once.

    A look reads counters that lie on the host (``_version`` of a tensor, which each change in place moves), so that no
    accelerator waits.

    Args:
        student: what the optimiser changes too. objective: its projectors, learned scalars.
    """

    def __init__(self, student: nn.Module, objective: nn.Module) -> None:
        self.student, self.objective = student, objective
        self.averaged = together.is_synchronised(student) and not any(True for _ in objective.parameters())
        self._calls, self._told_projectors, self._told_processes = 0, False, False
        self._before: tuple[int, dict[str, int]] = (0, {})

    def __call__(self) -> None:
        """Before each call with gradients."""
        if self._calls % LOOK_AFTER == 0:
            if self._calls and not self.averaged and not self._told_processes and together.place()[1] > 1:
                self._told_processes = True
                warnings.warn(self._tell_processes(), stacklevel=3)
            if not self._told_projectors:
                self._look()
        self._calls += 1

    def _look(self) -> None:
        trained = sum(p._version for p in self.student.parameters())
        now = {name: p._version for name, p in self.objective.named_parameters() if p.grad is not None}
        before, versions = self._before
        left = [name for name, version in now.items() if versions.get(name) == version]
        if left and self._calls and trained != before:
            self._told_projectors = True
            warnings.warn(
                f"expected an optimiser that trains {left[0].removeprefix('_methods.')} ({len(left)} such of the "
                f"method), got none in {LOOK_AFTER} calls, because it was not given to it: a projector that does not "
                "train teaches something else; try torch.optim.SGD(distiller.parameters(), ...)",
                stacklevel=4,
            )
        self._before = trained, {name: p._version for name, p in self.objective.named_parameters()}

    def _tell_processes(self) -> str:
        whose = "the projectors'" if together.is_synchronised(self.student) else "the student's"
        return (
            f"expected gradients that {together.place()[1]} processes average, got {whose} from each process alone, "
            "because nothing here does it: they would train apart; try distiller.average_gradients() between "
            "loss.backward() and optimizer.step() (no matter where a wrapper around both, such as Lightning's, does it)"
        )
