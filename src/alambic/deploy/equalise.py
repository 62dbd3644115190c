"""Cross-layer equalisation of outlier channels: the same network, its activations filling int8's grid more evenly.

A channel between two layers may be divided by a positive number if the next layer's weights for it are multiplied by
that number: ReLU and pooling commute with it, so the float network stays the same up to rounding. Nagel et al., "Data-
Free Quantization Through Weight Equalization and Bias Correction" (arXiv 1906.04721), even out weight ranges so. Here
the first range is that of the channel's activations over the calibration images, because all channels share their grid
even where each has a weight scale of its own; and only channels that reach beyond ``OUTLIER`` times the median one are
scaled down, because on a channel stretched to its calibrated range other images clip: evened out entirely, a healthy
student lost agreement with fp32.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alambic.deploy.layers import run_with_outputs
from alambic.deploy.measure import predict_onnx
from alambic.deploy.packages import require
from alambic.errors import AlambicError
from alambic.files import write_atomic

# operators that commute with a positive factor for each channel
COMMUTE = ("Relu", "MaxPool", "AveragePool", "GlobalAveragePool", "Flatten")
LAYERS = ("Conv", "Gemm")
OUTLIER = 4.0  # times the median channel's range
ROUNDS, SETTLED = 40, 1e-3  # sweeps over all pairs; the largest change of a logarithm that ends them
TOLERANCE = 1e-4  # of the logits, relative to the largest
Reals = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Equalised:
    """Two layers between which channels were scaled.

    Attributes:
        channels: between them. before, after: the largest channel's range over the median one's, of what the second
            layer reads, over the calibration images.
    """

    first: str
    second: str
    channels: int
    before: float
    after: float


@dataclass
class _Pair:
    first: Any
    second: Any
    shared: str  # the tensor whose int8 grid the channels share
    ranges: Reals  # of its channels, from the calibration images
    before: float = 1.0


def equalise_onnx(path: Path | str, images: npt.NDArray[np.float32], per_channel: bool = True) -> list[Equalised]:
    """Equalises an fp32 ONNX file of ours in place; returns the pairs of layers, in order of execution.

    Args:
        images: N x C x H x W calibration images, normalised.
        per_channel: as the weights will be quantised.

    Raises AlambicError where the file's answers would change by more than 1e-4 of the largest logit; the file then
    stays as it was.
    """
    path = Path(path)
    onnx = require("onnx")
    model = onnx.load(str(path))
    constants = _Constants(model)
    pairs = [_Pair(first, second, shared, np.empty(0)) for first, second, shared in find_pairs(model)]
    if not pairs:
        return []
    logits = predict_onnx(path, images)
    seen = run_with_outputs(path, {pair.shared for pair in pairs}, images)
    for pair in pairs:
        found = np.abs(seen[pair.shared].astype(np.float64))
        pair.ranges = found.reshape(-1, found.shape[-1]).max(0)
        pair.before = _unevenness(pair.ranges)
    for _ in range(ROUNDS):
        if max(_balance(pair, constants, per_channel) for pair in pairs) < SETTLED:
            break
    constants.write()

    def write(part: Path) -> None:
        part.write_bytes(model.SerializeToString())
        error = float(np.abs(predict_onnx(part, images) - logits).max() / max(1.0, float(np.abs(logits).max())))
        if not error <= TOLERANCE:
            raise AlambicError(
                f"{path}: expected equal answers after equalisation, got a difference of {error:.1e}, because its "
                "weights span more than fp32 holds; try without equalise"
            )

    write_atomic(path, write)
    return [
        Equalised(pair.first.name, pair.second.name, len(pair.ranges), pair.before, _unevenness(pair.ranges))
        for pair in pairs
    ]


def find_pairs(model: Any) -> list[tuple[Any, Any, str]]:
    """(layer, the layer that alone reads it, the tensor between them that int8 stores) of an ONNX model."""
    graph = model.graph
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    final = {item.name for item in graph.output}
    sizes = {item.name: item.dims for item in graph.initializer}

    def owns(node: Any) -> bool:
        """Whether it is a layer, rows first, whose weights and bias are constants that nothing else reads."""
        if node.op_type not in LAYERS or (node.op_type == "Gemm" and not _read(node, "transB", 0)):
            return False
        return all(name in sizes and len(readers[name]) == 1 for name in node.input[1:])

    found = []
    for node in filter(owns, graph.node):
        name = shared = node.output[0]
        while name not in final and len(readers.get(name, ())) == 1:
            after = readers[name][0]
            if after.op_type in LAYERS:
                inputs = sizes[after.input[1]][1] * _read(after, "group", 1) if owns(after) else 0
                if inputs == sizes[node.input[1]][0]:  # else a flattened map of more than one pixel
                    found.append((node, after, shared))
                break
            if after.op_type == "Relu" and name == shared:
                shared = after.output[0]
            if after.op_type not in COMMUTE:
                break
            name = after.output[0]
    return found


def _unevenness(ranges: Reals) -> float:
    alive = ranges[ranges > 0]
    return float(alive.max() / np.median(alive)) if len(alive) else 1.0


def _balance(pair: _Pair, constants: _Constants, per_channel: bool) -> float:
    """Scales the outlier channels of a pair down once; the largest change of a factor's logarithm.

    The next layer's weights for a channel may grow until they would dominate their grid as the channel does its own.
    """
    alive = pair.ranges[pair.ranges > 0]
    if not len(alive):
        return 0.0
    weights = np.abs(constants.columns(pair.second)).max(axis=(3, 4))  # groups x outputs x inputs of a group
    excess = np.maximum(pair.ranges / (OUTLIER * float(np.median(alive))), 1.0)
    factors = excess
    if not per_channel or weights.shape[2] > 1:  # a depthwise channel with a scale of its own shares nothing
        top = weights.max(2, keepdims=True) if per_channel else weights.max(keepdims=True)
        taken = (weights / np.where(top > 0, top, 1.0)).max(1).ravel()
        factors = np.clip(np.sqrt(excess / np.where(taken > 0, taken, 1.0)), 1.0, excess)
    pair.ranges = pair.ranges / factors
    constants.divide_rows(pair.first, factors)
    constants.multiply_columns(pair.second, factors)
    return float(np.log(factors).max())


class _Constants:
    """Weights and biases of an ONNX model in float64, written back at the end."""

    def __init__(self, model: Any) -> None:
        self.helper = require("onnx.numpy_helper")
        self.model = model
        self.values: dict[str, Reals] = {
            item.name: self.helper.to_array(item).astype(np.float64) for item in model.graph.initializer
        }
        self.changed: set[str] = set()

    def columns(self, layer: Any) -> Reals:
        """The weight as groups x outputs x inputs x kh x kw."""
        weight = self.values[layer.input[1]]
        groups = _read(layer, "group", 1)
        sizes = weight.shape[2:] if weight.ndim == 4 else (1, 1)
        return weight.reshape(groups, len(weight) // groups, weight.shape[1], *sizes)

    def divide_rows(self, layer: Any, factors: Reals) -> None:
        for name in layer.input[1:]:  # weight and, where there is one, bias
            value = self.values[name]
            self.values[name] = value / factors.reshape(-1, *[1] * (value.ndim - 1))
            self.changed.add(name)

    def multiply_columns(self, layer: Any, factors: Reals) -> None:
        columns = self.columns(layer)
        scaled = columns * factors.reshape(len(columns), 1, -1, 1, 1)
        self.values[layer.input[1]] = scaled.reshape(self.values[layer.input[1]].shape)
        self.changed.add(layer.input[1])

    def write(self) -> None:
        for item in self.model.graph.initializer:
            if item.name in self.changed:
                item.CopyFrom(self.helper.from_array(self.values[item.name].astype(np.float32), item.name))


def _read(layer: Any, name: str, default: int) -> int:
    return next((int(item.i) for item in layer.attribute if item.name == name), default)
