"""What a study is scored on: asked before anything is trained, and the same for every cell of a ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from alambic.data import load_source
from alambic.errors import AlambicError
from alambic.study.cell import Arm
from alambic.study.content import describe, make_task, sees_test
from alambic.study.ledger import Ledger
from alambic.study.prepare import prepare
from alambic.study.run import run_study
from alambic.study.study_file import Study, read_study

STUDY = """
name = "scored"
purpose = "demo"
seeds = 1
students = ["dscnn_8x2"]
methods = ["none"]
[data]
source = "images.npz"
[views]
count = 1
[recipe]
epochs = 1
batch = 16
[int8]
enabled = false
"""
TEACHERS = '[teachers.big]\nnet = "zoo:dscnn_8x2"\n[teachers.other]\nnet = "zoo:dscnn_8x2"\n'
Write = Callable[..., Study]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A study beside images of two classes; ``test``: labels of its test split."""

    def make(*changes: tuple[str, str], more: str = "", test: int | None = None, confirm: str = "") -> Study:
        generator = np.random.default_rng(0)
        labels = np.arange(120) % 2
        images = generator.integers(0, 256, (120, 12, 12), dtype=np.uint8)
        kept = np.arange(20) % 2 if test is None else np.full(20, test)
        np.savez(tmp_path / "images.npz", x_train=images, y_train=labels, x_test=images[:20], y_test=kept)
        text = STUDY.replace("images.npz", str(tmp_path / "images.npz"))
        for was, now in changes:
            assert was in text
            text = text.replace(was, now)
        (tmp_path / "study.toml").write_text(text + more)
        (tmp_path / "confirm.toml").write_text(confirm)
        return read_study(tmp_path / "study.toml")

    return make


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("[views]", "split_seed = 5\n[views]", "other tune images"),
        ("[views]", "tune = 20\n[views]", "other tune images"),
        ("[views]", '[task]\nmetric = "balanced_accuracy"\n[views]', "other metric"),
    ],
)
def test_a_ledger_is_not_scored_on_two_things(write: Write, tmp_path: Path, was: str, now: str, said: str) -> None:
    run_study(write(), tmp_path / "out", say=lambda text: None)
    run_study(write(("epochs = 1", "epochs = 2")), tmp_path / "out", say=lambda text: None)  # another cell on the same
    with pytest.raises(AlambicError, match=said):
        run_study(write((was, now)), tmp_path / "out", say=lambda text: None)
    run_study(write((was, now)), tmp_path / "elsewhere", say=lambda text: None)


def test_a_test_split_without_labels_is_none(write: Write, tmp_path: Path) -> None:
    study = write(test=-1)
    assert not sees_test(study, load_source(study.data), "dscnn_8x2", study.arms[0], None)
    summary = run_study(study, tmp_path / "out", say=lambda text: None)
    assert (summary.done, summary.failed) == (1, 0)
    labelled = write()
    assert sees_test(labelled, load_source(labelled.data), "dscnn_8x2", labelled.arms[0], None)


def test_a_split_that_no_cell_could_be_scored_on_is_refused_first(write: Write, tmp_path: Path) -> None:
    asked = ("[views]", '[task]\nmetric = "average_precision"\n[views]')
    with pytest.raises(AlambicError, match=r"both classes among the images, got one of the test split"):
        prepare(write(asked, test=0), tmp_path / "out", lambda text: None)
    explored = write(asked, ('"demo"', '"explore"'), test=0)  # which never looks at it
    assert prepare(explored, tmp_path / "out", lambda text: None).cells


def test_a_claim_wants_its_test_split_labelled(write: Write, tmp_path: Path) -> None:
    arms = ('["none"]', '["none", "label_smoothing"]')
    declared = '[[contrasts]]\narm = "label_smoothing"\nstudent = "dscnn_8x2"\n'
    study = write(arms, ('"demo"', '"claim"'), test=-1, confirm=declared)
    with pytest.raises(AlambicError, match="got none of the test split"):
        prepare(study, tmp_path / "out", lambda text: None)


def test_a_ledger_knows_how_many_seeds_were_asked_for_first(write: Write, tmp_path: Path) -> None:
    arms, claim = ('["none"]', '["none", "label_smoothing"]'), ('"demo"', '"claim"')
    declared = '[[contrasts]]\narm = "label_smoothing"\nstudent = "dscnn_8x2"\n'
    for seeds in (1, 2):
        study = write(arms, claim, ("seeds = 1", f"seeds = {seeds}"), confirm=declared)
        run_study(study, tmp_path / "out", say=lambda text: None)
        ledger = Ledger(tmp_path / "out" / "ledger.sqlite", read_only=True)
        assert (ledger.meta("seeds_first"), ledger.meta("seeds")) == ("1", str(seeds))
        if seeds == 1:  # as a version left it that did not tell
            with sqlite3.connect(tmp_path / "out" / "ledger.sqlite") as held:
                held.execute("DELETE FROM meta WHERE key = 'seeds_first'")
            held.close()
    other = write(arms, claim, ("seeds = 1", "seeds = 2\nfirst_seed = 2"), confirm=declared)
    with pytest.raises(AlambicError, match="expected first_seed = 0, which this ledger began with, got 2"):
        run_study(other, tmp_path / "out", say=lambda text: None)


@pytest.mark.parametrize(
    ("contrast", "said"),
    [
        ('arm = "kd"', "a teacher of .*kd.* got teacher = ''"),
        ('arm = "kd"\nteacher = "other"', "a teacher of .*kd"),  # whom the arm does not have
        ('arm = "label_smoothing"\nteacher = "big"', "expected no teacher"),
        ('arm = "none"', "two different arms"),
        ('arm = "kd"\nteacher = "big"\nagainst_teacher = "other"', "no against_teacher, because 'none' has no teacher"),
        (
            'arm = "kd"\nteacher = "big"\nagainst = "dkd"\n[[contrasts]]\nstudent = "dscnn_8x2"\narm = "kd"\n'
            'teacher = "big"\nagainst = "dkd"\nagainst_teacher = "big"',
            "already",
        ),
        ('arm = "dkd"\nteacher = "big"\nagainst = "kd"\nagainst_teacher = "other"', "a teacher of .'kd'."),
        ('arm = "kd"\nteacher = "big"\nagainst = "kd"', "two different arms or teachers"),
        ('arm = "kd"\nteacher = "big"\nagainst_teacher = "nobody"', "'nobody' is not in the study"),
        ('arm = "kd"\nteacher = "big"\n[[contrasts]]\nstudent = "dscnn_8x2"\narm = "kd"\nteacher = "big"', "already"),
    ],
)
def test_a_contrast_that_no_cell_would_be_tested_for_is_refused(write: Write, contrast: str, said: str) -> None:
    more = TEACHERS + '[[arms]]\nmethod = "kd"\nteachers = ["big"]\n[[arms]]\nmethod = "dkd"\n'
    claim = (('"demo"', '"claim"'), ('["none"]', '["none", "label_smoothing"]'))
    with pytest.raises(AlambicError, match=said):
        write(*claim, more=more, confirm=f'[[contrasts]]\nstudent = "dscnn_8x2"\n{contrast}\n')
    right = '[[contrasts]]\nstudent = "dscnn_8x2"\narm = "kd"\nteacher = "big"\n'
    assert write(*claim, more=more, confirm=right).confirmation is not None


def test_a_contrast_of_two_teachers_tests_each_side_with_its_own(write: Write) -> None:
    claim = (('"demo"', '"claim"'), ('["none"]', '["none", "label_smoothing"]'))
    more = TEACHERS + '[[arms]]\nmethod = "kd"\n[[arms]]\nname = "kd, again"\nmethod = "kd"\n'
    contrast = '[[contrasts]]\nstudent = "dscnn_8x2"\narm = "kd"\nteacher = "big"\nagainst_teacher = "other"\n'
    for against, tested in (
        ("kd", {("kd", "big"), ("kd", "other")}),
        ("kd, again", {("kd", "big"), ("kd, again", "other")}),
    ):
        confirmation = write(*claim, more=more, confirm=f'{contrast}against = "{against}"\n').confirmation
        assert confirmation is not None
        pairs = {(arm, teacher) for arm in ("none", "kd", "kd, again") for teacher in ("big", "other")}
        assert {pair for pair in pairs if confirmation.names("dscnn_8x2", *pair)} == tested
        assert not confirmation.names("dscnn_24x3", "kd", "big")


def test_a_changed_modifier_is_another_cell(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    study = write()
    source = load_source(study.data)
    task = make_task(study, source)
    arm = Arm("kd, lskd", ("kd",), modifiers=("lskd",))
    told = describe(study, source, task, "dscnn_8x2", arm, None)
    assert set(told["modifiers"]) == {"lskd"}
    monkeypatch.setattr("inspect.getsource", lambda module: "formula = 'another'\nweight = 2\n")
    assert describe(study, source, task, "dscnn_8x2", arm, None)["modifiers"] != told["modifiers"]
    assert "modifiers" not in describe(study, source, task, "dscnn_8x2", study.arms[0], None)


def test_a_batch_of_more_images_than_there_are_is_told(write: Write, tmp_path: Path) -> None:
    said: list[str] = []
    run_study(write(("batch = 16", "batch = 5000")), tmp_path / "out", say=said.append)
    assert any(line.startswith("recipe.batch: 5,000 images asked for") for line in said)
    said.clear()
    run_study(write(), tmp_path / "out", say=said.append)
    assert not any(line.startswith("recipe.batch") for line in said)


def test_a_replication_takes_seeds_that_no_run_has_seen(write: Write, tmp_path: Path) -> None:
    first = prepare(write(("seeds = 1", "seeds = 2")), tmp_path / "one", lambda text: None)
    again = write(("seeds = 1", "seeds = 2\nfirst_seed = 2"))
    fresh = prepare(again, tmp_path / "two", lambda text: None)
    assert [cell.seed for cell in first.cells] == [0, 1]
    assert [cell.seed for cell in fresh.cells] == [2, 3]
    assert not {cell.id for cell in first.cells} & {cell.id for cell in fresh.cells}
    more = prepare(write(("seeds = 1", "seeds = 4")), tmp_path / "three", lambda text: None)
    assert [cell.id for cell in more.cells] == [cell.id for cell in (*first.cells, *fresh.cells)]
    with pytest.raises(AlambicError, match=r"study\.toml.*first_seed.*expected 0 to 999,999, got -1"):
        write(("seeds = 1", "seeds = 1\nfirst_seed = -1"))


@pytest.mark.parametrize("value", ["nan", "inf", "-0.1"])
def test_a_claim_without_a_size_that_matters_is_refused_at_reading(write: Write, value: str) -> None:
    confirm = '\n[[contrasts]]\narm = "kd"\nstudent = "dscnn_8x2"\nteacher = "big"\n'
    changes = (('"demo"', '"claim"'), ('["none"]', '["none", "kd"]'))
    assert write(*changes, more=TEACHERS, confirm="smallest_effect = 0" + confirm).confirmation is not None
    with pytest.raises(AlambicError, match="smallest_effect"):
        write(*changes, more=TEACHERS, confirm=f"smallest_effect = {value}" + confirm)


@pytest.mark.parametrize(
    ("changes", "more", "said"),
    [
        ((("[views]", "[task]\nclass_weights = [-1.0, 1.0]\n[views]"),), "", "class weights"),
        ((("[views]", "[task]\nclass_weights = [nan, 1.0]\n[views]"),), "", "class weights"),
        ((("[views]", "[task]\nclass_weights = [0.0, 0.0]\n[views]"),), "", "class weights"),
        ((("[views]", "[task]\nclass_weights = [1.0]\none_logit = true\n[views]"),), "", "one_logit"),
        ((), '[[arms]]\nmethod = "kd"\nce_weight = nan\n', "ce_weight"),
        ((), '[[arms]]\nmethod = "kd"\nce_weight = -1.0\n', "ce_weight"),
        ((), '[[arms]]\nmethod = "kd"\nweights = [inf]\n', "weights"),
        ((), '[[arms]]\nmethod = "kd"\nweights = [-1]\n', "weights"),
        ((), '[[arms]]\nmethod = "kd"\nbalance = nan\n', "balance"),
        ((), '[[arms]]\nmethod = "kd"\nbalance = -1\n', "balance"),
        ((('["none"]', '["none", "kd"]\nbalances = [1, nan]'),), "", "balances"),
        ((('["none"]', '["none", "kd"]\nbalances = [-1]'),), "", "balances"),
        ((('["dscnn_8x2"]', '["dscnn_8x2", "dscnn_8x2"]'),), "", "each student once"),
        ((), "[finalists]\nqat_lr = nan\n", "qat_lr"),
    ],
)
def test_what_would_train_on_nothing_is_refused(
    write: Write, changes: tuple[tuple[str, str], ...], more: str, said: str
) -> None:
    with pytest.raises(AlambicError, match=said):
        write(*changes, more=more)


def test_arms_that_differ_in_their_names_alone_are_refused(write: Write, tmp_path: Path) -> None:
    arms = '[[arms]]\nname = "one"\nmethod = "none"\nrecipe = { lr = 0.1 }\n'
    study = write(more=arms + arms.replace('"one"', '"two"'))
    with pytest.raises(AlambicError, match="'one into dscnn_8x2, seed 0' and 'two into"):
        prepare(study, tmp_path / "out", lambda text: None)
    study = write(more=arms + arms.replace('"one"', '"two"').replace("0.1", "0.2"))
    assert len(prepare(study, tmp_path / "out", lambda text: None).cells) == 3


@pytest.mark.parametrize("data", ['source = "images.npz"', 'source = "npz"\npath = "images.npz"\nstore = "kept"'])
def test_data_start_at_the_folder_of_the_file(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str
) -> None:
    was = f'source = "{tmp_path / "images.npz"}"'
    expected = load_source(write().data)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "kept").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    study = write((was, f"{data}\nsize = 12\nchannels = 1"))
    found = load_source(study.data)
    assert (found.name, found.hash, found.split_hash) == (expected.name, expected.hash, expected.split_hash)
    assert not list((tmp_path / "elsewhere").iterdir())
    assert bool(list((tmp_path / "kept").iterdir())) == ("kept" in data)


def test_data_below_the_data_folder_stay_as_told(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("ALAMBIC_DATA", str(tmp_path / "data"))
    study = write((f'source = "{tmp_path / "images.npz"}"', 'source = "npz"\npath = "all.npz"'))
    (tmp_path / "images.npz").rename(tmp_path / "data" / "all.npz")
    assert study.data.path == "all.npz"
    assert load_source(study.data).name == "all"
