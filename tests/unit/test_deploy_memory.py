"""The planner against a map of every byte at every moment (test_deploy_zoo.py: against TFLite-Micro)."""

from __future__ import annotations

import random

import numpy as np
import pytest

from alambic.deploy.graph import Int8Graph, Op, Quantized
from alambic.deploy.memory import Lifetime, find_lifetimes, place_greedily, plan_memory


def tensor(name: str, size: int) -> Quantized:
    return Quantized(name, (1, 1, 1, size), "int8", np.ones(1, np.float32), 0)


def random_graph(seed: int) -> Int8Graph:
    """Operators with one or two inputs among all earlier tensors, and a constant now and then."""
    rng = random.Random(seed)
    tensors = {"in": tensor("in", rng.choice([16, 48, 100]))}
    ops = []
    for index in range(rng.randint(2, 9)):
        inputs = rng.sample(sorted(tensors), min(len(tensors), rng.randint(1, 2)))
        name = f"t{index}"
        tensors[name] = tensor(name, rng.choice([1, 16, 17, 48, 96, 96, 200]))
        ops.append(Op("add", name, tuple(inputs), name))
    constant = Quantized("weight", (7,), "int32", np.ones(1, np.float32), 0, 0, np.zeros(7, np.int32))
    ops[0] = Op(ops[0].kind, ops[0].name, (*ops[0].inputs, "weight"), ops[0].output)
    return Int8Graph("random", tensors | {"weight": constant}, ops, "in", ops[-1].output)


def needed(graph: Int8Graph, step: int) -> set[str]:
    """Naive: what exists before or at ``step`` and is read or made at it, read later, or is the network's result."""
    made = {graph.input} | {op.output for op in graph.ops[: step + 1]}
    later = {name for op in graph.ops[step:] for name in op.inputs} | {graph.ops[step].output, graph.output}
    return (made & later) | ({graph.input} if step == 0 else set())


@pytest.mark.parametrize("seed", range(60))
def test_liveness_equals_a_naive_count(seed: int) -> None:
    graph = random_graph(seed)
    plan = plan_memory(graph)
    for step in range(len(graph.ops)):
        assert plan.alive[step] == sum(graph.tensors[name].bytes for name in needed(graph, step))
    assert plan.liveness_bytes == max(plan.alive)
    assert plan.weight_bytes == plan.bias_bytes == 28
    assert sum(size for _, size in plan.peak_tensors) == plan.liveness_bytes
    assert plan.arena_bytes >= plan.liveness_bytes


@pytest.mark.parametrize("seed", range(60))
def test_placement_equals_a_map_of_bytes(seed: int) -> None:
    """Reference: a table of 16-byte cells by moments; each buffer takes the lowest run of free cells."""
    graph = random_graph(seed)
    buffers = find_lifetimes(graph)
    taken = np.zeros((4096, len(graph.ops)), bool)
    expected: dict[str, int] = {}
    ranked = sorted(enumerate(buffers), key=lambda item: ((item[1].bytes + 15) // 16, item[0]), reverse=True)
    for _, buffer in ranked:
        cells, life = (buffer.bytes + 15) // 16, slice(buffer.first, buffer.last + 1)
        start = next(i for i in range(4096) if not taken[i : i + cells, life].any())
        taken[start : start + cells, life] = True
        expected[buffer.name] = 16 * start
    assert {item.buffer.name: item.offset for item in place_greedily(buffers)} == expected
    assert plan_memory(graph).arena_bytes == 16 * (np.flatnonzero(taken.any(1)).max() + 1)


def test_equal_sizes_go_later_first() -> None:
    """The tie that decides an arena: TFLite-Micro places the later of two equal buffers first, at offset 0."""
    placed = place_greedily([Lifetime("a", 64, 0, 1), Lifetime("b", 64, 1, 2)])
    assert [(item.buffer.name, item.offset) for item in placed] == [("b", 0), ("a", 64)]


def chain(*kinds: str) -> Int8Graph:
    tensors = {name: tensor(name, 100) for name in ["in", *(f"t{i}" for i in range(len(kinds)))]}
    ops = [Op(kind, f"op{i}", (f"t{i - 1}" if i else "in",), f"t{i}") for i, kind in enumerate(kinds)]  # type: ignore[arg-type]
    return Int8Graph("chain", tensors, ops, "in", f"t{len(kinds) - 1}")


def test_in_place_needs_a_dying_input_of_an_elementwise_operator() -> None:
    graph = chain("resize", "relu", "relu", "resize")
    assert plan_memory(graph).alive == (200, 200, 200, 200)
    assert plan_memory(graph, in_place=True).alive == (200, 100, 100, 200)
    graph.ops[2] = Op("relu", "op2", ("t1",), "t2")
    graph.ops[3] = Op("add", "op3", ("t1", "t2"), "t3")
    assert plan_memory(graph, in_place=True).alive == (200, 100, 200, 200)  # t1 outlives op2; op3 overwrites t1


def test_the_networks_own_input_is_never_overwritten() -> None:
    assert plan_memory(chain("relu", "resize"), in_place=True).alive == (200, 200)
