"""What a study will cost and what it can see, before it is run: cells, hours, bank bytes, the smallest effect."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from alambic.data import Source, load_source
from alambic.models.cards import read_card
from alambic.models.teachers import TeacherSpec, create_net, merge_card, run_once
from alambic.study.cell import Arm
from alambic.study.content import ask_students, make_objective, make_student, make_task, train_ids
from alambic.study.local import choose_jobs
from alambic.study.stats import detectable_effect
from alambic.study.study_file import Study
from alambic.training.bank import BANKABLE, bank_bytes
from alambic.training.costs import read_cost
from alambic.training.layout import safe_channels_last
from alambic.training.setup import input_shape
from alambic.training.task import Task

ASSUMED_SPREAD = 0.5  # points between paired seeds of the same arm, while the study has no row of its own
# of a paired difference on one image, what seeds share: .22 points for 10,000 images in the quickstart's report
ASSUMED_VARIANCE = 0.006
WARM_STEPS, TIMED_STEPS = 2, 4
STEP_PASSES = 3  # a training step takes about as long as three passes forward


@dataclass(frozen=True)
class Plan:
    """Estimates: counts, seconds on this machine, bytes, and the smallest detectable paired effect in points.

    ``seconds_per_cell`` is of a student with cross-entropy alone.
    """

    cells: int
    seconds: float
    seconds_per_cell: dict[str, float]
    teacher_seconds: float
    bank_bytes: int
    smallest_effect: float
    jobs: int

    def advice(self, budget_seconds: float | None) -> str:
        """What to cut where the study is longer than a budget."""
        total = self.seconds + self.teacher_seconds
        if budget_seconds is None or total <= budget_seconds:
            return ""
        share = budget_seconds / total
        return (
            f"over the budget by {total / budget_seconds:.1f} times: try {share:.0%} of the epochs or images, "
            "or fewer methods; fewer seeds would raise the smallest effect"
        )


def plan_study(study: Study, spread: float = ASSUMED_SPREAD) -> Plan:
    """Measures a few steps of each student and teacher here and multiplies; an estimate.

    Counted: the students' steps with cross-entropy, and what each method adds to them as ``methods/costs.toml`` has it
    (of one student and batch, at one machine); the teachers' own training where they have no weights yet, their banks,
    and each pass of a live one. Not counted: int8, treatments, and methods that were not measured.
    """
    source = load_source(study.data)
    ask_students(study, source)
    ids = train_ids(study, source)
    count, steps = 0, 0.0  # cells of one student, and as how many cells of cross-entropy they take
    for arm in study.arms:
        cells = count_cells(study, arm)
        count, steps = count + cells, steps + cells * cost_of(arm)
    images = len(ids) * study.recipe.epochs
    each = {s: images / measure_speed(study, s, source) for s in study.students}
    jobs = choose_jobs(study.execution.jobs, study.execution.threads)
    total = sum(each.values()) * steps / jobs
    task = make_task(study, source)
    views = 0 if study.execution.live_only else study.views.count
    forward = bank = 0.0
    for name, entry in study.teachers.items():
        seconds, embedding = _measure_teacher(study, name, source, task.classes)
        forward += seconds * len(ids) * views
        if entry.fit_head:
            forward += seconds * (len(ids) + len(source.splits["tune"]))
        elif entry.spec.weights is None and not entry.spec.net.endswith(".onnx"):
            epochs = entry.training.recipe.epochs
            forward += STEP_PASSES * seconds * len(source.splits["train"]) * epochs
        for arm in study.arms:
            if _runs_live(study, arm, task) and (not arm.teachers or name in arm.teachers):
                forward += seconds * images * study.seeds * len(study.students) / jobs
        bank += bank_bytes(len(ids), views, task.classes, embedding, 0)
    effect = detectable_effect(spread, study.seeds, image_error(study, source))
    return Plan(count * len(study.students), total, each, forward, int(bank), effect, jobs)


def count_cells(study: Study, arm: Arm) -> int:
    """How many cells an arm has for each student."""
    teachers = [n for n in study.teachers if not arm.teachers or n in arm.teachers]
    return study.seeds * (len(teachers) if arm.uses_teacher else 1)


def cost_of(arm: Arm) -> float:
    """An arm's step over one of cross-entropy, in time; at least 1, since less is noise of the table."""
    found = [cost.time for name in arm.methods if (cost := read_cost(name)) is not None]
    return 1 + sum(max(0.0, time - 1) for time in found)


def image_error(study: Study, source: Source) -> float:
    """Points of a mean difference that more seeds would not lessen: every seed is scored on the same images."""
    scored = "test" if study.purpose != "explore" and len(source.splits["test"]) else "tune"
    return 100 * math.sqrt(ASSUMED_VARIANCE / len(source.splits[scored]))


def _runs_live(study: Study, arm: Arm, task: Task) -> bool:
    """Whether an arm's teacher runs in each step, as ``resolve_sources`` will say."""
    needs = make_objective(arm, task).needs.teacher
    return bool(needs) and (study.execution.live_only or not study.views.count or not needs <= BANKABLE)


def measure_speed(study: Study, student: str, source: Source) -> float:
    """Training images a second of one process, cross-entropy only."""
    with _as_trained(study):
        net = make_student(study, student, source, 0)
        count = min(study.recipe.batch, len(train_ids(study, source)))
        batch = torch.randn(count, *input_shape(source, study.views))
        if study.recipe.channels_last and safe_channels_last(net):
            net = net.to(memory_format=torch.channels_last)
            batch = batch.contiguous(memory_format=torch.channels_last)
        for step in range(WARM_STEPS + TIMED_STEPS):
            if step == WARM_STEPS:
                started = time.perf_counter()
            net(batch).sum().backward()
        return TIMED_STEPS * len(batch) / (time.perf_counter() - started)


@contextmanager
def _as_trained(study: Study) -> Iterator[None]:
    """Measures with the threads of one process of the study: more of them wait for each other on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, study.execution.threads))
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _measure_teacher(study: Study, name: str, source: Source, classes: int) -> tuple[float, int]:
    """(seconds an image, embedding width guessed from the last layer) of an untrained copy of a teacher."""
    spec: TeacherSpec = study.teachers[name].spec
    if spec.weights is not None:
        spec = merge_card(spec, read_card(study.folder / spec.weights))
    size, channels = spec.size or source.size, spec.channels or source.channels
    net = create_net(spec, classes, channels, size, study.folder).eval()
    images, label = torch.randn(16, channels, *size), f"teacher {name!r}"
    with _as_trained(study):
        run_once(net, images, label)
        started = time.perf_counter()
        run_once(net, images, label)
        seconds = (time.perf_counter() - started) / len(images)
    linears = [m for m in net.modules() if isinstance(m, torch.nn.Linear)]
    return seconds, linears[-1].in_features if linears else 0
