"""Several single-thread processes or one with several threads: measured once per study, kept in the study's folder.

Small convolutions gain little from a second thread, large ones much; which is better depends on student, batch and
machine. The choice is part of each cell's content (threads change bits), so a study that goes on keeps it, on whatever
machine.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

from alambic.data import load_source
from alambic.errors import AlambicError
from alambic.files import write_atomic
from alambic.study.follow import Say
from alambic.study.plan import measure_speed
from alambic.study.study_file import Study

FILE = "processors.json"
MARGIN = 1.05  # by how much one process must win: several waste less where cells differ in length
Measure = Callable[[Study, int, int], float]  # study, processes, threads of each -> training images a second in all


def settle_threads(study: Study, out: Path, say: Say, measure: Measure | None = None) -> Study:
    """The study with its jobs and threads as numbers, where the file leaves the threads open (``threads = 0``).

    Measures on the first call and writes ``processors.json``; reads it afterwards. Raises AlambicError for a file that
    cannot be read.
    """
    if study.execution.threads:
        return study
    path = out / FILE
    if not path.exists():
        cores = os.cpu_count() or 1
        rates = {(cores, 1): (measure or measure_rate)(study, cores, 1)}
        if cores > 1:
            rates[1, cores] = (measure or measure_rate)(study, 1, cores)
        jobs, threads = choose(rates)
        measured = [{"jobs": j, "threads": t, "images_per_second": round(rate, 1)} for (j, t), rate in rates.items()]
        text = json.dumps({"jobs": jobs, "threads": threads, "measured": measured}, indent=2) + "\n"
        out.mkdir(parents=True, exist_ok=True)
        write_atomic(path, lambda part: part.write_text(text))
        say(f"{jobs} processes of {threads} threads: the quickest of {len(rates)} measured, kept in {FILE}")
    try:
        kept = json.loads(path.read_text())
        threads, jobs = int(kept["threads"]), study.execution.jobs or int(kept["jobs"])
    except (ValueError, KeyError, TypeError) as error:
        raise AlambicError(
            f"{path}: expected the jobs and threads that this study chose, got {error}, because the file changed; try "
            "writing threads into the study file: cells with other threads are other cells"
        ) from error
    return dataclasses.replace(study, execution=dataclasses.replace(study.execution, threads=threads, jobs=jobs))


def choose(rates: dict[tuple[int, int], float]) -> tuple[int, int]:
    """(processes, threads) with the most images a second; one process must win clearly."""
    return max(rates, key=lambda pair: rates[pair] / (MARGIN if pair[0] == 1 else 1.0))


def measure_rate(study: Study, processes: int, threads: int) -> float:
    """Training images a second of the study's first student, of all processes together while all of them train."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        together = manager.Barrier(processes)
        told = dataclasses.replace(study, execution=dataclasses.replace(study.execution, threads=threads))
        with context.Pool(processes) as pool:
            return sum(pool.starmap(_measure_one, [(told, together)] * processes, chunksize=1))


def _measure_one(study: Study, together: object) -> float:
    source = load_source(study.data)
    together.wait()  # type: ignore[attr-defined]
    return measure_speed(study, study.students[0], source)
