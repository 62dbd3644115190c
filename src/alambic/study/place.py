"""Where and on what a study's cells train: settled once, before the first cell, by the file and what is there.

On a GPU the images, and each bank that fits, lie in its memory; a step is one CUDA graph where nothing forbids it, and
cells that share their batches train side by side in one process (``training.graph``, ``training.lockstep``). Teachers
are trained, and banks built, as before.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from alambic.data import Source
from alambic.errors import AlambicError
from alambic.training.bank import Bank
from alambic.training.feed import Feed
from alambic.training.resident import ResidentBank

Asked = Literal["cpu", "cuda", "auto"]
Compile = Literal["auto"] | bool
SHARE = 0.25  # of a device's whole memory, at most: for the images, and for each bank


@dataclass(frozen=True)
class Execution:
    """Resources.

    Attributes:
        jobs: parallel processes; 0 takes as many as the cores have room for, one on a GPU.
        threads: of each process; 0 measures which is quicker here, several processes of one thread or one of several
            (``study.processors``), and keeps that choice.
        live_only: no banks: teachers run in each step. device: that cells train on.
        compile: ``torch.compile``; true compiles each student that can be, "auto" measures each one that trains for an
            hour or more a process and keeps what pays after its compile time (``study.compiling``). Compiled cells
            differ in their last bits: they are other cells.
    """

    jobs: int = 0
    threads: int = 1
    live_only: bool = False
    device: Asked = "cpu"
    compile: Compile = False

    def __post_init__(self) -> None:
        if self.jobs < 0 or self.threads < 0:
            raise AlambicError(f"execution: expected jobs >= 0 and threads >= 0, got {self.jobs} and {self.threads}")
        if self.compile and self.device != "cpu":
            raise AlambicError(
                f'execution: expected device = "cpu" with compile, got {self.device!r}, because a GPU replays recorded '
                "steps instead; try compile = false"
            )


@dataclass(frozen=True)
class Place:
    """A device for the cells of a study.

    Attributes:
        device: ``cpu`` or ``cuda``. why: the reason. room: bytes that a bank may take in its memory; 0 keeps banks
            mapped from the disk.
    """

    device: str = "cpu"
    why: str = "the study asks for it"
    room: int = 0

    def describe(self, bank: Path | None) -> dict[str, Any]:
        """What a cell says of it, hence another cell elsewhere: nothing on the CPU, whose cells say so by their
        environment; never ``why``, since a device that was found is the one that was asked for by its name."""
        if self.device == "cpu":
            return {}
        held = {} if bank is None else {"bank": "in its memory" if self.holds(bank) else "too large for its memory"}
        return {"trains_on": {"device": self.device, **held}}

    def holds(self, bank: Path) -> bool:
        """Whether a bank lies in the device's memory; depends on sizes alone, never on what else runs."""
        return sum(path.stat().st_size for path in bank.glob("*.npy")) <= self.room

    def feed(self, bank: Bank, ids: Tensor) -> Feed:
        """A bank as training images are taught from it here. Raises AlambicError where it lacks one of them."""
        return ResidentBank(bank, ids, self.device) if self.holds(bank.path) else bank


def choose_place(asked: Asked, source: Source) -> Place:
    """The place of a study's cells.

    Raises AlambicError where ``cuda`` is asked for and there is none, or the images do not fit.
    """
    if asked == "cpu":
        return Place()
    reason, memory = "there is no CUDA device", 0
    if torch.cuda.is_available():
        memory, needed = torch.cuda.get_device_properties(0).total_memory, source.images.numel()
        if needed <= SHARE * memory:
            return Place("cuda", f"execution.device = {asked}, and the images fit", int(SHARE * memory))
        reason = f"the images take {needed:,} bytes, more than {SHARE:.0%} of the device's {memory:,}"
    if asked == "auto":
        return Place("cpu", reason)
    raise AlambicError(f'expected a CUDA device with room, as execution.device = "cuda" asks, but {reason}; try "auto"')
