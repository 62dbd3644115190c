"""One function an ONNX operator: how it becomes operators of the int8 graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from alambic.deploy.graph import Kind, Quantized, order_columns
from alambic.deploy.lower import COLUMNS, Lowering, nhwc, split_padding

LOWEST = -128


def lower_conv(g: Lowering, node: Any) -> None:
    """Conv -> conv or depthwise, after a pad where the padding is not TensorFlow's SAME."""
    a, x = g.attributes(node), g.read(node)
    data, scale, _, _ = g.stored(node, 1)
    outputs, per_group, *kernel = data.shape
    if len(kernel) != 2:
        g.refuse(node, "it is not two-dimensional", "Conv2d")
    stride, dilation = a.get("strides", [1, 1]), a.get("dilations", [1, 1])
    x, same = _pad(g, node, x, list(a.get("pads", [0, 0, 0, 0])), stride, kernel, dilation, x.zero_point)
    group, channels = int(a.get("group", 1)), x.shape[3]
    settings: dict[str, Any] = {"stride": tuple(stride), "dilation": tuple(dilation), "same": same}
    if group == channels and per_group == 1 and group > 1:
        weight = _weight(g, node, data.transpose(1, 2, 3, 0), scale, 3)
        bias = _bias(g, node, x, weight, outputs)
        g.finish("depthwise", node, [x, weight, bias], multiplier=outputs // channels, **settings)
    else:
        weight = _weight(g, node, data.transpose(0, 2, 3, 1), scale, 0)
        g.finish("conv", node, [x, weight, _bias(g, node, x, weight, outputs)], **settings)


def lower_gemm(g: Lowering, node: Any) -> None:
    """Gemm -> dense. After a flattened map the columns go from C, H, W order to H, W, C."""
    a, x = g.attributes(node), g.read(node)
    data, scale, _, _ = g.stored(node, 1)
    if a.get("alpha", 1.0) != 1.0 or a.get("beta", 1.0) != 1.0 or a.get("transA", 0):
        g.refuse(node, "it scales or transposes its input", "nn.Linear")
    data = data if a.get("transB", 0) else data.T
    columns = g.folded.get(x.name)
    weight = _weight(g, node, order_columns(data, columns), scale, 0)
    g.finish("dense", node, [x, weight, _bias(g, node, x, weight, len(data))], columns=columns)


def _weight(g: Lowering, node: Any, data: npt.NDArray[Any], scale: npt.NDArray[Any], axis: int) -> Quantized:
    data = np.ascontiguousarray(data)
    return g.keep(Quantized(f"{node.name}_weight", data.shape, "int8", scale, 0, axis, data))


def _bias(g: Lowering, node: Any, x: Quantized, weight: Quantized, outputs: int) -> Quantized:
    """The int32 bias; its scale is input scale times weight scale, as integer kernels assume."""
    scale = (x.scale[0] * weight.scale).astype(np.float32)
    data = np.zeros(outputs, np.int32)
    if len(node.input) > 2:
        stored, stored_scale, _, _ = g.stored(node, 2)
        ratio = stored_scale.astype(np.float64) / scale
        exact = stored if np.allclose(ratio, 1, rtol=1e-5) else np.rint(stored * ratio)
        data = exact.astype(np.int32)
    return g.keep(Quantized(f"{node.name}_bias", (outputs,), "int32", scale, 0, 0, data))


def _pad(
    g: Lowering, node: Any, x: Quantized, pads: list[int], stride: Any, kernel: Any, dilation: Any, value: int
) -> tuple[Quantized, bool]:
    """(input, whether SAME): an explicit pad operator stands before kernels that cannot pad this way themselves."""
    same = split_padding(x, pads, stride, kernel, dilation)
    if same is not None:
        return x, same
    top, left, bottom, right = pads
    count, height, width, channels = x.shape
    shape = (count, height + top + bottom, width + left + right, channels)
    padded = g.keep(Quantized(f"{node.name}_padded", shape, "int8", x.scale, x.zero_point))
    g.add("pad", node, [x], padded, pads=((0, 0), (top, bottom), (left, right), (0, 0)), value=value)
    return padded, False


def _check_pool(g: Lowering, node: Any, x: Quantized) -> None:
    """Refuses what no int8 kernel does: gaps in the window, a last window that hangs over the edge."""
    a = g.attributes(node)
    kernel, stride, pads = a["kernel_shape"], a.get("strides", [1, 1]), a.get("pads", [0, 0, 0, 0])
    if any(step != 1 for step in a.get("dilations", [1, 1])):
        g.refuse(node, "its window has gaps (dilation)", "a pooling layer without dilation")
    sizes = zip(x.shape[1:3], pads[:2], pads[2:], kernel, stride, strict=True)
    full = [(size + before + after - window) // step + 1 for size, before, after, window, step in sizes]
    if list(nhwc(g.shapes[node.output[0]])[1:3]) != full:
        g.refuse(node, "its last window hangs over the edge (ceil_mode)", "ceil_mode=False, or padding")


def lower_average_pool(g: Lowering, node: Any) -> None:
    a, x = g.attributes(node), g.read(node)
    _check_pool(g, node, x)
    kernel, pads = a["kernel_shape"], list(a.get("pads", [0, 0, 0, 0]))
    stride = a.get("strides", [1, 1])
    if any(pads) and a.get("count_include_pad", 0):
        padded, same = _pad(g, node, x, pads, [1, 1], [1, 1], [1, 1], x.zero_point)
    else:
        padded, same = x, bool(split_padding(x, pads, stride, kernel, [1, 1]))
        if any(pads) and not same:
            g.refuse(node, "no target leaves just these padded pixels out", "count_include_pad=True or no padding")
    g.finish_tied("average_pool", node, padded, kernel=tuple(kernel), stride=tuple(stride), same=same)


def lower_global_pool(g: Lowering, node: Any) -> None:
    x = g.read(node)
    kernel = x.shape[1:3]
    g.finish_tied("average_pool", node, x, kernel=kernel, stride=kernel, same=False)


def lower_max_pool(g: Lowering, node: Any) -> None:
    a, x = g.attributes(node), g.read(node)
    _check_pool(g, node, x)
    kernel, stride = a["kernel_shape"], a.get("strides", [1, 1])
    x, same = _pad(g, node, x, list(a.get("pads", [0, 0, 0, 0])), stride, kernel, [1, 1], LOWEST)
    g.finish_tied("max_pool", node, x, kernel=tuple(kernel), stride=tuple(stride), same=same)


def lower_mean(g: Lowering, node: Any) -> None:
    """ReduceMean over height and width; any output scale."""
    a, x = g.attributes(node), g.read(node)
    axes = a.get("axes") or [int(axis) for axis in g.constants.get(node.input[1], [])]
    if len(x.shape) != 4 or sorted(axis % 4 for axis in axes) != [2, 3]:
        g.refuse(node, "it averages over other axes than height and width", "AdaptiveAvgPool2d(1)")
    g.finish("mean", node, [x], keep=bool(a.get("keepdims", 1)))


def lower_reshape(g: Lowering, node: Any) -> None:
    """Flatten, Reshape and their kin: free where the order of the numbers stays, or the next dense layer's columns are
    permuted. Where the file wants another grid a requantisation follows: ONNX Runtime makes a ReLU one."""
    x, name = g.read(node), node.output[0]
    shape = nhwc(g.shapes[name])
    is_map = len(x.shape) == 4 and x.shape[1] * x.shape[2] > 1
    if shape == x.shape:
        if x.name in g.folded:
            g.folded[name] = g.folded[x.name]
    elif is_map and len(shape) == 2 and shape[0] == x.shape[0]:
        g.folded[name] = (x.shape[3], x.shape[1], x.shape[2])
    elif is_map or x.name in g.folded or max(shape) != np.prod(shape) or max(x.shape) != np.prod(x.shape):
        g.refuse(node, *COLUMNS)
    if g.find_grid(name) is None:
        g.add("reshape", node, [x], g.bind(name, float(x.scale[0]), x.zero_point), shape=shape)
    else:
        g.finish_tied("reshape", node, x, shape=shape)


def _lower_binary(kind: Kind) -> Callable[[Lowering, Any], None]:
    def lower(g: Lowering, node: Any) -> None:
        g.finish(kind, node, [g.read(node, 0), g.read(node, 1)])

    return lower


def lower_concat(g: Lowering, node: Any) -> None:
    """Concat; inputs whose scale is not the output's are requantised first, since no int8 kernel does it."""
    axis = int(g.attributes(node)["axis"])
    parts = [g.read(node, index) for index in range(len(node.input))]
    name, (scale, zero_point) = g.output_of(node)
    output = g.bind(name, scale, zero_point)
    ready = []
    for index, part in enumerate(parts):
        if part.scale[0] != output.scale[0] or part.zero_point != zero_point:
            tied = g.keep(Quantized(f"{name}_part_{index}", part.shape, "int8", output.scale, zero_point))
            g.add("quantize", node, [part], tied)
            part = tied
        ready.append(part)
    g.add("concat", node, ready, output, axis=[0, 3, 1, 2][axis % 4] if len(output.shape) == 4 else axis)


def lower_pad(g: Lowering, node: Any) -> None:
    a, x = g.attributes(node), g.read(node)
    if a.get("mode", b"constant") != b"constant" or len(x.shape) != 4:
        g.refuse(node, "it pads with other values than zero", "zero padding inside the convolution")
    ends = [int(value) for value in g.constants[node.input[1]]]
    before, after = nhwc(ends[:4]), nhwc(ends[4:])
    g.finish_tied("pad", node, x, pads=tuple(zip(before, after, strict=True)), value=x.zero_point)


def lower_hard_sigmoid(g: Lowering, node: Any) -> None:
    """HardSigmoid = a clamped line: a 1 x 1 depthwise convolution whose saturation at the ends of int8 is the clamp."""
    a, x = g.attributes(node), g.read(node)
    _, (scale, zero_point) = g.output_of(node)
    low, high = (LOWEST - zero_point) * scale, (127 - zero_point) * scale
    if len(x.shape) != 4 or low < -scale / 2 or high > 1 + scale:
        why = f"its int8 range [{low:.3f}, {high:.3f}] does not clamp to [0, 1] on a map"
        g.refuse(node, why, "a gate on maps, B x C x 1 x 1")
    channels = x.shape[3]
    slope = np.array([float(a.get("alpha", 0.2)) / 127], np.float32)
    weight = _weight(g, node, np.full((1, 1, 1, channels), 127, np.int8), slope, 3)
    steps = float(a.get("beta", 0.5)) / (float(x.scale[0]) * float(slope[0]))
    offset = np.full(channels, round(steps), np.int32)
    bias_scale = (x.scale[0] * slope).astype(np.float32)
    bias = g.keep(Quantized(f"{node.name}_bias", (channels,), "int32", bias_scale, 0, 0, offset))
    g.finish("depthwise", node, [x, weight, bias], stride=(1, 1), dilation=(1, 1), same=False, multiplier=1)


def lower_sigmoid(g: Lowering, node: Any) -> None:
    """Sigmoid: int8 kernels fix the output at scale 1/256, zero point -128."""
    _, (scale, zero_point) = g.output_of(node)
    if scale != 1 / 256 or zero_point != LOWEST:
        g.refuse(node, "its output is not at scale 1/256", "quantize_onnx, which sets it")
    g.finish("logistic", node, [g.read(node)])


def _lower_unary(kind: Kind) -> Callable[[Lowering, Any], None]:
    return lambda g, node: g.finish(kind, node, [g.read(node)])


def lower_clip(g: Lowering, node: Any) -> None:
    """ReLU6 = ReLU whose int8 range ends at 6 or below: saturation is the upper bound."""
    bounds = [float(g.constants[name]) if name in g.constants else None for name in list(node.input)[1:]]
    _, (scale, zero_point) = g.output_of(node)
    if bounds != [0.0, 6.0] or (127 - zero_point) * scale > 6 + scale / 2:
        g.refuse(node, f"it clamps to {bounds}", "ReLU or ReLU6")
    g.finish("relu", node, [g.read(node)])


def lower_resize(g: Lowering, node: Any) -> None:
    """Resize by nearest neighbour."""
    a, x = g.attributes(node), g.read(node)
    if a.get("mode", b"nearest") != b"nearest" or a.get("coordinate_transformation_mode") != b"asymmetric":
        g.refuse(node, "it interpolates", "nn.Upsample(mode='nearest')")
    g.finish_tied("resize", node, x, size=nhwc(g.shapes[node.output[0]])[1:3])


LOWERERS: dict[str, Callable[[Lowering, Any], None]] = {
    "Conv": lower_conv,
    "Gemm": lower_gemm,
    "AveragePool": lower_average_pool,
    "GlobalAveragePool": lower_global_pool,
    "MaxPool": lower_max_pool,
    "ReduceMean": lower_mean,
    "Flatten": lower_reshape,
    "Reshape": lower_reshape,
    "Squeeze": lower_reshape,
    "Unsqueeze": lower_reshape,
    "Identity": lower_reshape,
    "Add": _lower_binary("add"),
    "Mul": _lower_binary("mul"),
    "Concat": lower_concat,
    "Pad": lower_pad,
    "HardSigmoid": lower_hard_sigmoid,
    "HardSwish": _lower_unary("hard_swish"),
    "Sigmoid": lower_sigmoid,
    "Relu": _lower_unary("relu"),
    "Clip": lower_clip,
    "Resize": lower_resize,
}
