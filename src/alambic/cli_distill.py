"""``alambic distill``: a study of one cell, and its student as a file."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from alambic.errors import AlambicError


def distill_one(options: argparse.Namespace) -> int:
    from alambic.cli_study import make_request
    from alambic.files import make_folder, write_atomic
    from alambic.study.compose import compose_study
    from alambic.study.ledger import Ledger
    from alambic.study.run import run_study
    from alambic.study.study_file import MOST_SEEDS, read_study
    from alambic.training import stop

    stop.listen()
    if not 0 <= options.seed < MOST_SEEDS:
        raise AlambicError(f"expected --seed from 0 to {MOST_SEEDS - 1}, got {options.seed}")
    settings = dict(_parse_setting(text) for text in options.setting)
    make_folder(options.out)
    path = options.out / "study.toml"
    text = compose_study(make_request(options, "distill", seeds=options.seed + 1, settings=settings), options.out)
    write_atomic(path, lambda part: part.write_text(text))
    study = read_study(path)
    summary = run_study(study, options.out, only_seed=options.seed)
    cell = summary.last
    if cell is None:
        rows = Ledger(summary.ledger, read_only=True).rows()
        reasons = {row.reason for row in rows if row.reason and row.content["arm"]["methods"] == options.methods}
        raise AlambicError(f"nothing was trained: {'; '.join(sorted(reasons)) or 'the ledger says no reason'}")
    weights = options.out / "students" / f"{cell}.safetensors"
    onnx = export_student(study, weights, options.out)
    print(f"student: {weights}\nONNX: {onnx}")
    return 0


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
