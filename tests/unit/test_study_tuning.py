"""Tuning: equal trials for each arm, on the tune split alone; the file it writes is what a study then runs."""

import dataclasses
import json
import math

import numpy as np
import pytest

from alambic.errors import AlambicError
from alambic.report.facts.findings import find
from alambic.study.ledger import Ledger
from alambic.study.prepare import prepare
from alambic.study.run import run_study
from alambic.study.study_file import read_study
from alambic.study.tuning import draw_trials, score_trials, to_toml, tune_study

HEAD = """
name = "tuned"
purpose = "{purpose}"
seeds = {seeds}
students = ["dscnn_8x2"]
{more}
[data]
source = "{data}"
tune = 0.2
test = 0.2
[views]
count = 2
[recipe]
epochs = 4
batch = 32
lr = 0.05
warmup = 0.5
[int8]
enabled = false
[execution]
jobs = 1
[teachers.small]
net = "zoo:resnet8_w8"
[teachers.small.recipe]
epochs = 1
"""
TUNING = """
[tuning]
trials = 4
rungs = [0.5, 1.0]
keep = 2
lr = [0.1, 10.0]
balance = [0.1, 10.0]
[tuning.settings.kd]
temperature = [1.0, 8.0]
"""
ARMS = """
[[arms]]
method = "none"
[[arms]]
method = "kd"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuning")
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 400)
    images = generator.integers(0, 60, (400, 16, 16, 1)).astype(np.uint8)
    images[np.arange(400), 4 * labels + 2, :, 0] += 150
    np.savez(folder / "stripes.npz", images=images, labels=labels)
    return folder


def score_last(study, out):
    """Of each trial of the last rung that was trained."""
    found = {}
    for arm in study.arms:
        trials = tuple(trial.arm for trial in draw_trials(arm, study))
        explored = dataclasses.replace(study, arms=trials, seeds=1)
        found |= score_trials(out / "ledger.sqlite", prepare(explored, out, lambda _: None).cells)
    return found


def write(folder, text, name="study.toml", purpose="explore", seeds=2, more=""):
    path = folder / name
    path.write_text(HEAD.format(purpose=purpose, seeds=seeds, data=folder / "stripes.npz", more=more) + text)
    return read_study(path)


@pytest.fixture(scope="module")
def tuned(folder):
    study = write(folder, TUNING + ARMS)
    return study, tune_study(study, folder / "out", say=lambda _: None), folder / "out"


def test_every_arm_gets_the_same_trials(tuned):
    _, _, out = tuned
    rows = Ledger(out / "ledger.sqlite", read_only=True).rows("done")
    counts = {}
    for row in rows:
        arm = row.content["arm"]
        counts.setdefault((arm["methods"][0], row.content["recipe"]["epochs"]), set()).add(arm["name"])
    assert {key: len(names) for key, names in counts.items()} == {
        ("none", 2): 4,
        ("none", 4): 2,
        ("kd", 2): 4,
        ("kd", 4): 2,
    }
    assert {row.content["seed"] for row in rows} == {0}
    for row in rows:
        assert "test" not in row.numbers
        assert "tune" in row.numbers


def test_arms_share_their_draws_and_only_the_first_is_as_written(folder):
    study = write(folder, TUNING + ARMS, "draws.toml")
    none, kd = (draw_trials(arm, study) for arm in study.arms)
    assert none[0].arm == study.arms[0]
    assert kd[0].arm == study.arms[1]
    assert [t.arm.recipe for t in none[1:]] == [t.arm.recipe for t in kd[1:]]
    assert all(t.arm.balance is None for t in none)
    assert all(t.arm.balance for t in kd[1:])
    for values in ([t.arm.recipe["lr"] / 0.05 for t in kd[1:]], [t.arm.balance for t in kd[1:]]):
        thirds = sorted(int(3 * (math.log10(value) + 1) / 2) for value in values)
        assert thirds == [0, 1, 2]  # one draw a part of [.1, 10]
    assert len({t.arm.settings["kd"]["temperature"] for t in kd[1:]}) == 3


def test_label_smoothing_is_tuned_by_its_own_setting_and_never_scaled(folder):
    arm = '[[arms]]\nmethod = "label_smoothing"\n'
    ranges = "[tuning.settings.label_smoothing]\nepsilon = [0.03, 0.3]\n"
    study = write(folder, TUNING + ranges + arm, "smooth.toml")
    trials = draw_trials(study.arms[0], study)
    assert all(t.arm.balance is None for t in trials)
    assert len({t.arm.settings["label_smoothing"]["epsilon"] for t in trials[1:]}) == len(trials) - 1


def test_the_best_trial_of_the_last_rung_is_taken(tuned):
    study, found, out = tuned
    last = score_last(study, out)
    for name, best in found.items():
        mine = {arm: score for arm, score in last.items() if arm == name or arm.startswith(f"{name}, ")}
        assert len(mine) == 2
        assert best.score == max(mine.values()) == last[best.trial.arm.name]


def test_a_score_of_fewer_epochs_is_not_told_beside_the_best(tuned):
    study, found, out = tuned
    last = score_last(study, out)
    text = (out / "tuned.toml").read_text()
    for name, best in found.items():
        assert best.written == last.get(name)
        assert f"# {100 * best.score:.2f} by {best.told}" in text
        if name not in last:
            assert "left out" in best.told


def test_a_second_call_trains_nothing(tuned):
    study, found, out = tuned
    before = (out / "ledger.sqlite").stat().st_mtime_ns, (out / "tuned.toml").read_text()
    said = []
    assert tune_study(study, out, say=said.append) == found
    assert [line for line in said if "0 cells to train" in line]
    assert (out / "tuned.toml").read_text() == before[1]


def test_a_study_takes_the_tuned_arms_and_its_report_compares_them(tuned, folder):
    found = tuned[1]
    study = write(folder, "", "confirm-study.toml", purpose="demo", more='arms_from = "out/tuned.toml"')
    assert [arm.name for arm in study.arms] == ["none", "kd"]
    for arm in study.arms:
        best = found[arm.name].trial.arm
        assert (arm.recipe, arm.balance, arm.settings) == (best.recipe, best.balance, best.settings)
    # make the two learning rates differ, whatever was best above
    arms = [{"method": "none", "recipe": {"lr": 0.02}}, {"method": "kd", "recipe": {"lr": 0.1}}]
    lines = [f"[[arms]]\n{chr(10).join(f'{key} = {to_toml(value)}' for key, value in arm.items())}\n" for arm in arms]
    (folder / "two.toml").write_text("".join(lines))
    study = write(folder, "", "two-study.toml", purpose="demo", more='arms_from = "two.toml"')
    ledger = Ledger(run_study(study, folder / "two", say=lambda _: None).ledger, read_only=True)
    assert {row.content["recipe"]["lr"] for row in ledger.rows("done")} == {0.02, 0.1}
    assert {row.content["shared_recipe"]["lr"] for row in ledger.rows("done")} == {0.05}
    (student,) = find(ledger.path).students
    assert student.baseline.arm == "none"
    assert [c.group.arm for c in student.contrasts] == ["kd"]


def test_other_learning_rates_are_other_cells(folder):
    texts = [f'[[arms]]\nmethod = "none"\nrecipe = {{ lr = {lr} }}\n' for lr in (0.05, 0.1)]
    from alambic.study.prepare import prepare

    ids = [
        prepare(write(folder, text, f"lr{i}.toml"), folder / "ids", lambda _: None).cells[0].id
        for i, text in enumerate(texts)
    ]
    assert ids[0] != ids[1]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[tuning]\nlr = [1.0]\n" + ARMS, r"expected lr as \[low, high\]"),
        ("[tuning]\nlr = [2.0, 1.0]\n" + ARMS, r"0 < low < high"),
        ("[tuning]\ntrials = 1\n" + ARMS, "trials >= 2"),
        ("[tuning]\nlr = []\n" + ARMS, "expected a range to try"),
        ("[tuning]\nrungs = [1.0, 0.5]\n" + ARMS, "rising shares"),
        ('[[arms]]\nmethod = "none"\nrecipe = { lr = -1.0 }\n', "lr > 0"),
        ('[[arms]]\nmethod = "none"\nrecipe = { speed = 1.0 }\n', "speed"),
    ],
)
def test_a_wrong_range_is_refused(folder, text, told):
    with pytest.raises(AlambicError, match=told):
        write(folder, text, "wrong.toml")


def test_a_file_of_arms_holds_arms_alone(folder):
    (folder / "more.toml").write_text("seeds = 3\n" + ARMS)
    with pytest.raises(AlambicError, match="tables alone"):
        write(folder, "", "more-study.toml", more='arms_from = "more.toml"')


def test_a_study_takes_the_arms_that_it_names(folder):
    (folder / "arms.toml").write_text(ARMS)
    study = write(folder, "", "taken.toml", more='arms_from = "arms.toml"\narms_taken = ["kd"]')
    assert [arm.name for arm in study.arms] == ["kd"]
    with pytest.raises(AlambicError, match=r"no arm 'kdd' to take; .*kd"):
        write(folder, "", "taken.toml", more='arms_from = "arms.toml"\narms_taken = ["kdd"]')


def test_values_survive_toml():
    import tomllib

    table = {"a": 1e-05, "b": [1, 2.5], "c": {"d": True, "e": 'quote " and ünicode'}, "f": {}}
    text = "\n".join(f"{key} = {to_toml(value)}" for key, value in table.items())
    assert json.dumps(tomllib.loads(text)) == json.dumps(table)
