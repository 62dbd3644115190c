"""What the benchmarks share: one thread, synthetic images, runs of the engine, and times taken in turn.

A time is processor time of this process on one thread, so that what else runs on the machine does not count; where
wall time is meant, the benchmark says so. Each ratio compares medians of repetitions that were taken in turn.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from alambic.data import DataSpec, Source, ViewSpec, from_arrays
from alambic.methods import create_method
from alambic.models.feature import OutputSpec
from alambic.models.students import create_student
from alambic.models.teacher import Teacher, TeacherSpec
from alambic.models.teachers import load_teacher
from alambic.training.feed import Feed
from alambic.training.loop import Run
from alambic.training.objective import Objective
from alambic.training.recipe import Recipe
from alambic.training.setup import set_up
from alambic.training.task import Task

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "scripts"))

STUDENT, BATCH = "resnet8_w16", 128


def use_one_thread() -> None:
    """As a worker of a study sets itself up."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


def make_source(images: int, side: int, classes: int, channels: int = 3, tune: int = 100) -> Source:
    """Random images and labels: speed does not depend on what they show. ``images`` are left to train on."""
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (images + 2 * tune, channels, side, side), dtype=np.uint8)
    labels = np.arange(len(pixels)) % classes
    spec = DataSpec("arrays", tune=tune, test=tune / len(pixels))
    return from_arrays(pixels, labels, spec=spec)


def make_teacher(source: Source, net: str, **kwargs: object) -> Teacher:
    """An untrained teacher: what it costs does not depend on its weights."""
    torch.manual_seed(0)
    spec = TeacherSpec(net, kwargs=dict(kwargs), size=source.size)
    return load_teacher("teacher", spec, source.num_classes, source.channels, source.size, source.mean, source.std)


def make_run(
    source: Source,
    method: str,
    views: ViewSpec,
    recipe: Recipe,
    feed: Feed | None = None,
    teacher: OutputSpec | None = None,
    student: str = STUDENT,
) -> Run:
    """One training, as a study would set it up."""
    torch.manual_seed(0)
    net = create_student(student, source.channels, source.size, source.num_classes)
    objective = Objective([create_method(method)], Task(source.num_classes))
    ids, tune = source.splits["train"], source.splits["tune"]
    return set_up(net, objective, source, ids, tune, views, recipe, 0, feed=feed, teacher=teacher)


def take(work: Callable[[], object]) -> float:
    """Seconds of processor time."""
    started = time.process_time()
    work()
    return time.process_time() - started


def take_in_turn(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each work; every round runs each of them once, after one round that does not count."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, work in works.items():
            spent = take(work)
            if turn:
                found[name].append(spent)
    return {name: statistics.median(values) for name, values in found.items()}


def compare(work: Callable[[], object], base: Callable[[], object], rounds: int) -> float:
    """How many times as long as ``base`` a work takes: the median over rounds of (base, work, base), one to warm up."""
    ratios = []
    for turn in range(rounds + 1):
        before, spent, after = take(base), take(work), take(base)
        if turn:
            ratios.append(2 * spent / (before + after))
    return statistics.median(ratios)
