"""Finalists are chosen from a study that is through: never by means over some of its seeds."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from alambic.study import finalists
from alambic.study.cell import Arm, Cell
from alambic.study.finalists import choose_finalists, finish_finalists
from alambic.study.ledger import Ledger, Row
from alambic.study.specs import Finalists

TUNE = {"none": (0.5, 0.5), "kd": (0.9, 0.1), "rsd": (0.8, 0.75)}
CELLS = [
    Cell("s", None if arm == "none" else "t", Arm(arm, (arm,)), seed, {"tested": True})
    for arm in TUNE
    for seed in (0, 1)
]


def numbers(cell: Cell) -> dict[str, float]:
    return {"tune": TUNE[cell.arm.name][cell.seed], "weight_bytes": 1}


def finish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, states: dict[tuple[str, int], str | None]
) -> tuple[set[tuple[str, int]], str]:
    """Which cells were measured, and what was said, where some cells are not done: ``failed``, or None for no row."""
    measured = set()

    def measure(workshop: object, cell: Cell, *rest: object) -> finalists.Found:
        measured.add((cell.arm.name, cell.seed))
        return {}, {}

    monkeypatch.setattr(finalists, "measure_finalist", measure)
    monkeypatch.setattr(finalists, "Workshop", lambda *given: None)
    study = SimpleNamespace(finalists=Finalists(count=1), int8=SimpleNamespace(enabled=True))
    ledger, said = Ledger(tmp_path / "ledger.sqlite"), []
    for cell in CELLS:
        state = states.get((cell.arm.name, cell.seed), "done")
        if state is not None:
            ledger.record(Row(cell.id, cell.full_content, state, "", numbers(cell) if state == "done" else {}))
    count = finish_finalists(SimpleNamespace(study=study, cells=CELLS), ledger, tmp_path, said.append)  # type: ignore[arg-type]
    ledger.close()
    assert count == len(measured)
    return measured, "\n".join(said)


BEST = {("none", 0), ("none", 1), ("rsd", 0), ("rsd", 1)}


def test_all_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured, said = finish(tmp_path, monkeypatch, {})
    assert measured == BEST
    assert said.startswith("4 finalists: none, rsd")


def test_while_cells_are_untrained_nothing_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured, said = finish(tmp_path, monkeypatch, {(arm, 1): None for arm in TUNE})  # as after --seed 0
    assert not measured
    assert "no finalists yet" in said
    assert "3 cells" in said


def test_an_arm_counts_only_with_all_its_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured, said = finish(tmp_path, monkeypatch, {("kd", 1): "failed"})  # .9 of kd's first seed is not its mean
    assert measured == BEST
    assert "not among the finalists: kd" in said


def test_an_arm_that_failed_whole_is_settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured, said = finish(tmp_path, monkeypatch, {("rsd", 0): "failed", ("rsd", 1): "failed"})
    assert measured == {("none", 0), ("none", 1), ("kd", 0), ("kd", 1)}
    assert "not among the finalists: rsd" in said


def test_a_seed_without_its_int8_network_takes_its_arm_out() -> None:
    rows = {cell.id: Row(cell.id, {}, "done", "", dict(numbers(cell))) for cell in CELLS}
    (late,) = (cell for cell in CELLS if (cell.arm.name, cell.seed) == ("kd", 1))
    del rows[late.id].numbers["weight_bytes"]
    assert {(cell.arm.name, cell.seed) for cell in choose_finalists(CELLS, rows, 1)} == BEST


def test_a_control_is_no_finalist() -> None:
    noise = Arm("noise", ("kd",), treatments=("shuffled_teacher",))
    controls = [Cell("s", "t", noise, seed, {"tested": True}) for seed in (0, 1)]
    rows = {cell.id: Row(cell.id, {}, "done", "", numbers(cell)) for cell in CELLS}
    rows |= {cell.id: Row(cell.id, {}, "done", "", {"tune": 0.99, "weight_bytes": 1}) for cell in controls}
    assert {(cell.arm.name, cell.seed) for cell in choose_finalists([*CELLS, *controls], rows, 1)} == BEST
