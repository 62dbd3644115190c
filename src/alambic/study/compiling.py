"""Plain or compiled training: settled once for each student of a study, kept in the study's folder.

Compiling pays for some students only, and only where they train for long. Compiled code differs in its last bits, so
the choice is part of each cell's content, and a study that goes on keeps it, on whatever machine.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from alambic.data import Source, load_source
from alambic.errors import AlambicError
from alambic.files import write_atomic
from alambic.models.compiled import Compiled, check_compiler
from alambic.models.taps import Tapped
from alambic.study.cell import Arm
from alambic.study.content import make_objective, make_student, make_task, train_ids
from alambic.study.follow import Say
from alambic.study.local import choose_jobs
from alambic.study.plan import count_cells, measure_speed
from alambic.study.study_file import Study
from alambic.study.treat import treat_study
from alambic.training.layout import safe_channels_last
from alambic.training.setup import input_shape, probe

FILE = "compiled.json"
LEAST = 3600.0  # seconds of plain training a process, below which measuring, about a minute, would cost too much
MARGIN = 2.0  # how many times its compile time a student must save
GAIN = 1.05  # by how much compiled training must be quicker: less is noise
ROUNDS = 9
TOLERANCE = {"fp32": 1e-3, "bf16": 0.1}  # of the largest value: between plain and compiled numbers of one step


@dataclasses.dataclass(frozen=True)
class Measured:
    """Training images a second of one process, plain and compiled; seconds until the first compiled step is done,
    with nothing in torch's cache (``cold``) and by another process after that (``warm``)."""

    plain: float
    compiled: float
    cold: float
    warm: float


Measure = Callable[[Study, str], Measured]  # study, student; AlambicError where it cannot be compiled


def settle_compiling(study: Study, source: Source, out: Path, say: Say, measure: Measure | None = None) -> Study:
    """The study with the students that train compiled, where the file asks for compiling.

    Decides on a student once and writes ``compiled.json``; reads it afterwards. Raises AlambicError for a file that
    cannot be read.
    """
    asked, path = study.execution.compile, out / FILE
    if not asked:
        return study
    kept = _read(path) if path.exists() else {}
    for name in study.students:
        if name not in kept or kept[name]["asked"] != asked:
            kept[name] = decide(study, name, source, measure or measure_student)
            say(f"student {name}: trains {'compiled' if kept[name]['compiled'] else 'plain'}: {kept[name]['because']}")
            _write(path, kept)
    return dataclasses.replace(study, compiled=tuple(name for name in study.students if kept[name]["compiled"]))


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        kept = json.loads(path.read_text())
        return {name: {**told, "asked": told["asked"], "compiled": told["compiled"]} for name, told in kept.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise AlambicError(
            f"{path}: expected which students this study compiles, got {error}, because the file changed; try "
            "restoring it: compiled cells are other cells"
        ) from error


def _write(path: Path, kept: dict[str, dict[str, Any]]) -> None:
    write_atomic(path, lambda part: part.write_text(json.dumps(kept, indent=2) + "\n"))


def decide(study: Study, student: str, source: Source, measure: Measure) -> dict[str, Any]:
    """Whether a student trains compiled, why, and what was measured."""
    asked = study.execution.compile
    images, forms = weigh(study, source)
    jobs = choose_jobs(study.execution.jobs, study.execution.threads)
    if not forms:
        return {"asked": asked, "compiled": False, "because": "every arm has a treatment, which changes the step"}
    if asked == "auto":
        seconds = images / jobs / measure_speed(study, student, source)
        if seconds < LEAST:
            because = f"{seconds:.0f} seconds of training a process, of {LEAST:.0f} from which it may pay"
            return {"asked": asked, "compiled": False, "because": because}
    try:
        check_compiler()
        if asked is True:
            _try_in_process(study, student, None)
            return {"asked": asked, "compiled": True, "because": "the study asks for it"}
        found = measure(study, student)
    except AlambicError as error:
        return {"asked": asked, "compiled": False, "because": str(error)}
    saved = images / jobs * (1 / found.plain - 1 / found.compiled)
    cost = forms * (found.cold + found.warm)  # as if no form were in the cache, and the study stopped once
    because = (
        f"{found.compiled:.0f} images a second against {found.plain:.0f} save {saved:.0f} seconds a process, and "
        f"compiling takes {cost:.0f}"
    )
    pays = saved > MARGIN * cost and found.compiled > GAIN * found.plain
    told = {"asked": asked, "compiled": pays, "because": because}
    return {**told, "measured": dataclasses.asdict(found)}


def weigh(study: Study, source: Source) -> tuple[int, int]:
    """(training images of a student's cells that may be compiled, in how many forms it would be compiled)."""
    images, forms = 0, set()
    for arm, needs in _read_by(study, source):
        recipe = treat_study(study, arm).recipe
        images += count_cells(study, arm) * recipe.epochs * len(train_ids(study, source))
        forms.add((needs, recipe.batch, recipe.precision))
    return images, len(forms)


def _read_by(study: Study, source: Source) -> list[tuple[Arm, frozenset[str]]]:
    """Arms whose cells may be compiled, and what each reads of the student."""
    task = make_task(study, source)
    return [(arm, make_objective(arm, task).needs.student | {"logits"}) for arm in study.arms if not arm.treatments]


def measure_student(study: Study, student: str) -> Measured:
    """Measures in two processes of its own, one after the other, with a cache of their own."""
    with tempfile.TemporaryDirectory() as cache:
        plain, compiled, cold = _try_in_process(study, student, cache)
        *_, warm = _try_in_process(study, student, cache)
    return Measured(plain, compiled, cold, warm)


def _try_in_process(study: Study, student: str, cache: str | None) -> tuple[float, float, float]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(_try, study, student, cache).result()
        except BrokenProcessPool as error:
            raise AlambicError(
                f"student {student!r}: the process that compiled it died; try compile = false"
            ) from error


def _try(study: Study, student: str, cache: str | None) -> tuple[float, float, float]:
    if cache is not None:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
    torch.set_num_threads(study.execution.threads)
    torch.set_flush_denormal(True)
    return time_student(study, student, load_source(study.data))


def time_student(study: Study, student: str, source: Source) -> tuple[float, float, float]:
    """(plain images a second, compiled ones, seconds until the first compiled step is done), cross-entropy's cost left
    out. Raises AlambicError where a student cannot be compiled, or its numbers are others then.

    Numbers are compared with all read that any arm reads; speed is that of what most cells read.
    """
    wants: Counter[frozenset[str]] = Counter()
    for arm, needs in _read_by(study, source):
        wants[needs] += count_cells(study, arm)
    step = _Step(study, student, source, frozenset().union(*wants))
    expected, compiled = step.results(step.tapped), Compiled(step.tapped)
    started = time.perf_counter()
    try:
        found = step.results(compiled)
    except Exception as error:  # torch tells what it cannot compile, such as a branch on a tensor, in many ways
        if isinstance(error, AlambicError):
            raise
        told = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise AlambicError(f"student {student!r}: torch.compile refuses it: {told}") from error
    seconds = time.perf_counter() - started
    if not compiled.is_shared():
        raise AlambicError(
            f"student {student!r}: expected a forward that keeps its parameters and buffers, got one that puts others "
            "in their place, because compiled code does that in a copy; try self.buffer.copy_(…)"
        )
    for name, values in expected.items():
        largest = max(float(value.abs().max()) for value in values)
        apart = max(float((a - b).abs().max()) for a, b in zip(values, found[name], strict=True))
        if not apart <= TOLERANCE[study.recipe.precision] * largest:
            raise AlambicError(
                f"student {student!r}: expected its {name} when compiled, got others by {apart:.1e} of {largest:.1e}, "
                "because torch.compile changes what it draws or computes"
            )
    plain, quick = _compare(_Step(study, student, source, max(wants, key=lambda want: wants[want])), study)
    return plain, quick, seconds


def _compare(step: _Step, study: Study) -> tuple[float, float]:
    """(plain, compiled) images a second of steps taken in turn."""
    clock = time.process_time if study.execution.threads == 1 else time.perf_counter

    def take(tapped: Tapped) -> float:
        begun = clock()
        step(tapped)
        return clock() - begun

    compiled, before, ratios = Compiled(step.tapped), [], []
    step(compiled)
    for _ in range(ROUNDS):
        first, spent, last = take(step.tapped), take(compiled), take(step.tapped)
        before.append((first + last) / 2)
        ratios.append(spent / before[-1])
    plain = len(step.images) / statistics.median(before)
    return plain, plain / statistics.median(ratios)


class _Step:
    """A pass forward and back of a student on noise, with a gradient through each thing that is read of it."""

    def __init__(self, study: Study, student: str, source: Source, want: frozenset[str]) -> None:
        torch.manual_seed(0)
        self.net = make_student(study, student, source, 0)
        self.bf16 = study.recipe.precision == "bf16"
        example = torch.zeros(2, *input_shape(source, study.views))
        shapes = probe(self.net, example, f"student {student!r}")
        want -= set() if shapes.embedding is not None else {"embedding", "head"}
        want -= set() if shapes.stages else {"stages", "energy"}
        self.tapped = Tapped(self.net, example, want, label=f"student {student!r}")
        self.images = torch.randn(min(study.recipe.batch, len(train_ids(study, source))), *example.shape[1:])
        if study.recipe.channels_last and safe_channels_last(self.net):
            self.net.to(memory_format=torch.channels_last)
            self.images = self.images.contiguous(memory_format=torch.channels_last)
        self.net.train()

    def __call__(self, tapped: Tapped) -> list[Tensor]:
        self.net.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            seen = tapped(self.images)
        given = [seen.need_logits(), seen.embedding, *(stage.tensor for stage in seen.stages), *seen.energy]
        outputs = [value.float() for value in given if value is not None]
        torch.stack([value.square().mean() for value in outputs]).sum().backward()
        return outputs

    def results(self, tapped: Tapped) -> dict[str, list[Tensor]]:
        """Outputs, gradients and what the pass kept (running statistics); the network's state is put back."""
        before = {name: value.clone() for name, value in self.net.state_dict().items()}
        outputs = [value.detach().clone() for value in self(tapped)]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in self.net.parameters()]
        kept = [value.float().clone() for value in self.net.buffers()]
        self.net.load_state_dict(before)
        return {"outputs": outputs, "gradients": gradients, "statistics": kept or outputs}
