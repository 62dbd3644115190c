"""After the cells: a changed chip is judged again and finalists are measured, without touching what was trained."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from deploy_nets import make_stripes

from alambic.errors import AlambicError
from alambic.study import finalists
from alambic.study.cell import Arm, Cell
from alambic.study.finalists import choose_finalists, finish_finalists, tune_on_int8
from alambic.study.ledger import Ledger, Row
from alambic.study.prepare import Prepared, prepare
from alambic.study.refit import refit_rows
from alambic.study.specs import Finalists, Int8Spec
from alambic.study.study_file import read_study

pytest.importorskip("onnxruntime")
pytest.importorskip("ai_edge_litert")

STUDY = """
name = "after"
purpose = "demo"
seeds = 1
students = ["dscnn_8x2"]
methods = ["none", "kd"]
chip = "acc-32"

[data]
source = "images.npz"

[views]
count = 2

[recipe]
epochs = 2
batch = 32
lr = 0.05

[int8]
calibration_images = 64

[teachers.small]
net = "zoo:dscnn_16x2"
[teachers.small.recipe]
epochs = 1
"""
MINE = '[own]\ncore = "own"\nengine = "c"\nsource = "me"\nram_kib = 1\nflash_kib = 64\n'


def quiet(_: str) -> None:
    """Says nothing."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two cells, trained in this process."""
    from alambic.study.work import Workshop

    folder = tmp_path_factory.mktemp("after")
    images, labels = make_stripes(260, 0)
    pixels = (images[:, 0] * 40 + 128).clamp(0, 255).byte().numpy()
    train, test = slice(0, 200), slice(200, 260)
    np.savez(
        folder / "images.npz",
        x_train=pixels[train], y_train=labels[train].numpy(), x_test=pixels[test], y_test=labels[test].numpy(),
    )  # fmt: skip
    (folder / "study.toml").write_text(STUDY.replace("images.npz", str(folder / "images.npz")))
    prepared = prepare(read_study(folder / "study.toml"), folder, quiet)
    ledger = Ledger(folder / "ledger.sqlite")
    workshop = Workshop(prepared, folder)
    for cell in prepared.cells:
        result = workshop.run(cell)
        ledger.record(Row(cell.id, cell.full_content, "done", "", result.numbers), result.curve, result.predictions)
    ledger.close()
    return folder


def prepare_with(folder: Path, **changes: object) -> Prepared:
    study = dataclasses.replace(read_study(folder / "study.toml"), **changes)  # type: ignore[arg-type]
    return prepare(study, folder, quiet)


@pytest.mark.slow
def test_a_changed_chip_is_judged_as_a_training_would_have(folder: Path) -> None:
    from alambic.study.work import Workshop

    (folder / "mine.toml").write_text(MINE)
    text = (folder / "study.toml").read_text()
    (folder / "changed.toml").write_text(text.replace('chip = "acc-32"', 'chip = "own"\nchips = "mine.toml"'))
    changed = read_study(folder / "changed.toml")
    prepared = prepare(changed, folder, quiet)
    ledger = Ledger(folder / "ledger.sqlite")
    before = {row.id: row for row in ledger.rows()}
    assert {row.numbers["fits"] for row in before.values()} == {True}
    assert {cell.id for cell in prepared.cells} == set(before)  # the chip is no part of a cell
    assert refit_rows(changed, prepared.cells, ledger, folder, quiet) == 2
    assert refit_rows(changed, prepared.cells, ledger, folder, quiet) == 0
    again = Workshop(prepared, folder / "again").run(prepared.cells[0]).numbers
    for row in ledger.rows():
        changed_names = {key for key in row.numbers if row.numbers[key] != before[row.id].numbers.get(key)}
        assert changed_names == {
            "chip",
            "chip_entry",
            "engine",
            "fits",
            "ram_bytes",
            "flash_bytes",
            "ram_over",
            "flash_over",
        }
        assert {key: row.numbers[key] for key in changed_names} == {key: again[key] for key in changed_names}
        assert (row.numbers["chip"], row.numbers["fits"]) == ("own", False)
        assert row.numbers["ram_over"] == row.numbers["ram_bytes"] - 1024
    # the same name with another limit is another chip
    (folder / "mine.toml").write_text(MINE.replace("ram_kib = 1", "ram_kib = 300"))
    assert refit_rows(read_study(folder / "changed.toml"), prepared.cells, ledger, folder, quiet) == 2
    assert {row.numbers["fits"] for row in ledger.rows()} == {True}
    ledger.close()


@pytest.mark.slow
def test_lost_weights_are_a_reason(folder: Path, tmp_path: Path) -> None:
    prepared = prepare_with(folder)
    ledger = Ledger(tmp_path / "ledger.sqlite")
    numbers = {"weight_bytes": 1, "chip": "other", "fits": True, "ram_over": -5}
    ledger.record(Row(prepared.cells[0].id, prepared.cells[0].full_content, "done", "", numbers))
    assert refit_rows(prepared.study, prepared.cells, ledger, tmp_path, quiet) == 1
    (row,) = ledger.rows()
    assert (row.numbers["chip"], row.numbers["fits"], "ram_over" in row.numbers) == ("acc-32", None, False)
    assert "safetensors" in row.numbers["fits_unknown"]
    ledger.close()


@pytest.mark.slow
def test_a_fresh_student_of_the_same_sizes_stands_for_lost_weights(folder: Path, tmp_path: Path) -> None:
    prepared = prepare_with(folder)
    kept = Ledger(folder / "ledger.sqlite")
    trained = next(row for row in kept.rows() if row.id == prepared.cells[0].id)
    kept.close()
    ledger = Ledger(tmp_path / "ledger.sqlite")
    sizes = ("weight_bytes", "arena_bytes", "peak_layer", "tflite_bytes")
    ledger.record(dataclasses.replace(trained, numbers={name: trained.numbers[name] for name in sizes}))
    assert refit_rows(prepared.study, prepared.cells, ledger, tmp_path, quiet) == 1
    (row,) = ledger.rows()
    assert row.numbers["chip"] == "acc-32"
    assert row.numbers["fits"]
    assert row.numbers["ram_bytes"] >= row.numbers["arena_bytes"]
    ledger.close()


@pytest.mark.slow
def test_finalists_get_the_whole_split_and_qat(folder: Path) -> None:
    from alambic.deploy.measure import predict_onnx
    from alambic.study.artefact import see_clean
    from alambic.study.work import Workshop

    prepared = prepare_with(folder, finalists=Finalists(count=1, qat_epochs=1))
    ledger = Ledger(folder / "ledger.sqlite")
    before = {row.id: row for row in ledger.rows()}
    assert {cell.id for cell in prepared.cells} == set(before)
    assert finish_finalists(prepared, ledger, folder, quiet) == 2
    assert finish_finalists(prepared, ledger, folder, quiet) == 0
    source = Workshop(prepared, folder).source
    ids = source.splits["test"]
    for cell in prepared.cells:
        row = next(row for row in ledger.rows() if row.id == cell.id)
        assert {key: row.numbers[key] for key in before[cell.id].numbers} == before[cell.id].numbers
        # all 60 test images are among the 500 that each row runs on the device's kernels
        whole, few = (ledger.predictions(cell.id, "test", name) for name in ("kernels_whole", "kernels"))
        assert whole is not None
        assert few is not None
        assert np.array_equal(whole.predicted, few.predicted)
        assert row.numbers["test_kernels_whole"] == row.numbers["test_kernels"]
        tuned, plain = (ledger.predictions(cell.id, "test", name) for name in ("qat_int8", "int8"))
        assert tuned is not None
        assert plain is not None
        assert not np.array_equal(tuned.margin, plain.margin)  # it was trained on
        images = see_clean(prepared.study, source, cell, ids).numpy()
        logits = predict_onnx(folder / "students" / f"{cell.id}-qat-int8.onnx", images)
        assert np.array_equal(logits.argmax(1), tuned.predicted)
        assert row.numbers["test_qat_int8"] == pytest.approx((logits.argmax(1) == source.labels[ids].numpy()).mean())
        assert abs(row.numbers["test_qat_kernels"] - row.numbers["test_qat_int8"]) <= 0.05
    other = prepare_with(folder, finalists=Finalists(count=1, whole_test=False, qat_epochs=0))
    assert finish_finalists(other, ledger, folder, quiet) == 2  # another wish is another measurement
    ledger.close()


def test_qat_learns_the_grid_that_the_study_quantises_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from alambic.study.content import make_student
    from alambic.study.work import Workshop

    grids = []

    def insert(net: object, images: object, per_channel: bool = True) -> None:
        grids.append(per_channel)
        raise AlambicError("enough seen")

    monkeypatch.setattr(finalists, "insert_qat", insert)
    for per_channel in (True, False):
        prepared = prepare_with(folder, int8=Int8Spec(calibration_images=64, per_channel=per_channel))
        workshop, cell = Workshop(prepared, folder), prepared.cells[0]
        net, row = make_student(prepared.study, cell.student, workshop.source, 0), Row(cell.id, {}, "done", "", {})
        with pytest.raises(AlambicError, match="enough seen"):
            tune_on_int8(workshop, cell, row, net, Finalists(count=1))
    assert grids == [True, False]


def make_cell(arm: str, seed: int, tested: bool = True, teacher: str | None = "t") -> Cell:
    return Cell("s", teacher if arm != "none" else None, Arm(arm, (arm,)), seed, {"tested": tested})


def test_the_best_by_tune_score_and_the_student_alone() -> None:
    tune = {"none": (0.5, 0.5), "kd": (0.9, 0.6), "rsd": (0.8, 0.75), "at": (0.2, 0.3)}
    cells = [make_cell(arm, seed) for arm in tune for seed in (0, 1)]
    rows = {
        cell.id: Row(cell.id, {}, "done", "", {"tune": tune[cell.arm.name][cell.seed], "test": 1.0, "weight_bytes": 1})
        for cell in cells
    }
    assert [(cell.arm.name, cell.seed) for cell in choose_finalists(cells, rows, 1)] == [
        ("none", 0), ("none", 1), ("rsd", 0), ("rsd", 1),
    ]  # fmt: skip
    assert {cell.arm.name for cell in choose_finalists(cells, rows, 2)} == {"none", "rsd", "kd"}
    hidden = [make_cell(cell.arm.name, cell.seed, tested=cell.arm.name in ("none", "at")) for cell in cells]
    rows = {cell.id: Row(cell.id, {}, "done", "", {"tune": 0.5, "weight_bytes": 1}) for cell in hidden}
    assert {cell.arm.name for cell in choose_finalists(hidden, rows, 2)} == {"none", "at"}


def test_the_table_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(STUDY + "\n[finalists]\ncount = 2\nqat_epochs = -1\n")
    with pytest.raises(AlambicError, match=r"a\.toml.*qat_epochs >= 0"):
        read_study(file)
    file.write_text(STUDY + "\n[finalists]\ncount = 2\n")
    assert read_study(file).finalists == Finalists(2, True, 2, 0.1)
    file.write_text(STUDY)
    assert read_study(file).finalists.count == 0


@pytest.mark.slow
def test_a_row_tells_what_equalisation_did(folder: Path, tmp_path: Path) -> None:
    from alambic.study.work import Workshop

    text = (folder / "study.toml").read_text()
    (tmp_path / "study.toml").write_text(text.replace("[int8]", "[int8]\nequalise = true"))
    old = prepare(read_study(folder / "study.toml"), folder, quiet)
    new = prepare(read_study(tmp_path / "study.toml"), tmp_path, quiet)
    assert all("equalise" not in cell.content["int8"] for cell in old.cells)  # ids of older ledgers stay
    assert {cell.id for cell in old.cells}.isdisjoint(cell.id for cell in new.cells)
    cell = next(cell for cell in new.cells if not cell.arm.uses_teacher)
    numbers = Workshop(new, tmp_path).run(cell).numbers
    ledger = Ledger(folder / "ledger.sqlite", read_only=True)
    (plain,) = [row.numbers for row in ledger.rows() if row.content["arm"]["methods"] == ["none"]]
    assert numbers["calibration_size"] == plain["calibration_size"] == 64
    assert numbers["test_int8_as_is"] == plain["test_int8"]  # the same training
    assert numbers["widest_channel"] >= 1
    assert "test_int8_as_is" not in plain
