"""Judges what a study left behind, without the code under test, and notes it for the table of faults."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from alambic.files import SEAL


def note(fault: str, **told: Any) -> None:
    """Adds a line for the table of faults to the file that ``ALAMBIC_FAULTS`` names."""
    if path := os.environ.get("ALAMBIC_FAULTS"):
        with open(path, "a") as file:
            file.write(json.dumps({"fault": fault, **told}) + "\n")


def query(out: Path, text: str) -> list[Any]:
    """Rows of a ledger; none where there is no ledger, or not yet a table."""
    path = out / "ledger.sqlite"
    if not path.exists():
        return []
    with contextlib.closing(sqlite3.connect(path)) as db:
        if not db.execute("SELECT name FROM sqlite_master WHERE name = 'predictions'").fetchone():
            return []
        return db.execute(text).fetchall()


def done(out: Path) -> set[str]:
    """Ids of finished cells."""
    return {row[0] for row in query(out, "SELECT id FROM cells WHERE state = 'done'")}


def failures(out: Path) -> list[str]:
    """Reasons of failed cells."""
    return [row[0] for row in query(out, "SELECT reason FROM cells WHERE state = 'failed'")]


def find_differences(out: Path, right: Path) -> list[str]:
    """What differs from a study that nothing happened to: rows, curves (but for seconds), predictions, weights."""
    mine, theirs = _read_all(out), _read_all(right)
    return sorted(str(key) for key in set(mine) | set(theirs) if mine.get(key) != theirs.get(key))


def _read_all(out: Path) -> dict[tuple[Any, ...], Any]:
    found: dict[tuple[Any, ...], Any] = {}
    for cell, state, numbers in query(out, "SELECT id, state, numbers FROM cells"):
        found["cell", cell] = state, _untimed(numbers)
    for cell, epoch, record in query(out, "SELECT cell, epoch, record FROM curves"):
        found["curve", cell, epoch] = _untimed(record)
    for cell, *names, predicted, margin in query(out, "SELECT * FROM predictions"):
        found["predictions", cell, *names] = predicted, margin
    for path in out.glob("students/[!.]*"):
        found["weights", path.stem] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _untimed(text: str) -> dict[str, Any]:
    return {key: value for key, value in json.loads(text).items() if "seconds" not in key and key != "rss_mb"}


def find_halves(out: Path, epochs: int) -> list[str]:
    """What looks finished but is not whole: checkpoints, weights, banks, rows of the ledger."""
    found = []
    for path in out.glob("checkpoints/[!.]*"):
        content = path.read_bytes()
        body, told = content[: -64 - len(SEAL)], content[-64:].decode("ascii", "replace")
        if hashlib.sha256(body).hexdigest() != told or "student" not in _unpack(body):
            found.append(f"checkpoint {path.name}")
    for path in out.glob("*/[!.]*.safetensors"):
        taught = path.parent.name == "teachers"
        if not load_file(path) or (taught and not json.loads(path.with_suffix(".json").read_text())):
            found.append(f"weights {path.name}")
    for path in out.glob("banks/[!.]*"):
        card = json.loads((path / "bank.json").read_text())
        for name, told in card["sha256"].items():
            if hashlib.sha256((path / name).read_bytes()).hexdigest() != told:
                found.append(f"bank {path.name} {name}")
    found += [f"ledger: {row[0]}" for row in query(out, "PRAGMA integrity_check") if row != ("ok",)]
    for cell in done(out):
        curve = [row[0] for row in query(out, f"SELECT epoch FROM curves WHERE cell = '{cell}' ORDER BY epoch")]
        told = [row[0] for row in query(out, f"SELECT split FROM predictions WHERE cell = '{cell}' ORDER BY split")]
        if curve != list(range(1, epochs + 1)) or told != ["test", "tune"]:
            found.append(f"row {cell}: epochs {curve}, predictions {told}")
    return found


def _unpack(body: bytes) -> Any:
    return torch.load(io.BytesIO(body), weights_only=True)
