"""The ledger: one SQLite file that holds every cell's result. Only the driver writes it.

Tables:
    meta      key, value: schema version, the study file's text and hash, the environment class, the teachers' states.
    cells     one row a cell: id, its content as JSON, state (done, skipped, failed), reason, and its numbers as JSON.
    curves    cell, epoch, record as JSON: loss parts, learning rate, tune score, seconds.
    predictions  cell, split (tune, test), precision (fp32, int8): predicted class of every image as int16 bytes and its
              margin as fp16 bytes, in the order of the split's ids, so that anyone recomputes any statistic.
    banks     key, provenance and cost as JSON.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alambic.errors import AlambicError
from alambic.files import make_folder
from alambic.study.tables import TABLES, read_archive

SCHEMA = 1
FREE_DISK = "; try freeing disk space, or another --out"


class OtherLedger(AlambicError):
    """The folder holds what other files, other data, another teacher or another declaration made."""


@dataclass(frozen=True)
class Predictions:
    """Of one cell on one split at one precision: class int64 N, margin float32 N."""

    predicted: np.ndarray[Any, Any]
    margin: np.ndarray[Any, Any]


@dataclass(frozen=True)
class Row:
    """One cell of the ledger.

    Attributes:
        id: hash of the content. content: what the cell is (teacher, student, method, settings, seed, data, recipe ...).
        state: ``done``, ``skipped`` (cannot work, see reason) or ``failed`` (broke, see reason).
        numbers: ``tune``, ``test``, ``test_int8``, ``seconds``, ``weight_bytes``, ``macs``, ... where they exist.
    """

    id: str
    content: dict[str, Any]
    state: str
    reason: str
    numbers: dict[str, Any]


class Ledger:
    """Opens or creates a ledger; a folder that ``alambic study export`` wrote can be read too.

    Raises AlambicError when the file is no ledger, or another process is writing it.
    """

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self.path = Path(path)
        if read_only and not self.path.exists():
            raise AlambicError(f"expected a ledger at {path}, found none; try `alambic study run` first")
        if not read_only:
            make_folder(self.path.parent)
            self._claim()
        try:
            if read_only and self.path.is_dir():
                self._db = _read_folder(self.path)
            else:
                self._db = sqlite3.connect(self._address(read_only), uri=True, timeout=5)
            if not read_only:
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.executescript(TABLES)
            found = self.meta("schema")
        except sqlite3.DatabaseError as error:
            if not read_only:
                self._lock.close()
                if isinstance(error, sqlite3.OperationalError) and "disk" in str(error):
                    raise AlambicError(
                        f"cannot write the ledger {path}: {error}; what it held is untouched{FREE_DISK}"
                    ) from error
            raise AlambicError(
                f"expected a ledger at {path}, got: {error}; another study may be running on it, or it is damaged"
            ) from error
        if found not in (None, str(SCHEMA)):
            raise AlambicError(f"ledger {path}: expected schema {SCHEMA}, got {found}: another version's; try --out")
        if not read_only and found is None:
            self.set_meta("schema", str(SCHEMA))

    def _address(self, read_only: bool) -> str:
        """Where no one can write, SQLite cannot make the file that readers share: the ledger is told not to change."""
        if not read_only:
            return self.path.resolve().as_uri()
        beside = self.path.with_name(f"{self.path.name}-wal")
        whole = not beside.exists() or not beside.stat().st_size
        fixed = whole and not os.access(self.path.parent, os.W_OK)
        return f"{self.path.resolve().as_uri()}?{'immutable=1' if fixed else 'mode=ro'}"

    def _claim(self) -> None:
        """Holds an exclusive lock beside the ledger while this driver lives: two studies never write one ledger."""
        import fcntl

        try:
            self._lock = (self.path.parent / f".{self.path.name}.lock").open("w")
        except OSError as error:
            raise AlambicError(f"cannot write beside {self.path}: {error.strerror}; try another --out") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise AlambicError(
                f"another study is running on {self.path}; wait for it, stop it, or choose another output with --out"
            ) from error

    def close(self) -> None:
        self._db.close()
        if hasattr(self, "_lock"):
            self._lock.close()

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._db:
                yield self._db
        except sqlite3.OperationalError as error:
            tip = FREE_DISK if "disk" in str(error) else ""
            raise AlambicError(
                f"cannot write the ledger {self.path}: {error}; what it held is untouched{tip}"
            ) from error
        except sqlite3.DatabaseError as error:
            raise AlambicError(
                f"cannot write the ledger {self.path}: {error}, because the file is damaged; try a copy of it, or "
                "`alambic study export` for what can still be read"
            ) from error

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """The tables, for a query of one's own; what SQLite says against them is an AlambicError."""
        try:
            yield self._db
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            raise AlambicError(
                f"expected a ledger at {self.path}, got: {error}; another study may be running on it, or it is damaged"
            ) from error

    def meta(self, key: str) -> str | None:
        with self.read() as db:
            row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        with self._write() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def record(
        self,
        row: Row,
        curve: list[dict[str, Any]] | None = None,
        predictions: dict[tuple[str, str], Predictions] | None = None,
    ) -> None:
        """Writes one finished cell with its curve and predictions in one transaction."""
        with self._write() as db:
            values = (row.id, json.dumps(row.content, sort_keys=True), row.state, row.reason, json.dumps(row.numbers))
            db.execute("INSERT OR REPLACE INTO cells VALUES (?, ?, ?, ?, ?)", values)
            for record in curve or []:
                point = (row.id, record["epoch"], json.dumps(record))
                db.execute("INSERT OR REPLACE INTO curves VALUES (?, ?, ?)", point)
            for (split, precision), given in (predictions or {}).items():
                blobs = given.predicted.astype("<i2").tobytes(), given.margin.astype("<f2").tobytes()
                told = (row.id, split, precision, *blobs)
                db.execute("INSERT OR REPLACE INTO predictions VALUES (?, ?, ?, ?, ?)", told)

    def record_bank(self, key: str, card: dict[str, Any]) -> None:
        with self._write() as db:
            db.execute("INSERT OR REPLACE INTO banks VALUES (?, ?)", (key, json.dumps(card)))

    def rows(self, state: str | None = None) -> list[Row]:
        """Cells in the order of their ids; of one state only where given."""
        query = "SELECT id, content, state, reason, numbers FROM cells"
        where, values = (" WHERE state = ?", (state,)) if state else ("", ())
        with self.read() as db:
            found = db.execute(f"{query}{where} ORDER BY id", values)
            return [Row(i, json.loads(c), s, r, json.loads(n)) for i, c, s, r, n in found]

    def curve(self, cell: str) -> list[dict[str, Any]]:
        with self.read() as db:
            found = db.execute("SELECT record FROM curves WHERE cell = ? ORDER BY epoch", (cell,))
            return [json.loads(row[0]) for row in found]

    def predictions(self, cell: str, split: str, precision: str) -> Predictions | None:
        query = "SELECT predicted, margin FROM predictions WHERE cell = ? AND split = ? AND precision = ?"
        with self.read() as db:
            row = db.execute(query, (cell, split, precision)).fetchone()
            if row is None:
                return None
            predicted, margin = np.frombuffer(row[0], "<i2"), np.frombuffer(row[1], "<f2")
        return Predictions(predicted.astype(np.int64), margin.astype(np.float32))

    def banks(self) -> dict[str, dict[str, Any]]:
        with self.read() as db:
            return {key: json.loads(card) for key, card in db.execute("SELECT key, card FROM banks ORDER BY key")}


def _read_folder(folder: Path) -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    db.executescript(TABLES)
    read_archive(folder, db)
    return db
