"""A ledger survives its journey through Parquet, byte for byte, and a damaged folder is refused."""

import resource
import sqlite3
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alambic.cli import main
from alambic.errors import AlambicError
from alambic.study.archive import restore_ledger, write_archive
from alambic.study.cell import Arm, Cell
from alambic.study.ledger import Ledger, Predictions, Row
from alambic.study.tables import COLUMNS

STUDIES = Path(__file__).parent.parent.parent / "studies"


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


@contextmanager
def little_room(size=8192):
    """No file grows beyond ``size`` bytes: what a full disk does to whoever writes one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


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


def test_an_export_of_another_study_is_not_replaced(ledger, tmp_path, capsys):
    kept = tmp_path / "kept"
    write_archive(ledger, kept)
    before = contents(kept)
    changed = Ledger(ledger)
    changed.set_meta("study_name", "two")
    changed.close()
    assert main(["study", "export", str(ledger), "--out", str(kept)]) == 2
    assert "export of the study 'two' to replace" in capsys.readouterr().err
    assert contents(kept) == before


def test_an_export_of_the_same_study_is_replaced(ledger, tmp_path):
    kept = tmp_path / "kept"
    write_archive(ledger, kept)
    (kept / "notes.md").write_text("mine")
    changed = Ledger(ledger)
    changed.record(Row("new", {}, "failed", "broke", {}))
    changed.close()
    write_archive(ledger, kept)
    assert len(Ledger(kept, read_only=True).rows()) == 5
    assert set(contents(kept)) == {"notes.md", *(f"{table}.parquet" for table in COLUMNS)}


def test_an_export_that_fails_leaves_the_old_one_whole(ledger, tmp_path):
    kept = tmp_path / "kept"
    write_archive(ledger, kept)
    before = contents(kept)
    changed = Ledger(ledger)
    noise = np.random.default_rng(0).integers(0, 1000, 200_000)
    row = Row("new", {}, "done", "", {})
    changed.record(row, [{"epoch": 1}], {("test", "fp32"): Predictions(noise, noise.astype(np.float32))})
    changed.close()
    with little_room(65536), pytest.raises(AlambicError, match=r"kept: .*what was there before is untouched"):
        write_archive(ledger, kept)
    assert contents(kept) == before


def test_no_room_for_a_restored_ledger_is_told(ledger, tmp_path, capsys):
    write_archive(ledger, tmp_path / "kept")
    with little_room():
        assert main(["study", "restore", str(tmp_path / "kept"), "--out", str(tmp_path / "new")]) == 2
    assert "ledger.sqlite: " in capsys.readouterr().err
    assert not list((tmp_path / "new").iterdir())


@pytest.mark.parametrize("table", COLUMNS)
def test_a_flipped_bit_is_found(table, ledger, tmp_path):
    kept = tmp_path / "kept"
    write_archive(ledger, kept)
    whole = Ledger(kept, read_only=True)
    path = kept / f"{table}.parquet"
    body, refused = path.read_bytes(), []
    for place in range(4, len(body), 7):
        changed = bytearray(body)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            read = Ledger(kept, read_only=True)
        except AlambicError as error:
            refused.append(str(error))
        else:  # a bit that nothing is read from, such as a statistic
            with whole.read() as expected, read.read() as found:
                query = f"SELECT * FROM {table} ORDER BY 1, 2"
                assert found.execute(query).fetchall() == expected.execute(query).fetchall()
            read.close()
    assert len(refused) > 5
    assert all(str(path) in error for error in refused)


def test_a_file_without_checksums_is_read(ledger, tmp_path):
    write_archive(ledger, tmp_path / "kept")
    for table in COLUMNS:
        path = tmp_path / "kept" / f"{table}.parquet"
        pq.write_table(pq.read_table(path), path, compression="zstd")
    assert Ledger(tmp_path / "kept", read_only=True).rows() == Ledger(ledger, read_only=True).rows()


@pytest.mark.parametrize("twice", [True, False])
def test_rows_that_no_ledger_holds_are_refused(twice, ledger, tmp_path):
    write_archive(ledger, tmp_path / "kept")
    path = tmp_path / "kept" / "meta.parquet"
    made = pq.read_table(path).to_pylist()
    pq.write_table(pa.Table.from_pylist(made + ([made[0]] if twice else [{"key": "new", "value": None}])), path)
    with pytest.raises(AlambicError, match=r"table meta in .*damaged"):
        restore_ledger(tmp_path / "kept", tmp_path / "new" / "ledger.sqlite")


@pytest.mark.parametrize("folder", sorted(STUDIES.rglob("ledger")), ids=lambda path: str(path.relative_to(STUDIES)))
def test_each_committed_cell_is_what_its_id_says(folder):
    rows = Ledger(folder, read_only=True).rows()
    assert rows
    for row in rows:
        told = row.content
        assert Cell(told["student"], told["teacher"], Arm(**told["arm"]), told["seed"], told).id == row.id
