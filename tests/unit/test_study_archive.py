"""A ledger survives its journey through Parquet, byte for byte, and a damaged folder is refused."""

import sqlite3

import numpy as np
import pyarrow.parquet as pq
import pytest

from alambic.cli import main
from alambic.errors import AlambicError
from alambic.study.archive import COLUMNS, restore_ledger, write_archive
from alambic.study.ledger import Ledger, Predictions, Row


@pytest.fixture
def ledger(tmp_path):
    path = tmp_path / "run" / "ledger.sqlite"
    made = Ledger(path)
    made.set_meta("study_name", "one")
    rng = np.random.default_rng(0)
    for index in range(3):
        row = Row(f"cell{index}", {"seed": index, "arm": {"name": "é"}}, "done", "", {"test": 0.1 * index, "bad": None})
        curve = [{"epoch": epoch, "loss": {"ce": rng.normal()}} for epoch in (1, 2, 10)]
        given = Predictions(rng.integers(-1, 100, 5 + index), rng.normal(size=5 + index).astype(np.float32))
        empty = Predictions(np.empty(0, np.int64), np.empty(0, np.float32))
        made.record(row, curve, {("test", "fp32"): given, ("tune", "int8"): empty})
    made.record(Row("skip", {}, "skipped", "two classes", {}))
    made.record_bank("bank", {"bytes": 3})
    made.close()
    return path


def dump(path):
    db = sqlite3.connect(path)
    found = {
        table: db.execute(f"SELECT {', '.join(c)} FROM {table} ORDER BY 1, 2").fetchall()
        for table, c in COLUMNS.items()
    }
    db.close()
    return found


def test_round_trip(ledger, tmp_path):
    write_archive(ledger, tmp_path / "kept")
    assert restore_ledger(tmp_path / "kept", tmp_path / "again" / "ledger.sqlite") == 4
    assert dump(tmp_path / "again" / "ledger.sqlite") == dump(ledger)
    assert Ledger(tmp_path / "again" / "ledger.sqlite").rows() == Ledger(ledger, read_only=True).rows()  # writable


def test_files_are_equal_whenever_they_are_written(ledger, tmp_path):
    for name in ("a", "b"):
        write_archive(ledger, tmp_path / name)
    for table in COLUMNS:
        assert (tmp_path / "a" / f"{table}.parquet").read_bytes() == (tmp_path / "b" / f"{table}.parquet").read_bytes()


def test_another_program_reads_predictions_as_lists(ledger, tmp_path):
    write_archive(ledger, tmp_path / "kept")
    own = Ledger(ledger, read_only=True)
    for found in pq.read_table(tmp_path / "kept" / "predictions.parquet").to_pylist():
        expected = own.predictions(found["cell"], found["split"], found["precision"])
        assert found["predicted"] == expected.predicted.tolist()
        assert np.array_equal(np.array(found["margin"], np.float32), expected.margin)


def test_the_folder_is_read_in_place(ledger, tmp_path):
    write_archive(ledger, tmp_path / "kept")
    there, here = Ledger(tmp_path / "kept", read_only=True), Ledger(ledger, read_only=True)
    assert there.rows() == here.rows()
    assert there.curve("cell1") == here.curve("cell1")
    assert there.banks() == here.banks()
    assert there.meta("study_name") == "one"


def test_damaged_and_missing_files_are_refused(ledger, tmp_path, capsys):
    kept = tmp_path / "kept"
    write_archive(ledger, kept)
    content = (kept / "cells.parquet").read_bytes()
    (kept / "cells.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(AlambicError, match=r"table cells .*cells\.parquet"):
        Ledger(kept, read_only=True)
    with pytest.raises(AlambicError, match=r"table cells"):
        restore_ledger(kept, tmp_path / "new" / "ledger.sqlite")
    assert not list((tmp_path / "new").iterdir())
    (kept / "cells.parquet").unlink()
    with pytest.raises(AlambicError, match=r"expected a folder with meta\.parquet, cells\.parquet"):
        restore_ledger(kept, tmp_path / "new" / "ledger.sqlite")
    assert main(["study", "export", str(tmp_path / "none.sqlite"), "--out", str(kept)]) == 2
    assert "expected a ledger" in capsys.readouterr().err


def test_a_ledger_is_never_overwritten(ledger, tmp_path):
    assert main(["study", "export", str(ledger), "--out", str(tmp_path / "kept")]) == 0
    with pytest.raises(AlambicError, match="expected no ledger"):
        restore_ledger(tmp_path / "kept", ledger)
