"""A teacher without a card is scored once when its study is prepared, and warned of where it scores as chance does."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from alambic.deploy.export import export_onnx
from alambic.errors import AlambicError
from alambic.models.own_code import create_own
from alambic.study import taught
from alambic.study.prepare import Prepared, prepare
from alambic.study.study_file import read_study

STUDY = """
name = "scored"
purpose = "explore"
seeds = 1
students = ["dscnn_8x2"]
methods = ["kd"]
[data]
source = "IMAGES"
tune = 0.3
[views]
count = VIEWS
[recipe]
epochs = 1
batch = 16
[teachers.mine]
"""

NETS = """
from torch import nn

def rows():
    return nn.Sequential(nn.Flatten(), nn.Linear(256, 3))
"""
OWN = 'net = "nets.py:rows"\nweights = "rows.pt"\n'


def write_weights(folder: Path, order: tuple[int, ...] = (0, 1, 2), value: float = 1.0) -> None:
    """A teacher that looks for the bright row, its scores in such an order."""
    weight = torch.zeros(3, 16, 16)
    for score, kind in enumerate(order):
        weight[score, 4 * kind + 2] = value
    torch.save({"1.weight": weight.flatten(1), "1.bias": torch.zeros(3)}, folder / "rows.pt")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    labels = np.arange(120) % 3
    pixels = np.random.default_rng(0).integers(0, 60, (120, 16, 16, 1)).astype(np.uint8)
    pixels[np.arange(120), 4 * labels + 2, :, 0] += 150
    np.savez(tmp_path / "images.npz", images=pixels, labels=labels)
    (tmp_path / "nets.py").write_text(NETS)
    write_weights(tmp_path)
    return tmp_path


def prepare_study(folder: Path, teacher: str = OWN, views: int = 2) -> tuple[Prepared, list[str]]:
    said: list[str] = []
    text = STUDY.replace("IMAGES", str(folder / "images.npz")).replace("VIEWS", str(views))
    (folder / "study.toml").write_text(text + teacher)
    return prepare(read_study(folder / "study.toml"), folder / "out", said.append), said


def score_of(prepared: Prepared) -> float | None:
    (cell,) = prepared.cells
    score: float | None = cell.content["teacher_score"]
    assert score == prepared.teachers["mine"].score
    return score


def test_it_is_scored_once_and_stands_where_a_card_s_score_would(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared, said = prepare_study(folder)
    assert score_of(prepared) == 1.0
    assert any("no card tells its score" in line for line in said)
    assert not any(line.startswith("warning") for line in said)
    scored: list[object] = []
    monkeypatch.setattr(taught, "_score", lambda *given: scored.append(given))
    again, said = prepare_study(folder)
    assert score_of(again) == 1.0
    assert not scored
    assert not any("no card" in line for line in said)


def test_it_is_scored_again_where_it_changed(folder: Path) -> None:
    assert score_of(prepare_study(folder)[0]) == 1.0
    write_weights(folder, (0, 2, 1))
    assert score_of(prepare_study(folder)[0]) == pytest.approx(1 / 3, abs=0.15)
    write_weights(folder)
    assert score_of(prepare_study(folder, views=0)[0]) == 1.0  # without a bank too
    for file in (folder / "out" / "teachers").glob("*.score.json"):
        file.write_text("{half")
    assert score_of(prepare_study(folder)[0]) == 1.0


def test_a_wrong_order_of_classes_is_warned_of_each_time(folder: Path) -> None:
    write_weights(folder, (1, 2, 0))
    for _ in range(2):
        prepared, said = prepare_study(folder)
        assert score_of(prepared) == 0.0
        (warning,) = [line for line in said if line.startswith("warning: teacher mine")]
        assert "0.0000 of 29 tune images right cannot be told from chance (0.3" in warning
        assert "try mean, std and size in [teachers.mine], and whether its scores stand in the order" in warning


def test_a_wrong_normalisation_is_warned_of(folder: Path) -> None:
    clipped = NETS.replace("nn.Sequential(", "nn.Sequential(nn.Hardtanh(0.0, 1.0), ")
    (folder / "nets.py").write_text(clipped)
    weight = torch.load(folder / "rows.pt", weights_only=True)
    torch.save({f"2.{name[2:]}": value for name, value in weight.items()}, folder / "rows.pt")
    right, said = prepare_study(folder, OWN + "mean = [0.0]\nstd = [1.0]\n")
    assert score_of(right) == 1.0
    assert not any(line.startswith("warning") for line in said)
    wrong, said = prepare_study(folder, OWN + "mean = [-255.0]\nstd = [0.004]\n")
    assert (score_of(wrong) or 0) < 0.5
    assert any(line.startswith("warning: teacher mine") for line in said)


def test_scores_that_are_none_name_the_teacher(folder: Path) -> None:
    write_weights(folder, value=float("nan"))
    with pytest.raises(AlambicError, match="teacher 'mine': expected finite scores in evaluation, got NaN"):
        prepare_study(folder)


def test_an_onnx_file_is_scored(folder: Path) -> None:
    pytest.importorskip("onnxruntime")
    net = create_own("nets.py:rows", folder)
    net.load_state_dict(torch.load(folder / "rows.pt", weights_only=True))
    export_onnx(net.eval(), (1, 16, 16), folder / "mine.onnx")
    assert score_of(prepare_study(folder, 'net = "mine.onnx"\n')[0]) == 1.0


def test_a_card_s_score_is_taken_as_it_is(folder: Path) -> None:
    (folder / "rows.json").write_text('{"tune": 0.25}')
    prepared, said = prepare_study(folder)
    assert score_of(prepared) == 0.25
    assert not any("no card" in line for line in said)


def test_the_score_makes_no_other_cell(folder: Path) -> None:
    (cell,) = prepare_study(folder)[0].cells
    for score in (None, 0.5):
        other = dataclasses.replace(cell, content={**cell.content, "teacher_score": score})
        assert other.id == cell.id


def test_unreadable_pictures_are_counted_and_named(folder: Path) -> None:
    from PIL import Image

    for number in range(120):
        file = folder / "pictures" / f"kind {number % 3}" / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((16, 16), number, np.uint8)).save(file)
    for number in (3, 4, 5, 6):
        (folder / "pictures" / f"kind {number % 3}" / f"{number}.png").write_bytes(b"no picture")
    text = STUDY.replace("IMAGES", str(folder / "pictures")).replace("VIEWS", "2")
    (folder / "study.toml").write_text(text + OWN)
    said: list[str] = []
    prepare(read_study(folder / "study.toml"), folder / "out", said.append)
    (line,) = [line for line in said if "left out" in line]
    assert line.startswith("warning: 4 images cannot be read and are left out: kind 0/3.png (")
    assert line.endswith("; and 1 more")
    assert "kind 0/6.png (" in line
    assert "\n" not in line
