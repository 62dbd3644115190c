"""ATen operator -> ONNX nodes: one function an operator. A network of other operators goes through torch's exporter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from alambic.deploy.packages import require


class Unsupported(Exception):
    """An operator, or a use of one, that this table does not hold; the message names it."""


class Writer:
    """Collects nodes and constants of an ONNX graph, and remembers which tensor has which name."""

    def __init__(self, image: Tensor, name: str) -> None:
        self.helper = require("onnx.helper")
        self.to_proto = require("onnx.numpy_helper").from_array
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.names: dict[int, str] = {id(image): name}
        self.pads: dict[int, tuple[Tensor, list[int]]] = {}

    def knows(self, value: Any) -> bool:
        """Whether a value depends on the image."""
        return isinstance(value, Tensor) and (id(value) in self.names or id(value) in self.pads)

    def constant(self, value: Any, hint: str) -> str:
        array = value.detach().numpy() if isinstance(value, Tensor) else np.asarray(value)
        name = f"{hint}_{len(self.constants)}"
        self.constants.append(self.to_proto(np.asarray(array, order="C"), name))
        return name

    def name(self, value: Any) -> str:
        """The ONNX name of a tensor; padding that no convolution took over becomes a node now."""
        if id(value) in self.pads:
            source, (left, right, top, bottom) = self.pads.pop(id(value))
            ends = np.array([0, 0, top, left, 0, 0, bottom, right], np.int64)
            self.names[id(value)] = self.add("Pad", [self.name(source), self.constant(ends, "pads")])
        if isinstance(value, Tensor) and id(value) in self.names:
            return self.names[id(value)]
        if isinstance(value, Tensor):
            return self.constant(value.float(), "constant")
        return self.constant(np.float32(value), "scalar")

    def add(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Appends a node with one output; returns the output's name."""
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def name_last(self, module: str) -> None:
        """Names the last node after a module; a module that runs twice gets a number."""
        taken = {node.name for node in self.nodes}
        count = 1
        name = module
        while name in taken:
            count += 1
            name = f"{module}:{count}"
        self.nodes[-1].name = name


Args = dict[str, Any]


def emit_convolution(w: Writer, a: Args, output: Tensor) -> str:
    if a["transposed"] or a["weight"].ndim != 4:
        raise Unsupported("convolution other than two-dimensional, or transposed")
    source, (top, left) = a["input"], a["padding"]
    pads = [top, left, top, left]
    if id(source) in w.pads:
        source, (pad_left, pad_right, pad_top, pad_bottom) = w.pads[id(source)]
        pads = [top + pad_top, left + pad_left, top + pad_bottom, left + pad_right]
    inputs = [w.name(source), w.constant(a["weight"], "weight")]
    if a["bias"] is not None:
        inputs.append(w.constant(a["bias"], "bias"))
    return w.add(
        "Conv", inputs, kernel_shape=list(a["weight"].shape[2:]), strides=a["stride"], pads=pads,
        dilations=a["dilation"], group=a["groups"],
    )  # fmt: skip


def emit_norm(w: Writer, a: Args, output: Tensor) -> str:
    if a.get("training"):
        raise Unsupported("BatchNorm that uses the batch's own statistics")
    scale = (a["running_var"].double() + a["eps"]).rsqrt()
    shift = -a["running_mean"].double() * scale
    if a["weight"] is not None:
        scale, shift = scale * a["weight"], shift * a["weight"]
    if a["bias"] is not None:
        shift = shift + a["bias"]
    if output.ndim != 4:
        raise Unsupported("BatchNorm on other tensors than maps")
    channels = output.shape[1]
    weight = scale.float().view(channels, 1, 1, 1)  # a depthwise convolution, which every int8 target has
    inputs = [w.name(a["input"]), w.constant(weight, "scale"), w.constant(shift.float(), "shift")]
    return w.add("Conv", inputs, kernel_shape=[1, 1], group=channels)


def emit_clip(w: Writer, a: Args, output: Tensor) -> str:
    low, high = a.get("min_val", a.get("min")), a.get("max_val", a.get("max"))
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        raise Unsupported("clamp between tensors")
    source = w.name(a["self"])
    if low == 0 and high is None:
        return w.add("Relu", [source])
    bounds = [source, "" if low is None else w.constant(np.float32(low), "low")]
    return w.add("Clip", bounds if high is None else [*bounds, w.constant(np.float32(high), "high")])


def emit_sum(w: Writer, a: Args, output: Tensor) -> str:
    if a.get("alpha", 1) != 1:
        raise Unsupported("add with alpha")
    return w.add("Add", [w.name(a["self"]), w.name(a["other"])])


def emit_product(w: Writer, a: Args, output: Tensor) -> str:
    return w.add("Mul", [w.name(a["self"]), w.name(a["other"])])


def emit_difference(w: Writer, a: Args, output: Tensor) -> str:
    if w.knows(a["other"]) or not w.knows(a["self"]) or a.get("alpha", 1) != 1:
        raise Unsupported("a difference of two activations")
    return w.add("Add", [w.name(a["self"]), w.name(-a["other"])])


def emit_quotient(w: Writer, a: Args, output: Tensor) -> str:
    if w.knows(a["other"]):
        raise Unsupported("division by an activation")
    return w.add("Mul", [w.name(a["self"]), w.name(1 / a["other"])])


def emit_concat(w: Writer, a: Args, output: Tensor) -> str:
    return w.add("Concat", [w.name(item) for item in a["tensors"]], axis=a["dim"] % output.ndim)


def emit_max_pool(w: Writer, a: Args, output: Tensor) -> str:
    if a["ceil_mode"] or any(step != 1 for step in a["dilation"]):
        raise Unsupported("max pooling with ceil_mode or dilation")
    return w.add("MaxPool", [w.name(a["self"])], **_window(a))


def emit_average_pool(w: Writer, a: Args, output: Tensor) -> str:
    if a["ceil_mode"] or a["divisor_override"] is not None:
        raise Unsupported("average pooling with ceil_mode or divisor_override")
    count = {"count_include_pad": 1} if any(a["padding"]) and a["count_include_pad"] else {}
    return w.add("AveragePool", [w.name(a["self"])], **_window(a), **count)


def _window(a: Args) -> dict[str, Any]:
    kernel, stride, padding = (_pair(a[key]) for key in ("kernel_size", "stride", "padding"))
    return {"kernel_shape": kernel, "strides": stride or kernel, "pads": padding * 2}


def _pair(values: Sequence[int]) -> list[int]:
    return list(values) * 2 if len(values) == 1 else list(values)


def emit_mean(w: Writer, a: Args, output: Tensor) -> str:
    source: Tensor = a["self"]
    if source.ndim != 4 or a["dim"] is None or sorted(axis % 4 for axis in a["dim"]) != [2, 3]:
        raise Unsupported("mean over other axes than height and width")
    pooled = w.add("GlobalAveragePool", [w.name(source)])
    return pooled if a["keepdim"] else w.add("Flatten", [pooled], axis=1)


def emit_reshape(w: Writer, a: Args, output: Tensor) -> str:
    source: Tensor = a["self"]
    if source.shape[0] != output.shape[0]:
        raise Unsupported("a reshape that moves the batch axis")
    if output.ndim == 2:
        return w.add("Flatten", [w.name(source)], axis=1)
    shape = np.array([0, *output.shape[1:]], np.int64)
    return w.add("Reshape", [w.name(source), w.constant(shape, "shape")])


def emit_linear(w: Writer, a: Args, output: Tensor) -> str:
    """addmm(bias, x, weightᵀ), mm(x, weightᵀ) or linear(x, weight, bias)."""
    source = a.get("input", a.get("mat1", a.get("self")))
    weight = a["weight"] if "weight" in a else a["mat2"].T
    bias = a.get("bias", a.get("self") if "mat1" in a else None)
    if w.knows(weight) or w.knows(bias) or output.ndim != 2 or a.get("alpha", 1) != 1 or a.get("beta", 1) != 1:
        raise Unsupported("a matrix product of two activations, or with more than two axes")
    inputs = [w.name(source), w.constant(weight, "weight")]
    if bias is not None:
        inputs.append(w.constant(bias, "bias"))
    return w.add("Gemm", inputs, transB=1)


def emit_upsample(w: Writer, a: Args, output: Tensor) -> str:
    source: Tensor = a["self"]
    ratios = [out / into for out, into in zip(output.shape[2:], source.shape[2:], strict=True)]
    scales = w.constant(np.array([1, 1, *ratios], np.float32), "scales")
    return w.add(
        "Resize", [w.name(source), "", scales], mode="nearest",
        coordinate_transformation_mode="asymmetric", nearest_mode="floor",
    )  # fmt: skip


def emit_same(w: Writer, a: Args, output: Tensor) -> str:
    """An operator that changes nothing at inference."""
    return w.name(a.get("self", a.get("input")))


def _unary(kind: str, **attributes: Any) -> Callable[[Writer, Args, Tensor], str]:
    return lambda w, a, output: w.add(kind, [w.name(a["self"])], **attributes)


def take_padding(w: Writer, a: Args, output: Tensor) -> bool:
    """Keeps zero padding of height and width aside, for the convolutions that read it; False for any other padding."""
    pad = list(a["pad"])
    if a.get("value") or len(pad) not in (2, 4) or a["self"].ndim != 4 or min(pad) < 0:
        return False
    w.pads[id(output)] = a["self"], pad + [0] * (4 - len(pad))
    return True


EMITTERS: dict[str, Callable[[Writer, Args, Tensor], str]] = {
    "convolution": emit_convolution,
    "native_batch_norm": emit_norm,
    "_native_batch_norm_legit_no_training": emit_norm,
    "_batch_norm_no_update": emit_norm,
    "relu": _unary("Relu"),
    "hardtanh": emit_clip,
    "clamp": emit_clip,
    "clamp_min": emit_clip,
    "hardswish": _unary("HardSwish"),
    "hardsigmoid": _unary("HardSigmoid", alpha=1 / 6, beta=0.5),
    "sigmoid": _unary("Sigmoid"),
    "add": emit_sum,
    "sub": emit_difference,
    "mul": emit_product,
    "div": emit_quotient,
    "cat": emit_concat,
    "max_pool2d_with_indices": emit_max_pool,
    "avg_pool2d": emit_average_pool,
    "mean": emit_mean,
    "view": emit_reshape,
    "_unsafe_view": emit_reshape,
    "reshape": emit_reshape,
    "linear": emit_linear,
    "addmm": emit_linear,
    "mm": emit_linear,
    "upsample_nearest2d": emit_upsample,
    "detach": emit_same,
    "alias": emit_same,
    "clone": emit_same,
}


def fold_norm(weight: Tensor, bias: Tensor | None, norm: Args) -> tuple[Tensor, Tensor]:
    """Convolution weights (O x I x kh x kw) and bias that do what the convolution and BatchNorm after it did."""
    scale = (norm["running_var"].double() + norm["eps"]).rsqrt()
    if norm["weight"] is not None:
        scale = scale * norm["weight"]
    shift = (torch.zeros_like(scale) if bias is None else bias.double()) - norm["running_mean"]
    offset = shift * scale if norm["bias"] is None else shift * scale + norm["bias"]
    return (weight * scale.view(-1, 1, 1, 1)).float(), offset.float()
