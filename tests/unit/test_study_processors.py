"""Jobs and threads of a study: chosen by measurement once, kept, never chosen again."""

import json
from dataclasses import replace

import pytest

from alambic.errors import AlambicError
from alambic.study import processors
from alambic.study.processors import choose, measure_rate, settle_threads
from alambic.study.study_file import Execution, read_study

TEXT = """
name = "threads"
purpose = "demo"
seeds = 1
students = ["dscnn_8x2"]
methods = ["none"]
[data]
source = "images.npz"
[recipe]
batch = 16
[execution]
threads = 0
"""


@pytest.fixture
def study(tmp_path):
    (tmp_path / "study.toml").write_text(TEXT)
    return read_study(tmp_path / "study.toml")


def rates(**found):
    asked = []

    def measure(study, processes, threads):
        asked.append((processes, threads))
        return found["processes" if threads == 1 else "threads"]

    return measure, asked


def test_the_quicker_one_is_chosen_kept_and_never_measured_again(study, tmp_path, monkeypatch):
    monkeypatch.setattr(processors.os, "cpu_count", lambda: 2)
    told = []
    measure, asked = rates(processes=100.0, threads=180.0)
    settled = settle_threads(study, tmp_path, told.append, measure)
    assert asked == [(2, 1), (1, 2)]
    assert (settled.execution.jobs, settled.execution.threads) == (1, 2)
    assert len(told) == 1
    other, again = rates(processes=900.0, threads=1.0)
    monkeypatch.setattr(processors.os, "cpu_count", lambda: 64)  # another machine goes on with the same numbers
    assert settle_threads(study, tmp_path, told.append, other).execution == settled.execution
    assert again == []


def test_one_process_must_win_clearly():
    assert choose({(2, 1): 100.0, (1, 2): 104.0}) == (2, 1)
    assert choose({(2, 1): 100.0, (1, 2): 106.0}) == (1, 2)
    assert choose({(1, 1): 10.0}) == (1, 1)


def test_threads_of_the_file_are_kept_and_nothing_is_measured(study, tmp_path):
    fixed = replace(study, execution=Execution(jobs=3, threads=1))
    measure, asked = rates(processes=1.0, threads=2.0)
    assert settle_threads(fixed, tmp_path, print, measure) is fixed
    assert asked == []
    assert not (tmp_path / processors.FILE).exists()


def test_a_changed_file_is_refused(study, tmp_path):
    (tmp_path / processors.FILE).write_text(json.dumps({"jobs": 1}))
    with pytest.raises(AlambicError, match="threads"):
        settle_threads(study, tmp_path, print)


@pytest.mark.slow
def test_measures_in_processes(study, tmp_path, monkeypatch):
    import numpy as np

    draw = np.random.default_rng(0)
    np.savez(tmp_path / "images.npz", x=draw.integers(0, 255, (200, 16, 16), dtype=np.uint8), y=np.arange(200) % 4)
    monkeypatch.chdir(tmp_path)
    assert measure_rate(study, 2, 1) > 0
