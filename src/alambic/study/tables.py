"""The tables of a ledger, in SQLite and as Parquet files."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np

from alambic.errors import AlambicError

TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS cells (
    id TEXT PRIMARY KEY, content TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL, numbers TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS curves (cell TEXT NOT NULL, epoch INTEGER NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (cell, epoch));
CREATE TABLE IF NOT EXISTS predictions (cell TEXT NOT NULL, split TEXT NOT NULL, precision TEXT NOT NULL,
    predicted BLOB NOT NULL, margin BLOB NOT NULL, PRIMARY KEY (cell, split, precision));
CREATE TABLE IF NOT EXISTS banks (key TEXT PRIMARY KEY, card TEXT NOT NULL);
"""
COLUMNS = {
    "meta": ("key", "value"),
    "cells": ("id", "content", "state", "reason", "numbers"),
    "curves": ("cell", "epoch", "record"),
    "predictions": ("cell", "split", "precision", "predicted", "margin"),
    "banks": ("key", "card"),
}
LISTS = {"predicted": "<i2", "margin": "<f2"}  # kept as bytes in SQLite


def type_of(name: str) -> Any:
    import pyarrow as pa

    kinds = {"epoch": pa.int64(), "predicted": pa.list_(pa.int16()), "margin": pa.list_(pa.float16())}
    return kinds.get(name, pa.string())


def read_archive(folder: Path, db: sqlite3.Connection) -> None:
    """Fills the empty tables of a ledger from a folder that ``write_archive`` wrote.

    Raises AlambicError where a file is missing, damaged, or holds other columns.
    """
    with db:
        for table, columns in COLUMNS.items():
            rows = zip(*read_table(folder, table), strict=True)
            try:
                db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", rows)
            except sqlite3.IntegrityError as error:  # a key twice, or a value that is not there
                raise _damaged(folder, table, error) from error


def read_table(folder: Path, table: str) -> list[list[Any]]:
    """The values of each column of a table, as SQLite keeps them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path, expected = folder / f"{table}.parquet", {name: type_of(name) for name in COLUMNS[table]}
    try:
        read = pq.read_table(path, columns=list(expected), page_checksum_verification=True)
        found = dict(zip(read.column_names, read.schema.types, strict=True))
        if found != expected:
            raise ValueError(f"columns {found} instead of {expected}")
        read.validate(full=True)
        return [_from_arrow(name, read[name]) for name in expected]
    except (OSError, pa.ArrowException, ValueError, TypeError) as error:
        raise _damaged(folder, table, error) from error


def _damaged(folder: Path, table: str, error: Exception) -> AlambicError:
    return AlambicError(
        f"expected the ledger's table {table} in {folder / f'{table}.parquet'}, got a file that is missing or damaged: "
        f"{error}; try to export the ledger again, into another folder"
    )


def _from_arrow(name: str, column: Any) -> list[Any]:
    if name not in LISTS:
        return list(column.to_pylist())
    return [np.asarray(value.values).astype(LISTS[name]).tobytes() for value in column]
