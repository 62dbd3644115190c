"""What a study will cost and what it can see, before it is run: cells, hours, bank bytes, the smallest effect."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product

import torch

from alambic.data import Source, load_source
from alambic.models.cards import read_card
from alambic.models.feature import OutputSpec
from alambic.models.teacher import TeacherSpec
from alambic.models.teachers import create_net, merge_card, run_once
from alambic.study.cell import Arm, Cell
from alambic.study.content import ask_students, make_objective, make_student, make_task, tell_source, train_ids
from alambic.study.follow import tell_span
from alambic.study.local import choose_jobs
from alambic.study.place import choose_place
from alambic.study.skips import find_skipped
from alambic.study.stats import detectable_effect
from alambic.study.study_file import Study
from alambic.training.bank import BANKABLE, bank_bytes
from alambic.training.costs import read_cost
from alambic.training.layout import safe_channels_last
from alambic.training.setup import input_shape, probe
from alambic.training.task import Task

ASSUMED_SPREAD = 0.5  # points between paired seeds of the same arm, while the study has no row of its own
# of a paired difference on one image, what seeds share: .22 points for 10,000 images in the quickstart's report
ASSUMED_VARIANCE = 0.006
WARM_STEPS, TIMED_STEPS = 2, 4
BETTER_TEACHERS = "a pretrained one (timm:NAME, weights with a card, file.onnx) or a smaller one"
FEWER_STUDENTS = "fewer images or methods (fewer seeds would raise the smallest effect)"
STEP_PASSES = 3  # a training step takes about as long as three passes forward


@dataclass(frozen=True)
class Plan:
    """Estimates: counts, seconds on this machine, bytes, and the smallest detectable paired effect in points.

    ``smallest_effect`` is that of one contrast by itself; ``corrected_effect`` that of the first which Holm tests of
    ``contrasts``: those declared, else each taught arm of a student with the student alone.
    ``seconds_per_cell`` is of a student with cross-entropy alone. Of ``teacher_seconds``, ``training_seconds`` are the
    teachers' own training and ``bank_seconds`` their passes for banks and heads; the rest are live passes. ``epochs``
    are the fewest of what is trained; ``skipped`` are the cells that cannot work, with the reasons: they do not count.
    ``told``: the data, with warnings.
    """

    cells: int
    seconds: float
    seconds_per_cell: dict[str, float]
    teacher_seconds: float
    bank_bytes: int
    smallest_effect: float
    corrected_effect: float
    contrasts: int
    jobs: int
    training_seconds: float = 0.0
    bank_seconds: float = 0.0
    epochs: int = 1
    skipped: tuple[tuple[Cell, str], ...] = ()
    told: tuple[str, ...] = ()

    @property
    def total(self) -> float:
        """Seconds of all."""
        return self.seconds + self.teacher_seconds

    def advice(self, budget_seconds: float | None) -> str:
        """What to cut where the study is longer than a budget: each part that is longer alone, else the longest."""
        if budget_seconds is None or self.total <= budget_seconds:
            return ""
        parts = [
            (self.training_seconds, "the teachers' own training", BETTER_TEACHERS),
            (self.bank_seconds, "their banks", "fewer views, or a smaller teacher"),
            (self.total - self.training_seconds - self.bank_seconds, "the students' training", FEWER_STUDENTS),
        ]
        parts.sort(key=lambda part: -part[0])
        large = [part for part in parts if part[0] > budget_seconds] or parts[:1]
        told = [f"{what} takes {tell_span(seconds)}: try {tip}" for seconds, what, tip in large]
        share = (budget_seconds - self.bank_seconds) / (self.total - self.bank_seconds)
        if share * self.epochs >= 1:
            told.append(f"or {share:.0%} of the epochs, the teachers' too")
        return f"over the budget by {self.total / budget_seconds:.1f} times; {'; '.join(told)}"


def plan_study(study: Study, spread: float = ASSUMED_SPREAD) -> Plan:
    """Measures a few steps of each student and teacher here and multiplies; an estimate.

    Counted: the students' steps with cross-entropy, and what each method adds to them as ``methods/costs.toml`` has it
    (of one student and batch, at one machine); the teachers' own training where they have no weights yet, their banks,
    and each pass of a live one. Not counted: int8, treatments, methods that were not measured, and cells that cannot
    work. Raises AlambicError where the study could not run here: no student of the data, no device as asked for.
    """
    source = load_source(study.data)
    choose_place(study.execution.device, source)
    students = ask_students(study, source)
    ids, task = train_ids(study, source), make_task(study, source)
    copies = {name: _copy_teacher(study, name, source, task.classes) for name in study.teachers}
    skipped = find_skipped(study, source, students, {name: copy.shapes for name, copy in copies.items()})
    lost = Counter((cell.arm.name, cell.student, cell.teacher) for cell, _ in skipped)
    images = len(ids) * study.recipe.epochs
    each = {s: images / measure_speed(study, s, source) for s in study.students}
    jobs = choose_jobs(study.execution.jobs, study.execution.threads)
    views = 0 if study.execution.live_only else study.views.count
    count, total = 0, 0.0
    for arm, student in product(study.arms, study.students):
        cells = count_cells(study, arm) - sum(
            lost[arm.name, student, name] for name in (study.teachers if arm.uses_teacher else ())
        )
        count, total = count + cells, total + each[student] * cells * cost_of(arm) / jobs
    training = banks = live = size = 0.0
    epochs = [study.recipe.epochs]
    for name, entry in study.teachers.items():
        seconds, embedding = _measure_teacher(study, name, copies[name])
        banks += seconds * len(ids) * views
        if entry.fit_head:
            banks += seconds * (len(ids) + len(source.splits["tune"]))
        elif entry.spec.weights is None and not entry.spec.net.endswith(".onnx"):
            epochs.append(entry.training.recipe.epochs)
            training += STEP_PASSES * seconds * len(source.splits["train"]) * epochs[-1]
        for arm in study.arms:
            if _runs_live(study, arm, task) and (not arm.teachers or name in arm.teachers):
                cells = sum(study.seeds - lost[arm.name, student, name] for student in study.students)
                live += seconds * images * cells / jobs
        size += bank_bytes(len(ids), views, task.classes, embedding, 0)
    contrasts = count_contrasts(study)
    single, corrected = (
        detectable_effect(spread, study.seeds, image_error(study, source), alpha=0.05 / tests)
        for tests in (1, max(contrasts, 1))
    )
    taught = training + banks + live
    told = tuple(tell_source(study, source))
    parts = (training, banks, min(epochs), tuple(skipped), told)
    return Plan(count, total, each, taught, int(size), single, corrected, contrasts, jobs, *parts)


def count_contrasts(study: Study) -> int:
    """How many tests Holm counts: the declared ones, else each taught arm of a student with the student alone."""
    if study.confirmation is not None:
        return len(study.confirmation.contrasts)
    return sum(count_cells(study, arm) // study.seeds for arm in study.arms if arm.uses_teacher)


def count_cells(study: Study, arm: Arm) -> int:
    """How many cells an arm has for each student, those that cannot work with a teacher among them."""
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


@dataclass(frozen=True)
class _Copy:
    """An untrained copy of a teacher, and its shapes: None where only preparing it would tell them."""

    net: torch.nn.Module
    size: tuple[int, int]
    channels: int
    shapes: OutputSpec | None


def _copy_teacher(study: Study, name: str, source: Source, classes: int) -> _Copy:
    spec: TeacherSpec = study.teachers[name].spec
    card = {} if spec.weights is None else read_card(study.folder / spec.weights)
    if spec.weights is not None:
        spec = merge_card(spec, card)
    size, channels = spec.size or source.size, spec.channels or source.channels
    net = create_net(spec, int(card.get("classes", classes)), channels, size, study.folder).eval()
    changed = study.teachers[name].fit_head or spec.groups or source.merged  # its classes become others
    example = torch.zeros(2, channels, *size)
    return _Copy(net, size, channels, None if changed else probe(net, example, f"teacher {name!r}"))


def _measure_teacher(study: Study, name: str, copy: _Copy) -> tuple[float, int]:
    """(seconds an image, embedding width guessed from the last layer)."""
    images, label = torch.randn(16, copy.channels, *copy.size), f"teacher {name!r}"
    with _as_trained(study):
        run_once(copy.net, images, label)
        started = time.perf_counter()
        run_once(copy.net, images, label)
        seconds = (time.perf_counter() - started) / len(images)
    linears = [m for m in copy.net.modules() if isinstance(m, torch.nn.Linear)]
    return seconds, linears[-1].in_features if linears else 0
