"""A ledger as Parquet files: what a repository keeps, and what another program reads without SQLite.

One file per table of the ledger, in one folder. Predictions are lists there (class int16, margin float16) instead of
bytes. A folder restored is the ledger that was written, row for row, so that what is kept is never trained again.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from alambic.errors import AlambicError
from alambic.files import make_folder, remove_parts, write_atomic
from alambic.study.ledger import Ledger
from alambic.study.tables import COLUMNS, LISTS, TABLES, read_archive, read_table, type_of


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
    """Writes each table of a ledger to ``folder/TABLE.parquet`` (zstd, with checksums), in the order of its keys.

    What was there is replaced once all tables are written. Raises AlambicError where it is another study's.
    """
    import pyarrow as pa

    if ledger.is_dir():
        raise AlambicError(
            f"expected a ledger.sqlite to export, got the folder {ledger}, because it is exported already; "
            f"try alambic report {ledger}, or alambic study restore {ledger} --out runs/NAME to go on with it"
        )
    made = {}
    with closing(Ledger(ledger, read_only=True)) as opened, opened.read() as db:
        _refuse_other_study(folder, opened.meta("study_name"))
        for table, columns in COLUMNS.items():
            names = ", ".join(columns)
            rows = db.execute(f"SELECT {names} FROM {table} ORDER BY {names}").fetchall()
            values = dict(zip(columns, zip(*rows, strict=True) if rows else [()] * len(columns), strict=True))
            made[table] = pa.table({name: _to_arrow(name, list(column)) for name, column in values.items()})
    _write_tables(made, folder)


def _refuse_other_study(folder: Path, own: str | None) -> None:
    if not (folder / "meta.parquet").is_file():
        return
    kept = dict(zip(*read_table(folder, "meta"), strict=True)).get("study_name")
    if kept != own:
        raise AlambicError(
            f"expected a new folder or an export of the study {own!r} to replace, got {folder} with the study "
            f"{kept!r}, because its results would be lost; try another --out"
        )


def _write_tables(tables: dict[str, Any], folder: Path) -> None:
    """Writes all of them beside the old ones first: a full disk leaves the old export whole."""
    import pyarrow.parquet as pq

    make_folder(folder)
    remove_parts(folder)
    old = "what was there before is untouched"
    try:
        with tempfile.TemporaryDirectory(prefix=".export.", suffix=".part", dir=folder) as beside:
            for table, made in tables.items():
                path = Path(beside) / f"{table}.parquet"
                pq.write_table(made, path, compression="zstd", write_page_checksum=True)
                with path.open("rb") as done:
                    os.fsync(done.fileno())
            old = "some tables are replaced already: export it again before you use them"
            for table in tables:
                os.replace(Path(beside) / f"{table}.parquet", folder / f"{table}.parquet")
    except OSError as error:
        raise AlambicError(
            f"cannot write the export into {folder}: {error.strerror or error}; {old}; "
            "try freeing disk space, or another --out"
        ) from error


def _to_arrow(name: str, values: list[Any]) -> Any:
    import pyarrow as pa

    if name not in LISTS:
        return pa.array(values, type_of(name))
    arrays = [np.frombuffer(value, LISTS[name]) for value in values]
    ends = np.cumsum([0, *map(len, arrays)]).astype(np.int32)
    return pa.ListArray.from_arrays(ends, pa.array(np.concatenate([np.empty(0, LISTS[name]), *arrays])))


def restore_ledger(folder: Path, ledger: Path) -> int:
    """Writes a new ledger from an archive; returns its number of cells. Raises AlambicError where one is there."""
    if not is_archive(folder):
        raise AlambicError(f"expected a folder with {', '.join(f'{t}.parquet' for t in COLUMNS)}, got {folder}")
    if ledger.exists():
        raise AlambicError(f"expected no ledger at {ledger}, got one; try another --out")
    make_folder(ledger.parent)

    def write(path: Path) -> None:
        db = sqlite3.connect(path)
        try:
            db.execute("PRAGMA journal_mode=OFF")  # a journal would outlive this file where the disk is full
            db.executescript(TABLES)
            read_archive(folder, db)
        finally:
            db.close()

    try:
        write_atomic(ledger, write)
    except sqlite3.Error as error:
        raise AlambicError(f"cannot write {ledger}: {error}; try freeing disk space, or another --out") from error
    db = sqlite3.connect(ledger)
    try:
        return int(db.execute("SELECT count(*) FROM cells").fetchone()[0])
    finally:
        db.close()
