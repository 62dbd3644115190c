"""Where int8 loses: the error of each layer's output, by itself and with what came before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alambic.deploy.arithmetic import TFLM, Arithmetic
from alambic.deploy.execute import run_all, run_one
from alambic.deploy.graph import Int8Graph, to_int8, to_real
from alambic.deploy.packages import require

RENAMED = "_QuantizeLinear_Input"  # what ONNX Runtime appends to the network's output inside an int8 file
LOSSLESS = 99.0  # dB, where there is no error at all


@dataclass(frozen=True)
class LayerError:
    """Signal over error of one layer's output, in dB (6 dB = one bit; 20 dB = an error of a tenth).

    Attributes:
        alone: its inputs being the fp32 network's, rounded to int8. together: in the int8 network.
    """

    layer: str
    alone: float
    together: float


def measure_layer_errors(
    fp32: Path | str, graph: Int8Graph, images: npt.NDArray[Any], arithmetic: Arithmetic = TFLM
) -> list[LayerError]:
    """Errors of the layers that compute (not reshapes, pads and the like), in order of execution.

    Args:
        fp32: the ONNX file that the graph was quantised from: its tensors have the graph's names.
        images: N x C x H x W, normalised; a few dozen are enough.
    """
    wanted = [op for op in graph.ops if op.kind not in ("reshape", "pad", "concat", "quantize")]
    names = {name for op in wanted for name in (*graph.activations(op), op.output)}
    real = run_with_outputs(fp32, {name.removesuffix(RENAMED) for name in names}, images)
    given = graph.tensors[graph.input]
    pixels = to_int8(images.transpose(0, 2, 3, 1), float(given.scale[0]), given.zero_point)
    together = run_all(graph, pixels, arithmetic)
    found = []
    for op in wanted:
        if op.output.removesuffix(RENAMED) not in real or any(name not in real for name in graph.activations(op)):
            continue  # a tensor that only int8 has, such as one before a requantisation
        inputs = {
            name: to_int8(real[name], float(graph.tensors[name].scale[0]), graph.tensors[name].zero_point)
            for name in graph.activations(op)
        }
        output = graph.tensors[op.output]
        affine = float(output.scale[0]), output.zero_point
        alone = to_real(run_one(graph, op, inputs, arithmetic), *affine)
        inside = to_real(together[op.output], *affine)
        target = real[op.output.removesuffix(RENAMED)]
        found.append(LayerError(graph.describe(op), compare(target, alone), compare(target, inside)))
    return found


def compare(target: npt.NDArray[Any], found: npt.NDArray[Any]) -> float:
    """10 log10 of the target's variance over the mean squared error."""
    error = float(np.square(target.astype(np.float64) - found).mean())
    signal = float(target.astype(np.float64).var())
    if error == 0:
        return LOSSLESS
    return min(10 * float(np.log10(signal / error)), LOSSLESS) if signal > 0 else -LOSSLESS


def run_with_outputs(path: Path | str, names: set[str], images: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    """Activations of an fp32 ONNX file by name, channels last, for images N x C x H x W."""
    onnx, runtime = require("onnx"), require("onnxruntime")
    model = onnx.load(str(path))
    made = {name for node in model.graph.node for name in node.output}
    final = {item.name for item in model.graph.output}
    extra = sorted((names & made) - final)
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in extra)
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    step = given.shape[0] if isinstance(given.shape[0], int) else max(len(images), 1)
    wanted = [*sorted(final & names), *extra]
    runs = [
        session.run(wanted, {given.name: images[start : start + step].astype(np.float32)})
        for start in range(0, len(images), step)
    ]
    values = [np.concatenate(parts) for parts in zip(*runs, strict=True)]
    found = dict(zip(wanted, values, strict=True)) | {given.name: images}
    return {name: value.transpose(0, 2, 3, 1) if value.ndim == 4 else value for name, value in found.items()}
