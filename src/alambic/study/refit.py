"""A changed chip: verdicts of finished cells are given again, from the students' stored weights; nothing is trained.

The chip is no part of a cell: what is trained does not depend on it. A row holds the hash of the entry that it was
judged for. A ledger that a repository keeps has no weights: there a fresh student stands for the trained one where
its int8 graph has the very sizes of the row, since what a chip must hold does not depend on the weights' values.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from alambic.data import Source, load_source
from alambic.deploy.chips import Chip
from alambic.deploy.graph import Int8Graph
from alambic.deploy.packages import has
from alambic.deploy.read import read_graph
from alambic.deploy.tflite import emit_tflite
from alambic.errors import AlambicError, one_line
from alambic.study.artefact import load_trained, quantise_cell
from alambic.study.cell import Cell
from alambic.study.content import make_student
from alambic.study.device import JUDGED, hash_chip, judge_row
from alambic.study.follow import Say
from alambic.study.ledger import Ledger, Row
from alambic.study.study_file import Study

SIZES = ("weight_bytes", "arena_bytes", "tflite_bytes", "peak_layer")  # equal ones: the same int8 graph


def refit_rows(study: Study, cells: Sequence[Cell], ledger: Ledger, out: Path, say: Say) -> int:
    """Judges the rows of ``cells`` that were judged for another chip, or none, for the study's; returns how many.

    Students of one name whose stored sizes are equal have the same int8 graph, so one of them stands for all; Vela's
    flash depends on the weights, so each is asked about.
    """
    chip = study.chip
    if chip is None or not study.int8.enabled:
        return 0
    known = {cell.id: cell for cell in cells}
    stale = [row for row in ledger.rows("done") if row.id in known and _is_stale(row, chip)]
    if not stale:
        return 0
    say(f"{len(stale)} rows judged for another chip: judging them for {chip.name}")
    source = load_source(study.data)
    judged: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in stale:
        key = (known[row.id].student, *(row.numbers.get(name) for name in SIZES))
        if chip.engine == "ethos" or "fits_unknown" in judged.get(key, {"fits_unknown": ""}):
            judged[key] = _judge(study, source, known[row.id], row, chip, out)
        kept = {name: value for name, value in row.numbers.items() if name not in JUDGED}
        ledger.record(replace(row, numbers={**kept, **judged[key]}))
    return len(stale)


def _is_stale(row: Row, chip: Chip) -> bool:
    if "weight_bytes" not in row.numbers:  # it has no int8 form
        return False
    told = row.numbers.get("chip_entry")
    return told != hash_chip(chip) if told is not None else row.numbers.get("chip") != chip.name


def _judge(study: Study, source: Source, cell: Cell, row: Row, chip: Chip, out: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            graph = _make_graph(study, source, cell, row, chip, out, folder)
        except AlambicError as error:
            return {"chip": chip.name, "chip_entry": hash_chip(chip), "fits": None, "fits_unknown": one_line(error)}
        if has("ai_edge_litert"):
            emit_tflite(graph, folder / "student.tflite")
        return judge_row(chip, graph, folder / "student.tflite")


def _make_graph(study: Study, source: Source, cell: Cell, row: Row, chip: Chip, out: Path, folder: Path) -> Int8Graph:
    """The trained student's int8 graph, or where its weights are lost a fresh one's of the same sizes."""
    try:
        net, trained = load_trained(study, source, cell, out), True
    except AlambicError:
        if chip.engine == "ethos":  # Vela's flash depends on the weights
            raise
        net, trained = make_student(study, cell.student, source, cell.seed).eval(), False
    made = quantise_cell(study, source, cell, net, folder)
    sizes = {name: getattr(made, name) for name in ("weight_bytes", "arena_bytes", "peak_layer")}
    told = {name: row.numbers.get(name) for name in sizes}
    if not trained and told != sizes:
        raise AlambicError(
            f"expected students/{cell.id}.safetensors, or a student of {told} to stand for it, got {sizes}; try to "
            "train it again"
        )
    return read_graph(made.onnx_int8)
