"""Several ledgers of one study as one: seeds or teachers that other machines trained.

A cell keeps its environment class (torch, device, processor's architecture), and a report compares within one only:
machines of one class are pooled.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from alambic.errors import AlambicError
from alambic.files import write_atomic
from alambic.study.archive import locate_ledger
from alambic.study.ledger import Ledger, Row
from alambic.study.states import KEY, States, join_states, read_states
from alambic.study.tables import COLUMNS, TABLES

ALIKE = ("study_name", "purpose", "confirm_hash", "falsifiers", "class_names", "labels_tune", "labels_test")
ORDER = {"done": 0, "skipped": 1}  # of two records of one cell the first in this order is kept, all others last


@dataclass(frozen=True)
class Joined:
    """What a merge wrote: cells in all, cells that several ledgers held, those of them that were finished twice with
    other scores, environments of the finished ones."""

    cells: int
    repeated: int
    unlike: int
    environments: int


def join_ledgers(sources: list[Path], ledger: Path) -> Joined:
    """Writes a new ledger with the cells of all ``sources``; names, file and contrasts are the first one's.

    Of a cell that was finished twice the first source's is kept, whatever it scored.

    Args:
        sources: ledger.sqlite files, folders of runs, or folders that ``study export`` wrote.

    Raises AlambicError where a ledger is there already, or the sources are of two studies: other names, contrasts,
    falsifiers, labels or metrics.
    """
    if len(sources) < 2:
        raise AlambicError(f"expected at least two ledgers to merge, got {len(sources)}; try alambic study restore")
    if ledger.exists():
        raise AlambicError(f"expected no ledger at {ledger}, got one; try another --out")
    opened = [Ledger(locate_ledger(path), read_only=True) for path in sources]
    first = opened[0]
    for other in opened[1:]:
        for key, default in (*((key, None) for key in ALIKE), ("first_seed", "0")):
            if (first.meta(key) or default) != (other.meta(key) or default):
                raise AlambicError(
                    f"expected ledgers of one study, got another {key} in {other.path} than in {first.path}, because "
                    "results of two studies would mix; try the ledgers of one study file"
                )
    states: States = {}
    for other in opened:
        states = join_states(states, read_states(other), other.path, "the ledgers of one state of it")
    chosen: dict[str, tuple[Row, Ledger]] = {}
    held = 0
    unlike: set[str] = set()
    for one in opened:
        for row in one.rows():
            held += 1
            kept = chosen.get(row.id)
            if kept is not None and kept[0].state == row.state == "done" and _scores(kept[0]) != _scores(row):
                unlike.add(row.id)
            if kept is None or ORDER.get(row.state, 2) < ORDER.get(kept[0].state, 2):
                chosen[row.id] = row, one
    metrics = sorted({str(row.content["task"]["metric"]) for row, _ in chosen.values() if "task" in row.content})
    if len(metrics) > 1:
        raise AlambicError(
            f"expected ledgers of one metric, got {' and '.join(metrics)}, because their scores would be compared; try "
            "the ledgers of one study file"
        )
    with_cells = {one: [i for i, (_, owner) in chosen.items() if owner is one] for one in opened}
    environments = {
        json.dumps(row.content.get("environment"), sort_keys=True) for row, _ in chosen.values() if row.state == "done"
    }
    try:
        write_atomic(ledger, lambda path: _write(path, with_cells, states))
    except sqlite3.Error as error:
        raise AlambicError(f"cannot write {ledger}: {error}; the ledgers that it was made of are untouched") from error
    for one in opened:
        one.close()
    return Joined(len(chosen), held - len(chosen), len(unlike), len(environments))


def _scores(row: Row) -> dict[str, float]:
    return {key: value for key, value in row.numbers.items() if key.startswith(("tune", "test"))}


def _write(path: Path, cells: dict[Ledger, list[str]], states: States) -> None:
    with closing(sqlite3.connect(path)) as target:
        target.executescript(TABLES)
        for index, (one, ids) in enumerate(cells.items()):
            for table, columns in COLUMNS.items():
                into = f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * len(columns))})"
                for chosen in _queries(table, ids, index == 0):
                    with one.read() as source:
                        found = source.execute(f"SELECT {', '.join(columns)} FROM {table}{chosen[0]}", chosen[1])
                        rows = found.fetchall()
                    target.executemany(into, rows)
        told = [value for one in cells if (value := one.meta("falsifiers_first")) not in (None, one.meta("falsifiers"))]
        if told:  # one ledger whose controls were changed after its first run marks the whole
            target.execute("INSERT OR REPLACE INTO meta VALUES ('falsifiers_first', ?)", (told[0],))
        joined = {key: str(count) for key, count in _join_seeds(list(cells)).items()}
        for key, value in {**joined, **({KEY: json.dumps(states)} if states else {})}.items():
            target.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
        target.commit()


def _join_seeds(ledgers: list[Ledger]) -> dict[str, int]:
    """The most seeds that one asked for, and how many were asked for first: a ledger that was extended marks all."""
    asked = [(int(one.meta("seeds") or 0), int(one.meta("seeds_first") or 0)) for one in ledgers]
    most = max(seeds for seeds, _ in asked)
    extended = [first for seeds, first in asked if 0 < first < seeds]
    told = {"seeds": most} if most else {}
    return {**told, "seeds_first": min(extended, default=most)} if any(first for _, first in asked) else told


def _queries(table: str, ids: list[str], is_first: bool) -> list[tuple[str, tuple[str, ...]]]:
    """WHERE clauses, with their values, of what is taken from one source's table."""
    if table == "meta":
        return [("", ())] if is_first else []
    if table == "banks":
        return [("", ())]
    return [(f" WHERE {'id' if table == 'cells' else 'cell'} = ?", (cell,)) for cell in ids]
