"""Measures what each method costs beside plain cross-entropy: time and memory of a training step.

``python scripts/method_costs.py [NAME ...]`` writes ``src/alambic/methods/costs.toml``, which the command line and the
documentation pages read; named methods replace their own rows only. The teacher's outputs are given, as a bank gives
them, so that the figures are the loss's own: what the teacher costs depends on the teacher.
"""

from __future__ import annotations

import argparse
import gc
import platform
import statistics
import time
import tomllib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from alambic.methods import Batch, Method, Specs, all_methods, create_method
from alambic.models.feature import Outputs
from alambic.models.students import create_student
from alambic.models.taps import Tapped
from alambic.training.objective import Objective
from alambic.training.recipe import Recipe
from alambic.training.setup import probe
from alambic.training.task import Task

PATH = Path(__file__).parent.parent / "src" / "alambic" / "methods" / "costs.toml"
STUDENT, TEACHER = "resnet8_w16", "resnet20_w32"
BATCH, CLASSES, SIDE, IMAGES = 128, 100, 32, 10_000
ROUNDS = 5


def give(net: nn.Module, images: Tensor, want: frozenset[str]) -> Outputs:
    """What a network says of images, detached."""
    tapped = Tapped(net, images[:2], want | {"logits"})
    with torch.no_grad():
        return tapped(images)


class Step:
    """One training step of the student with a method, ready to be repeated."""

    def __init__(self, name: str, images: Tensor) -> None:
        torch.manual_seed(0)
        self.method: Method = create_method(name)
        self.student = create_student(STUDENT, 3, SIDE, CLASSES)
        teacher = create_student(TEACHER, 3, SIDE, CLASSES).eval()
        self.student.to(memory_format=torch.channels_last)  # as the engine trains it
        self.images = images.contiguous(memory_format=torch.channels_last)
        self.labels = torch.arange(len(images)) % CLASSES
        needs = self.method.needs
        self.given = give(teacher, images, needs.teacher)
        specs = self._specs(teacher)
        self.objective = Objective([self.method], Task(CLASSES))
        self.objective.build(specs, torch.Generator().manual_seed(0))
        self.tapped = Tapped(self.student, images[:2], needs.student | {"logits"})
        self.optimizer = Recipe().make_optimizer(self.student, self.objective)
        self.student.train()

    def _specs(self, teacher: nn.Module) -> Specs:
        shapes = probe(teacher, self.images[:2], "teacher")
        wanted = self.method.teacher_classes(CLASSES)
        if wanted != CLASSES:  # a teacher with subclasses
            shapes = replace(shapes, classes=wanted)
            self.given = replace(self.given, logits=torch.randn(len(self.images), wanted))
        means = torch.randn(CLASSES, shapes.embedding or 1)
        return Specs(probe(self.student, self.images[:2], "student"), shapes, CLASSES, IMAGES, IMAGES, means)

    def moments(self) -> list[tuple[float, float]]:
        """(progress, share of the training) of each stage: pre-training stages first."""
        found, start = [], 0.0
        for _, share in self.method.stages:
            found.append((start + share / 2, share))
            start += share
        return [*found, ((start + 1) / 2, 1 - start)]

    def __call__(self, progress: float = 0.99) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        seen, second = self.tapped(self.images), None
        if self.method.needs.views == 2:
            second = self.tapped(self.images), self.given
        batch = Batch(self.labels, torch.arange(len(self.images)), second=second)
        self.objective(seen, self.given, batch, progress).backward()
        self.optimizer.step()
        self.objective.after_step()


def peak_bytes(step: Callable[[], None]) -> int:
    """Largest sum of bytes that a step holds at once beyond what it held before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        step()
    events = [e for e in found.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def kept_bytes(step: Step) -> int:
    """What a method keeps for the whole training: parameters, their momentum, banks."""
    parameters = sum(p.nbytes for p in step.method.parameters())
    return 2 * parameters + sum(buffer.nbytes for buffer in step.method.buffers())


def seconds(step: Callable[[], None]) -> float:
    """Processor time of one step on one thread: what else runs on the machine does not count."""
    started = time.process_time()
    step()
    return time.process_time() - started


def measure(name: str, plain: Step, plain_peak: int, images: Tensor) -> dict[str, float]:
    """Ratio of step times (median over rounds, the two steps in turn) and the extra MiB; stages by their share."""
    gc.collect()
    step = Step(name, images)
    time_ratio, peak = 0.0, 0
    for progress, share in step.moments():
        stage = partial(step, progress)
        stage()
        ratios = []
        for _ in range(ROUNDS):
            base = seconds(plain)
            ratios.append(seconds(stage) / base)
        time_ratio += share * statistics.median(ratios)
        peak = max(peak, peak_bytes(stage))
    return {
        "time": round(time_ratio, 2),
        "step_mib": round(max(0, peak - plain_peak) / 2**20, 1),
        "kept_mib": round(kept_bytes(step) / 2**20, 2),
        "training_parameters": sum(p.numel() for p in step.method.parameters()),
    }


def describe_machine() -> str:
    """Processor and torch, one line."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{model}, one thread, torch {torch.__version__}"


def write(setting: dict[str, Any], costs: dict[str, dict[str, float]]) -> None:
    lines = ["# Made by scripts/method_costs.py: a training step beside the same step with cross-entropy only."]
    lines += ["[setting]", *(f'{key} = "{value}"' for key, value in setting.items()), ""]
    for name in sorted(costs):
        lines += [f"[methods.{name}]", *(f"{key} = {value}" for key, value in costs[name].items()), ""]
    PATH.write_text("\n".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="methods to measure; all of them by default")
    names = parser.parse_args().names or sorted(all_methods())
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    images = torch.randn(BATCH, 3, SIDE, SIDE)
    costs = tomllib.loads(PATH.read_text())["methods"] if PATH.exists() else {}
    costs = {name: row for name, row in costs.items() if name in all_methods()}
    plain = Step("none", images)
    plain()
    base, plain_peak = statistics.median(seconds(plain) for _ in range(ROUNDS)), peak_bytes(plain)
    setting = {
        "machine": describe_machine(),
        "student": STUDENT,
        "teacher": f"{TEACHER}, its outputs given",
        "batch": f"{BATCH} images of 3 x {SIDE} x {SIDE}, {CLASSES} classes, memory banks of {IMAGES:,} images",
        "plain_step": f"{base * 1000:.0f} ms, {plain_peak / 2**20:.0f} MiB",
    }
    for name in names:
        costs[name] = measure(name, plain, plain_peak, images)
        print(name, costs[name], flush=True)
        write(setting, costs)


if __name__ == "__main__":
    main()
