"""Predictions of a .tflite file on this machine by the kernels that devices run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alambic.deploy.graph import to_int8, to_real
from alambic.deploy.packages import require
from alambic.errors import AlambicError

Floats = npt.NDArray[np.float32]
Int8s = npt.NDArray[np.int8]
Parameters = tuple[float, int]  # scale, zero point


def predict_litert(path: Path | str, images: npt.NDArray[Any], threads: int = 1) -> Floats:
    """Logits N x classes of normalised images N x C x H x W by LiteRT's reference kernels.

    LiteRT's default kernels (XNNPACK) round otherwise than devices do: they change the class of up to 2 % of the
    images of ReLU6 and hard-swish networks. They are never used here.
    """
    litert = require("ai_edge_litert.interpreter", "chip")
    try:
        interpreter = litert.Interpreter(
            str(path), experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF, num_threads=threads
        )
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise AlambicError(f"{path}: expected a .tflite file that LiteRT runs, but it says: {error}") from error
    given, wanted = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def run(image: Int8s) -> Int8s:
        interpreter.set_tensor(given["index"], image)
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(wanted["index"]))

    return run_images(path, images, given["shape"], given["quantization"], wanted["quantization"], run)


def run_images(
    path: Path | str,
    images: npt.NDArray[Any],
    shape: Sequence[int],
    given: Parameters,
    wanted: Parameters,
    run: Callable[[Int8s], Int8s],
) -> Floats:
    """Logits N x classes: quantises images N x C x H x W, runs them one by one (1 x H x W x C), dequantises."""
    _, height, width, channels = (int(size) for size in shape)
    if images.ndim != 4 or images.shape[1:] != (channels, height, width):
        raise AlambicError(f"{path}: expected images N x {channels} x {height} x {width}, got {images.shape}")
    integers = to_int8(images.transpose(0, 2, 3, 1), *given)
    rows = [run(integers[index : index + 1]).copy() for index in range(len(integers))]
    return to_real(np.concatenate(rows), *wanted)
