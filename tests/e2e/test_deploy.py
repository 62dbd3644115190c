"""``alambic deploy`` and ``alambic chips`` as a person types them, zoo student and a network of one's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from alambic.cli import main
from alambic.models.students import create_student
from alambic.study.ledger import Ledger

pytest.importorskip("onnxruntime")
pytest.importorskip("ai_edge_litert")

OWN = '''
"""An odd network: 7 and 13 channels, symmetric stride-2 padding, two classes."""
from torch import nn

def make(in_channels, num_classes):
    return nn.Sequential(
        nn.Conv2d(in_channels, 7, 3, 2, 1), nn.BatchNorm2d(7), nn.ReLU(),
        nn.Conv2d(7, 7, 3, 2, 1, groups=7), nn.BatchNorm2d(7), nn.ReLU6(),
        nn.Conv2d(7, 13, 1), nn.BatchNorm2d(13), nn.ReLU(), nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(13, num_classes),
    )
'''


def test_a_network_of_ones_own_on_images_of_another_shape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """160 x 120 grey images of two classes, bright above or bright below."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 90)
    images = rng.integers(0, 120, (90, 120, 160), dtype=np.uint8)
    images[labels == 0, :60] += 100
    images[labels == 1, 60:] += 100
    np.savez(tmp_path / "lights.npz", x=images, y=labels)
    (tmp_path / "own.py").write_text(OWN)
    out = tmp_path / "out"
    student = f"{tmp_path / 'own.py'}:make"
    code = main(["deploy", student, "--data", str(tmp_path / "lights.npz"), "--chip", "acc-128", "--out", str(out)])
    said = capsys.readouterr().out
    assert code == 0
    facts = json.loads((out / "fit.json").read_text())
    assert facts["input"] == [1, 120, 160]
    assert facts["verdict"]["fits"] is True
    assert facts["accuracy"]["between"] == 1.0
    assert [pair["channels"] for pair in facts["equalisation"]["pairs"]] == [7, 13]  # what is between has ReLU6
    assert facts["equalisation"]["asked"] is False
    assert facts["equalisation"]["sentence"] in said
    assert facts["accuracy"]["equal"] == facts["accuracy"]["checked"]
    assert facts["needs"]["tflm"]["ram"]["arena head"] == facts["memory"]["arena_bytes"]
    assert "weights are random" in said
    assert "of no zoo family" in said
    assert str((out / "index.html").resolve()) in said


def test_a_zoo_student_with_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = create_student("dscnn_24x3", 1, 28, 10)
    net.train()(torch.randn(16, 1, 28, 28))
    save_file({key: value.contiguous() for key, value in net.state_dict().items()}, tmp_path / "a.safetensors")
    arguments = ["deploy", "dscnn_24x3", "--weights", str(tmp_path / "a.safetensors"), "--no-emulation"]
    arguments += ["--out", str(tmp_path / "out")]
    assert main([*arguments, "--chip", "bluepill"]) == 0
    said = capsys.readouterr().out
    assert "bluepill (Cortex-M3, 72 MHz): fits" in said
    assert "no data given" in said
    assert main([*arguments, "--chip", "acc-32", "--classes", "3"]) == 2
    assert "other shape: head.weight, head.bias" in capsys.readouterr().err
    assert main([*arguments, "--chip", "bluepil"]) == 2
    assert "did you mean 'bluepill'" in capsys.readouterr().err


SUNKEN = """
import torch
from torch import nn

class Sunken(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.deep, self.head = nn.Conv2d(channels, 1, 1), nn.Linear(1, classes)
        nn.init.constant_(self.deep.bias, -1e9)  # TFLite-Micro aborts over the sum below

    def forward(self, images):
        return self.head(torch.relu(images + self.deep(images)).mean((2, 3)))

def make(in_channels, num_classes):
    return Sunken(in_channels, num_classes)
"""


def test_a_study_keeps_what_it_trained_where_tflite_micro_aborts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")
    (tmp_path / "own.py").write_text(SUNKEN)
    images = np.random.default_rng(0).integers(0, 255, (80, 12, 12), dtype=np.uint8)
    np.savez(tmp_path / "noise.npz", x=images, y=np.arange(80) % 2)
    study, out = tmp_path / "study.toml", tmp_path / "run"
    lines = ['name = "a"', 'purpose = "demo"', "seeds = 1", 'students = ["own.py:make"]', 'methods = ["none"]']
    lines += [
        "[data]",
        f'source = "{tmp_path}/noise.npz"',
        "[views]",
        "count = 1",
        "[recipe]",
        "epochs = 1",
        "batch = 8",
    ]
    study.write_text("\n".join(lines))
    assert main(["study", "run", str(study), "--out", str(out)]) == 0
    why = "without the device's kernels: 1 cell: student.tflite: expected a .tflite file that TFLite-Micro runs, but"
    assert why in capsys.readouterr().out
    (row,) = Ledger(out / "ledger.sqlite", read_only=True).rows("done")
    assert {"test", "test_int8", "tflite_bytes"} < row.numbers.keys()
    assert "exit code -6, an abort of a native library" in row.numbers["kernels_missing"]
    assert (out / "students" / f"{row.id}.safetensors").exists()
    assert main(["study", "status", str(study), "--out", str(out)]) == 0
    assert why in capsys.readouterr().out


def test_a_deployed_student_is_quantised_as_its_row_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A study's [int8] and its calibration images are taken, unless the command line says otherwise."""
    rng, labels = np.random.default_rng(0), np.arange(150) % 2
    images = rng.integers(0, 90, (150, 16, 16), dtype=np.uint8)
    images[labels == 0, :8] += 120
    np.savez(tmp_path / "halves.npz", x=images, y=labels)
    lines = ['name = "halves"', 'purpose = "demo"', "seeds = 1", 'students = ["dscnn_8x2"]', 'methods = ["none"]']
    lines += ["[data]", f'source = "{tmp_path}/halves.npz"', "[recipe]", "epochs = 2", "batch = 8"]
    lines += [
        "[int8]",
        "per_channel = false",
        'calibration = "percentile"',
        "calibration_images = 8",
        "equalise = true",
    ]
    study, out = tmp_path / "study.toml", tmp_path / "run"
    study.write_text("\n".join(lines))
    assert main(["study", "run", str(study), "--out", str(out)]) == 0
    (row,) = Ledger(out / "ledger.sqlite", read_only=True).rows("done")
    weights = out / "students" / f"{row.id}.safetensors"
    arguments = ["deploy", "dscnn_8x2", "--study", str(study), "--weights", str(weights), "--chip", "acc-32"]
    arguments += ["--no-emulation", "--out", str(tmp_path / "out")]

    def deploy(*more: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
        capsys.readouterr()
        assert main([*arguments, *more]) == 0
        facts = json.loads((tmp_path / "out" / "fit.json").read_text())
        return capsys.readouterr().out, facts["quantisation"], facts["accuracy"]

    said, made, score = deploy()
    assert (
        "int8 as study 'halves' says: one weight scale a tensor, percentile over 8 of its calibration images, " in said
    )
    assert (made["per_channel"], made["calibration"], made["equalise"]) == (False, "percentile", True)
    assert [made["calibration_hash"], made["calibration_size"]] == [row.numbers["calibration_hash"], 8]
    assert score["onnx"] == pytest.approx(row.numbers["test_int8"])
    assert score["onnx_agrees"] == pytest.approx(row.numbers["agreement_int8"])
    assert f"int8 {score['onnx']:.4f} by ONNX Runtime's simulation" in said
    assert f"int8 {score['chip']:.4f} by the integer executor" in said
    assert "int8 by ONNX Runtime's simulation scores" in said
    said, made, _ = deploy("--no-per-tensor", "--calibration", "minmax", "--calibration-images", "9", "--no-equalise")
    assert "says, but for calibration_images, calibration, per_channel, equalise: one weight scale a channel, " in said
    assert (made["per_channel"], made["calibration"], made["equalise"]) == (True, "minmax", False)
    assert made["calibration_size"] == 9


def test_what_is_missing_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "own.py").write_text(OWN)
    assert main(["deploy", f"{tmp_path / 'own.py'}:make", "--chip", "acc-32"]) == 2
    assert "try --input 1x120x160 --classes 2" in capsys.readouterr().err
    assert main(["deploy", "dscnn_24x3", "--chip", "acc-32", "--input", "28x28"]) == 2
    assert "expected --input CxHxW" in capsys.readouterr().err


def test_chips_are_listed_with_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[mine]\ncore = "one"\nengine = "accelerator"\nram_kib = 8\nsource = "me"\n')
    assert main(["chips", "--chips", str(file)]) == 0
    said = capsys.readouterr().out
    assert "stm32h747i-disco  c                  2048              1024 (512)" in said
    assert "mine" in said
    assert "?" in said


def test_a_private_accelerator_is_scored_in_its_own_arithmetic(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The entry of examples/, narrowed to two-bit weights, which no network survives."""
    example = Path(__file__).parents[2] / "examples" / "my_chip.toml"
    narrow = tmp_path / "narrow.toml"
    narrow.write_text(example.read_text().replace("weight_bits = 8", "weight_bits = 2"))
    images = np.random.default_rng(0).integers(0, 255, (90, 28, 28), dtype=np.uint8)
    np.savez(tmp_path / "noise.npz", x=images, y=np.arange(90) % 10)
    for file in (example, narrow):
        arguments = ["deploy", "dscnn_24x3", "--data", str(tmp_path / "noise.npz"), "--chip", "my-sensor"]
        assert main([*arguments, "--chips", str(file), "--no-emulation", "--out", str(tmp_path / file.stem)]) == 0
    said = capsys.readouterr().out
    assert "of 11,264: 1,856 bytes left" in said  # 12 KiB, one reserved
    whole, narrowed = (json.loads((tmp_path / file.stem / "fit.json").read_text()) for file in (example, narrow))
    assert whole["chip"]["arithmetic"]["accumulator_bits"] == 20
    assert whole["accuracy"]["device"] == narrowed["accuracy"]["device"]
    assert f"int8 {whole['accuracy']['chip']:.4f}" in said
    assert whole["accuracy"]["chip"] == whole["accuracy"]["variants"]["this chip"]  # fewer than 500 images
    assert narrowed["needs"]["accelerator"]["flash_bytes"] < whole["needs"]["accelerator"]["flash_bytes"]
    assert "this chip's arithmetic</td>" in (tmp_path / "my_chip" / "index.html").read_text().replace("&#39;", "'")


@pytest.mark.slow
def test_a_network_of_ones_own_from_study_to_chip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same commands as for a zoo student: a study for a chip, a trained row, its deployment, a report."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 120)
    images = rng.integers(0, 60, (120, 120, 160), dtype=np.uint8)
    images[labels == 0, :60] += 180
    images[labels == 1, 60:] += 180
    np.savez(tmp_path / "lights.npz", x=images, y=labels)
    (tmp_path / "own.py").write_text(OWN)
    study, out = tmp_path / "lights.toml", tmp_path / "run"
    new = ["study", "new", str(study), "--student", f"{tmp_path}/own.py:make", "--data", str(tmp_path / "lights.npz")]
    assert main([*new, "--methods", "none", "--epochs", "6", "--seeds", "1", "--chip", "acc-128"]) == 0
    assert "own.py:make on acc-128 (generic tiny accelerator): fits" in capsys.readouterr().out
    assert main(["study", "run", str(study), "--out", str(out)]) == 0
    ledger = Ledger(out / "ledger.sqlite", read_only=True)
    (row,) = ledger.rows("done")
    assert row.numbers["fits"] is True
    found = ledger.predictions(row.id, "test", "kernels")
    assert found is not None
    assert len(found.predicted) == row.numbers["kernel_images"]
    weights = out / "students" / f"{row.id}.safetensors"
    arguments = ["deploy", "own.py:make", "--study", str(study), "--weights", str(weights), "--chip", "acc-128"]
    assert main([*arguments, "--no-emulation", "--out", str(tmp_path / "out")]) == 0
    facts = json.loads((tmp_path / "out" / "fit.json").read_text())
    assert facts["input"] == [1, 120, 160]
    assert facts["needs"]["accelerator"]["ram_bytes"] == row.numbers["ram_bytes"]
    assert facts["accuracy"]["device"] == pytest.approx(row.numbers["test_kernels"])
    assert len(facts["float_layers"]["layers"]) == 4
