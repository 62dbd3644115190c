"""Tuning counts the trials of this file alone, whatever else its ledger holds, and varies each arm's own recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alambic.errors import AlambicError
from alambic.study.cell import Cell
from alambic.study.local import Event, Executor
from alambic.study.study_file import Study, read_study
from alambic.study.tuning import draw_trials, tune_study
from alambic.study.work import Result

STUDY = """
name = "fair"
purpose = "explore"
students = ["dscnn_8x2"]
[data]
source = "images.npz"
tune = 0.2
[recipe]
epochs = 4
batch = 16
lr = 0.05
weight_decay = 0.001
[int8]
enabled = false
[execution]
jobs = 1
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Study]:
    pixels = np.random.default_rng(0).integers(0, 255, (90, 16, 16, 1)).astype(np.uint8)
    np.savez(tmp_path / "images.npz", images=pixels, labels=np.arange(90) % 3)

    def write(more: str) -> Study:
        path = tmp_path / "study.toml"
        path.write_text(STUDY.replace("images.npz", str(tmp_path / "images.npz")) + more)
        return read_study(path)

    return write


def scores(score: Callable[[Cell], float | None]) -> Executor:
    """In place of trainings: what each cell scores; None for one that fails."""

    def execute(prepared: Any, cells: list[Cell], out: Path, jobs: int) -> Iterator[Event]:
        for cell in cells:
            found = score(cell)
            if found is None:
                yield Event("failed", cell, "it was told to")
            else:
                yield Event("done", cell, Result({"tune": found, "seconds": 1.0}, [], {}))

    return execute


def quiet(_: str) -> None:
    """Says nothing."""


def plain(low: float, high: float) -> str:
    return f'[tuning]\ntrials = 8\nkeep = 1\nrungs = [1.0]\nlr = [{low}, {high}]\n[[arms]]\nmethod = "none"\n'


def test_what_an_edited_file_no_longer_asks_for_is_not_chosen(write: Callable[[str], Study], tmp_path: Path) -> None:
    drawn = scores(lambda cell: 0.9 if "trial" in cell.arm.name else 0.5)
    before = tune_study(write(plain(0.3, 3.0)), tmp_path, quiet, drawn)["none"]
    assert (before.trial.number, before.score) == (1, 0.9)
    study = write(plain(0.001, 0.01))
    after = tune_study(study, tmp_path, quiet, scores(lambda cell: 0.2))["none"]
    assert after.trial.number == 0, "trained as written before: .5, the new trials .2"
    assert after.score == after.written == 0.5
    assert tune_study(study, tmp_path, quiet, scores(lambda cell: 1.0))["none"] == after  # all stands in the ledger


def test_old_scores_do_not_stand_in_for_trials_that_fail(write: Callable[[str], Study], tmp_path: Path) -> None:
    tune_study(write(plain(0.3, 3.0)), tmp_path, quiet, scores(lambda cell: 0.9))
    other = write(plain(0.001, 0.01).replace('"none"', '"none"\nrecipe = { weight_decay = 0.0 }'))
    with pytest.raises(AlambicError, match="at least one finished training of each arm, got none of none"):
        tune_study(other, tmp_path, quiet, scores(lambda cell: None))


@pytest.mark.parametrize(("treatment", "epochs"), [("longer_schedule", {4, 8}), ("patient", {20, 40})])
def test_an_arm_whose_treatment_changes_the_epochs_is_tuned(
    write: Callable[[str], Study], tmp_path: Path, treatment: str, epochs: set[int]
) -> None:
    text = '[tuning]\ntrials = 3\nkeep = 2\nrungs = [0.5, 1.0]\n[[arms]]\nmethod = "none"\n'
    text += f'treatments = ["{treatment}"]\n'
    seen: set[int] = set()

    def score(cell: Cell) -> float:
        seen.add(cell.content["recipe"]["epochs"])
        return 0.8 if cell.arm.name.endswith("trial 1") else 0.5

    (found,) = tune_study(write(text), tmp_path, quiet, scores(score)).values()
    assert seen == epochs
    assert (found.trial.number, found.score) == (1, 0.8)


def test_a_range_multiplies_the_recipe_that_the_arm_has(write: Callable[[str], Study]) -> None:
    ranges = "[tuning]\ntrials = 4\nlr = [0.5, 2.0]\nweight_decay = [0.5, 2.0]\n"
    text = ranges + '[[arms]]\nmethod = "none"\n[[arms]]\nname = "own"\nmethod = "none"\nrecipe = { lr = 0.5 }\n'
    study = write(text)
    usual, own = ([trial.arm.recipe for trial in draw_trials(arm, study)][1:] for arm in study.arms)
    for a, b in zip(usual, own, strict=True):
        assert b["lr"] == pytest.approx(10 * a["lr"], rel=0.01)
        assert b["weight_decay"] == a["weight_decay"]


def test_settings_of_a_method_that_no_arm_has_are_refused(write: Callable[[str], Study], tmp_path: Path) -> None:
    study = write('[tuning.settings.nonee]\ntemperature = [1.0, 8.0]\n[[arms]]\nmethod = "none"\n')
    with pytest.raises(AlambicError, match=r"\[tuning.settings\].*got 'nonee'.*did you mean 'none'\?"):
        tune_study(study, tmp_path, quiet, scores(lambda cell: 0.5))


TWO = """
[teachers.a]
net = "zoo:dscnn_8x2"
[teachers.a.recipe]
epochs = 1
[teachers.b]
net = "zoo:dscnn_16x2"
[teachers.b.recipe]
epochs = 1
"""
FEWER = '[tuning]\ntrials = 3\nkeep = 1\nrungs = [1.0]\n[[arms]]\nmethod = "kd"\n'
FEWER += '[[arms]]\nname = "by a"\nmethod = "kd"\nsettings = { temperature = 2.0 }\nteachers = ["a"]\n' + TWO


def test_an_arm_of_fewer_teachers_is_tuned_beside_the_others(write: Callable[[str], Study], tmp_path: Path) -> None:
    found = tune_study(write(FEWER), tmp_path, quiet, scores(lambda cell: 0.5 if "trial" in cell.arm.name else 0.4))
    assert {name: best.trial.number for name, best in found.items()} == {"kd": 1, "by a": 1}


def test_a_trial_that_failed_with_one_teacher_is_left_out(write: Callable[[str], Study], tmp_path: Path) -> None:
    def score(cell: Cell) -> float | None:
        good = cell.arm.name == "kd, trial 1"
        return None if good and cell.teacher == "b" else 0.9 if good else 0.4

    found = tune_study(write(FEWER), tmp_path, quiet, scores(score))
    assert (found["kd"].trial.number, found["kd"].score) == (0, 0.4)


def test_trials_are_no_finalists(write: Callable[[str], Study], tmp_path: Path) -> None:
    counts = []

    def execute(prepared: Any, cells: list[Cell], out: Path, jobs: int) -> Iterator[Event]:
        counts.append(prepared.study.finalists.count)
        return scores(lambda cell: 0.5)(prepared, cells, out, jobs)

    tune_study(write(plain(0.3, 3.0) + "[finalists]\ncount = 1\n"), tmp_path, quiet, execute)
    assert counts == [0]
