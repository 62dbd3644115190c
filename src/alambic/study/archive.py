"""A ledger as Parquet files: what a repository keeps, and what another program reads without SQLite.

One file per table of the ledger, in one folder. Predictions are lists there (class int16, margin float16) instead of
bytes. A folder restored is the ledger that was written, row for row, so that what is kept is never trained again.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from alambic.errors import AlambicError
from alambic.files import make_folder, write_atomic

COLUMNS = {
    "meta": ("key", "value"),
    "cells": ("id", "content", "state", "reason", "numbers"),
    "curves": ("cell", "epoch", "record"),
    "predictions": ("cell", "split", "precision", "predicted", "margin"),
    "banks": ("key", "card"),
}
LISTS = {"predicted": "<i2", "margin": "<f2"}  # kept as bytes in SQLite


def is_archive(path: Path) -> bool:
    """Whether ``path`` is a folder that ``write_archive`` wrote."""
    return all((path / f"{table}.parquet").is_file() for table in COLUMNS)


def locate_ledger(path: Path) -> Path:
    """The ledger that a path stands for: itself, or the ``ledger.sqlite`` of a run's folder."""
    if not path.is_dir():
        return path
    if (path / "ledger.sqlite").is_file():
        return path / "ledger.sqlite"
    if not (path / "meta.parquet").is_file():
        raise AlambicError(
            f"expected a ledger.sqlite, or a folder that `alambic study export` wrote, got {path}, a folder without "
            "ledger.sqlite or meta.parquet; try the folder of a study's run, such as runs/NAME"
        )
    return path


def write_archive(ledger: Path, folder: Path) -> None:
    """Writes each table of a ledger to ``folder/TABLE.parquet`` (zstd), in the order of its keys."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from alambic.study.ledger import Ledger

    if ledger.is_dir():
        raise AlambicError(
            f"expected a ledger.sqlite to export, got the folder {ledger}, because it is exported already; "
            f"try alambic report {ledger}, or alambic study restore {ledger} --out runs/NAME to go on with it"
        )
    with closing(Ledger(ledger, read_only=True)) as opened, opened.read() as db:
        make_folder(folder)
        for table, columns in COLUMNS.items():
            names = ", ".join(columns)
            rows = db.execute(f"SELECT {names} FROM {table} ORDER BY {names}").fetchall()
            values = dict(zip(columns, zip(*rows, strict=True) if rows else [()] * len(columns), strict=True))
            arrays = {name: _to_arrow(name, list(column)) for name, column in values.items()}
            made = pa.table(arrays)
            write_atomic(folder / f"{table}.parquet", partial(pq.write_table, made, compression="zstd"))


def _to_arrow(name: str, values: list[Any]) -> Any:
    import pyarrow as pa

    if name == "epoch":
        return pa.array(values, pa.int64())
    if name not in LISTS:
        return pa.array(values, pa.string())
    arrays = [np.frombuffer(value, LISTS[name]) for value in values]
    ends = np.cumsum([0, *map(len, arrays)]).astype(np.int32)
    return pa.ListArray.from_arrays(ends, pa.array(np.concatenate([np.empty(0, LISTS[name]), *arrays])))


def read_archive(folder: Path, db: sqlite3.Connection) -> None:
    """Fills the empty tables of a ledger from a folder that ``write_archive`` wrote.

    Raises AlambicError where a file is missing, damaged, or holds other columns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with db:
        for table, columns in COLUMNS.items():
            path = folder / f"{table}.parquet"
            try:
                read = pq.read_table(path, columns=list(columns))
            except (OSError, pa.ArrowException) as error:
                raise AlambicError(
                    f"expected the ledger's table {table} in {path}, got: {error}; try to export the ledger again"
                ) from error
            if tuple(read.column_names) != columns:
                raise AlambicError(f"{path}: expected the columns {', '.join(columns)}, got {read.column_names}")
            rows = zip(*(_from_arrow(name, read[name]) for name in columns), strict=True)
            db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", rows)


def _from_arrow(name: str, column: Any) -> list[Any]:
    if name not in LISTS:
        return list(column.to_pylist())
    return [np.asarray(value.values).astype(LISTS[name]).tobytes() for value in column]


def restore_ledger(folder: Path, ledger: Path) -> int:
    """Writes a new ledger from an archive; returns its number of cells. Raises AlambicError where one is there."""
    from alambic.study.ledger import TABLES

    if not is_archive(folder):
        raise AlambicError(f"expected a folder with {', '.join(f'{t}.parquet' for t in COLUMNS)}, got {folder}")
    if ledger.exists():
        raise AlambicError(f"expected no ledger at {ledger}, got one; try another --out")
    make_folder(ledger.parent)

    def write(path: Path) -> None:
        db = sqlite3.connect(path)
        try:
            db.executescript(TABLES)
            read_archive(folder, db)
        finally:
            db.close()

    write_atomic(ledger, write)
    db = sqlite3.connect(ledger)
    try:
        return int(db.execute("SELECT count(*) FROM cells").fetchone()[0])
    finally:
        db.close()
