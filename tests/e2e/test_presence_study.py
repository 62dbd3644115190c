"""The studies of studies/presence, cut down: the very files, with fewer images, arms and seeds."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from alambic.data import load_source
from alambic.report.facts.findings import find
from alambic.study.content import train_ids
from alambic.study.ledger import Ledger
from alambic.study.run import run_study
from alambic.study.study_file import read_study

STUDIES = Path(__file__).parents[2] / "studies" / "presence"
HERE = Path(os.environ.get("ALAMBIC_DATA", "/nowhere")) / "cifar100"

pytestmark = pytest.mark.skipif(not HERE.exists(), reason="needs $ALAMBIC_DATA/cifar100")


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["people", "people500", "people10000", "insects", "sensor_teacher", "vehicles"])
def test_labels_are_few_and_natural(folder: str) -> None:
    study = read_study(STUDIES / folder / "study.toml")
    source = load_source(study.data)
    train = train_ids(study, source)
    known = source.labels[train][source.labels[train] >= 0]
    assert len(train) == study.data.train == 20000
    assert len(known) == study.data.labelled
    assert 0.03 < float(known.float().mean()) < 0.07
    for split, count in (("tune", 5000), ("test", 10000)):
        labels = source.labels[source.splits[split]]
        assert len(labels) == count
        assert abs(float(labels.float().mean()) - 0.05) < 0.01
    assert len(source.merged[1]) == 5
    assert len(source.merged[0]) == 95


@pytest.mark.slow
@pytest.mark.timeout(900)  # int8 on 10,000 test images behind four sensors, five times
def test_a_small_confirmation_runs_to_its_report(tmp_path: Path) -> None:
    base, tuned = (STUDIES / "people" / "study.toml").resolve(), (STUDIES / "tuned.toml").resolve()
    mixer = (STUDIES.parent / "cross-architecture" / "cifar100").resolve()
    (tmp_path / "confirm.toml").write_text((STUDIES / "people" / "confirm.toml").read_text())
    (tmp_path / "study.toml").write_text(
        f'extends = "{base}"\nname = "small"\nseeds = 1\narms_from = "{tuned}"\n[data]\ntrain = 1500\n'
        f"labelled = 500\n[views]\ncount = 1\n"
        f'[recipe]\nepochs = 2\n[int8]\ncalibration_images = 64\n[teachers.mixer]\nnet = "{mixer}/mixer.py:make"\n'
        f'weights = "{mixer}/mixer_kd.safetensors"\nteacher_data = "superset"\n'
    )
    summary = run_study(read_study(tmp_path / "study.toml"), tmp_path / "out", say=lambda text: None)
    assert summary.failed == summary.skipped == 0
    rows = Ledger(summary.ledger, read_only=True).rows("done")
    assert len(rows) == 5
    for row in rows:
        names = {"tune", "test", "test_int8", "test_on_dark", "test_on_dark_int8", "test_on_bright"}
        assert names <= set(row.numbers)
        assert row.numbers["test_on_trained"] == row.numbers["test"]
        assert np.isfinite(row.numbers["test_recall_at_1_percent_false_alarms_int8"])
    kept = Ledger(summary.ledger, read_only=True).predictions(rows[0].id, "test_on_dark", "int8")
    assert kept is not None
    assert len(kept.margin) == 10000
    declared = find(summary.ledger).declared
    assert declared is not None
    assert not declared.missing
    assert len(declared.contrasts) == 5
