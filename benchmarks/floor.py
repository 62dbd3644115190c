"""A student's step beside the floor of the cost model, for each shipped student: which share of the machine is used.

Floor of one image: the largest of 6 M_s / P (arithmetic), c A b / W (memory) and L g / B (starting kernels), with
M_s MACs, A elements that convolutions give, L operators of a step counted here; P is what a large matrix product
reaches on this machine and thread, W what copying a large array reaches; c = 12 reads and writes, b = 4 bytes,
g = 5 microseconds. Goal: a fraction of .5 for the ResNets on a CPU. Depthwise kernels cannot reach it: they are bound
by memory in every layer, and their floor takes the largest term of the whole network only.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass

os.environ.setdefault("KINETO_LOG_LEVEL", "5")

import torch
import torch.nn.functional as F
from common import BATCH, take, take_in_turn, use_one_thread
from torch import nn
from torch.profiler import ProfilerActivity, profile

from alambic.models.students import count_macs, create_student, describe_student, list_students
from alambic.training.layout import safe_channels_last
from alambic.training.recipe import Recipe

READS_AND_WRITES, ELEMENT, START = 12, 4, 5e-6
LARGEST = 64  # images a step for students with inputs from 64 pixels on, so that each is measured in seconds


@dataclass(frozen=True)
class Machine:
    """What this machine reaches on one thread: flop/s in a matrix product, bytes/s read and written in a copy."""

    flops: float
    bandwidth: float


def measure(step: Callable[[], None], rounds: int) -> tuple[Machine, float]:
    """The machine and the seconds of a step, in turn: what disturbs one disturbs the other."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    large = torch.randn(16_000_000)
    copy = torch.empty_like(large)
    found = take_in_turn({"product": lambda: a @ b, "copy": lambda: copy.copy_(large), "step": step}, rounds)
    return Machine(2 * 1024**3 / found["product"], 2 * large.nbytes / found["copy"]), found["step"]


class Step:
    """A plain training step of one student."""

    def __init__(self, name: str, compiled: bool) -> None:
        height, width, channels = describe_student(name).input
        self.batch = BATCH if max(height, width) < LARGEST else LARGEST
        torch.manual_seed(0)
        self.net = create_student(name, channels, (height, width), 100)
        layout = torch.channels_last if safe_channels_last(self.net) else torch.contiguous_format
        self.net.to(memory_format=layout)
        self.images = torch.randn(self.batch, channels, height, width).contiguous(memory_format=layout)
        self.labels = torch.arange(self.batch) % 100
        self.optimizer = Recipe().make_optimizer(self.net)
        self.macs = count_macs(self.net, (channels, height, width))
        self.net.train()
        self.call = torch.compile(self.net) if compiled else self.net

    def __call__(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(self.call(self.images), self.labels).backward()
        self.optimizer.step()

    def activations(self) -> int:
        """Elements of an image that the convolutions give."""
        sizes: list[int] = []
        convolutions = [module for module in self.net.modules() if isinstance(module, nn.Conv2d)]
        handles = [c.register_forward_hook(lambda _m, _i, out: sizes.append(out[0].numel())) for c in convolutions]
        with torch.no_grad():
            self.net(self.images[:2])
        for handle in handles:
            handle.remove()
        return sum(sizes)

    def operators(self) -> int:
        """Operators that a step starts: those that call no other."""
        with profile(activities=[ProfilerActivity.CPU]) as seen:
            self()
        return sum(event.name.startswith("aten::") and not event.cpu_children for event in seen.events())

    def floor(self, machine: Machine) -> dict[str, float]:
        """Seconds of a step by each term."""
        return {
            "arithmetic": 6 * self.macs * self.batch / machine.flops,
            "memory": READS_AND_WRITES * self.activations() * ELEMENT * self.batch / machine.bandwidth,
            "starts": self.operators() * START,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="students; all that are shipped by default")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--compile", action="store_true", help="compile each student first (a minute or more each)")
    given = parser.parse_args()
    use_one_thread()
    print("P (product) in GFLOP/s and W (copy) in GB/s on one thread, measured in turn with each student's steps")
    print(f"{'student':20}{'batch':>6}{'P':>5}{'W':>5}{'step ms':>9}{'floor ms':>9}  {'bound by':12}{'fraction':>8}")
    for name in given.names or [info.name for info in list_students()]:
        step = Step(name, given.compile)
        first = take(step)
        machine, spent = measure(step, given.rounds)
        terms = step.floor(machine)
        bound = max(terms, key=lambda term: terms[term])
        floor = terms[bound]
        print(
            f"{name:20}{step.batch:>6}{machine.flops / 1e9:>5.0f}{machine.bandwidth / 1e9:>5.0f}"
            f"{1e3 * spent:>9.1f}{1e3 * floor:>9.1f}  {bound:12}{floor / spent:>8.2f}"
            + (f"  compiled in {first:.0f} s" if given.compile else ""),
            flush=True,
        )


if __name__ == "__main__":
    main()
