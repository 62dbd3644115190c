"""The study of pretrained networks: its very file, with small networks of random weights, no hub and few images."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm

from alambic.files import read_state_dict
from alambic.study.ledger import Ledger
from alambic.study.run import run_study
from alambic.study.study_file import read_study

STUDY = Path(__file__).parents[2] / "studies" / "pretrained" / "study.toml"
SMALL: dict[str, dict[str, Any]] = {
    "vit": {"depth": 2, "embed_dim": 48, "num_heads": 2},
    "swin": {"embed_dim": 24, "depths": [1, 1], "num_heads": [1, 2]},
    "convnext": {"depths": [1, 1, 1, 1], "dims": [8, 16, 24, 32]},
}
OVERRIDE = """
extends = {base}
name = "small"
seeds = 1
students = ["dscnn_8x2"]
methods = ["none"]
[data]
source = "npz"
path = {data}
[views]
count = 1
[recipe]
epochs = 1
batch = 16
[int8]
calibration_images = 16
[execution]
jobs = 1
[[arms]]
name = "kd"
method = "kd"
balance = 1.0
ce_weight = 1.0
"""


def write(folder: Path) -> Path:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 60)
    pixels = generator.integers(0, 255, (60, 3, 32, 32)).astype(np.uint8)
    np.savez(folder / "set.npz", images=pixels, labels=labels)
    text = OVERRIDE.format(base=json.dumps(str(STUDY)), data=json.dumps(str(folder / "set.npz")))
    for name, table in tomllib.loads(STUDY.read_text())["teachers"].items():
        kwargs = SMALL.get(table["family"])
        net = table["net"] if kwargs else "timm:mixer_s32_224"  # timm's function fixes a Mixer's width
        text += f"[teachers.{name}]\nnet = {json.dumps(net)}\nteacher_data = 'external'\nfamily = '{table['family']}'\n"
        text += "".join(f"{key} = {table[key]}\n" for key in ("size", "mean", "std"))
        text += "fit_head = true\n" if table.get("fit_head") else ""
        if kwargs:
            text += "kwargs = { " + ", ".join(f"{key} = {value}" for key, value in kwargs.items()) + " }\n"
        if "recipe" in table:
            text += "recipe = { optimizer = 'adamw', lr = 1e-4, epochs = 1, batch = 16 }\nviews = { count = 0 }\n"
    (folder / "small.toml").write_text(text)
    return folder / "small.toml"


def test_the_file_names_networks_of_the_hub_as_they_were_trained() -> None:
    study = read_study(STUDY)
    families = {entry.spec.family for entry in study.teachers.values()}
    assert families == {"vit", "swin", "convnext", "mixer"}
    for name, entry in study.teachers.items():
        spec = entry.spec
        assert spec.pretrained, name
        assert spec.teacher_data == "external", name
        known = timm.get_pretrained_cfg(spec.net.removeprefix("timm:"))
        assert known is not None, name
        assert known.has_weights, name
        assert (tuple(spec.mean), tuple(spec.std)) == (known.mean, known.std), name
        assert spec.size == known.input_size[1:], name


@pytest.mark.slow
def test_adapt_bank_and_distil_by_one_command(tmp_path: Path) -> None:
    study = read_study(write(tmp_path))
    summary = run_study(study, tmp_path / "out", say=lambda text: None)
    assert summary.failed == summary.skipped == 0
    ledger = Ledger(summary.ledger, read_only=True)
    rows = ledger.rows("done")
    taught = {row.content["teacher"] for row in rows} - {None}
    assert taught == set(study.teachers)
    assert all(row.content["teacher_data"] == "external" for row in rows if row.content["teacher"])
    assert len(ledger.banks()) == len(study.teachers)
    for row in rows:
        assert "test" not in row.numbers, "an exploration opens no test split"
        assert "tune_int8" in row.numbers
    files = list((tmp_path / "out" / "teachers").glob("*.safetensors"))
    assert len(files) == len(study.teachers)
    (fitted,) = [path for path in files if path.name.startswith("convnext_head")]
    assert read_state_dict(fitted)["head.fc.weight"].shape == (3, 32)
    again = run_study(study, tmp_path / "out", say=lambda text: None)
    assert (again.done, again.kept) == (0, len(rows))
