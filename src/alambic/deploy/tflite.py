"""The int8 graph as a .tflite file, operator by operator, for TFLite-Micro, LiteRT, Vela and C generators.

Written with LiteRT's own schema, so that scales, zero points and weights are those of the QDQ file to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alambic.deploy.graph import Int8Graph, Op, Quantized
from alambic.deploy.packages import require
from alambic.files import write_atomic

SCHEMA = "ai_edge_litert.schema_py_generated"
ALIGNMENT = 16  # bytes of each constant in the file: microcontrollers read int32 biases in place

# TFLite's name and the operator version that holds our use of it (int8, per-channel scales)
OPERATORS: dict[str, tuple[str, int]] = {
    "conv": ("CONV_2D", 3),
    "depthwise": ("DEPTHWISE_CONV_2D", 3),
    "dense": ("FULLY_CONNECTED", 4),
    "add": ("ADD", 2),
    "mul": ("MUL", 2),
    "pad": ("PAD", 2),
    "average_pool": ("AVERAGE_POOL_2D", 2),
    "max_pool": ("MAX_POOL_2D", 2),
    "mean": ("MEAN", 2),
    "reshape": ("RESHAPE", 1),
    "concat": ("CONCATENATION", 2),
    "quantize": ("QUANTIZE", 2),
    "relu": ("RELU", 2),
    "hard_swish": ("HARD_SWISH", 1),
    "logistic": ("LOGISTIC", 2),
    "resize": ("RESIZE_NEAREST_NEIGHBOR", 2),
}


def emit_tflite(graph: Int8Graph, path: Path | str) -> int:
    """Writes the graph as TFLite (NHWC, batch 1, int8 input and output). Returns the file's size in bytes."""
    path = Path(path)
    data = _Emitter(graph).build()
    write_atomic(path, lambda part: part.write_bytes(data))
    return len(data)


class _Emitter:
    def __init__(self, graph: Int8Graph) -> None:
        self.graph, self.schema = graph, require(SCHEMA, "chip")
        self.model = self.schema.ModelT()
        self.model.version, self.model.description = 3, b"alambic"
        self.sub = self.schema.SubGraphT()
        self.sub.name = b"main"
        self.sub.tensors, self.sub.operators = [], []
        self.model.subgraphs, self.model.operatorCodes = [self.sub], []
        self.model.buffers = [self.schema.BufferT()]  # the first one stands for "no data"
        self.indices: dict[str, int] = {}
        self.codes: dict[str, int] = {}

    def build(self) -> bytes:
        flatbuffers = require("flatbuffers", "chip")
        self.sub.inputs = [self.tensor(self.graph.input)]
        for op in self.graph.ops:
            self.operator(op)
        self.sub.outputs = [self.tensor(self.graph.output)]
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def tensor(self, name: str) -> int:
        """The index of a tensor of the graph, made at its first use."""
        if name not in self.indices:
            self.indices[name] = self.append(self.graph.tensors[name])
        return self.indices[name]

    def append(self, tensor: Quantized) -> int:
        """The index of a new tensor."""
        schema = self.schema
        made = schema.TensorT()
        made.name, made.shape = tensor.name.encode(), list(tensor.shape)
        made.type = schema.TensorType.INT32 if tensor.dtype == "int32" else schema.TensorType.INT8
        made.buffer = self._store(tensor.data) if tensor.data is not None else 0
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale = tensor.scale
        made.quantization.zeroPoint = np.full(tensor.scale.shape, tensor.zero_point, np.int64)
        made.quantization.quantizedDimension = tensor.axis if len(tensor.scale) > 1 else 0
        self.sub.tensors.append(made)
        return len(self.sub.tensors) - 1

    def integers(self, name: str, values: Any) -> int:
        """The index of a new int32 constant (a shape, axes, pads)."""
        data = np.array(values, np.int32)
        made = self.schema.TensorT()
        made.name, made.shape = name.encode(), list(data.shape)
        made.type, made.buffer = self.schema.TensorType.INT32, self._store(data)
        self.sub.tensors.append(made)
        return len(self.sub.tensors) - 1

    def _store(self, data: npt.NDArray[Any]) -> int:
        self.model.buffers.append(_make_aligned(self.schema, data))
        return len(self.model.buffers) - 1

    def operator(self, op: Op) -> None:
        kind, version = OPERATORS[op.kind] if _pads_with_zero(self.graph, op) else ("PADV2", 2)
        if kind not in self.codes:
            code = self.schema.OperatorCodeT()
            code.builtinCode = getattr(self.schema.BuiltinOperator, kind)
            code.deprecatedBuiltinCode = code.builtinCode
            code.version = version
            self.model.operatorCodes.append(code)
            self.codes[kind] = len(self.model.operatorCodes) - 1
        made = self.schema.OperatorT()
        made.opcodeIndex = self.codes[kind]
        made.inputs = [self.tensor(name) for name in op.inputs]
        if op.kind in EXTRAS:
            made.inputs += EXTRAS[op.kind](self, op)
        made.outputs = [self.tensor(op.output)]
        if op.kind in OPTIONS:
            options = OPTIONS[op.kind](self, op)
            made.builtinOptions = options
            made.builtinOptionsType = getattr(self.schema.BuiltinOptions, type(options).__name__[:-1])
        self.sub.operators.append(made)

    def padding(self, op: Op) -> int:
        return int(self.schema.Padding.SAME if op.settings["same"] else self.schema.Padding.VALID)


def _pads_with_zero(graph: Int8Graph, op: Op) -> bool:
    """True as well for anything but padding."""
    return op.kind != "pad" or op.settings["value"] == graph.tensors[op.inputs[0]].zero_point


def _make_aligned(schema: Any, data: npt.NDArray[Any]) -> Any:
    """A buffer whose bytes start at a multiple of 16 in the file (the generated Python writer ignores force_align)."""

    class Aligned(schema.BufferT):  # type: ignore[misc]
        def Pack(self, builder: Any) -> Any:
            raw = np.ascontiguousarray(data).tobytes()
            builder.StartVector(1, len(raw), ALIGNMENT)
            builder.head = builder.Head() - len(raw)
            builder.Bytes[builder.head : builder.head + len(raw)] = raw
            vector = builder.EndVector()
            schema.BufferStart(builder)
            schema.BufferAddData(builder, vector)
            return schema.BufferEnd(builder)

    return Aligned()


def _conv_options(e: _Emitter, op: Op) -> Any:
    made = e.schema.Conv2DOptionsT()
    made.padding = e.padding(op)
    made.strideH, made.strideW = op.settings["stride"]
    made.dilationHFactor, made.dilationWFactor = op.settings["dilation"]
    return made


def _depthwise_options(e: _Emitter, op: Op) -> Any:
    made = e.schema.DepthwiseConv2DOptionsT()
    made.padding = e.padding(op)
    made.strideH, made.strideW = op.settings["stride"]
    made.dilationHFactor, made.dilationWFactor = op.settings["dilation"]
    made.depthMultiplier = op.settings["multiplier"]
    return made


def _pool_options(e: _Emitter, op: Op) -> Any:
    made = e.schema.Pool2DOptionsT()
    made.padding = e.padding(op)
    made.strideH, made.strideW = op.settings["stride"]
    made.filterHeight, made.filterWidth = op.settings["kernel"]
    return made


def _mean_options(e: _Emitter, op: Op) -> Any:
    made = e.schema.ReducerOptionsT()
    made.keepDims = op.settings["keep"]
    return made


def _reshape_options(e: _Emitter, op: Op) -> Any:
    made = e.schema.ReshapeOptionsT()
    made.newShape = list(op.settings["shape"])
    return made


def _concat_options(e: _Emitter, op: Op) -> Any:
    made = e.schema.ConcatenationOptionsT()
    made.axis = op.settings["axis"]
    return made


def _pad_options(e: _Emitter, op: Op) -> Any:
    return e.schema.PadOptionsT() if _pads_with_zero(e.graph, op) else e.schema.PadV2OptionsT()


OPTIONS: dict[str, Callable[[_Emitter, Op], Any]] = {
    "conv": _conv_options,
    "depthwise": _depthwise_options,
    "dense": lambda e, op: e.schema.FullyConnectedOptionsT(),
    "add": lambda e, op: e.schema.AddOptionsT(),
    "mul": lambda e, op: e.schema.MulOptionsT(),
    "pad": _pad_options,
    "average_pool": _pool_options,
    "max_pool": _pool_options,
    "mean": _mean_options,
    "reshape": _reshape_options,
    "concat": _concat_options,
    "quantize": lambda e, op: e.schema.QuantizeOptionsT(),
    "hard_swish": lambda e, op: e.schema.HardSwishOptionsT(),
    "resize": lambda e, op: e.schema.ResizeNearestNeighborOptionsT(),
}


def _pad_extras(e: _Emitter, op: Op) -> list[int]:
    extras = [e.integers(f"{op.output}_pads", op.settings["pads"])]
    if not _pads_with_zero(e.graph, op):
        source = e.graph.tensors[op.inputs[0]]
        value = np.array([op.settings["value"]], np.int8)
        filler = Quantized(f"{op.output}_value", (1,), "int8", source.scale, source.zero_point, 0, value)
        extras.append(e.append(filler))
    return extras


EXTRAS: dict[str, Callable[[_Emitter, Op], list[int]]] = {
    "pad": _pad_extras,
    "mean": lambda e, op: [e.integers(f"{op.output}_axes", [1, 2])],
    "reshape": lambda e, op: [e.integers(f"{op.output}_shape", op.settings["shape"])],
    "resize": lambda e, op: [e.integers(f"{op.output}_size", op.settings["size"])],
}
