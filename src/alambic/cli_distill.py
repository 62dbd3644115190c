"""``alambic distill``: a study of one cell, and its student as a file."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alambic.errors import AlambicError

if TYPE_CHECKING:
    from alambic.study.ledger import Row


def distill_one(options: argparse.Namespace) -> int:
    from alambic.cli_networks import make_request
    from alambic.files import make_folder, write_atomic
    from alambic.study.cell import Arm
    from alambic.study.compose import compose_study
    from alambic.study.draft import read_draft
    from alambic.study.ledger import Ledger, OtherLedger
    from alambic.study.prepare import Prepared
    from alambic.study.run import run_study
    from alambic.study.study_file import MOST_SEEDS
    from alambic.training import stop

    stop.listen()
    if not 0 <= options.seed < MOST_SEEDS:
        raise AlambicError(f"expected --seed from 0 to {MOST_SEEDS - 1}, got {options.seed}")
    settings = dict(_parse_setting(text) for text in options.setting)
    if not options.teachers and Arm("", tuple(options.methods)).uses_teacher:
        raise AlambicError(
            f"expected --teacher, got none, because --method {options.methods[0]} learns from one; try --teacher "
            "timm:NAME, weights with a card or file.onnx, or --method none for the student alone"
        )
    path = options.out / "study.toml"
    text = compose_study(make_request(options, "distill", seeds=options.seed + 1, settings=settings), options.out)
    study = read_draft(path, text)
    make_folder(options.out)

    def accept(prepared: Prepared) -> None:
        """Writes the file once it is known to be of this folder, and to train something."""
        if any(cell.seed == options.seed for cell in prepared.cells):
            write_atomic(path, lambda part: part.write_text(text))

    try:
        summary = run_study(study, options.out, only_seed=options.seed, accept=accept)
    except OtherLedger as error:
        raise AlambicError(
            f"expected a new --out, or that of the same data and teacher, got {options.out}, which holds "
            f"{_tell_held(options.out)}, because results of two studies would mix; nothing was changed; try another "
            "--out"
        ) from error
    rows = Ledger(summary.ledger, read_only=True).rows()
    if summary.last is None:
        reasons = {row.reason for row in rows if row.reason and row.content["arm"]["methods"] == options.methods}
        raise AlambicError(f"nothing was trained: {'; '.join(sorted(reasons)) or 'the ledger says no reason'}")
    weights = options.out / "students" / f"{summary.last}.safetensors"
    onnx = export_student(study, weights, options.out)
    for line in tell_outcome(next(row for row in rows if row.id == summary.last)):
        print(line)
    print(f"student: {weights}\nONNX: {onnx}")
    return 0


def _tell_held(out: Path) -> str:
    from alambic.study.ledger import Ledger

    contents = [row.content for row in Ledger(out / "ledger.sqlite", read_only=True).rows("done")]
    taught = [(c["arm"]["name"], f" from {c['teacher']}" if c["teacher"] else "", c["student"]) for c in contents]
    return ", ".join(sorted({f"{arm}{teacher} into {student}" for arm, teacher, student in taught})) or "another study"


def tell_outcome(row: Row) -> list[str]:
    """The answer of a distillation: the teacher's score where its card says it, the student's, and its bytes."""
    numbers, content = row.numbers, row.content
    lines, metric = [], content["task"]["metric"]
    if content["teacher"]:
        score = content["teacher_score"]
        known = "not known" if score is None else f"{score:.4f} on the tune split"
        lines.append(f"teacher {content['teacher']}: {known}")
    split = "test" if "test" in numbers else "tune"
    told = f"student {content['student']}: {metric} {numbers[split]:.4f} on the {split} split"
    if f"{split}_int8" in numbers:
        told += (
            f", int8 {numbers[f'{split}_int8']:.4f}; int8 agrees with it on {numbers['agreement_int8']:.1%} of images"
        )
    lines.append(told)
    if "weight_bytes" in numbers:
        lines.append(
            f"{numbers['weight_bytes']:,} bytes of int8 weights and biases, {numbers['parameters']:,} parameters"
        )
    elif "int8_error" in numbers:
        lines.append(f"without int8: {numbers['int8_error']}")
    return lines


def export_student(study: Any, weights: Path, out: Path) -> Path:
    """The trained student as fp32 ONNX."""
    from alambic.data import load_source
    from alambic.deploy.export import export_onnx
    from alambic.models.teachers import load_weights
    from alambic.study.content import make_student
    from alambic.training.setup import input_shape

    source = load_source(study.data)
    net = make_student(study, study.students[0], source, 0)
    load_weights(net, weights, "student")
    return export_onnx(net.eval(), input_shape(source, study.views), out / "student.onnx").path


def _parse_setting(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator:
        raise AlambicError(f"expected --setting NAME=VALUE, got {text!r}")
    if not (name.isascii() and name.isidentifier()):
        raise AlambicError(
            f"expected --setting NAME=VALUE with the name of a setting, got {name!r}; "
            "try `alambic methods NAME`, which lists those of a method"
        )
    try:
        read = json.loads(value)
    except (ValueError, RecursionError):
        return name, value
    if not isinstance(read, str | int | float | bool) or (isinstance(read, float) and not math.isfinite(read)):
        raise AlambicError(f"expected --setting {name} as a finite number, a text, true or false, got {value!r}")
    return name, read
