"""The driver of a study: prepares, hands cells to the executor, writes the ledger, shows progress."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from alambic.data import Source
from alambic.files import remove_parts
from alambic.study.cell import Cell
from alambic.study.checks import check_cells, check_ledger, hash_place, list_labels
from alambic.study.compiling import settle_compiling
from alambic.study.content import environment, train_ids
from alambic.study.finalists import finish_finalists
from alambic.study.follow import Say
from alambic.study.images import share_images
from alambic.study.ledger import Ledger, Row
from alambic.study.local import Event, Executor, choose_jobs, run_cells
from alambic.study.prepare import Prepared, prepare
from alambic.study.processors import settle_threads
from alambic.study.progress import Board
from alambic.study.refit import refit_rows
from alambic.study.skips import EveryCell, tell_reasons
from alambic.study.states import KEY, read_states
from alambic.study.study_file import Study
from alambic.study.work import checkpoint_of


@dataclass
class Summary:
    """What a run of a study did: counts of cells, where the ledger is, and the cells that the study asks for."""

    done: int = 0
    kept: int = 0
    skipped: int = 0
    failed: int = 0
    ledger: Path = field(default_factory=Path)
    last: str | None = None  # id of a cell that is done
    numbers: list[dict[str, Any]] = field(default_factory=list)  # of the cells done
    cells: tuple[Cell, ...] = ()
    reasons: tuple[str, ...] = ()  # why cells were skipped, each once


def run_study(
    study: Study,
    out: Path,
    board: Board | None = None,
    say: Say = print,
    only_seed: int | None = None,
    execute: Executor = run_cells,
    accept: Callable[[Prepared], None] | None = None,
) -> Summary:
    """Runs what the ledger does not hold yet. A killed study goes on; a failed cell is tried again.

    Args:
        only_seed: leaves out cells of other seeds.
        execute: trains the cells: on this machine's processes, or elsewhere (``ray_executor.on_ray``).
        accept: called once the ledger is known to be this study's and its cells are made, before any is trained.
    """
    ledger = Ledger(out / "ledger.sqlite")
    try:
        for room in ("banks", "checkpoints", "students", "teachers"):
            remove_parts(out / room)
        study = settle_threads(study, out, say)
        with share_images(study.data, out) as (source, images):
            check_ledger(ledger, study, source)
            study = settle_compiling(study, source, out, say)
            states = read_states(ledger)
            check_cells(ledger, study, source, partial(prepare, study, out, say, source, EveryCell(), states))
            fine_tunes = study.finalists.count and study.int8.enabled  # finalists learn again, from the banks too
            finished = set() if fine_tunes else {row.id for row in ledger.rows("done")}
            prepared = dataclasses.replace(prepare(study, out, say, source, finished, states), images=images)
            if accept is not None:
                accept(prepared)
            _describe(ledger, prepared, source)
            count = len(train_ids(study, source))
            if count < study.recipe.batch:
                say(f"recipe.batch: {study.recipe.batch:,} images asked for, {count:,} there: one step an epoch")
            return _run_prepared(prepared, ledger, out, board, say, only_seed, execute)
    finally:
        ledger.close()


def _run_prepared(
    prepared: Prepared,
    ledger: Ledger,
    out: Path,
    board: Board | None,
    say: Say,
    only_seed: int | None,
    execute: Executor,
) -> Summary:
    study = prepared.study
    finished = {row.id for row in ledger.rows("done")}  # what was skipped once may work now
    for done in finished:
        checkpoint_of(out, done).unlink(missing_ok=True)
    summary = Summary(ledger=ledger.path, cells=tuple(prepared.cells))
    reasoned = []
    for cell, reason in prepared.skipped:
        if cell.id in finished:  # it worked when its package was there: the row stays
            summary.kept += 1
            continue
        ledger.record(Row(cell.id, cell.full_content, "skipped", reason, {}))
        summary.skipped += 1
        reasoned.append((cell.full_content, reason))
    summary.reasons = tuple(tell_reasons("skipped", reasoned))
    cells = [cell for cell in prepared.cells if only_seed in (None, cell.seed)]
    left = [cell for cell in cells if cell.id not in finished]
    summary.kept += len(cells) - len(left)
    summary.last = next((cell.id for cell in cells if cell.id in finished), None)
    one = prepared.place.device != "cpu" and not study.execution.jobs  # its cells train side by side
    jobs = 1 if one else choose_jobs(study.execution.jobs, study.execution.threads)
    say(f"{len(left)} cells to train, {summary.kept} kept, {summary.skipped} skipped; {jobs} processes")
    for line in summary.reasons:
        say(line)
    started = time.monotonic()
    if left:
        with board or Board(len(left)) as shown:
            for event in execute(prepared, left, out, jobs):
                shown.show(event)
                _write(ledger, event, summary)
                if event.kind == "done":  # not before: its row is what a kill must not cost again
                    checkpoint_of(out, event.cell.id).unlink(missing_ok=True)
    refit_rows(study, cells, ledger, out, say)
    finish_finalists(prepared, ledger, out, say)
    ledger.set_meta("finished", time.strftime("%Y-%m-%d %H:%M:%S"))
    spent = float(ledger.meta("seconds") or 0) + time.monotonic() - started
    ledger.set_meta("seconds", f"{spent:.1f}")
    return summary


def _describe(ledger: Ledger, prepared: Prepared, source: Source) -> None:
    study = prepared.study
    ledger.set_meta("study_place", hash_place(study))
    ledger.set_meta(KEY, json.dumps(prepared.states))
    if study.confirmation is not None:
        ledger.set_meta("confirm_hash", study.confirmation.hash)
        ledger.set_meta("smallest_effect", str(study.confirmation.smallest_effect))
        ledger.set_meta("confirm", json.dumps([vars(contrast) for contrast in study.confirmation.contrasts]))
    falsifiers = json.dumps([falsifier.told() for falsifier in study.falsifiers])
    if study.falsifiers and ledger.meta("falsifiers_first") is None:  # what was named before the run
        ledger.set_meta("falsifiers_first", falsifiers)
    ledger.set_meta("falsifiers", falsifiers)
    if study.confirmation is not None:
        ledger.set_meta("first_seed", str(study.first_seed))
        if ledger.meta("seeds_first") is None:  # what was asked for before the run; an older ledger says it so
            ledger.set_meta("seeds_first", ledger.meta("seeds") or str(study.seeds))
    ledger.set_meta("seeds", str(study.seeds))
    for split, labels in list_labels(source).items():
        ledger.set_meta(f"labels_{split}", labels)
    ledger.set_meta("class_names", json.dumps(list(source.class_names)))
    ledger.set_meta("train_images", str(len(train_ids(study, source))))
    ledger.set_meta("study_name", study.name)
    ledger.set_meta("study_text", study.text)
    ledger.set_meta("purpose", study.purpose)
    ledger.set_meta("environment", json.dumps(environment()))
    if ledger.meta("started") is None:
        ledger.set_meta("started", time.strftime("%Y-%m-%d %H:%M:%S"))
    for key, card in prepared.banks.items():
        ledger.record_bank(key, card)


def _write(ledger: Ledger, event: Event, summary: Summary) -> None:
    cell: Cell = event.cell
    if event.kind == "done":
        result = event.detail
        row = Row(cell.id, cell.full_content, "done", "", result.numbers)
        ledger.record(row, result.curve, result.predictions)
        summary.done += 1
        summary.last = cell.id
        summary.numbers.append(result.numbers)
    elif event.kind == "failed":
        ledger.record(Row(cell.id, cell.full_content, "failed", str(event.detail), {}))
        summary.failed += 1
