"""What each method costs in a training step, as ``scripts/method_costs.py`` measured it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Cost:
    """What a training step costs beside the same step with cross-entropy only, as measured (see ``read_setting``).

    Attributes:
        time: ratio of processor times. step_mib: more memory at the step's peak. kept_mib: held for the whole training
            (parameters with their momentum, banks). training_parameters: of projectors and the like.
    """

    time: float
    step_mib: float
    kept_mib: float
    training_parameters: int

    def __str__(self) -> str:
        return (
            f"{self.time:.2f} times the step of plain cross-entropy, {self.step_mib:.1f} MiB more at its peak, "
            f"{self.kept_mib:.2f} MiB kept, {self.training_parameters:,} training-only parameters"
        )


@cache
def _measured() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent.parent / "methods" / "costs.toml").read_text())


def read_setting() -> dict[str, str]:
    """Where the costs were measured: machine, student, teacher, batch, the plain step."""
    return dict(_measured()["setting"])


def read_cost(name: str) -> Cost | None:
    """The measured cost of a method, None where it was not measured (``scripts/method_costs.py`` measures)."""
    row = _measured()["methods"].get(name)
    return None if row is None else Cost(**row)
