"""The int8 network as devices run it: NHWC, batch 1, fused, padding resolved. Planner and emitters read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Kind = Literal[
    "conv", "depthwise", "dense", "add", "mul", "pad", "average_pool", "max_pool", "mean", "reshape", "concat",
    "quantize", "relu", "hard_swish", "logistic", "resize",
]  # fmt: skip


@dataclass(frozen=True)
class Quantized:
    """A tensor of integers that stands for ``scale * (integer - zero_point)``.

    Attributes:
        shape: NHWC or N x features for activations; O x kh x kw x I (conv), 1 x kh x kw x O (depthwise), O x I (dense)
            for weights.
        dtype: ``int8``, or ``int32`` for biases.
        scale: one number, or one per index of ``axis``. zero_point: 0 for weights and biases.
        data: the integers of a constant, None for an activation.
    """

    name: str
    shape: tuple[int, ...]
    dtype: Literal["int8", "int32"]
    scale: npt.NDArray[np.float32]
    zero_point: int
    axis: int = 0
    data: npt.NDArray[Any] | None = None

    @property
    def bytes(self) -> int:
        return int(np.prod(self.shape)) * (4 if self.dtype == "int32" else 1)


@dataclass(frozen=True)
class Op:
    """One operator.

    Attributes:
        name: of the ONNX node it comes from, for messages.
        inputs: names of tensors: activations first, then weights and bias.
        settings: by kind: stride, dilation, kernel and size (each h, w), same (bool: TensorFlow's SAME padding, else
            none), multiplier (depthwise), columns (dense: C, H, W of the flattened map that it reads, or None), pads
            (per axis: before, after) and value (the integer padded with), axis (concat), shape (reshape), keep (mean:
            1 x 1 maps instead of a vector), bounds (real numbers low and high that a fused activation sets, where
            saturation does not; high may be None).
    """

    kind: Kind
    name: str
    inputs: tuple[str, ...]
    output: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass
class Int8Graph:
    """Operators in the order in which they run. ``source`` names the file for messages."""

    source: str
    tensors: dict[str, Quantized]
    ops: list[Op]
    input: str
    output: str

    @property
    def weight_bytes(self) -> int:
        """int8 weights, int32 biases and constant operands."""
        used = {name for op in self.ops for name in op.inputs}
        return sum(tensor.bytes for name, tensor in self.tensors.items() if tensor.data is not None and name in used)

    @property
    def bias_bytes(self) -> int:
        """int32 biases alone."""
        used = {name for op in self.ops for name in op.inputs}
        return sum(t.bytes for name, t in self.tensors.items() if t.dtype == "int32" and name in used)

    def describe(self, op: Op) -> str:
        """An operator for a person: ``conv 3x3, 32x32x16 -> 32x32x16 (blocks.0.conv)``."""
        weight = self.tensors[op.inputs[1]] if op.kind in ("conv", "depthwise") else None
        kernel = op.settings.get("kernel") or (weight.shape[1:3] if weight else ())
        sizes = ["x".join(map(str, self.tensors[name].shape[1:])) for name in (*self.activations(op), op.output)]
        kind = " ".join([op.kind.replace("_", "-"), *(["x".join(map(str, kernel))] if kernel else [])])
        return f"{kind}, {' + '.join(sizes[:-1])} -> {sizes[-1]} ({op.name})"

    def title(self, name: str) -> str:
        """An activation for a person: the layer that makes it."""
        if name == self.input:
            return "the image"
        return next((op.name for op in self.ops if op.output == name), name)

    def activations(self, op: Op) -> list[str]:
        """The inputs of an operator that are computed, not constant."""
        return [name for name in op.inputs if self.tensors[name].data is None]


def same_padding(size: int, stride: int, kernel: int, dilation: int = 1) -> tuple[int, int]:
    """(before, after) zeros of TensorFlow's SAME padding along one axis."""
    reach = (kernel - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def order_columns(weight: npt.NDArray[Any], columns: tuple[int, int, int] | None) -> npt.NDArray[Any]:
    """A dense weight O x (C H W) of a flattened map, ``columns`` = C, H, W, to O x (H W C); as it is without a map."""
    if columns is None:
        return weight
    return weight.reshape(len(weight), *columns).transpose(0, 2, 3, 1).reshape(len(weight), -1)


def to_int8(values: npt.NDArray[Any], scale: float, zero_point: int) -> npt.NDArray[np.int8]:
    """round(value / scale) + zero point, halves to even, saturated: ONNX's QuantizeLinear."""
    steps = np.rint(values.astype(np.float32) / np.float32(scale)) + zero_point
    return np.clip(steps, -128, 127).astype(np.int8)


def to_real(integers: npt.NDArray[Any], scale: float, zero_point: int) -> npt.NDArray[np.float32]:
    """scale * (integer - zero point): ONNX's DequantizeLinear."""
    return (integers.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
