"""What an ONNX artefact scores: logits of a whole test set, accuracy, agreement."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from alambic.deploy.packages import require
from alambic.errors import AlambicError

Floats = npt.NDArray[np.float32]


class Images(Protocol):
    """Images N x C x H x W that are looked at in blocks: an array, or what makes a block when it is asked for."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, places: Any, /) -> Any: ...


def predict_onnx(path: Path | str, images: Images, batch: int = 500, threads: int = 1) -> Floats:
    """Logits N x classes of normalised images N x C x H x W by ONNX Runtime on the CPU.

    A file whose batch is fixed is run at that size. int8 files run as they are written (float operators between
    quantise and dequantise nodes), because ONNX Runtime's fused int8 kernels saturate at 16 bits on CPUs without VNNI:
    on one such CPU they took 3.5 points of agreement from a network that lost none on the device.
    Raises AlambicError when images and network do not fit.
    """
    runtime = require("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.log_severity_level = 3
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    fixed = given.shape[0] if isinstance(given.shape[0], int) else None
    if len(images.shape) != 4 or list(images.shape[1:]) != list(given.shape[1:]):
        raise AlambicError(f"{path}: expected images N x {' x '.join(map(str, given.shape[1:]))}, got {images.shape}")
    step = fixed or batch
    if len(images) % (fixed or 1):
        raise AlambicError(f"{path}: expected a multiple of {fixed} images, got {len(images)}, as its batch is fixed")
    pieces = [
        session.run(None, {given.name: images[start : start + step].astype(np.float32, copy=False)})[0]
        for start in range(0, len(images), step)
    ]
    return np.concatenate(pieces)


def count_correct(logits: npt.NDArray[Any], labels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Per image: whether the largest logit (N x classes; above 0 for a single one) is at the label (N)."""
    if logits.ndim != 2 or len(logits) != len(labels):
        raise AlambicError(f"expected logits N x classes and N labels, got {logits.shape} and {labels.shape}")
    return np.asarray(predict_classes(logits) == labels)


def predict_classes(logits: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The class of each row; with one logit, 1 where it is positive."""
    if logits.shape[1] == 1:
        return (logits[:, 0] > 0).astype(np.int64)
    return logits.argmax(1).astype(np.int64)


def measure_accuracy(logits: npt.NDArray[Any], labels: npt.NDArray[Any]) -> float:
    """Share of correct images, in [0, 1]."""
    return float(count_correct(logits, labels).mean())


def measure_agreement(logits: npt.NDArray[Any], reference: npt.NDArray[Any]) -> float:
    """Share of images to which two sets of logits (N x classes) give the same class."""
    if logits.shape != reference.shape:
        raise AlambicError(f"expected logits of equal shape, got {logits.shape} and {reference.shape}")
    return float((predict_classes(logits) == predict_classes(reference)).mean())
