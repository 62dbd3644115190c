"""The study in pieces: stopped at once, gone on with, within its limits, with few packages at hand."""

from __future__ import annotations

import io
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent.parent
SCRIPT = ROOT / "scripts" / "gpu_study.py"
STUDY = """
name = "pieces"
purpose = "explore"
seeds = 1
students = ["dscnn_8x2"]
methods = ["none", "kd"]
[data]
source = "parquet"
tune = 40
[views]
count = 1
[recipe]
epochs = 2
batch = 32
[int8]
enabled = false
[execution]
jobs = 1
[teachers.first]
net = "zoo:resnet8_w8"
[teachers.first.recipe]
epochs = 2
[teachers.second]
net = "zoo:dscnn_16x2"
[teachers.second.recipe]
epochs = 2
"""
# what the lent machine does not promise; an import of one of them is an error
MISSING = """
import builtins
real = builtins.__import__
def guarded(name, *more, **named):
    if name.split(".")[0] in {"pydantic", "rich", "jinja2", "onnx", "onnxscript", "ray", "ai_edge_litert"}:
        raise ModuleNotFoundError(f"No module named {name!r} (not on the lent machine)")
    return real(name, *more, **named)
builtins.__import__ = guarded
"""


def write_part(path: Path, count: int) -> None:
    draw = np.random.default_rng(0)
    images = []
    for number in range(count):
        stream = io.BytesIO()
        pixels = draw.integers(0, 80, (12, 12, 3)) + 60 * (number % 3)
        Image.fromarray(pixels.astype(np.uint8)).save(stream, "PNG")
        images.append({"bytes": stream.getvalue(), "path": None})
    pq.write_table(pa.table({"image": images, "label": [number % 3 for number in range(count)]}), path)


def call(*arguments: str | Path, cwd: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(cwd / "missing"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, env=environment, cwd=cwd, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def cells(out: Path) -> dict[str, str]:
    database = sqlite3.connect(out / "ledger.sqlite")
    found = dict(database.execute("SELECT id, state FROM cells").fetchall())
    database.close()
    return found


@pytest.mark.slow
def test_it_goes_on_where_the_last_call_stopped(tmp_path: Path) -> None:
    (tmp_path / "missing").mkdir()
    (tmp_path / "missing" / "sitecustomize.py").write_text(MISSING)
    (tmp_path / "full").mkdir()
    write_part(tmp_path / "full" / "train.parquet", 200)
    write_part(tmp_path / "full" / "test.parquet", 40)
    (tmp_path / "study.toml").write_text(STUDY)
    assert "200 training images" in call("make-data", "full", "data", cwd=tmp_path)
    common = ("run", "--data", "data", "--study", "study.toml")
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    said = call(*common, "--out", first, "--budget-s", "0", cwd=tmp_path)
    assert "not finished" in said
    assert {path.name for path in first.iterdir()} == {"cards.json", "ledger.sqlite", "rest.0"}
    assert cells(first) == {}
    said = call(*common, "--out", second, "--state", first, "--budget-s", "800", cwd=tmp_path)
    assert "complete: 3 cells" in said
    assert sorted(cells(second).values()) == ["done"] * 3
    names = sorted(path.name for path in second.iterdir())
    assert [name.split("-")[0] for name in names if name.endswith(".safetensors")] == ["first", "second"]
    assert len(names) <= 8
    said = call(*common, "--out", third, "--state", second, "--budget-s", "800", cwd=tmp_path)
    assert "0 cells to train, 3 kept" in said
    assert "training it" not in said, "the teachers came back"
    assert cells(third) == cells(second)
    for name in names:
        if name.endswith(".safetensors"):
            assert (third / name).read_bytes() == (second / name).read_bytes()
