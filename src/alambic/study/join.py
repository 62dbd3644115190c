"""Several ledgers of one study as one: seeds or teachers that other machines trained, each its own environment class.

A cell keeps the environment that it was trained in, and a report compares within one only.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from alambic.errors import AlambicError
from alambic.files import write_atomic
from alambic.study.archive import COLUMNS, locate_ledger
from alambic.study.ledger import TABLES, Ledger, Row

ALIKE = ("study_name", "purpose", "confirm_hash", "falsifiers", "class_names", "labels_tune", "labels_test")
ORDER = {"done": 0, "skipped": 1, "failed": 2}  # of two records of one cell the first in this order is kept


@dataclass(frozen=True)
class Joined:
    """What a merge wrote: cells in all, cells that several ledgers held, environments of the finished ones."""

    cells: int
    repeated: int
    environments: int


def join_ledgers(sources: list[Path], ledger: Path) -> Joined:
    """Writes a new ledger with the cells of all ``sources``; names, file and contrasts are the first one's.

    Args:
        sources: ledger.sqlite files, folders of runs, or folders that ``study export`` wrote.

    Raises AlambicError where a ledger is there already, or the sources are of two studies: other names, contrasts,
    falsifiers or labels.
    """
    if len(sources) < 2:
        raise AlambicError(f"expected at least two ledgers to merge, got {len(sources)}; try alambic study restore")
    if ledger.exists():
        raise AlambicError(f"expected no ledger at {ledger}, got one; try another --out")
    opened = [Ledger(locate_ledger(path), read_only=True) for path in sources]
    first = opened[0]
    for other in opened[1:]:
        for key in ALIKE:
            if first.meta(key) != other.meta(key):
                raise AlambicError(
                    f"expected ledgers of one study, got another {key} in {other.path} than in {first.path}, because "
                    "results of two studies would mix; try the ledgers of one study file"
                )
    chosen: dict[str, tuple[Row, Ledger]] = {}
    held = 0
    for one in opened:
        for row in one.rows():
            held += 1
            if row.id not in chosen or ORDER[row.state] < ORDER[chosen[row.id][0].state]:
                chosen[row.id] = row, one
    with_cells = {one: [i for i, (_, owner) in chosen.items() if owner is one] for one in opened}
    environments = {
        json.dumps(row.content.get("environment"), sort_keys=True) for row, _ in chosen.values() if row.state == "done"
    }
    write_atomic(ledger, lambda path: _write(path, with_cells))
    for one in opened:
        one.close()
    return Joined(len(chosen), held - len(chosen), len(environments))


def _write(path: Path, cells: dict[Ledger, list[str]]) -> None:
    with closing(sqlite3.connect(path)) as target:
        target.executescript(TABLES)
        for index, (one, ids) in enumerate(cells.items()):
            with one.read() as source, target:
                for table, columns in COLUMNS.items():
                    query = f"SELECT {', '.join(columns)} FROM {table}"
                    into = f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * len(columns))})"
                    if table == "banks" or (table == "meta" and index == 0):
                        target.executemany(into, source.execute(query))
                    elif table != "meta":
                        name = "id" if table == "cells" else "cell"
                        for cell in ids:
                            target.executemany(into, source.execute(f"{query} WHERE {name} = ?", (cell,)))
