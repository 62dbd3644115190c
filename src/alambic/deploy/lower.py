"""QDQ ONNX (NCHW, float operators between quantise and dequantise nodes) -> the int8 graph that devices run (NHWC)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alambic.deploy.graph import Int8Graph, Kind, Op, Quantized, same_padding
from alambic.deploy.packages import require
from alambic.errors import AlambicError

INSTEAD = {
    "Sin": "ReLU, ReLU6 or hard-swish",
    "Erf": "ReLU, ReLU6 or hard-swish",
    "Softmax": "logits (the largest one is the class)",
    "MatMul": "nn.Linear on the pooled vector",
    "LayerNormalization": "BatchNorm, which folds into the convolution",
    "InstanceNormalization": "BatchNorm, which folds into the convolution",
    "ConvTranspose": "nn.Upsample(mode='nearest') and a convolution",
    "LeakyRelu": "ReLU or ReLU6",
    "PRelu": "ReLU or ReLU6",
    "ReduceMax": "average or max pooling",
}
SHAPERS = ("Flatten", "Reshape", "Squeeze", "Unsqueeze", "Identity")
BY_ELEMENT = ("Relu", "Clip", "HardSwish", "Sigmoid", "Add", "Mul")  # the order of a flattened map's columns stays
COLUMNS = ("channels come first in its columns and last on the device", "flattening just before nn.Linear")


class Lowering:
    """The state of one reading: what each ONNX name stands for."""

    def __init__(self, path: Path) -> None:
        onnx = require("onnx")
        self.path = path
        self.helper, self.to_array = onnx.helper, require("onnx.numpy_helper").to_array
        model = onnx.load(str(path))
        _fix_batch(model)
        model = onnx.shape_inference.infer_shapes(model)
        graph = model.graph
        self.nodes: list[Any] = list(graph.node)
        self.constants: dict[str, npt.NDArray[Any]] = {item.name: self.to_array(item) for item in graph.initializer}
        for node in self.nodes:
            if node.op_type == "Constant":
                self.constants[node.output[0]] = self.to_array(node.attribute[0].t)
        self.shapes = {
            item.name: [dim.dim_value for dim in item.type.tensor_type.shape.dim]
            for item in [*graph.value_info, *graph.input, *graph.output]
        }
        self.producer = {name: node for node in self.nodes for name in node.output}
        self.readers: dict[str, list[Any]] = {}
        for node in self.nodes:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.given, self.wanted = graph.input[0].name, graph.output[0].name
        self.tensors: dict[str, Quantized] = {}
        self.ops: list[Op] = []
        self.names: dict[str, str] = {}  # ONNX name of any stage (float, quantised, dequantised) -> tensor
        self.folded: dict[str, tuple[int, int, int]] = {}  # vectors that are flattened maps: their C, H, W

    def run(self, lowerers: Mapping[str, Callable[[Lowering, Any], None]]) -> Int8Graph:
        """Args: lowerers: ONNX operator -> what adds it to the graph."""
        for node in self.nodes:
            if node.op_type == "Constant":
                continue
            if node.op_type == "QuantizeLinear":
                if node.input[0] == self.given:
                    self.bind(self.given)
                self.names[node.output[0]] = self.names[node.input[0]]
            elif node.op_type == "DequantizeLinear":
                if node.input[0] in self.names:
                    self.names[node.output[0]] = self.names[node.input[0]]
            elif node.op_type in lowerers:
                columns = self._read_columns(node)
                lowerers[node.op_type](self, node)
                if columns is not None:
                    self.folded[self.names[node.output[0]]] = columns
            else:
                self.refuse(node, "it has no int8 form on these targets", INSTEAD.get(node.op_type, "another operator"))
        last = self.producer[self.wanted]
        if self.given not in self.names or last.op_type != "DequantizeLinear":
            raise AlambicError(f"{self.path}: expected a QDQ file with quantised input and output; try quantize_onnx")
        return Int8Graph(str(self.path), self.tensors, self.ops, self.names[self.given], self.names[self.wanted])

    def refuse(self, node: Any, why: str, instead: str) -> None:
        raise AlambicError(
            f"{self.path}: expected operators that int8 accelerators run, got {node.op_type} (node {node.name!r}), but "
            f"{why}; try {instead}"
        )

    def _read_columns(self, node: Any) -> tuple[int, int, int] | None:
        """C, H, W of the flattened map that an operator passes on by element; refuses one that would mix columns."""
        mine = [self.folded.get(self.names.get(name, "")) for name in node.input]
        if not any(mine) or node.op_type in (*SHAPERS, "Gemm"):  # which see to it themselves
            return None
        for name, columns in zip(node.input, mine, strict=True):
            alike = columns == next(filter(None, mine)) or (name not in self.names and self.is_number(name))
            if node.op_type not in BY_ELEMENT or not alike:
                self.refuse(node, *COLUMNS)
        return next(filter(None, mine))

    def is_number(self, name: str) -> bool:
        """Whether a constant is a single number, stored as it is or as an integer."""
        maker = self.producer.get(name)
        data = self.constants.get(maker.input[0] if maker is not None and maker.op_type == "DequantizeLinear" else name)
        return name == "" or (data is not None and data.size == 1)

    def attributes(self, node: Any) -> dict[str, Any]:
        return {item.name: self.helper.get_attribute_value(item) for item in node.attribute}

    def quantization(self, name: str) -> tuple[float, int] | None:
        """Scale and zero point of the quantise node that reads a float tensor; None where it stays in float."""
        for reader in self.readers.get(name, []):
            if reader.op_type == "QuantizeLinear":
                return float(self.constants[reader.input[1]]), int(self.constants[reader.input[2]])
        return None

    def bind(self, name: str, scale: float | None = None, zero_point: int = 0) -> Quantized:
        """Makes the tensor of a float ONNX name; its parameters are those of the quantise node behind it."""
        if scale is None:
            found = self.quantization(name)
            if found is None:
                node = self.producer.get(name)
                kind = node.op_type if node is not None else "the input"
                raise AlambicError(
                    f"{self.path}: expected {name!r} (of {kind}) in int8, but it stays in float, because ONNX Runtime "
                    "does not quantise what reads it; try convolutions, pooling and linear layers around it"
                )
            scale, zero_point = found
        shape = self.shapes[name]
        tensor = Quantized(name, nhwc(shape), "int8", np.array([scale], np.float32), zero_point)
        self.tensors[name] = tensor
        self.names[name] = name
        return tensor

    def read(self, node: Any, index: int = 0) -> Quantized:
        """The activation or constant operand at an input of a node."""
        name = node.input[index]
        if name in self.names:
            return self.tensors[self.names[name]]
        data, scale, zero_point, _ = self.stored(node, index)
        data = lay_out(data, len(self.shapes[node.output[0]]))
        tensor = Quantized(f"{node.name}_{index}", data.shape, "int8", scale[:1], int(zero_point[0]), 0, data)
        return self.keep(tensor)

    def keep(self, tensor: Quantized) -> Quantized:
        self.tensors[tensor.name] = tensor
        return tensor

    def stored(self, node: Any, index: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], int]:
        """(integers, scales, zero points, axis) of a dequantised constant at an input of a node."""
        maker = self.producer.get(node.input[index])
        if maker is None or maker.op_type != "DequantizeLinear" or maker.input[0] not in self.constants:
            self.refuse(node, f"its input {node.input[index]!r} is neither int8 nor constant", "quantize_onnx")
        assert maker is not None
        data, scale = self.constants[maker.input[0]], np.atleast_1d(self.constants[maker.input[1]])
        zero_point = np.atleast_1d(self.constants[maker.input[2]]) if len(maker.input) > 2 else np.zeros(1, np.int8)
        return data, scale.astype(np.float32), zero_point, int(self.attributes(maker).get("axis", 1))

    def add(self, kind: Kind, node: Any, inputs: list[Quantized], output: Quantized, **settings: Any) -> None:
        self.ops.append(Op(kind, node.name, tuple(item.name for item in inputs), output.name, settings))

    def finish(self, kind: Kind, node: Any, inputs: list[Quantized], **settings: Any) -> None:
        """Appends an operator whose output may have any scale."""
        name, source = self.output_of(node)
        scale, zero_point = source
        self.add(kind, node, inputs, self.bind(name, scale, zero_point), **settings)

    def finish_tied(self, kind: Kind, node: Any, x: Quantized, **settings: Any) -> None:
        """Appends an operator that keeps its input's scale; a requantisation follows where the file wants another."""
        name, (scale, zero_point) = self.output_of(node)
        if np.float32(scale) == x.scale[0] and zero_point == x.zero_point:
            self.add(kind, node, [x], self.bind(name, scale, zero_point), **settings)
            return
        before = Quantized(f"{name}_tied", nhwc(self.shapes[name]), "int8", x.scale, x.zero_point)
        self.add(kind, node, [x], self.keep(before), **settings)
        self.add("quantize", node, [before], self.bind(name, scale, zero_point))

    def output_of(self, node: Any) -> tuple[str, tuple[float, int]]:
        """A node's output and its parameters. Raises AlambicError where it stays in float."""
        name = node.output[0]
        found = self.find_grid(name)
        if found is None:
            self.bind(name)  # raises with the reason
        assert found is not None
        return name, found

    def find_grid(self, name: str) -> tuple[float, int] | None:
        """Scale and zero point of a float tensor, found through reshapes that ONNX Runtime left in float."""
        while (found := self.quantization(name)) is None:
            following = self.readers.get(name, [])
            if len(following) != 1 or following[0].op_type not in SHAPERS:
                return None
            name = following[0].output[0]
        return found


def nhwc(shape: Any) -> tuple[int, ...]:
    """N x C x H x W -> N x H x W x C; other ranks as they are."""
    sizes = tuple(int(size) for size in shape)
    return (sizes[0], sizes[2], sizes[3], sizes[1]) if len(sizes) == 4 else sizes


def lay_out(operand: npt.NDArray[Any], rank: int) -> npt.NDArray[Any]:
    """A constant operand of an ONNX operator whose output has ``rank`` axes, as the NHWC graph broadcasts it.

    Missing axes stand first, as NumPy has it; a single number has one axis.
    """
    if operand.size == 1:
        return operand.reshape(1)
    whole = operand.reshape([1] * (rank - operand.ndim) + list(operand.shape))
    return whole.transpose(0, 2, 3, 1) if whole.ndim == 4 else whole


def split_padding(x: Quantized, pads: list[int], stride: Any, kernel: Any, dilation: Any) -> bool | None:
    """Whether ONNX pads (top, left, bottom, right) are none (False), TensorFlow's SAME (True), or neither (None)."""
    if not any(pads):
        return False
    rows = same_padding(x.shape[1], stride[0], kernel[0], dilation[0])
    columns = same_padding(x.shape[2], stride[1], kernel[1], dilation[1])
    return True if (rows[0], columns[0], rows[1], columns[1]) == tuple(pads) else None


def _fix_batch(model: Any) -> None:
    """Sets a free batch axis to 1, in place, and forgets shapes inferred with the free one."""
    for item in [*model.graph.input, *model.graph.output]:
        dim = item.type.tensor_type.shape.dim[0]
        dim.ClearField("dim_param")
        dim.dim_value = 1
    del model.graph.value_info[:]
