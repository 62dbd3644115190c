"""What patch-wise execution would give: the first layers computed tile by tile, halos computed again.

MCUNetV2 (Lin et al., NeurIPS 2021, arXiv 2110.15352) runs the stage where RAM peaks in n x n patches of its output map.
Of the tensors inside the stage only a patch is then alive; the image and the stage's output stay whole. Neighbouring
patches share the rim that their kernels reach over, and compute it twice. No runtime here executes patches: these are
a bound of whole and patch tensors, and a count of multiply-accumulates, both from the int8 graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alambic.deploy.graph import Int8Graph, Op, same_padding
from alambic.deploy.memory import count_alive, find_lifetimes

GRIDS = (2, 3, 4)
MODEST = 0.25  # share of extra MACs that advice does not go beyond unless the chip asks for it
WINDOWS = frozenset({"conv", "depthwise", "average_pool", "max_pool"})
POINTWISE = frozenset({"add", "mul", "relu", "hard_swish", "logistic", "quantize", "concat"})
Span = tuple[int, int]  # first index, one past the last
Region = tuple[Span, Span]  # rows, columns


@dataclass(frozen=True)
class PatchPlan:
    """The first ``cut`` + 1 operators in ``grid`` x ``grid`` patches, the others as ever.

    Attributes:
        layer: the last operator of the stage, described.
        patch_bytes: most bytes alive in the stage, in its worst patch, image and stage output included.
        rest_bytes: most bytes alive behind it. ram_bytes: the larger of the two, comparable to a liveness bound.
        extra_macs: multiply-accumulates computed again. extra_share: of those of the whole network.
    """

    grid: int
    cut: int
    layer: str
    patch_bytes: int
    rest_bytes: int
    extra_macs: int
    extra_share: float

    @property
    def ram_bytes(self) -> int:
        return max(self.patch_bytes, self.rest_bytes)


def plan_patches(graph: Int8Graph, grids: Sequence[int] = GRIDS) -> list[PatchPlan]:
    """Plans that need less RAM than whole tensors do, each the one with fewest extra MACs for its bytes.

    From the cheapest in MACs to the smallest in RAM; empty where patches gain nothing.
    """
    alive = count_alive(find_lifetimes(graph), len(graph.ops))
    plans = [
        _plan(graph, cut, grid, max(alive[cut + 1 :]))
        for cut in list_cuts(graph)
        for grid in grids
        if grid <= min(graph.tensors[graph.ops[cut].output].shape[1:3])
    ]
    best: list[PatchPlan] = []
    for plan in sorted(plans, key=lambda item: (item.extra_macs, item.ram_bytes, item.cut)):
        if plan.ram_bytes < (best[-1].ram_bytes if best else max(alive)):
            best.append(plan)
    return best


def choose_patches(plans: Sequence[PatchPlan], room: int | None) -> PatchPlan | None:
    """The plan to advise: the cheapest whose activations find room, in bytes, else the smallest at modest extra MACs.

    ``room`` is None where whole tensors fit already.
    """
    fitting = [plan for plan in plans if room is not None and plan.ram_bytes <= room]
    modest = [plan for plan in plans if plan.extra_share <= MODEST]
    if fitting:
        return fitting[0]
    return modest[-1] if modest else next(iter(plans), None)


def explain_patches(plans: Sequence[PatchPlan], liveness: int, room: int | None) -> str:
    """One sentence. ``liveness``: most bytes alive with whole tensors; ``room`` as in ``choose_patches``."""
    plan = choose_patches(plans, room)
    if plan is None:
        return (
            "patch-wise execution would save no RAM: image, halos and what is behind the patches take as much as whole "
            "tensors do"
        )
    verdict = ""
    if room is not None:
        verdict = ", which would fit" if plan.ram_bytes <= room else f", still {plan.ram_bytes - room:,} too many"
    return (
        f"in {plan.grid} x {plan.grid} patches up to {plan.layer}, {plan.ram_bytes:,} bytes of activations would be "
        f"alive instead of {liveness:,}{verdict}, for {plan.extra_share:.1%} more multiply-accumulates (a bound: no "
        "engine here executes patches)"
    )


def list_cuts(graph: Int8Graph) -> list[int]:
    """Operators behind which a stage may end: local ones up to there, and nothing but the output read later."""
    cuts = []
    for index, op in enumerate(graph.ops[:-1]):
        if not _is_local(graph, op):
            break
        inside = {graph.input, *(earlier.output for earlier in graph.ops[:index])}
        if not any(name in inside for later in graph.ops[index + 1 :] for name in later.inputs):
            cuts.append(index)
    return cuts


def find_regions(graph: Int8Graph, cut: int, wanted: Region) -> dict[str, Region]:
    """What of each tensor before and at ``cut`` must be computed for a region of its output: a box each."""
    found = {graph.ops[cut].output: wanted}
    for op in reversed(graph.ops[: cut + 1]):
        if op.output not in found:
            continue  # nothing of the stage reads it
        for name in graph.activations(op):
            rows, columns = (_reach(graph, op, name, axis, found[op.output][axis]) for axis in (0, 1))
            if name in found:
                rows, columns = _join(found[name][0], rows), _join(found[name][1], columns)
            found[name] = (rows, columns)
    return found


def count_op_macs(graph: Int8Graph, op: Op, positions: int) -> int:
    """Multiply-accumulates of a convolution over so many places of its output; 0 for other local operators."""
    if op.kind not in ("conv", "depthwise"):
        return 0
    return positions * int(np.prod(graph.tensors[op.inputs[1]].shape))


def _plan(graph: Int8Graph, cut: int, grid: int, rest: int) -> PatchPlan:
    stage, output = graph.ops[: cut + 1], graph.ops[cut].output
    height, width = graph.tensors[output].shape[1:3]
    lives = [item for item in find_lifetimes(graph) if item.first <= cut and item.name not in (graph.input, output)]
    whole = graph.tensors[graph.input].bytes + graph.tensors[output].bytes
    peak = macs = 0
    for row in range(grid):
        for column in range(grid):
            wanted = (_split(height, grid, row), _split(width, grid, column))
            areas = {name: _area(region) for name, region in find_regions(graph, cut, wanted).items()}
            sizes = {item.name: areas.get(item.name, 0) * graph.tensors[item.name].shape[3] for item in lives}
            for step in range(cut + 1):
                peak = max(peak, sum(sizes[item.name] for item in lives if item.first <= step <= item.last))
            macs += sum(count_op_macs(graph, op, areas.get(op.output, 0)) for op in stage)
    extra = macs - sum(count_op_macs(graph, op, int(np.prod(graph.tensors[op.output].shape[1:3]))) for op in stage)
    return PatchPlan(grid, cut, graph.describe(graph.ops[cut]), whole + peak, rest, extra, extra / _count_all(graph))


def _count_all(graph: Int8Graph) -> int:
    total = 0
    for op in graph.ops:
        if op.kind == "dense":
            total += int(np.prod(graph.tensors[op.inputs[1]].shape))
        elif op.kind in ("conv", "depthwise"):
            total += count_op_macs(graph, op, int(np.prod(graph.tensors[op.output].shape[1:3])))
    return total


def _is_local(graph: Int8Graph, op: Op) -> bool:
    """Whether a region of the output needs a region of each input."""
    shapes = [graph.tensors[name].shape for name in (*graph.activations(op), op.output)]
    if any(len(shape) != 4 for shape in shapes):
        return False
    if op.kind in WINDOWS or op.kind == "pad":
        return True
    return op.kind in POINTWISE and len({shape[1:3] for shape in shapes}) == 1  # no gate of 1 x 1 maps


def _reach(graph: Int8Graph, op: Op, name: str, axis: int, span: Span) -> Span:
    """The span of an input that a span of the output is made from, along rows (0) or columns (1)."""
    size = graph.tensors[name].shape[axis + 1]
    low, high = span
    if op.kind == "pad":
        before = op.settings["pads"][axis + 1][0]
        low, high = low - before, high - before
    elif op.kind in WINDOWS:
        conv = op.kind in ("conv", "depthwise")
        kernel = graph.tensors[op.inputs[1]].shape[1 + axis] if conv else op.settings["kernel"][axis]
        stride, dilation = op.settings["stride"][axis], op.settings.get("dilation", (1, 1))[axis]
        before = same_padding(size, stride, kernel, dilation)[0] if op.settings["same"] else 0
        low, high = low * stride - before, (high - 1) * stride - before + (kernel - 1) * dilation + 1
    low = min(max(low, 0), size)
    return low, max(low, min(high, size))


def _join(one: Span, other: Span) -> Span:
    if one[0] == one[1] or other[0] == other[1]:  # an empty one, all of it padding
        return other if one[0] == one[1] else one
    return min(one[0], other[0]), max(one[1], other[1])


def _split(size: int, grid: int, index: int) -> Span:
    return index * size // grid, (index + 1) * size // grid


def _area(region: Region) -> int:
    (top, bottom), (left, right) = region
    return (bottom - top) * (right - left)
