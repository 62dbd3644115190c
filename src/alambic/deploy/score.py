"""What the artefact scores: fp32, ONNX int8 and the device's arithmetic on the same images, overall and by class."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alambic.deploy.arithmetic import TFLM, VARIANTS, Arithmetic
from alambic.deploy.execute import execute
from alambic.deploy.graph import Int8Graph
from alambic.deploy.measure import measure_accuracy, measure_agreement, predict_classes, predict_onnx
from alambic.deploy.private import simulate
from alambic.deploy.targets.tflm import predict_tflm
from alambic.deploy.tflite import emit_tflite
from alambic.errors import AlambicError, one_line

VARIED = 500  # images that each arithmetic is tried on
CHECKED = 50  # images that TFLite-Micro runs to confirm the executor


@dataclass(frozen=True)
class Score:
    """Accuracies in [0, 1] over ``images`` test images.

    Attributes:
        device: by the integer executor, in TFLite-Micro's arithmetic. chip: the same in the chip's own.
        onnx_agrees, device_agrees: share of images to which the int8 network gives fp32's class.
        between: the same between the two int8 runs.
        checked: images that TFLite-Micro itself ran; equal: of these, how many had equal logits to the bit. None where
            it ran none: unchecked says why.
        variants: accuracy over the first ``VARIED`` images under each arithmetic of ``VARIANTS``, and the chip's own
            where it is another; ``fp32`` is that of the same images.
        class_drops: fp32's minus the device's share of correct images, by class, largest drop first.
    """

    images: int
    fp32: float
    onnx: float
    device: float
    chip: float
    onnx_agrees: float
    device_agrees: float
    between: float
    checked: int | None
    equal: int | None
    unchecked: str
    variants: dict[str, float]
    class_drops: tuple[tuple[str, float], ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def score_artefact(
    fp32: Path,
    int8: Path,
    graph: Int8Graph,
    images: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    class_names: tuple[str, ...],
    arithmetic: Arithmetic = TFLM,
) -> Score:
    """Runs normalised test images N x C x H x W with labels N (0 or more) through all three."""
    real, onnx, device = predict_onnx(fp32, images), predict_onnx(int8, images), execute(graph, images)
    own = device if arithmetic == TFLM else simulate(graph, fp32, arithmetic, images)
    checked, equal, unchecked = None, None, ""
    try:
        with tempfile.TemporaryDirectory() as folder:
            emit_tflite(graph, Path(folder) / "net.tflite")
            kernels = predict_tflm(Path(folder) / "net.tflite", images[:CHECKED])
        checked = len(kernels)
        equal = int((kernels == device[:checked]).all(1).sum())
    except AlambicError as error:  # it is missing, or refuses the network; the executor's answers stand
        unchecked = one_line(error)
    few = slice(0, VARIED)
    wanted = VARIANTS | ({} if arithmetic in VARIANTS.values() else {"this chip": arithmetic})
    variants = {"fp32": measure_accuracy(real[few], labels[few])} | {
        name: measure_accuracy(simulate(graph, fp32, chosen, images[few]), labels[few])
        for name, chosen in wanted.items()
    }
    drops = []
    before, after = predict_classes(real) == labels, predict_classes(device) == labels
    for index, name in enumerate(class_names):
        those = labels == index
        if those.any():
            drops.append((name, float(before[those].mean() - after[those].mean())))
    return Score(
        images=len(images),
        fp32=measure_accuracy(real, labels),
        onnx=measure_accuracy(onnx, labels),
        device=measure_accuracy(device, labels),
        chip=measure_accuracy(own, labels),
        onnx_agrees=measure_agreement(onnx, real),
        device_agrees=measure_agreement(device, real),
        between=measure_agreement(onnx, device),
        checked=checked,
        equal=equal,
        unchecked=unchecked,
        variants=variants,
        class_drops=tuple(sorted(drops, key=lambda item: -item[1])),
    )
