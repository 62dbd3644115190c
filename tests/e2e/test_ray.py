"""A study on a real Ray cluster of two workers, one of which is lost in the middle: the numbers of a local run."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import alambic
from alambic.cli import main
from alambic.study.ledger import Ledger

STUDY = """
name = "far"
purpose = "demo"
seeds = 2
students = ["dscnn_8x2"]
methods = ["none", "kd"]
[data]
source = "SOURCE"
tune = 40
[views]
count = 1
[recipe]
epochs = 25
batch = 32
eval_every = 25
[int8]
enabled = false
[execution]
jobs = 1
[teachers.small]
net = "zoo:resnet8_w8"
[teachers.small.recipe]
epochs = 1
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 3, 300)
    images = (draw.integers(0, 80, (300, 12, 12)) + 50 * labels[:, None, None]).astype(np.uint8)
    np.savez(tmp_path / "x.npz", x_train=images[:240], y_train=labels[:240], x_test=images[240:], y_test=labels[240:])
    (tmp_path / "study.toml").write_text(STUDY.replace("SOURCE", str(tmp_path / "x.npz")))
    return tmp_path / "study.toml"


def results(out: Path) -> dict[str, Any]:
    """What must be equal: states, scores, curves without seconds, predictions."""
    ledger = Ledger(out / "ledger.sqlite", read_only=True)
    found = {}
    for row in ledger.rows():
        curve = [(record["epoch"], record["loss"], record.get("tune")) for record in ledger.curve(row.id)]
        told = ledger.predictions(row.id, "test", "fp32")
        assert told is not None, row.reason
        found[row.id] = row.state, row.numbers["tune"], curve, told.predicted.tolist(), told.margin.tolist()
    return found


def wait_for(condition: Any, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 900
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_lost_node_costs_no_cell(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason='Ray is not installed: pip install "alambic[ray]"')
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", str(Path(alambic.__file__).parent.parent))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    out = tmp_path / "far"
    few = {"num_cpus": 1, "object_store_memory": 80_000_000, "include_log_monitor": False}
    process: subprocess.Popen[str] | None = None
    cluster = Cluster(initialize_head=True, head_node_args={**few, "include_dashboard": False, "no_monitor": True})
    try:
        doomed = cluster.add_node(**few)
        cluster.wait_for_nodes()
        command = [sys.executable, "-m", "alambic.cli", "study", "run", str(study), "--out", str(out)]
        command += ["--executor", "ray", "--address", cluster.address]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path)
        # two cells are on their way, so one on each node
        wait_for(lambda: len(list((out / "checkpoints").glob("*.checkpoint"))) >= 2, process)
        held = {path.stem for path in (out / "checkpoints").glob("*.checkpoint")}
        cluster.remove_node(doomed, allow_graceful=False)
        said, _ = process.communicate(timeout=900)
    finally:
        if process is not None:
            process.kill()
        cluster.shutdown()
    assert process.returncode == 0, said
    found = results(out)
    assert len(found) == 4
    assert held <= set(found)
    assert {state for state, *_ in found.values()} == {"done"}
    assert main(["study", "run", str(study), "--out", str(tmp_path / "near")]) == 0
    assert results(tmp_path / "near") == found


def test_without_ray_the_message_says_what_to_install(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    command = ["study", "run", str(study), "--out", str(tmp_path / "far")]
    assert main([*command, "--executor", "ray"]) == 2
    assert "alambic[ray]" in capsys.readouterr().err
    assert main([*command, "--address", "somewhere:1"]) == 2
    assert "--executor ray" in capsys.readouterr().err
