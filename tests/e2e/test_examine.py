"""``alambic examine`` on a small study that was really run: its numbers, and weights that are not the ledger's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from alambic.cli import main
from alambic.data import load_source, render_clean
from alambic.errors import AlambicError
from alambic.models.teachers import load_weights
from alambic.report.chapters.examine import examine
from alambic.report.facts.findings import find
from alambic.study.content import make_student
from alambic.study.ledger import Ledger
from alambic.study.run import run_study
from alambic.study.study_file import read_study

pytestmark = pytest.mark.slow
STUDY = """
name = "small"
purpose = "explore"
seeds = 2
students = ["dscnn_8x2"]
methods = ["none", "kd"]

[data]
source = "images.npz"
tune = 120

[views]
count = 1

[recipe]
epochs = 2
batch = 32
lr = 0.05
eval_every = 2

[int8]
enabled = false

[execution]
jobs = 1

[teachers.small]
net = "zoo:resnet8_w8"
[teachers.small.recipe]
epochs = 1
"""


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examine")
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 500)
    images = generator.integers(0, 60, (500, 16, 16)).astype(np.uint8)
    images[np.arange(500), 4 * labels + 2, :] += 150
    parts = {"x_train": images[:400], "y_train": labels[:400], "x_test": images[400:], "y_test": labels[400:]}
    np.savez(folder / "images.npz", **parts)
    (folder / "study.toml").write_text(STUDY.replace("images.npz", str(folder / "images.npz")))
    run_study(read_study(folder / "study.toml"), folder / "out", say=lambda text: None)
    return folder / "out"


def test_examine_and_its_report(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = out.parent / "study.toml"
    assert main(["examine", str(file), "--out", str(out), "--images", "100"]) == 0
    assert "4 students examined on 100 images" in capsys.readouterr().out
    told = json.loads((out / "examination.json").read_text())
    assert (told["images"], told["left_out"]) == (100, {})
    study = read_study(file)
    source = load_source(study.data)
    rows = {row.id: row for row in Ledger(out / "ledger.sqlite", read_only=True).rows("done")}
    ids = source.splits["tune"][:100]
    pixels = render_clean(source.images, ids, study.views, "student")
    for key, found in told["cells"].items():
        row = rows[key]
        assert ("cka" in found) == (row.content["seed"] == 0)
        assert ("agreement" in found) == (row.content["teacher"] is not None)
        net = make_student(study, "dscnn_8x2", source, 0)
        load_weights(net, out / "students" / f"{key}.safetensors", "student")
        with torch.no_grad():
            logits = net.eval()((pixels - source.mean[0]) / source.std[0]).double()
        right = logits.log_softmax(1)[torch.arange(100), source.labels[ids]]
        assert found["nll"] == pytest.approx(-float(right.mean()), rel=1e-4)
        assert 0 <= found["ece"] <= 1
        for pair in found.get("cka", {}).values():
            assert np.array(pair["before"]).shape == np.array(pair["after"]).shape
            assert pair["before"] != pair["after"]
    (aligned,) = find(out / "ledger.sqlite").examination.alignments["dscnn_8x2"]  # type: ignore[union-attr]
    assert aligned.alone is not None


def test_weights_that_are_not_the_ledgers_are_left_out(out: Path, tmp_path: Path) -> None:
    first = sorted((out / "students").glob("*.safetensors"))[0]
    kept = first.read_bytes()
    state = {name: -value if value.is_floating_point() else value for name, value in load_file(first).items()}
    save_file(state, first)
    said: list[str] = []
    try:
        examine(read_study(out.parent / "study.toml"), [], out, 100, said.append)
    finally:
        first.write_bytes(kept)
    told = json.loads((out / "examination.json").read_text())
    assert list(told["left_out"]) == [first.stem]
    assert "expected the ledger's predictions" in told["left_out"][first.stem]
    assert len(told["cells"]) == 3


def test_without_saved_students_it_says_so(out: Path, tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes((out / "ledger.sqlite").read_bytes())
    with pytest.raises(AlambicError, match="expected saved students"):
        examine(read_study(out.parent / "study.toml"), [], tmp_path, 100, print)


def test_a_folder_that_holds_no_study_trains_no_teacher(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(*given: object) -> None:
        raise AssertionError("teachers were asked for")

    monkeypatch.setattr("alambic.report.chapters.examine.load_study_teachers", load)
    words = ["examine", str(out.parent / "study.toml"), "--out", str(tmp_path / "typo")]
    assert main(words) == 2
    assert f"expected a ledger at {tmp_path / 'typo' / 'ledger.sqlite'}, found none" in capsys.readouterr().err
    assert not (tmp_path / "typo").exists()
    (tmp_path / "typo").mkdir()
    (tmp_path / "typo" / "ledger.sqlite").write_bytes((out / "ledger.sqlite").read_bytes())
    assert main(words) == 2
    assert "expected saved students" in capsys.readouterr().err
