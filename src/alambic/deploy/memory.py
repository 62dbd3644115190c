"""RAM that the activations of an int8 graph need: a bound, TFLite-Micro's planner, and the operator at the peak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alambic.deploy.graph import Int8Graph

ALIGNMENT = 16  # bytes, of TFLite-Micro's arena
IN_PLACE = frozenset({"add", "mul", "relu", "hard_swish", "logistic", "quantize", "reshape"})


@dataclass(frozen=True)
class Lifetime:
    """A buffer of ``bytes`` that lives from operator ``first`` to operator ``last``, both included."""

    name: str
    bytes: int
    first: int
    last: int


@dataclass(frozen=True)
class Placed:
    """A buffer and its byte offset in the arena."""

    buffer: Lifetime
    offset: int


@dataclass(frozen=True)
class MemoryPlan:
    """RAM of the activations, in bytes.

    Attributes:
        liveness_bytes: the most bytes alive at once: no planner of whole tensors can do better.
        arena_bytes: by TFLite-Micro's greedy planner, 16-byte aligned; ``placed`` says where each buffer lies.
        alive: bytes alive at each operator, in order. peak_op: index of the largest.
        peak_layer: it, described. peak_tensors: what is alive there, by the layer that
            made it, largest first.
        weight_bytes, bias_bytes: constants, bytes of flash.
        in_place: whether an element-wise operator overwrote a dying input of equal size.
    """

    liveness_bytes: int
    arena_bytes: int
    placed: tuple[Placed, ...]
    alive: tuple[int, ...]
    peak_op: int
    peak_layer: str
    peak_tensors: tuple[tuple[str, int], ...]
    weight_bytes: int
    bias_bytes: int
    in_place: bool


def plan_memory(graph: Int8Graph, in_place: bool = False, alignment: int = ALIGNMENT) -> MemoryPlan:
    """Plans the activations of a graph.

    Args:
        in_place: let an element-wise operator write over an input that dies there and has its size.
        alignment: of each buffer, bytes.
    """
    buffers = merge_in_place(graph, find_lifetimes(graph)) if in_place else find_lifetimes(graph)
    alive = count_alive(buffers, len(graph.ops))
    placed = place_greedily(buffers, alignment)
    peak = max(range(len(alive)), key=alive.__getitem__)
    alive_there = [(graph.title(b.name), b.bytes) for b in buffers if b.first <= peak <= b.last]
    return MemoryPlan(
        liveness_bytes=alive[peak],
        arena_bytes=_measure_height(placed, alignment),
        placed=tuple(placed),
        alive=tuple(alive),
        peak_op=peak,
        peak_layer=graph.describe(graph.ops[peak]),
        peak_tensors=tuple(sorted(alive_there, key=lambda item: -item[1])),
        weight_bytes=graph.weight_bytes,
        bias_bytes=graph.bias_bytes,
        in_place=in_place,
    )


def find_lifetimes(graph: Int8Graph) -> list[Lifetime]:
    """Lifetimes of all activations, in the order in which they come to be; the input is there from the start."""
    first: dict[str, int] = {graph.input: 0}
    last: dict[str, int] = {graph.input: 0}
    for index, op in enumerate(graph.ops):
        for name in graph.activations(op):
            last[name] = index
        first[op.output] = last[op.output] = index
    last[graph.output] = len(graph.ops) - 1
    return [Lifetime(name, graph.tensors[name].bytes, first[name], last[name]) for name in first]


def merge_in_place(graph: Int8Graph, buffers: Sequence[Lifetime]) -> list[Lifetime]:
    """The buffers with each in-place output joined to the input that it overwrites (never the network's own input)."""
    owner = {item.name: item.name for item in buffers}
    merged = {item.name: item for item in buffers}
    for index, op in enumerate(graph.ops):
        for name in graph.activations(op) if op.kind in IN_PLACE else []:
            source, output = merged[owner[name]], merged[op.output]
            if source.last == index and source.bytes == output.bytes and source.name != graph.input:
                merged[source.name] = Lifetime(source.name, source.bytes, source.first, output.last)
                owner[op.output] = source.name
                del merged[op.output]
                break
    return list(merged.values())


def count_alive(buffers: Sequence[Lifetime], steps: int) -> list[int]:
    """Bytes alive while each operator runs."""
    return [sum(b.bytes for b in buffers if b.first <= step <= b.last) for step in range(steps)]


def place_greedily(buffers: Sequence[Lifetime], alignment: int = ALIGNMENT) -> list[Placed]:
    """TFLite-Micro's GreedyMemoryPlanner: largest first (the later one of equals), each in the first gap that fits."""
    sizes = [_align(buffer.bytes, alignment) for buffer in buffers]
    order = sorted(range(len(buffers)), key=lambda index: (-sizes[index], -index))
    placed: list[Placed] = []
    for index in order:
        buffer = buffers[index]
        rivals = [p for p in placed if p.buffer.first <= buffer.last and buffer.first <= p.buffer.last]
        offset = 0
        for rival in sorted(rivals, key=lambda item: item.offset):
            if offset + sizes[index] <= rival.offset:
                break
            offset = max(offset, rival.offset + _align(rival.buffer.bytes, alignment))
        placed.append(Placed(buffer, offset))
    return placed


def count_inner_arena(graph: Int8Graph, alignment: int = ALIGNMENT) -> int:
    """Bytes of an arena that does not hold the network's input: the caller keeps that in a buffer of its own."""
    return _measure_height(
        place_greedily([item for item in find_lifetimes(graph) if item.name != graph.input], alignment), alignment
    )


def _measure_height(placed: Sequence[Placed], alignment: int) -> int:
    return max(item.offset + _align(item.buffer.bytes, alignment) for item in placed)


def _align(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment


def count_scratch(graph: Int8Graph) -> int:
    """Bytes that CMSIS-NN's kernels for cores with DSP instructions need beside the arena, for the worst layer.

    A convolution unrolls two patches into int16, a depthwise one a single patch of all channels; 1 x 1 needs none. An
    average pooling keeps a 32-bit sum of each channel.
    """
    needed = [0]
    for op in graph.ops:
        if op.kind in ("conv", "depthwise"):
            shape = graph.tensors[op.inputs[1]].shape  # O x kh x kw x I, or 1 x kh x kw x O
            patch = 2 * shape[1] * shape[2] * shape[3]
            needed.append(0 if shape[1:3] == (1, 1) else 2 * patch if op.kind == "conv" else patch)
        elif op.kind == "average_pool":
            needed.append(4 * graph.tensors[op.output].shape[3])
    return max(needed)


def weigh_layers(graph: Int8Graph) -> dict[str, int]:
    """Bytes of weights and biases by layer, in order of execution; layers without any are left out."""
    found: dict[str, int] = {}
    for op in graph.ops:
        size = sum(graph.tensors[name].bytes for name in op.inputs if graph.tensors[name].data is not None)
        if size:
            found[graph.describe(op)] = size
    return found
