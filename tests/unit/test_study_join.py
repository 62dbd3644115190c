"""``alambic study merge``: ledgers of one study from several machines as one."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from alambic.cli import main
from alambic.errors import AlambicError
from alambic.report.facts.findings import find
from alambic.study.archive import write_archive
from alambic.study.join import join_ledgers
from alambic.study.ledger import Ledger
from alambic.study.tables import TABLES
from report_ledger import make_ledger


def rename(ledger: Path, letter: str, device: str) -> Path:
    """The same cells as of another machine: other ids, another environment."""
    with sqlite3.connect(ledger) as db:
        for (cell,) in db.execute("SELECT id FROM cells ORDER BY id").fetchall():
            other = letter + cell[1:]
            db.execute("UPDATE cells SET id = ? WHERE id = ?", (other, cell))
            db.execute("UPDATE curves SET cell = ? WHERE cell = ?", (other, cell))
            db.execute("UPDATE predictions SET cell = ? WHERE cell = ?", (other, cell))
            change = "UPDATE cells SET content = json_set(content, '$.environment', json(?)) WHERE id = ?"
            db.execute(change, (f'{{"device": "{device}"}}', other))
    return ledger


def split_by_arm(ledger: Path, keep: tuple[str, ...]) -> None:
    with sqlite3.connect(ledger) as db:
        marks = ", ".join("?" * len(keep))
        db.execute(f"DELETE FROM cells WHERE json_extract(content, '$.arm.name') NOT IN ({marks})", keep)


def declare(ledger: Path, *contrasts: dict[str, str]) -> None:
    held = Ledger(ledger)
    held.set_meta("confirm", json.dumps(contrasts))
    held.set_meta("confirm_hash", "one file")
    held.close()


CONTRAST = {"student": "dscnn_24x3", "arm": "rsd", "teacher": "vit", "against": "none"}


def test_sides_that_two_machines_trained_are_not_compared(tmp_path: Path) -> None:
    here, there = (make_ledger(tmp_path / f"{name}.sqlite", seeds=2, images=100) for name in ("here", "there"))
    rename(there, "g", "cuda")
    split_by_arm(here, ("none",))
    split_by_arm(there, ("rsd",))
    for ledger in (here, there):
        declare(ledger, CONTRAST)
    join_ledgers([here, there], tmp_path / "both.sqlite")
    declared = find(tmp_path / "both.sqlite").declared
    assert declared is not None
    assert not declared.contrasts
    assert declared.missing == ("dscnn_24x3: rsd (vit) – none",)


@pytest.mark.parametrize("letter", ["a", "z"])  # the order of settings hangs on a hash, the choice must not
def test_of_two_machines_the_one_with_more_seeds_tests_a_contrast(letter: str, tmp_path: Path) -> None:
    few, many = (make_ledger(tmp_path / f"{n}.sqlite", seeds=n, images=100) for n in (2, 4))
    for ledger, device in ((few, f"{letter} 1"), (many, f"{letter} 2")):
        rename(ledger, device[-1], device)
        declare(ledger, CONTRAST)
    join_ledgers([few, many], tmp_path / "both.sqlite")
    declared = find(tmp_path / "both.sqlite").declared
    assert declared is not None
    assert [len(contrast.paired.seeds) for contrast in declared.contrasts] == [4]


def test_cells_that_were_trained_twice_with_other_scores_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = (make_ledger(tmp_path / name / "ledger.sqlite", seeds=1, images=50) for name in ("one", "two"))
    with sqlite3.connect(two) as db:
        cell = db.execute("SELECT min(id) FROM cells WHERE state = 'done'").fetchone()[0]
        db.execute("UPDATE cells SET numbers = json_set(numbers, '$.test', 0.125) WHERE id = ?", (cell,))
    for first, second in ((one, two), (two, one)):
        out = tmp_path / f"{first.parent.name} first"
        assert main(["study", "merge", str(first), str(second), "--out", str(out)]) == 0
        assert "1 were trained twice with other scores" in capsys.readouterr().out
        kept = {row.id: row.numbers for row in Ledger(out / "ledger.sqlite", read_only=True).rows()}
        assert (kept[cell]["test"] == 0.125) == (first == two)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_controls_changed_on_one_machine_mark_the_whole(order: tuple[int, int], tmp_path: Path) -> None:
    pair = [make_ledger(tmp_path / f"{name}.sqlite", seeds=1, images=50) for name in ("one", "two")]
    for ledger, first in zip(pair, (None, "[]"), strict=True):
        held = Ledger(ledger)
        held.set_meta(
            "falsifiers", json.dumps([{"idea": "I", "arm": "rsd", "against": ["kd"], "smallest_effect": 0.3}])
        )
        if first is not None:
            held.set_meta("falsifiers_first", first)
        held.close()
    join_ledgers([pair[index] for index in order], tmp_path / "both.sqlite")
    assert find(tmp_path / "both.sqlite").ideas_changed


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize(
    ("firsts", "told"), [(("10", "20"), "20"), (("10", "10"), "10"), ((None, "5"), "5"), ((None, None), None)]
)
def test_seeds_added_on_one_machine_mark_the_whole(
    firsts: tuple[str | None, str | None], told: str | None, order: tuple[int, int], tmp_path: Path
) -> None:
    pair = [make_ledger(tmp_path / f"{name}.sqlite", seeds=1, images=50) for name in ("one", "two")]
    for ledger, seeds, first in zip(pair, ("10", "20"), firsts, strict=True):
        held = Ledger(ledger)
        held.set_meta("seeds", seeds)
        if first is not None:
            held.set_meta("seeds_first", first)
        held.close()
    join_ledgers([pair[index] for index in order], tmp_path / "both.sqlite")
    held = Ledger(tmp_path / "both.sqlite")
    assert (held.meta("seeds"), held.meta("seeds_first")) == ("20", told)


def test_seeds_of_a_claim_and_of_its_replication_are_not_pooled(tmp_path: Path) -> None:
    pair = [make_ledger(tmp_path / f"{name}.sqlite", seeds=1, images=50) for name in ("one", "two")]
    held = Ledger(pair[1])
    held.set_meta("first_seed", "10")
    held.close()
    with pytest.raises(AlambicError, match="another first_seed"):
        join_ledgers(pair, tmp_path / "both.sqlite")


def test_ledgers_of_two_metrics_are_not_mixed(tmp_path: Path) -> None:
    one, two = (make_ledger(tmp_path / f"{name}.sqlite", seeds=1, images=50) for name in ("one", "two"))
    rename(two, "g", "cuda")
    with sqlite3.connect(two) as db:
        db.execute("UPDATE cells SET content = json_set(content, '$.task.metric', 'balanced_accuracy')")
    with pytest.raises(AlambicError, match="one metric, got accuracy and balanced_accuracy"):
        join_ledgers([one, two], tmp_path / "joined.sqlite")


def test_a_full_target_is_not_blamed_on_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = (make_ledger(tmp_path / f"{name}.sqlite", seeds=1, images=50) for name in ("one", "two"))
    monkeypatch.setattr("alambic.study.join.TABLES", "PRAGMA max_page_count = 6;" + TABLES)
    with pytest.raises(AlambicError, match=r"cannot write .*joined\.sqlite: .*full"):
        join_ledgers([one, two], tmp_path / "joined.sqlite")
    assert not (tmp_path / "joined.sqlite").exists()


def test_cells_of_two_machines_are_one_ledger_with_two_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyarrow")
    here = make_ledger(tmp_path / "here" / "ledger.sqlite", seeds=2, images=100)
    there = rename(make_ledger(tmp_path / "there.sqlite", seeds=2, images=100), "g", "cuda")
    write_archive(there, tmp_path / "there")
    out = tmp_path / "both"
    assert main(["study", "merge", str(here.parent), str(tmp_path / "there"), "--out", str(out)]) == 0
    assert "environments of the finished ones: 2" in capsys.readouterr().out
    both, alone = Ledger(out / "ledger.sqlite", read_only=True), Ledger(here, read_only=True)
    assert len(both.rows()) == 2 * len(alone.rows())
    for ledger in (alone, Ledger(there, read_only=True)):
        for row in ledger.rows("done"):
            assert both.curve(row.id) == ledger.curve(row.id) != []
            one, other = both.predictions(row.id, "test", "int8"), ledger.predictions(row.id, "test", "int8")
            assert one is not None
            assert other is not None
            assert (one.predicted == other.predicted).all()
            assert (one.margin == other.margin).all()
    found = find(out / "ledger.sqlite")
    settings = {group.setting for group in found.groups}
    assert len(settings) == 2  # each group stands beside the baseline of its own machine
    assert list(out.iterdir()) == [out / "ledger.sqlite"]


def test_a_cell_that_two_ledgers_hold_counts_once_and_a_finished_one_wins(tmp_path: Path) -> None:
    one, two = (make_ledger(tmp_path / f"{name}.sqlite", seeds=1, images=50) for name in ("one", "two"))
    with sqlite3.connect(one) as db:
        failed = db.execute("SELECT min(id) FROM cells WHERE state = 'done'").fetchone()[0]
        db.execute("UPDATE cells SET state = 'failed', reason = 'killed', numbers = '{}' WHERE id = ?", (failed,))
        db.execute("DELETE FROM predictions WHERE cell = ?", (failed,))
    joined = join_ledgers([one, two], tmp_path / "joined.sqlite")
    rows = Ledger(tmp_path / "joined.sqlite", read_only=True).rows()
    assert joined.cells == joined.repeated == len(rows)
    assert {row.id: row.state for row in rows}[failed] == "done"
    assert Ledger(tmp_path / "joined.sqlite", read_only=True).predictions(failed, "test", "fp32") is not None


@pytest.mark.parametrize("key", ["study_name", "confirm_hash", "labels_test", "falsifiers"])
def test_ledgers_of_two_studies_are_not_mixed(key: str, tmp_path: Path) -> None:
    one, two = (make_ledger(tmp_path / f"{name}.sqlite", seeds=1, images=50) for name in ("one", "two"))
    held = Ledger(two)
    held.set_meta(key, "[]")
    held.close()
    with pytest.raises(AlambicError, match=f"got another {key}"):
        join_ledgers([one, two], tmp_path / "joined.sqlite")
    assert not (tmp_path / "joined.sqlite").exists()


def test_cells_of_a_teacher_that_changed_are_not_mixed(tmp_path: Path) -> None:
    """A ledger of before its state was kept takes the other's."""
    paths = [make_ledger(tmp_path / f"{name}.sqlite", seeds=1, images=50) for name in ("old", "one", "two")]
    for path, code in zip(paths[1:], ("1", "2"), strict=True):
        held = Ledger(path)
        held.set_meta("teachers", json.dumps({"weights": {"net": f"big.py:make {code}"}, code: {"net": code}}))
        held.close()
    with pytest.raises(AlambicError, match=r"net = big.py:make 1, .* got big.py:make 2"):
        join_ledgers(paths, tmp_path / "joined.sqlite")
    assert not (tmp_path / "joined.sqlite").exists()
    with sqlite3.connect(paths[2]) as db:
        db.execute("UPDATE meta SET value = replace(value, 'make 2', 'make 1') WHERE key = 'teachers'")
    join_ledgers(paths, tmp_path / "joined.sqlite")
    told = Ledger(tmp_path / "joined.sqlite", read_only=True).meta("teachers")
    assert json.loads(told or "") == {"weights": {"net": "big.py:make 1"}, "1": {"net": "1"}, "2": {"net": "2"}}


def test_one_ledger_alone_or_an_old_target_is_refused(tmp_path: Path) -> None:
    one = make_ledger(tmp_path / "one.sqlite", seeds=1, images=50)
    with pytest.raises(AlambicError, match="at least two ledgers"):
        join_ledgers([one], tmp_path / "joined.sqlite")
    with pytest.raises(AlambicError, match="expected no ledger"):
        join_ledgers([one, one], one)
