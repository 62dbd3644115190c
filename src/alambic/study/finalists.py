"""The finalists of a study: once all cells are done, the best of each student are looked at more closely.

They are chosen by tune score alone. Each gets the whole split on the device's kernels, and quantisation-aware training
(``deploy.qat``) from its trained weights by the arm's own objective, scored like any other int8 network. Nothing here
is part of a cell: ids and earlier numbers stay.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from alambic.deploy.int8 import Int8Result
from alambic.deploy.measure import predict_onnx
from alambic.deploy.packages import has
from alambic.deploy.qat import insert_qat, remove_qat
from alambic.deploy.read import read_graph
from alambic.deploy.targets.host import predict_litert
from alambic.deploy.targets.tflm import predict_tflm
from alambic.deploy.tflite import emit_tflite
from alambic.errors import AlambicError, one_line
from alambic.study.artefact import choose_calibration, load_trained, quantise_cell, see_clean
from alambic.study.cell import Cell, taught_by
from alambic.study.content import make_objective, make_task, train_ids
from alambic.study.follow import Say
from alambic.study.ledger import Ledger, Predictions, Row
from alambic.study.prepare import Prepared
from alambic.study.specs import Finalists
from alambic.study.treat import treat_study
from alambic.study.work import Workshop
from alambic.suitability.gains import is_alone
from alambic.training.lockstep import train_group
from alambic.training.setup import set_up
from alambic.training.task import evaluate_metric, predict
from alambic.treatments.registry import all_treatments

Found = tuple[dict[str, Any], dict[tuple[str, str], Predictions]]


def finish_finalists(prepared: Prepared, ledger: Ledger, out: Path, say: Say) -> int:
    """Measures the finalists that the ledger does not hold so already; returns how many. A kill costs one of them.

    None are chosen while a cell of the study is untrained, as after a run of one seed. An arm of which a seed failed
    is none of them; what failed may be done after another run, and is then compared too.
    """
    study = prepared.study
    if not study.finalists.count or not study.int8.enabled:
        return 0
    states = {row.id: row.state for row in ledger.rows()}
    untrained = sum(states.get(cell.id) not in ("done", "failed") for cell in prepared.cells)
    if untrained:
        say(f"no finalists yet: {untrained} cells of the study are untrained, and the rest would choose")
        return 0
    failed = sorted({f"{cell.arm.name} into {cell.student}" for cell in prepared.cells if states[cell.id] == "failed"})
    if failed:
        say(f"not among the finalists: {', '.join(failed)}, because a training failed")
    rows = {row.id: row for row in ledger.rows("done")}
    chosen = choose_finalists(prepared.cells, rows, study.finalists.count)
    asked = json.dumps(dataclasses.asdict(study.finalists), sort_keys=True)
    left = [cell for cell in chosen if rows[cell.id].numbers.get("finalist") != asked]
    if left:
        say(f"{len(left)} finalists: {', '.join(sorted({cell.arm.name for cell in left}))}")
    workshop = Workshop(prepared, out)
    for cell in left:
        row = rows[cell.id]
        try:
            numbers, predictions = measure_finalist(workshop, cell, row, study.finalists)
        except AlambicError as error:  # the training is paid for: the row stays and says why
            numbers, predictions = {"finalist_error": one_line(error)}, {}
        kept = {key: value for key, value in row.numbers.items() if key != "finalist_error"}
        told = dataclasses.replace(row, numbers={**kept, **numbers, "finalist": asked})
        ledger.record(told, predictions=predictions)
        say(f"finalist {cell.label}: {_tell(told, _split(cell))}")
    return len(left)


def choose_finalists(cells: Sequence[Cell], rows: dict[str, Row], count: int) -> list[Cell]:
    """All seeds of the ``count`` best arms of each student by mean tune score, and of the student alone beside them.

    An arm counts only with all its seeds trained and quantised, since means over fewer say something else; a control
    is none of them. Where a study computes the test split for some cells only, these are the candidates.
    """
    tested = [cell for cell in cells if cell.content["tested"]]
    groups: dict[tuple[str, ...], list[Cell]] = {}
    for cell in tested or cells:
        key = (cell.student, cell.teacher or "", json.dumps(dataclasses.asdict(cell.arm), sort_keys=True))
        groups.setdefault(key, []).append(cell)
    sized = {row.id for row in rows.values() if "weight_bytes" in row.numbers}
    whole = [group for group in groups.values() if all(cell.id in sized for cell in group)]
    found: list[Cell] = []
    for student in dict.fromkeys(group[0].student for group in whole):
        mine = [group for group in whole if group[0].student == student]
        plain = [group for group in mine if _is_plain(group[0])]
        taught = [group for group in mine if not _is_plain(group[0]) and not _is_control(group[0])]
        taught.sort(key=lambda group: -float(np.mean([rows[cell.id].numbers["tune"] for cell in group])))
        found += [cell for group in plain + taught[:count] for cell in group]
    return found


def _is_plain(cell: Cell) -> bool:
    return is_alone({"arm": dataclasses.asdict(cell.arm)})


def _is_control(cell: Cell) -> bool:
    return any(all_treatments()[name].kind == "control" for name in cell.arm.treatments)


def measure_finalist(workshop: Workshop, cell: Cell, row: Row, asked: Finalists) -> Found:
    """Numbers and predictions: ``SPLIT_kernels_whole``, ``SPLIT_qat_int8`` and where both are asked for
    ``SPLIT_qat_kernels``; the int8 file after QAT stands beside the weights."""
    study, source, split = workshop.study, workshop.source, _split(cell)
    numbers: dict[str, Any] = {}
    predictions: dict[tuple[str, str], Predictions] = {}
    ids = source.splits[split]
    images, labels = see_clean(study, source, cell, ids).numpy(), source.labels[ids].numpy()

    def score(name: str, logits: np.ndarray[Any, Any]) -> None:
        found = Predictions(*predict(logits))
        predictions[split, name] = found
        numbers[f"{split}_{name}"] = evaluate_metric(study.task.metric, found.predicted, found.margin, labels)

    net = load_trained(study, source, cell, workshop.out)
    with tempfile.TemporaryDirectory() as name:
        if asked.whole_test:
            made = quantise_cell(study, source, cell, net, Path(name))
            score("kernels_whole", run_kernels(made, images))
        if asked.qat_epochs:
            tune_on_int8(workshop, cell, row, net, asked)
            made = quantise_cell(study, source, cell, net, Path(name), equalise=False)  # it learnt the grid it has
            score("qat_int8", predict_onnx(made.onnx_int8, images))
            if asked.whole_test:
                score("qat_kernels", run_kernels(made, images))
            shutil.copy(made.onnx_int8, workshop.out / "students" / f"{cell.id}-qat-int8.onnx")
    return numbers, predictions


def run_kernels(made: Int8Result, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Logits of normalised images by TFLite-Micro, else by LiteRT's reference kernels."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "student.tflite"
        emit_tflite(read_graph(made.onnx_int8), path)
        return (predict_tflm if has("tflite_micro") else predict_litert)(path, images)


def tune_on_int8(workshop: Workshop, cell: Cell, row: Row, net: nn.Module, asked: Finalists) -> None:
    """Trains a network on, in place, computing on int8-rounded numbers; it comes back plain, BatchNorm folded.

    The arm's objective and teacher stay; projectors begin anew, and treatments of student and step are over.
    """
    study, source = treat_study(workshop.study, cell.arm), workshop.source
    recipe = dataclasses.replace(
        study.recipe,
        epochs=asked.qat_epochs,
        lr=study.recipe.lr * asked.qat_lr,
        warmup=0.0,
        eval_every=asked.qat_epochs,
    )
    images = see_clean(study, source, cell, choose_calibration(study, source))
    insert_qat(net, images, per_channel=study.int8.per_channel)
    key = taught_by(cell)
    run = set_up(
        net,
        make_objective(cell.arm, make_task(study, source)),
        workshop.there,
        train_ids(study, source),
        source.splits["tune"],
        study.views,
        recipe,
        cell.seed,
        feed=workshop.feeds([cell]).get(cell.id),
        teacher=workshop.prepared.teachers[key].shapes if key is not None else None,
        label=f"student {cell.student!r} in QAT",
    )
    if "weights" in row.numbers:  # that balanced the losses of the first training
        run.objective.weights = tuple(row.numbers["weights"])
    (outcome,) = train_group([run])
    if outcome.error is not None:
        raise AlambicError(f"QAT of {cell.label} expected to end, but: {outcome.error}") from outcome.error
    remove_qat(net.cpu())
    net.eval()


def _split(cell: Cell) -> str:
    return "test" if cell.content["tested"] else "tune"


def _tell(row: Row, split: str) -> str:
    if "finalist_error" in row.numbers:
        return row.numbers["finalist_error"]
    names = (f"{split}_int8", f"{split}_kernels_whole", f"{split}_qat_int8", f"{split}_qat_kernels")
    return ", ".join(f"{name} {row.numbers[name]:.4f}" for name in names if name in row.numbers)
