"""A trained student of a ledger again: its weights from the study's folder, quantised just as its row was."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from alambic.data import Source, render_clean
from alambic.deploy.int8 import Int8Result, quantize_student
from alambic.models.teachers import load_weights
from alambic.study.cell import Cell
from alambic.study.content import make_student, train_ids
from alambic.study.study_file import Study
from alambic.study.treat import treat_study
from alambic.training.recipe import stream
from alambic.training.setup import student_normalise


def load_trained(study: Study, source: Source, cell: Cell, out: Path) -> nn.Module:
    """The student of a finished cell, in evaluation mode. Raises AlambicError where its weights are not there."""
    net = make_student(study, cell.student, source, cell.seed)
    load_weights(net, out / "students" / f"{cell.id}.safetensors", f"student of {cell.label}")
    return net.eval()


def see_clean(study: Study, source: Source, cell: Cell, ids: Tensor, size: tuple[int, int] | None = None) -> Tensor:
    """Images as the student sees them without augmentation, normalised: len(ids) x C x H x W.

    Args:
        size: of the student's input, where the study's sensor is not the one that it was trained behind.
    """
    normalise = student_normalise(source, treat_study(study, cell.arm).views)
    return normalise(render_clean(source.images, ids, study.views, "student", size))


class CleanImages:
    """What ``see_clean`` gives of a split, in fp32 only while a block is looked at: N x C x H x W for ``predict_onnx``.

    ``images[places]`` takes a slice or int64 places and gives a numpy array.
    """

    def __init__(
        self, study: Study, source: Source, cell: Cell, ids: Tensor, size: tuple[int, int] | None = None
    ) -> None:
        self._see, self.ids = partial(see_clean, study, source, cell, size=size), ids
        self.shape = (len(ids), *self._see(ids[:1]).shape[1:])

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, places: slice | npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        return np.asarray(self._see(self.ids[places]).numpy())


def choose_calibration(study: Study, source: Source) -> Tensor:
    """The training images that ranges come from: the same for each cell of a study."""
    ids = train_ids(study, source)
    order = torch.randperm(len(ids), generator=stream(0, "calibration"))
    return ids[order[: study.int8.calibration_images]]


def quantise_cell(
    study: Study, source: Source, cell: Cell, net: nn.Module, folder: Path, equalise: bool | None = None
) -> Int8Result:
    """The int8 files of a cell's student in a folder. Raises AlambicError where it has no int8 form.

    Args:
        equalise: other than the study says.
    """
    images = see_clean(study, source, cell, choose_calibration(study, source))
    shape = (int(images.shape[1]), int(images.shape[2]), int(images.shape[3]))
    scaled = study.int8.equalise if equalise is None else equalise
    return quantize_student(net, images, shape, folder, study.int8.per_channel, study.int8.calibration, scaled)
