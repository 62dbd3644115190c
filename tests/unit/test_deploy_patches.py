"""Patch-wise execution: regions, bytes and extra MACs against a naive walk over single pixels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from alambic.deploy.graph import Int8Graph, Op, Quantized, same_padding
from alambic.deploy.memory import plan_memory
from alambic.deploy.patches import PatchPlan, choose_patches, explain_patches, find_regions, list_cuts, plan_patches


def tensor(name: str, *shape: int, constant: bool = False) -> Quantized:
    return Quantized(name, shape, "int8", np.ones(1, np.float32), 0, 0, np.zeros(shape, np.int8) if constant else None)


def window(kind: str, name: str, inputs: tuple[str, ...], output: str, stride: int = 1, **more: object) -> Op:
    settings = {"stride": (stride, stride), "dilation": (1, 1), "same": True, **more}
    return Op(kind, name, inputs, output, settings)  # type: ignore[arg-type]


def make_graph() -> Int8Graph:
    """A stem, a residual block with a depthwise kernel, an explicit pad, a strided convolution, a pool and a head."""
    tensors = [
        tensor("image", 1, 12, 10, 2),
        tensor("w0", 4, 3, 3, 2, constant=True),
        tensor("stem", 1, 12, 10, 4),
        tensor("w1", 1, 5, 5, 4, constant=True),
        tensor("deep", 1, 12, 10, 4),
        tensor("sum", 1, 12, 10, 4),
        tensor("padded", 1, 14, 12, 4),
        tensor("w2", 6, 3, 3, 4, constant=True),
        tensor("down", 1, 6, 5, 6),
        tensor("small", 1, 3, 2, 6),
        tensor("pooled", 1, 1, 1, 6),
        tensor("w3", 3, 6, constant=True),
        tensor("out", 1, 3),
    ]
    ops = [
        window("conv", "first", ("image", "w0"), "stem"),
        window("depthwise", "second", ("stem", "w1"), "deep"),
        Op("add", "join", ("stem", "deep"), "sum"),
        Op("pad", "rim", ("sum",), "padded", {"pads": ((0, 0), (1, 1), (1, 1), (0, 0)), "value": 0}),
        window("conv", "third", ("padded", "w2"), "down", stride=2, same=False),
        window("max_pool", "halve", ("down",), "small", stride=2, same=False, kernel=(2, 2)),
        window("average_pool", "mean", ("small",), "pooled", stride=3, same=False, kernel=(3, 2)),
        Op("dense", "head", ("pooled", "w3"), "out"),
    ]
    return Int8Graph("toy", {item.name: item for item in tensors}, ops, "image", "out")


def mark(graph: Int8Graph, cut: int, wanted: np.ndarray) -> dict[str, np.ndarray]:
    """Pixels of each tensor that the wanted pixels (bool H x W) of an operator's output are made from, one by one."""
    marks = {item.name: np.zeros(item.shape[1:3], bool) for item in graph.tensors.values() if len(item.shape) == 4}
    marks[graph.ops[cut].output] = wanted.copy()
    for op in graph.ops[cut::-1]:
        for y, x in np.argwhere(marks[op.output]):
            for name in graph.activations(op):
                height, width = graph.tensors[name].shape[1:3]
                if op.kind == "add":
                    marks[name][y, x] = True
                    continue
                if op.kind == "pad":
                    taps = [(y - 1, x - 1)]
                else:
                    kernel = op.settings.get("kernel") or graph.tensors[op.inputs[1]].shape[1:3]
                    step = op.settings["stride"][0]
                    sides = zip((height, width), kernel, strict=True)
                    rim = [same_padding(s, step, k)[0] if op.settings["same"] else 0 for s, k in sides]
                    taps = [
                        (y * step - rim[0] + i, x * step - rim[1] + j)
                        for i, j in itertools.product(range(kernel[0]), range(kernel[1]))
                    ]
                for row, column in taps:
                    if 0 <= row < height and 0 <= column < width:
                        marks[name][row, column] = True
    return marks


def list_patches(height: int, width: int, grid: int) -> list[np.ndarray]:
    found = []
    for i, j in itertools.product(range(grid), range(grid)):
        wanted = np.zeros((height, width), bool)
        wanted[i * height // grid : (i + 1) * height // grid, j * width // grid : (j + 1) * width // grid] = True
        found.append(wanted)
    return found


@pytest.mark.parametrize("cut", range(6))
@pytest.mark.parametrize("grid", [2, 3])
def test_regions_are_the_pixels_that_are_needed(cut: int, grid: int) -> None:
    graph = make_graph()
    height, width = graph.tensors[graph.ops[cut].output].shape[1:3]
    for wanted in list_patches(height, width, min(grid, height, width)):
        rows, columns = np.argwhere(wanted).min(0), np.argwhere(wanted).max(0) + 1
        spans = ((int(rows[0]), int(columns[0])), (int(rows[1]), int(columns[1])))
        found = find_regions(graph, cut, spans)
        for name, pixels in mark(graph, cut, wanted).items():
            if not pixels.any():
                assert name not in found
                continue
            (top, bottom), (left, right) = found[name]
            box = np.zeros_like(pixels)
            box[top:bottom, left:right] = True
            assert np.array_equal(box, pixels), name


def test_a_stage_ends_where_nothing_else_is_read_later() -> None:
    """Not inside the residual block, and not at the head."""
    graph = make_graph()
    assert list_cuts(graph) == [0, 2, 3, 4, 5, 6]
    gate = Op("mul", "gate", ("stem", "pooled"), "deep")
    graph.ops[1] = gate
    assert max(list_cuts(graph), default=-1) < 1  # a gate of 1 x 1 maps needs all pixels


def count_naively(graph: Int8Graph, cut: int, grid: int) -> tuple[int, int, int]:
    """(bytes in the worst patch, bytes behind the stage, MACs of all patches) pixel by pixel."""
    output = graph.ops[cut].output
    whole = graph.tensors["image"].bytes + graph.tensors[output].bytes
    worst = macs = 0
    for wanted in list_patches(*graph.tensors[output].shape[1:3], grid):
        marks = mark(graph, cut, wanted)
        for step, op in enumerate(graph.ops[: cut + 1]):
            alive = 0
            for name, pixels in marks.items():
                made = next((i for i, other in enumerate(graph.ops) if other.output == name), -1)
                read = [i for i, other in enumerate(graph.ops) if name in other.inputs]
                if name not in ("image", output) and 0 <= made <= step <= max(read, default=made):
                    alive += int(pixels.sum()) * graph.tensors[name].shape[3]
            worst = max(worst, alive)
            if op.kind in ("conv", "depthwise"):
                macs += int(marks[op.output].sum()) * graph.tensors[op.inputs[1]].data.size  # type: ignore[union-attr]
    return whole + worst, max(plan_memory(graph).alive[cut + 1 :]), macs


def test_plans_are_those_of_a_naive_count() -> None:
    graph = make_graph()
    base = 12 * 10 * 4 * 18 + 12 * 10 * 100 + 6 * 5 * 6 * 36
    plans = plan_patches(graph)
    assert plans
    for plan in plans:
        patch, rest, macs = count_naively(graph, plan.cut, plan.grid)
        own = [12 * 10 * 4 * 18, 12 * 10 * 100, 0, 0, 6 * 5 * 6 * 36, 0, 0][: plan.cut + 1]
        assert (plan.patch_bytes, plan.rest_bytes) == (patch, rest)
        assert plan.extra_macs == macs - sum(own)
        assert plan.extra_share == pytest.approx((macs - sum(own)) / (base + 18))
    rams = [plan.ram_bytes for plan in plans]
    assert rams == sorted(rams, reverse=True)
    assert rams[0] < plan_memory(graph).liveness_bytes
    extras = [plan.extra_macs for plan in plans]
    assert extras == sorted(extras)


def test_no_plan_is_forgotten() -> None:
    """The smallest and the cheapest of all cuts and grids stand in the list."""
    graph = make_graph()
    every = {}
    for cut in list_cuts(graph):
        for grid in (2, 3, 4):
            if grid <= min(graph.tensors[graph.ops[cut].output].shape[1:3]):
                patch, rest, _ = count_naively(graph, cut, grid)
                every[cut, grid] = max(patch, rest)
    assert plan_patches(graph)[-1].ram_bytes == min(every.values())


def make_plan(ram: int, share: float) -> PatchPlan:
    return PatchPlan(2, 3, "conv (stem)", ram, 1, round(1000 * share), share)


def test_advice_fits_first_and_stays_modest() -> None:
    plans = [make_plan(900, 0.05), make_plan(700, 0.2), make_plan(500, 0.9)]
    assert choose_patches(plans, None) == plans[1]
    assert choose_patches(plans, 950) == plans[0]
    assert choose_patches(plans, 600) == plans[2]
    assert choose_patches(plans, 100) == plans[1]
    assert choose_patches([plans[2]], None) == plans[2]
    assert choose_patches([], 100) is None
    told = explain_patches(plans, 1000, 600)
    assert "500 bytes of activations would be alive instead of 1,000, which would fit, for 90.0% more" in told
    assert "still 600 too many" in explain_patches(plans, 1000, 100)
    assert "would save no RAM" in explain_patches([], 1000, None)
