"""Everything a step reads, on the device: images, labels and the bank. No worker, no copy and no wait in a step."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from alambic.data import Source
from alambic.models.feature import Outputs
from alambic.training.bank import Bank


def move_source(source: Source, device: torch.device | str) -> Source:
    """The source with its images and labels on a device; where they are, ``set_up`` trains.

    Move it once and give the same object to every run: a lockstep group shares its source.
    """
    return replace(source, images=source.images.to(device), labels=source.labels.to(device))


class ResidentBank:
    """A bank whose arrays lie in the device's memory, in fp16 as on disk: a feed without host work.

    Args:
        bank: opened and checked. ids: int64, the training images: each must be in the bank.

    A step asks only for ids and views that a run was set up with, so the check for others, which would make the host
    wait, is made here once. Raises AlambicError for an image that the bank does not hold.
    """

    def __init__(self, bank: Bank, ids: Tensor, device: torch.device | str) -> None:
        bank.check_holds(ids)
        self.spec, self.views, self.images = bank.spec, bank.views, len(bank.ids)
        self.rows = bank.rows.to(device)
        self.tables = {
            name: torch.from_numpy(array.reshape(-1, *array.shape[2:]).copy()).to(device)
            for name, array in bank.arrays.items()
        }

    def __call__(self, ids: Tensor, views: Tensor) -> Outputs:
        """Outputs of images and views, fp32, on the device, wherever ids and views lie."""
        device = self.rows.device
        places = views.to(device) * self.images + self.rows[ids.to(device)]
        read = {name: table.index_select(0, places).float() for name, table in self.tables.items()}
        energy = tuple(read[name] for name in sorted(read) if name.startswith("energy"))
        return Outputs(logits=read.get("logits"), embedding=read.get("embedding"), energy=energy)
