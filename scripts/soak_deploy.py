"""Random small networks through the whole deployment chain: each is equal within tolerance, or refused with a reason.

``python scripts/soak_deploy.py [--count 300] [--out benchmarks/deploy_soak.json]``. Network number n depends on n
alone, so a failure is repeated with ``--first n --count 1``.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alambic.deploy.execute import execute
from alambic.deploy.int8 import quantize_student
from alambic.deploy.measure import predict_onnx
from alambic.deploy.memory import plan_memory
from alambic.deploy.read import read_graph
from alambic.deploy.targets.host import predict_litert
from alambic.deploy.targets.tflm import measure_arena, predict_tflm
from alambic.deploy.targets.vela import compile_vela
from alambic.deploy.tflite import emit_tflite
from alambic.errors import AlambicError
from alambic.files import write_atomic
from alambic.models.student_blocks import ConvUnit, InvertedBlock, LowRankBlock, ResidualBlock, SeparableBlock

STEPS = {"tflm": 0, "litert": 3}  # of the output, allowed between the executor and each other runner
SIGMOID_STEPS = 6  # where a sigmoid stands inside: a step of its own, carried through the layers behind it
NOISE = 3.0  # executor minus ONNX Runtime, by int8 minus fp32 (root mean squares): devices round inside pools and sums
VELA_EVERY = 5


class Apply(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, maps: Tensor) -> Tensor:
        return self.function(maps)


class Gate(nn.Module):
    """Squeeze-excite with a hard sigmoid."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        return maps * F.hardsigmoid(self.up(F.relu(self.down(maps.mean((2, 3), keepdim=True)))))


class Fork(nn.Module):
    """Two branches, concatenated."""

    def __init__(self, channels: int, other: int) -> None:
        super().__init__()
        self.left, self.right = ConvUnit(channels, other, 1), ConvUnit(channels, other, 3, act="relu6")

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([self.left(maps), self.right(maps)], 1)


def make_network(number: int) -> tuple[nn.Module, tuple[int, int, int], list[str]]:
    """A network in evaluation mode with settled BatchNorm, its C, H, W, and the names of its parts."""
    rng = random.Random(number)
    torch.manual_seed(number)
    shape = (rng.choice([1, 3]), rng.randint(9, 40), rng.randint(9, 40))
    width = rng.choice([4, 8, 12, 16])
    layers: list[nn.Module] = [ConvUnit(shape[0], width, 3, rng.choice([1, 2]), act=rng.choice(["relu", "relu6"]))]
    names = ["stem"]
    side = min(shape[1:]) // 2
    for _ in range(rng.randint(1, 6)):
        name = rng.choice(sorted(PARTS)) if rng.random() < 0.97 else rng.choice(sorted(FOREIGN))
        if name in SHRINKING and side < 6:
            continue
        side = side // 2 if name in SHRINKING else side
        part, width = (PARTS | FOREIGN)[name](rng, width)
        layers.append(part)
        names.append(name)
    classes = rng.choice([1, 2, 5, 10])
    pool: nn.Module = rng.choice([nn.AdaptiveAvgPool2d(1), Apply(lambda maps: maps.mean((2, 3), keepdim=True))])
    net = nn.Sequential(*layers, pool, nn.Flatten(), nn.Linear(width, classes, bias=rng.random() < 0.8))
    with torch.no_grad():
        net.train()(torch.randn(16, *shape))
    return net.eval(), shape, names


Part = Callable[[random.Random, int], tuple[nn.Module, int]]


def _wider(rng: random.Random, width: int) -> int:
    return min(width + rng.choice([0, 4, 8]), 48)


def _sized(make: Callable[..., nn.Module]) -> Part:
    def build(rng: random.Random, width: int) -> tuple[nn.Module, int]:
        wide = _wider(rng, width)
        return make(width, wide, rng.choice([1, 1, 2])), wide

    return build


def _fixed(make: Callable[[int], nn.Module], factor: int = 1) -> Part:
    return lambda rng, width: (make(width), width * factor)


PARTS: dict[str, Part] = {
    "separable": _sized(SeparableBlock),
    "residual": _sized(ResidualBlock),
    "low rank": _sized(LowRankBlock),
    "inverted": _sized(lambda a, b, s: InvertedBlock(a, b, s, 3, 5)),
    "unit": _sized(lambda a, b, s: ConvUnit(a, b, 3, s)),
    "symmetric padding": _sized(lambda a, b, s: nn.Sequential(nn.Conv2d(a, b, 3, s, 1), nn.BatchNorm2d(b), nn.ReLU())),
    "no norm": _sized(lambda a, b, s: nn.Sequential(nn.Conv2d(a, b, 3, s), nn.ReLU6())),
    "no activation": _sized(lambda a, b, s: nn.Conv2d(a, b, 1, s)),
    "dilated": _fixed(lambda a: nn.Conv2d(a, a, 3, padding=2, dilation=2)),
    "grouped": _fixed(lambda a: nn.Conv2d(a, a, 3, padding=1, groups=2)),
    "multiplier": _fixed(lambda a: nn.Conv2d(a, 2 * a, 3, padding=1, groups=a), 2),
    "norm first": _fixed(lambda a: nn.Sequential(nn.BatchNorm2d(a), nn.ReLU(), nn.Conv2d(a, a, 1))),
    "max pool": _fixed(lambda a: nn.MaxPool2d(2)),
    "overlapping pool": _fixed(lambda a: nn.MaxPool2d(3, 2, 1)),
    "average pool": _fixed(lambda a: nn.AvgPool2d(2)),
    "hard-swish": _fixed(lambda a: nn.Hardswish()),
    "gate": _fixed(Gate),
    "sigmoid gate": _fixed(lambda a: Apply(lambda maps: maps * torch.sigmoid(maps))),
    "fork": _fixed(lambda a: Fork(a, a), 2),
    "upsample": _fixed(lambda a: nn.Upsample(scale_factor=2)),
    "scalar": _fixed(lambda a: Apply(lambda maps: maps * 0.5)),
}
SHRINKING = ("max pool", "overlapping pool", "average pool", "no norm", "unit", "separable", "residual", "low rank",
             "inverted", "symmetric padding", "no activation")  # fmt: skip
# parts that no int8 target has: they must be refused by name
FOREIGN: dict[str, Part] = {
    "leaky": _fixed(lambda a: nn.LeakyReLU(0.1)),
    "softplus": _fixed(lambda a: nn.Softplus()),
    "bilinear": _fixed(lambda a: nn.Upsample(scale_factor=2, mode="bilinear")),
}


@dataclass
class Outcome:
    """What became of one network. ``state``: equal, refused (``reason`` says why), or wrong.

    ``steps``: largest differences of the output, in its steps, between the executor and each runner.
    """

    number: int
    parts: list[str]
    state: str
    reason: str = ""
    steps: dict[str, int] | None = None
    vela: bool | None = None


def run_chain(number: int, folder: Path) -> Outcome:
    """Sends one network through the chain."""
    net, shape, parts = make_network(number)
    images = torch.randn(10, *shape)
    try:
        done = quantize_student(net, images, shape, folder)
        graph = read_graph(done.onnx_int8)
    except AlambicError as error:
        foreign = bool(set(parts) & set(FOREIGN))
        return Outcome(number, parts, "refused" if foreign else "wrong", str(error).partition(": ")[2])
    if set(parts) & set(FOREIGN):
        return Outcome(number, parts, "wrong", "a part that no target has went through")
    tflite = folder / "net.tflite"
    emit_tflite(graph, tflite)
    pixels = images.numpy()
    device = execute(graph, pixels)
    step = float(graph.tensors[graph.output].scale[0])
    others = {
        "tflm": predict_tflm(tflite, pixels),
        "litert": predict_litert(tflite, pixels),
        "onnx": predict_onnx(done.onnx_int8, pixels),
    }
    apart = float(np.sqrt(np.square(others["onnx"] - device).mean()))
    cost = float(np.sqrt(np.square(others["onnx"] - predict_onnx(done.onnx_fp32, pixels)).mean()))
    steps = {name: int(np.rint(abs(found - device).max() / step)) for name, found in others.items()}
    loose = SIGMOID_STEPS if "sigmoid gate" in parts else 0
    wrong = [name for name, most in STEPS.items() if steps[name] > most + loose]
    if apart > NOISE * max(cost, step):
        wrong.append(f"onnx: {apart:.3g} apart, int8 costs {cost:.3g}")
    arena, planned = measure_arena(tflite).head, plan_memory(graph).arena_bytes
    if arena != planned:
        wrong.append(f"arena {arena}, planned {planned}")
    vela = None
    if number % VELA_EVERY == 0:
        report = compile_vela(tflite)
        vela = report.host_operators == 0
    return Outcome(number, parts, "wrong" if wrong else "equal", ", ".join(wrong), steps, vela)


def run_soak(first: int, count: int) -> list[Outcome]:
    outcomes = []
    for number in range(first, first + count):
        with tempfile.TemporaryDirectory() as folder:
            outcomes.append(run_chain(number, Path(folder)))
        last = outcomes[-1]
        if last.state != "equal":
            print(f"{number}: {last.state}: {last.reason} ({', '.join(last.parts)})", flush=True)
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--out", type=Path, help="JSON with every outcome")
    options = parser.parse_args()
    torch.set_num_threads(1)
    started = time.monotonic()
    outcomes = run_soak(options.first, options.count)
    states = Counter(item.state for item in outcomes)
    told = [item.steps for item in outcomes if item.steps]
    summary = {
        "networks": len(outcomes),
        **{state: states[state] for state in ("equal", "refused", "wrong")},
        "largest_steps": {name: max((item[name] for item in told), default=0) for name in (*STEPS, "onnx")},
        "vela": {"asked": sum(o.vela is not None for o in outcomes), "whole": sum(bool(o.vela) for o in outcomes)},
        "seconds": round(time.monotonic() - started),
    }
    print(json.dumps(summary, indent=2))
    if options.out:
        text = json.dumps({"summary": summary, "outcomes": [asdict(item) for item in outcomes]}, indent=1)
        write_atomic(options.out, lambda part: part.write_text(text + "\n"))
    if states["wrong"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
