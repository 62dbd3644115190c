"""The same network on another device's grids: its int8 graph with scales, bits and zero points that the device has.

Weights, biases and constant operands are rounded anew from fp32 (a constant that the lowering itself made, from its
int8 form); the ranges of activations stay those of the calibration. The executor then gives the answers of that device
exactly, in any arithmetic of ``Arithmetic``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alambic.deploy.arithmetic import TFLM, Arithmetic
from alambic.deploy.execute import execute
from alambic.deploy.graph import Int8Graph, Op, Quantized, order_columns
from alambic.deploy.layers import RENAMED
from alambic.deploy.lower import lay_out
from alambic.deploy.packages import require

TIED = ("average_pool", "max_pool", "pad", "reshape", "resize")  # their output keeps its input's grid
Reals = npt.NDArray[np.float64]


def regrid(graph: Int8Graph, fp32: Path | str, arithmetic: Arithmetic) -> Int8Graph:
    """The graph on an arithmetic's grids. ``fp32`` is the ONNX file that the graph was quantised from.

    Activations fused into a layer become explicit bounds, since with other grids saturation no longer does their work.
    """
    source = _Source(fp32)
    tensors = dict(graph.tensors)
    for name in [graph.input, *(op.output for op in graph.ops)]:
        tensors[name] = _regrid_activation(graph.tensors[name], arithmetic)
    ops = []
    for op in graph.ops:
        if op.kind in TIED:
            given, made = tensors[op.inputs[0]], tensors[op.output]
            tensors[op.output] = replace(made, scale=given.scale, zero_point=given.zero_point)
        if op.kind == "pad":
            neutral = op.settings["value"] == graph.tensors[op.inputs[0]].zero_point
            value = tensors[op.inputs[0]].zero_point if neutral else arithmetic.lowest
            op = replace(op, settings={**op.settings, "value": value})
        elif op.kind in ("conv", "depthwise", "dense"):
            weight, bias = (graph.tensors[name] for name in op.inputs[1:3])
            real, offset = source.find(op, graph)
            new = _regrid_weight(weight, real, arithmetic)
            tensors[weight.name] = new
            tensors[bias.name] = _regrid_bias(bias, offset, tensors[op.inputs[0]], new)
        else:
            for constant in (graph.tensors[name] for name in op.inputs if graph.tensors[name].data is not None):
                shared = tensors[op.output] if op.kind == "concat" else None
                tensors[constant.name] = _regrid_operand(
                    constant, source.find_operand(op, constant), shared, arithmetic
                )
        bounds = source.bounds.get(op.output.removesuffix(RENAMED))
        if bounds is not None and op.kind not in TIED:
            op = replace(op, settings={**op.settings, "bounds": bounds})
        ops.append(op)
    return Int8Graph(graph.source, tensors, ops, graph.input, graph.output)


def _regrid_activation(tensor: Quantized, arithmetic: Arithmetic) -> Quantized:
    scale = float(tensor.scale[0])
    low, high = (-128 - tensor.zero_point) * scale, (127 - tensor.zero_point) * scale
    step, zero = _choose_grid(low, high, arithmetic)
    return replace(tensor, scale=np.array([step], np.float32), zero_point=zero)


def _choose_grid(low: float, high: float, arithmetic: Arithmetic) -> tuple[float, int]:
    """Scale and zero point of activations from ``low`` (0 or less) to ``high`` (0 or more)."""
    if arithmetic.symmetric:
        return float(_snap(max(-low, high) / arithmetic.highest, arithmetic)), 0
    step = float(_snap((high - low) / (arithmetic.highest - arithmetic.lowest), arithmetic))
    return step, round(min(max(arithmetic.lowest - low / step, arithmetic.lowest), arithmetic.highest))


def _regrid_operand(tensor: Quantized, real: Reals, shared: Quantized | None, arithmetic: Arithmetic) -> Quantized:
    """A constant beside an activation, on the grid of one: its own, or that of what it becomes a part of."""
    if shared is None:
        low, high = min(0.0, float(real.min())), max(0.0, float(real.max()))
        step, zero = _choose_grid(low, high if high > low else 1.0, arithmetic)
        scale = np.array([step], np.float32)
    else:
        scale, zero = shared.scale, shared.zero_point
    data = np.clip(np.rint(real / float(scale[0])) + zero, arithmetic.lowest, arithmetic.highest).astype(np.int8)
    return replace(tensor, scale=scale, zero_point=zero, data=data)


def _snap(scale: Any, arithmetic: Arithmetic) -> Any:
    """The scale, or the power of two at or above it."""
    if arithmetic.scales == "float":
        return scale
    return 2.0 ** np.ceil(np.log2(scale) - 1e-9)


def _regrid_weight(weight: Quantized, real: Reals, arithmetic: Arithmetic) -> Quantized:
    top = (1 << (arithmetic.weight_bits - 1)) - 1
    others = tuple(axis for axis in range(real.ndim) if axis != weight.axis)
    largest = np.abs(real).max(others) if arithmetic.per_channel else np.abs(real).max()[None]
    scale = np.asarray(_snap(np.where(largest > 0, largest, 1.0) / top, arithmetic)).astype(np.float32)
    shape = [-1 if axis == weight.axis else 1 for axis in range(real.ndim)] if len(scale) > 1 else [1] * real.ndim
    data = np.clip(np.rint(real / scale.reshape(shape)), -top, top).astype(np.int8)
    return replace(weight, scale=scale, data=data)


def _regrid_bias(bias: Quantized, offset: Reals, given: Quantized, weight: Quantized) -> Quantized:
    scale = (given.scale[0] * weight.scale).astype(np.float32)
    limits = np.iinfo(np.int32)
    data = np.clip(np.rint(offset / scale), limits.min, limits.max).astype(np.int32)
    return replace(bias, scale=scale, data=data)


class _Source:
    """Weights, biases and fused activations of an fp32 ONNX file."""

    def __init__(self, path: Path | str) -> None:
        onnx, to_array = require("onnx"), require("onnx.numpy_helper").to_array
        graph = onnx.load(str(path)).graph
        self.nodes = {node.name: node for node in graph.node}
        self.constants = {item.name: to_array(item) for item in graph.initializer}
        self.transposed = {
            node.name: any(item.name == "transB" and item.i for item in node.attribute)
            for node in graph.node
            if node.op_type == "Gemm"
        }
        self.bounds: dict[str, tuple[float, float | None]] = {}
        for node in graph.node:
            if node.op_type in ("Relu", "Clip"):
                high = float(self.constants[node.input[2]]) if node.op_type == "Clip" and len(node.input) > 2 else None
                self.bounds[node.output[0]] = (0.0, high)

    def find(self, op: Op, graph: Int8Graph) -> tuple[Reals, Reals]:
        """An operator's real weight, laid out as in the int8 graph, and its bias."""
        weight, bias = (graph.tensors[name] for name in op.inputs[1:3])
        node = self.nodes.get(op.name)
        if node is None or node.op_type not in ("Conv", "Gemm"):
            return _dequantize(weight), _dequantize(bias)  # made by the lowering itself, such as a hard sigmoid's line
        real = self.constants[node.input[1]].astype(np.float64)
        if node.op_type == "Gemm":
            real = order_columns(real if self.transposed[op.name] else real.T, op.settings["columns"])
        else:
            real = real.transpose((0, 2, 3, 1) if op.kind == "conv" else (1, 2, 3, 0))
        offset = self.constants[node.input[2]].astype(np.float64) if len(node.input) > 2 else np.zeros(bias.shape)
        return real, offset

    def find_operand(self, op: Op, tensor: Quantized) -> Reals:
        """A constant operand's real numbers, laid out as in the int8 graph."""
        node = self.nodes.get(op.name)
        given = [self.constants[name] for name in node.input if name in self.constants] if node is not None else []
        if len(given) != 1 or given[0].size != np.prod(tensor.shape):
            return _dequantize(tensor)
        return lay_out(given[0].astype(np.float64), len(tensor.shape))


def _dequantize(tensor: Quantized) -> Reals:
    assert tensor.data is not None
    shape = [-1 if axis == tensor.axis and len(tensor.scale) > 1 else 1 for axis in range(len(tensor.shape))]
    return (tensor.data.astype(np.float64) - tensor.zero_point) * tensor.scale.astype(np.float64).reshape(shape)


def simulate(
    graph: Int8Graph, fp32: Path | str, arithmetic: Arithmetic, images: npt.NDArray[Any]
) -> npt.NDArray[np.float32]:
    """Logits N x classes of normalised images N x C x H x W on a device of this arithmetic."""
    as_it_is = arithmetic == TFLM and _has_channel_scales(graph)
    chosen = graph if as_it_is else regrid(graph, fp32, arithmetic)
    return execute(chosen, images, arithmetic)


def _has_channel_scales(graph: Int8Graph) -> bool:
    """Whether weights have a scale an output channel, as ``TFLM`` says; a file may have been made with one a layer."""
    return any(
        len(graph.tensors[op.inputs[1]].scale) > 1 for op in graph.ops if op.kind in ("conv", "depthwise", "dense")
    )
