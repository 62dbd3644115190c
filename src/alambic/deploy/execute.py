"""A reference executor of int8 graphs in NumPy: integers only, vectorised over images, bit-exact with TFLite-Micro.

It scores a whole test set in the arithmetic of the device in seconds, and simulates arithmetic that no runtime here has
(``Arithmetic``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from alambic.deploy.arithmetic import TFLM, Arithmetic
from alambic.deploy.graph import Int8Graph, Op, Quantized, same_padding, to_int8, to_real
from alambic.deploy.integer import Ints, narrow, rescale, split_factor, split_factors
from alambic.deploy.unary import make_table
from alambic.errors import AlambicError

EXACT = 1 << 24  # integers below it are exact in float32, hence BLAS may add them
ENOUGH = 32  # accumulator bits that no layer of a network this small fills: 2^31 is 66,000 largest products
ADD_BITS = 20  # that int8 addition gains before it scales its two inputs


def execute(
    graph: Int8Graph, images: npt.NDArray[Any], arithmetic: Arithmetic = TFLM, batch: int = 16
) -> npt.NDArray[np.float32]:
    """Logits N x classes of normalised images N x C x H x W."""
    given = graph.tensors[graph.input]
    if images.ndim != 4 or tuple(images.shape[i] for i in (2, 3, 1)) != given.shape[1:]:
        raise AlambicError(f"{graph.source}: expected images N x C x H x W for {given.shape}, got {images.shape}")
    wanted = graph.tensors[graph.output]
    integers = [
        run_integers(graph, to_int8(images[start : start + batch].transpose(0, 2, 3, 1), *_affine(given)), arithmetic)
        for start in range(0, len(images), batch)
    ]
    return to_real(np.concatenate(integers), *_affine(wanted))


def _affine(tensor: Quantized) -> tuple[float, int]:
    return float(tensor.scale[0]), tensor.zero_point


def run_integers(graph: Int8Graph, images: npt.NDArray[Any], arithmetic: Arithmetic = TFLM) -> Ints:
    """The output's integers for input integers N x H x W x C."""
    values = run_all(graph, images, arithmetic)
    return values[graph.output]


def run_all(graph: Int8Graph, images: npt.NDArray[Any], arithmetic: Arithmetic = TFLM) -> dict[str, Ints]:
    """Every activation's integers, by tensor name."""
    values: dict[str, Ints] = {graph.input: narrow(images.astype(np.int64), arithmetic.activation_bits)}
    for op in graph.ops:
        values[op.output] = run_one(graph, op, values, arithmetic)
    return values


def run_one(graph: Int8Graph, op: Op, values: dict[str, npt.NDArray[Any]], arithmetic: Arithmetic = TFLM) -> Ints:
    """One operator's integers, from the integers of its inputs by tensor name."""
    step = _Step(graph, op, {name: values[name].astype(np.int64) for name in graph.activations(op)}, arithmetic)
    found = narrow(KERNELS[op.kind](step), arithmetic.activation_bits)
    if "bounds" not in op.settings:
        return found
    low, high = op.settings["bounds"]
    scale, zero = _affine(step.output)
    top = arithmetic.highest if high is None else min(arithmetic.highest, zero + round(high / scale))
    return np.clip(found, zero + round(low / scale), top)


class _Step:
    """What a kernel sees: its operator, its inputs' integers and parameters."""

    def __init__(self, graph: Int8Graph, op: Op, values: dict[str, Ints], arithmetic: Arithmetic) -> None:
        self.op, self.settings, self.arithmetic = op, op.settings, arithmetic
        self.tensors = [graph.tensors[name] for name in op.inputs]
        self.output = graph.tensors[op.output]
        self._values, self._names = values, op.inputs

    def integers(self, index: int = 0) -> Ints:
        """Of an input, computed or constant."""
        data = self.tensors[index].data
        return self._values[self._names[index]] if data is None else data.astype(np.int64)

    def centred(self, index: int = 0) -> Ints:
        return self.integers(index) - self.tensors[index].zero_point

    def rescale(self, values: Ints, multiplier: Any, shift: Any) -> Ints:
        return rescale(values, multiplier, shift, self.arithmetic.rounding) + self.output.zero_point

    def constant(self, index: int) -> npt.NDArray[Any]:
        data = self.tensors[index].data
        if data is None:
            raise AlambicError(f"{self.op.name}: expected constant weights, got an activation; try another layer")
        return data

    def finish(self, found: Any) -> Ints:
        """Bias, accumulator register and requantisation of a layer with weights; integers N x ... x outputs."""
        weight, bias = self.tensors[1], self.constant(2).astype(np.int64)
        sums = found.astype(np.int64) + bias
        if self.arithmetic.accumulator_bits < ENOUGH:
            sums = narrow(sums, self.arithmetic.accumulator_bits, self.arithmetic.saturate)
        scales = np.broadcast_to(weight.scale.astype(np.float64), bias.shape)
        factors = np.float64(self.tensors[0].scale[0]) * scales / np.float64(self.output.scale[0])
        return self.rescale(sums, *split_factors(factors))


def _open_windows(x: Any, step: _Step, kernel: tuple[int, int], fill: int) -> Callable[[int, int], Any]:
    """What tap (i, j) of a kernel sees of N x H x W x C values at each output pixel."""
    s = step.settings
    (down, right), (spread, along) = s["stride"], s.get("dilation", (1, 1))
    if s["same"]:
        rows, columns = (
            same_padding(x.shape[1 + axis], s["stride"][axis], kernel[axis], s.get("dilation", (1, 1))[axis])
            for axis in (0, 1)
        )
        x = np.pad(x, [(0, 0), rows, columns, (0, 0)], constant_values=fill)
    height, width = step.output.shape[1:3]

    def tap(i: int, j: int) -> Any:
        top, left = i * spread, j * along
        return x[:, top : top + (height - 1) * down + 1 : down, left : left + (width - 1) * right + 1 : right]

    return tap


def _exact_type(weight: npt.NDArray[Any], axes: tuple[int, ...]) -> type:
    """The float type in which sums of products with int8 differences (-255 ... 255) are exact integers."""
    return np.float32 if 255 * np.abs(weight.astype(np.int64)).sum(axes).max() < EXACT else np.float64


def run_conv(step: _Step) -> Ints:
    """Patches gathered side by side, then one matrix product a group."""
    weight = step.constant(1)
    outputs, height, width, depth = weight.shape
    exact = _exact_type(weight, (1, 2, 3))
    tap = _open_windows(step.centred().astype(exact), step, (height, width), 0)
    groups = step.tensors[0].shape[3] // depth
    share = outputs // groups
    sums = []
    for group in range(groups):
        channels = slice(group * depth, (group + 1) * depth)
        spots = [tap(i, j)[..., channels] for i in range(height) for j in range(width)]
        patches = spots[0] if len(spots) == 1 else np.concatenate(spots, -1)
        sums.append(patches @ weight[group * share : (group + 1) * share].reshape(share, -1).T.astype(exact))
    return step.finish(sums[0] if groups == 1 else np.concatenate(sums, -1))


def run_depthwise(step: _Step) -> Ints:
    weight = step.constant(1)
    _, height, width, _ = weight.shape
    exact = _exact_type(weight, (0, 1, 2))
    x: npt.NDArray[Any] = np.repeat(step.centred().astype(exact), step.settings["multiplier"], -1)
    tap = _open_windows(x, step, (height, width), 0)
    return step.finish(sum(tap(i, j) * weight[0, i, j].astype(exact) for i in range(height) for j in range(width)))


def run_dense(step: _Step) -> Ints:
    weight = step.constant(1).astype(np.float64)
    return step.finish(step.centred().reshape(-1, weight.shape[1]).astype(np.float64) @ weight.T)


def run_add(step: _Step) -> Ints:
    """Both inputs at twice the larger scale, with 20 more bits."""
    scales = [np.float64(tensor.scale[0]) for tensor in step.tensors]
    common = 2 * max(scales)
    parts = [
        rescale(step.centred(index) << ADD_BITS, *split_factor(scales[index] / common), step.arithmetic.rounding)
        for index in range(2)
    ]
    out = common / ((1 << ADD_BITS) * np.float64(step.output.scale[0]))
    return step.rescale(parts[0] + parts[1], *split_factor(out))


def run_mul(step: _Step) -> Ints:
    a, b = (np.float64(tensor.scale[0]) for tensor in step.tensors)
    return step.rescale(step.centred(0) * step.centred(1), *split_factor(a * b / np.float64(step.output.scale[0])))


def run_average_pool(step: _Step) -> Ints:
    """The sum of the window's integers over their count, halves away from zero; padding does not count."""
    height, width = step.settings["kernel"]
    x = step.integers()
    tap, ones = (_open_windows(item, step, (height, width), 0) for item in (x, np.ones_like(x[:1, :, :, :1])))
    spots = [(i, j) for i in range(height) for j in range(width)]
    sums, counts = (np.sum([window(i, j) for i, j in spots], 0) for window in (tap, ones))
    half = counts // 2
    return np.where(sums > 0, (sums + half) // counts, -((-sums + half) // counts))


def run_max_pool(step: _Step) -> Ints:
    height, width = step.settings["kernel"]
    tap = _open_windows(step.integers(), step, (height, width), np.iinfo(np.int64).min)
    found = tap(0, 0)
    for i in range(height):
        for j in range(width):
            found = np.maximum(found, tap(i, j))
    return found


def run_pad(step: _Step) -> Ints:
    return np.pad(step.integers(), step.settings["pads"], constant_values=step.settings["value"])


def run_reshape(step: _Step) -> Ints:
    return step.integers().reshape(-1, *step.settings["shape"][1:])


def run_concat(step: _Step) -> Ints:
    return np.concatenate([step.integers(index) for index in range(len(step.tensors))], step.settings["axis"])


def run_resize(step: _Step) -> Ints:
    x = step.integers()
    rows, columns = (np.arange(n) * old // n for n, old in zip(step.settings["size"], x.shape[1:3], strict=True))
    return x[:, rows][:, :, columns]


def run_requantize(step: _Step) -> Ints:
    factor = np.float64(step.tensors[0].scale[0]) / np.float64(step.output.scale[0])
    return step.rescale(step.centred(), *split_factor(factor))


def run_relu(step: _Step) -> Ints:
    """A requantisation that stops at zero; the division of scales is in fp32, as in TFLite-Micro."""
    factor = float(step.tensors[0].scale[0] / step.output.scale[0])
    return np.maximum(step.rescale(step.centred(), *split_factor(factor)), step.output.zero_point)


def run_mean(step: _Step) -> Ints:
    """Over height and width: the requantisation's multiplier carries the division by the count."""
    x = step.centred()
    count = x.shape[1] * x.shape[2]
    multiplier, shift = split_factor(np.float64(step.tensors[0].scale[0]) / np.float64(step.output.scale[0]))
    extra = min(count.bit_length() - 1, 32, 31 + shift)
    found = step.rescale(x.sum((1, 2)), (multiplier << extra) // count, shift - extra)
    return found.reshape(-1, *step.output.shape[1:])


def run_unary(step: _Step) -> Ints:
    """A function of one integer: a table of 256 entries."""
    table = make_table(step.op.kind, step.tensors[0], step.output)
    return table[step.integers() + 128]


KERNELS: dict[str, Callable[[_Step], Ints]] = {
    "conv": run_conv,
    "depthwise": run_depthwise,
    "dense": run_dense,
    "add": run_add,
    "mul": run_mul,
    "average_pool": run_average_pool,
    "max_pool": run_max_pool,
    "pad": run_pad,
    "reshape": run_reshape,
    "concat": run_concat,
    "resize": run_resize,
    "quantize": run_requantize,
    "relu": run_relu,
    "mean": run_mean,
    "hard_swish": run_unary,
    "logistic": run_unary,
}
