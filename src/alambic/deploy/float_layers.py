"""What int8 would lose less with one layer left in float: the layers to widen, or to keep in higher precision."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alambic.deploy.graph import Int8Graph
from alambic.deploy.layers import compare
from alambic.deploy.measure import measure_accuracy, predict_onnx
from alambic.deploy.packages import require
from alambic.errors import AlambicError


@dataclass(frozen=True)
class FloatLayer:
    """One layer with fp32 weights in an else int8 network; what it hands on is rounded, as the next layer reads int8.

    Attributes:
        gain: of the logits' signal over error, in dB, over the int8 network. accuracy: gained, in [-1, 1]; None
            without labels.
    """

    layer: str
    gain: float
    accuracy: float | None


def measure_float_layers(
    fp32: Path | str,
    int8: Path | str,
    graph: Int8Graph,
    images: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64] | None = None,
) -> list[FloatLayer]:
    """The effect of each layer with weights, in order of execution, on normalised images N x C x H x W.

    Args:
        fp32, int8: ONNX files; the second was quantised from the first. graph: the second, read.
    """
    real, base = predict_onnx(fp32, images), predict_onnx(int8, images)
    before = compare(real, base)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        mixed = Path(folder) / "mixed.onnx"
        for op in graph.ops:
            if op.kind in ("conv", "depthwise", "dense") and write_float_layer(fp32, int8, op.name, mixed):
                logits = predict_onnx(mixed, images)
                gained = None
                if labels is not None:
                    gained = measure_accuracy(logits, labels) - measure_accuracy(base, labels)
                found.append(FloatLayer(graph.describe(op), compare(real, logits) - before, gained))
    return found


def write_float_layer(fp32: Path | str, int8: Path | str, name: str, target: Path) -> bool:
    """Writes the int8 file with node ``name`` given its fp32 weight and bias; False where fp32 has no such layer.

    Raises AlambicError where the two files do not belong together.
    """
    onnx = require("onnx")
    source, model = onnx.load(str(fp32)).graph, onnx.load(str(int8))
    real = next((node for node in source.node if node.name == name), None)
    if real is None or real.op_type not in ("Conv", "Gemm"):
        return False  # made by the lowering itself, such as a BatchNorm before its activation
    node = next((item for item in model.graph.node if item.name == name), None)
    if node is None or len(node.input) != len(real.input):
        raise AlambicError(f"{int8}: expected the layer {name!r} of {fp32}; try the files of one deployment")
    constants = {item.name: item for item in source.initializer}
    for index in range(1, len(real.input)):
        value = onnx.TensorProto()
        value.CopyFrom(constants[real.input[index]])
        value.name = f"{real.input[index]}_left_in_float"
        model.graph.initializer.append(value)
        node.input[index] = value.name
    target.write_bytes(model.SerializeToString())
    return True
