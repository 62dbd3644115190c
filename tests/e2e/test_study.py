"""A small study from its file to its ledger: killed, resumed, refused, with failures that cost one cell only."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from alambic.cli import main
from alambic.errors import AlambicError
from alambic.study.cell import Arm, Cell
from alambic.study.ledger import Ledger
from alambic.study.local import run_cells
from alambic.study.prepare import prepare
from alambic.study.run import run_study
from alambic.study.study_file import read_study
from alambic.training.task import evaluate_metric

STUDY = """
name = "small"
purpose = "demo"
seeds = 2
students = ["dscnn_8x2"]
methods = ["none", "kd", "at", "fitnet", "dense_feature", "dist"]

[data]
source = "images.npz"
tune = 60

[views]
count = 2
flip = true
shift = 1

[recipe]
epochs = 4
batch = 32
lr = 0.05
eval_every = 2

[int8]
calibration_images = 32

[execution]
jobs = 2

[teachers.small]
net = "zoo:resnet8_w8"
[teachers.small.recipe]
epochs = 2
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with images (two classes) and a study file."""
    place = tmp_path_factory.mktemp("study")
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 420)
    images = generator.integers(0, 60, (420, 16, 16)).astype(np.uint8)
    images[np.arange(420), 8 * labels + 3, :] += 150
    np.savez(place / "images.npz", x_train=images[:300], y_train=labels[:300], x_test=images[300:], y_test=labels[300:])
    (place / "study.toml").write_text(STUDY.replace("images.npz", str(place / "images.npz")))
    return place


def start(folder, out):
    command = [sys.executable, "-m", "alambic.cli", "study", "run", str(folder / "study.toml"), "--out", str(out)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)


def results(out):
    """What must be equal: metrics, curves without seconds, predictions."""
    ledger = Ledger(out / "ledger.sqlite", read_only=True)
    found = {}
    for row in ledger.rows("done"):
        scores = {key: row.numbers[key] for key in ("tune", "test", "test_int8")}
        curve = [(r["epoch"], r["loss"], r.get("tune")) for r in ledger.curve(row.id)]
        told = ledger.predictions(row.id, "test", "fp32")
        found[row.id] = (scores, curve, told.predicted.tolist(), told.margin.tolist())
    return found


@pytest.fixture(scope="module")
def undisturbed(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    process = start(folder, out)
    said, _ = process.communicate(timeout=280)
    assert process.returncode == 0, said.decode()
    return out, said.decode()


@pytest.mark.slow
def test_study_runs_and_says_what_was_skipped(undisturbed):
    out, said = undisturbed
    ledger = Ledger(out / "ledger.sqlite", read_only=True)
    states = {(row.content["arm"]["name"], row.state) for row in ledger.rows()}
    assert states == {
        ("none", "done"),
        ("kd", "done"),
        ("at", "done"),
        ("fitnet", "done"),
        ("dense_feature", "done"),
        ("dist", "skipped"),
    }
    assert "two classes" in next(row.reason for row in ledger.rows("skipped"))
    assert "esults, not a ranking" in said
    assert "report" in said


@pytest.mark.slow
def test_metrics_can_be_recomputed_from_predictions(undisturbed):
    ledger = Ledger(undisturbed[0] / "ledger.sqlite", read_only=True)
    labels = np.array(json.loads(ledger.meta("labels_test")))
    for row in ledger.rows("done"):
        for precision, name in (("fp32", "test"), ("int8", "test_int8")):
            told = ledger.predictions(row.id, "test", precision)
            assert evaluate_metric("accuracy", told.predicted, told.margin, labels) == row.numbers[name]


@pytest.mark.slow
def test_killed_three_times_ends_with_the_same_numbers(folder, undisturbed, tmp_path):
    pick = random.Random(os.environ.get("ALAMBIC_KILL_SEED", "1"))
    for _ in range(3):
        process = start(folder, tmp_path)
        time.sleep(pick.uniform(6, 16))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    process = start(folder, tmp_path)
    said, _ = process.communicate(timeout=280)
    assert process.returncode == 0, said.decode()
    assert results(tmp_path) == results(undisturbed[0])


@pytest.mark.slow
def test_second_run_keeps_everything(folder, undisturbed):
    before = results(undisturbed[0])
    summary = run_study(read_study(folder / "study.toml"), undisturbed[0], say=lambda text: None)
    assert (summary.done, summary.kept, summary.failed) == (0, 10, 0)
    assert results(undisturbed[0]) == before


@pytest.mark.slow
def test_a_cell_that_breaks_costs_itself_only(folder, tmp_path):
    study = read_study(folder / "study.toml")
    prepared = prepare(study, tmp_path, lambda text: None)
    good = prepared.cells[0]
    arm = Arm("broken", ("kd",), {"kd": {"weight": float("inf")}})
    broken = Cell(good.student, "small", arm, 0, prepared.cells[-1].content)
    kinds = [(event.kind, event.cell.arm.name) for event in run_cells(prepared, [broken, good], tmp_path, 1)]
    assert ("failed", "broken") in kinds
    assert ("done", good.arm.name) in kinds


def test_two_studies_on_one_ledger_are_refused(tmp_path):
    first = Ledger(tmp_path / "ledger.sqlite")
    with pytest.raises(AlambicError, match="another study"):
        Ledger(tmp_path / "ledger.sqlite")
    first.close()
    Ledger(tmp_path / "ledger.sqlite").close()


BAD = {
    'seeds = "two"': ("seeds = 2", "key seeds"),
    'methods = ["nonne"]': ('methods = ["none", "kd", "at", "fitnet", "dense_feature", "dist"]', "did you mean 'none'"),
    'lr = "fast"': ("lr = 0.05", "recipe.lr"),
    "epoch = 4": ("epochs = 4", "did you mean 'epochs'"),
    "students = []": ('students = ["dscnn_8x2"]', "at least one"),
    'name = "../x"': ('name = "small"', "plain name"),
    "[datta]": ("[data]", "did you mean 'data'"),
}


@pytest.mark.parametrize("wrong", BAD)
def test_wrong_study_files_name_the_line_or_the_nearest(folder, tmp_path, wrong, capsys):
    right, said = BAD[wrong]
    text = (folder / "study.toml").read_text()
    assert right in text
    path = tmp_path / "study.toml"
    path.write_text(text.replace(right, wrong, 1))
    assert main(["study", "run", str(path), "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert said in told
    if "line" not in said and said.startswith(("key", "recipe")):
        line = next(i for i, row in enumerate(text.replace(right, wrong, 1).splitlines(), 1) if wrong in row)
        assert f"study.toml:{line}" in told


def test_teacher_of_another_split_is_refused(folder, tmp_path):
    study = read_study(folder / "study.toml")
    prepare(study, tmp_path, lambda text: None)
    weights = next((tmp_path / "teachers").glob("*.safetensors"))
    text = (folder / "study.toml").read_text()
    text = text.replace(
        'net = "zoo:resnet8_w8"\n[teachers.small.recipe]\nepochs = 2', f'net = "card"\nweights = "{weights}"'
    )
    path = tmp_path / "other.toml"
    path.write_text(text.replace("tune = 60", "tune = 50"))
    with pytest.raises(AlambicError, match="another split"):
        prepare(read_study(path), tmp_path / "b", lambda text: None)
    path.write_text(text)
    prepare(read_study(path), tmp_path / "c", lambda text: None)
    card = json.loads(weights.with_suffix(".json").read_text())
    weights.with_suffix(".json").write_text(json.dumps({**card, "weights_hash": "0" * 64}))
    with pytest.raises(AlambicError, match="weights of its card"):
        prepare(read_study(path), tmp_path / "d", lambda text: None)


@pytest.mark.slow
def test_a_claim_computes_the_test_split_for_declared_cells_only(folder, tmp_path):
    text = (folder / "study.toml").read_text()
    text = text.replace('purpose = "demo"', 'purpose = "claim"').replace("seeds = 2", "seeds = 1")
    path = tmp_path / "study.toml"
    path.write_text(text)
    with pytest.raises(AlambicError, match=r"confirm\.toml"):
        read_study(path)
    declared = '[[contrasts]]\narm = "kd"\nstudent = "dscnn_8x2"\nteacher = "small"\n'
    (tmp_path / "confirm.toml").write_text(declared)
    run_study(read_study(path), tmp_path / "out", say=lambda text: None)
    ledger = Ledger(tmp_path / "out" / "ledger.sqlite", read_only=True)
    tested = {row.content["arm"]["name"]: "test" in row.numbers for row in ledger.rows("done")}
    assert tested == {"none": True, "kd": True, "at": False, "fitnet": False, "dense_feature": False}
    assert all(ledger.predictions(r.id, "tune", "fp32") is not None for r in ledger.rows("done"))
    (tmp_path / "confirm.toml").write_text(declared + declared.replace('"kd"', '"at"'))
    with pytest.raises(AlambicError, match="declared before"):
        run_study(read_study(path), tmp_path / "out", say=lambda text: None)


@pytest.mark.parametrize(("wrong", "said"), [('arm = "kdd"', "'kdd' is not in"), ("", "1 to 6 contrasts")])
def test_confirm_files_name_what_the_study_has(folder, tmp_path, wrong, said):
    path = tmp_path / "study.toml"
    path.write_text((folder / "study.toml").read_text().replace('purpose = "demo"', 'purpose = "claim"'))
    body = f'[[contrasts]]\n{wrong}\nstudent = "dscnn_8x2"\nteacher = "small"\n' if wrong else "contrasts = []\n"
    (tmp_path / "confirm.toml").write_text(body)
    with pytest.raises(AlambicError, match=said):
        read_study(path)


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_its_group_goes_on(folder, undisturbed, tmp_path):
    # The teacher is given, not trained again: other thread counts round its weights otherwise, and name other cells.
    shutil.copytree(undisturbed[0] / "teachers", tmp_path / "teachers")
    shutil.copytree(undisturbed[0] / "banks", tmp_path / "banks")
    prepared = prepare(read_study(folder / "study.toml"), tmp_path, lambda text: None)
    cells = [cell for cell in prepared.cells if cell.arm.name in ("fitnet", "dense_feature") and cell.seed == 0]
    expected = results(undisturbed[0])
    done, killed = {}, False
    for event in run_cells(prepared, cells, tmp_path, 1):
        if event.kind == "epoch" and not killed:
            multiprocessing.active_children()[0].kill()
            killed = True
        assert event.kind != "failed", event.detail
        if event.kind == "done":
            done[event.cell.id] = event.detail
    assert killed
    assert {cell.id for cell in cells} == set(done)
    for identity, result in done.items():
        assert result.numbers["test"] == expected[identity][0]["test"]
        assert result.predictions["test", "fp32"].predicted.tolist() == expected[identity][2]
