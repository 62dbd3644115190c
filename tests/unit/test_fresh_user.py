"""What a fresh user met: arms that cannot work, budgets, folders that hold something else, missing answers."""

from __future__ import annotations

import dataclasses
import functools
import re
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import torch

from alambic import cli_distill
from alambic.cli import main
from alambic.deploy import pack
from alambic.deploy.export import export_onnx
from alambic.errors import AlambicError
from alambic.models.students import create_student
from alambic.study import plan as plan_module
from alambic.study import run as run_module
from alambic.study.compose import Request, choose_methods
from alambic.study.draft import cut_request
from alambic.study.follow import tell_span
from alambic.study.ledger import Ledger
from alambic.study.local import Event
from alambic.study.run import run_study
from alambic.study.study_file import read_study
from alambic.study.tuning import tune_study
from alambic.study.work import Result

STUDY = """
name = "fresh"
purpose = "demo"
seeds = 2
students = ["dscnn_8x2"]
methods = ["none", "kd", "rsd"]
[data]
source = "images.npz"
[views]
count = 1
[recipe]
epochs = 2
batch = 16
[tuning]
trials = 2
rungs = [0.5, 1.0]
keep = 1
[teachers.big]
net = "big.onnx"
"""
NETS = """
from torch import nn

def make(in_channels, num_classes):
    return nn.Sequential(nn.Conv2d(in_channels, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(4, num_classes))

def _hidden():
    pass

other = make

def more(in_channels, num_classes):
    return make(in_channels, num_classes)
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Images of two sets, and an ONNX teacher, which gives class scores alone."""
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("fresh")
    generator = np.random.default_rng(0)
    for name in ("images", "others"):
        images = generator.integers(0, 256, (120, 12, 12), dtype=np.uint8)
        np.savez(folder / f"{name}.npz", x=images, y=generator.permutation(np.arange(120) % 3))
    torch.manual_seed(0)
    export_onnx(create_student("dscnn_8x2", 1, 12, 3).eval(), (1, 12, 12), folder / "big.onnx")
    export_onnx(create_student("dscnn_8x2", 1, 12, 3).eval(), (1, 12, 12), folder / "changed.onnx")
    return folder


@pytest.fixture
def place(files, tmp_path, monkeypatch):
    for name in ("images.npz", "others.npz", "big.onnx"):
        shutil.copy(files / name, tmp_path)
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder, *changes):
    text = STUDY
    for was, now in changes:
        assert was in text
        text = text.replace(was, now)
    folder.mkdir(exist_ok=True)
    (folder / "study.toml").write_text(text)
    return read_study(folder / "study.toml")


def pretend(prepared, cells, out, jobs):
    """An executor that trains nothing."""
    for cell in cells:
        yield Event("done", cell, Result({"tune": 0.5, "test": 0.5, "seconds": 0.0}, [], {}))


def test_an_arm_that_cannot_work_is_left_out_of_tuning_and_named_before_the_first_training(place):
    said = []
    found = tune_study(write(place), place / "out", said.append, pretend)
    assert list(found) == ["none", "kd"]
    (told,) = [line for line in said if "is left out" in line]
    assert told.startswith("arm rsd is left out: method 'rsd' expected a teacher with an embedding")
    assert said.index(told) < next(number for number, line in enumerate(said) if line.startswith("rung 1"))
    assert not Ledger(place / "out" / "ledger.sqlite", read_only=True).rows("skipped")
    assert "# left out: rsd: method 'rsd' expected" in (place / "out" / "tuned.toml").read_text()
    taken = write(place, ('methods = ["none", "kd", "rsd"]', 'arms_from = "out/tuned.toml"'))
    assert [arm.name for arm in taken.arms] == ["none", "kd"]


def test_tuning_of_nothing_that_can_work_is_refused_at_once(place):
    study = write(place, ('"none", "kd", "rsd"', '"rsd"'))
    with pytest.raises(AlambicError, match="expected an arm that can work, got none: method 'rsd' expected"):
        tune_study(study, place / "out", lambda text: None, lambda *given: pytest.fail("it was trained"))


def test_the_methods_to_begin_with_can_learn_from_the_teachers():
    from alambic.methods.base import create_method

    assert choose_methods([]) == ("none",)
    for name in choose_methods(["a/teacher.onnx"]):
        assert create_method(name).needs.teacher <= {"logits"}
    assert "rsd" in choose_methods(["a.onnx", "zoo:resnet8_w8"])


def test_a_plan_counts_no_cells_that_cannot_work_and_says_why_once(place, capsys):
    study = write(place)
    assert main(["study", "plan", str(study.path)]) == 0
    said = capsys.readouterr().out
    assert "cells: 4, on" in said
    assert said.count("not counted: 2 cells, rsd from big into dscnn_8x2, seeds 0, 1: method 'rsd' expected") == 1
    assert " h;" not in said


def test_a_plan_asks_for_the_device(place, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    study = write(place, ("[tuning]", '[execution]\ndevice = "cuda"\n[tuning]'))
    assert main(["study", "plan", str(study.path)]) == 2
    assert "there is no CUDA device" in capsys.readouterr().err


def test_each_reason_of_skipped_cells_is_told_once(place, capsys):
    study, said = write(place), []
    summary = run_study(study, place / "out", say=said.append, execute=pretend)
    told = (
        "skipped: 2 cells, rsd from big into dscnn_8x2, seeds 0, 1: method 'rsd' expected a teacher with an embedding"
    )
    assert [line for line in said if "rsd" in line] == list(summary.reasons)
    assert summary.reasons[0].startswith(told)
    assert main(["study", "status", str(study.path), "--out", str(place / "out")]) == 0
    assert capsys.readouterr().out.count(told) == 1


@pytest.fixture
def speeds(monkeypatch):
    """Seconds as of a machine that never is busy: 100 images a second of a student, 10 of a teacher."""
    monkeypatch.setattr(plan_module, "measure_speed", lambda *given: 100.0)
    monkeypatch.setattr(plan_module, "_measure_teacher", lambda *given: (0.1, 8))


@pytest.mark.usefixtures("speeds")
@pytest.mark.parametrize(("minutes", "epochs", "over"), [(10, 14, False), (0.01, 1, True)])
def test_a_budget_cuts_teachers_and_students_alike(place, capsys, minutes, epochs, over):
    words = f"study new y.toml --student nets.py:make --data images.npz --teachers zoo:resnet8_w8 --budget {minutes}"
    assert main(words.split()) == 0
    said, study = capsys.readouterr().out, read_study(place / "y.toml")
    assert study.recipe.epochs == study.teachers["resnet8_w8"].training.recipe.epochs == epochs
    assert study.views.count == min(16, epochs)
    assert f"cut to {epochs}, those of teachers to {epochs}, views to {epochs}" in said
    assert "the study as written would take" in said
    assert ("over the budget by" in said) == over
    assert ("try a pretrained one" in said) == over
    total = plan_module.plan_study(study).total
    assert (total > 60 * minutes) == over
    assert main(["study", "plan", "y.toml", "--budget", str(minutes)]) == 0
    assert ("over the budget by" in capsys.readouterr().out) == over


def test_the_most_epochs_that_fit_are_kept():
    found = plan_module.Plan(4, 100.0, {}, 300.0, 0, 1.0, 1.0, 1, 1, training_seconds=200.0, bank_seconds=100.0)
    asked = Request("x", ["s"], "d", epochs=20, views=10)
    assert cut_request(asked, found, 300.0, keep_views=True).epochs == 13  # 65 + 130 + 100
    cut = cut_request(asked, found, 120.0, keep_views=False)  # 15 an epoch and 10 a view
    assert (cut.epochs, cut.teacher_epochs, cut.views) == (4, 4, 4)
    assert cut_request(asked, found, 120.0, keep_views=True).epochs == 1
    told = found.advice(100.0)
    assert told.startswith("over the budget by 4.0 times; the teachers' own training takes 3 min: try a pretrained one")
    assert "epochs" not in told
    assert "the teachers' too" in dataclasses.replace(found, epochs=20).advice(200.0)


@pytest.fixture
def untrained(monkeypatch):
    """A distill that pretends to train, with such numbers as a training has."""
    numbers = {"tune": 0.4, "test": 0.5, "test_int8": 0.45, "agreement_int8": 0.975, "weight_bytes": 3172}

    def train(prepared, cells, out, jobs):
        for cell in cells:
            yield Event("done", cell, Result({**numbers, "parameters": 3088, "seconds": 0.0}, [], {}))

    monkeypatch.setattr(run_module, "run_study", functools.partial(run_study, execute=train))
    monkeypatch.setattr(cli_distill, "export_student", lambda study, weights, out: out / "student.onnx")


DISTILL = "distill --student nets.py:make --epochs 1 --views 1 --out out --data images.npz"


@pytest.mark.usefixtures("place", "untrained")
def test_a_distillation_ends_with_its_answer(capsys):
    assert main([*DISTILL.split(), "--teacher", "big.onnx", "--method", "kd"]) == 0
    told = capsys.readouterr().out.splitlines()[-5:]
    assert re.fullmatch(r"teacher big: 0\.\d{4} on the tune split", told[0])  # it has no card, so the study scored it
    assert "nets.py:make: accuracy 0.5000 on the test split, int8 0.4500; int8 agrees with it on 97.5%" in told[1]
    assert told[2] == "3,172 bytes of int8 weights and biases, 3,088 parameters"


@pytest.mark.usefixtures("untrained")
def test_a_refused_distillation_leaves_the_folder_as_it_was(place, capsys):
    assert main([*DISTILL.split(), "--method", "none"]) == 0
    before = (place / "out" / "study.toml").read_text()
    for more in ("--method none", "--method kd --teacher big.onnx"):
        assert main([*DISTILL.replace("images.npz", "others.npz").split(), *more.split()]) == 2
        told = capsys.readouterr().err
        assert "got out, which holds none into" in told
        assert "try another --out" in told
        assert (place / "out" / "study.toml").read_text() == before
        assert not (place / "out" / "banks").exists()
    assert main([*DISTILL.split(), "--method", "rsd", "--teacher", "big.onnx"]) == 2
    assert "nothing was trained: method 'rsd'" in capsys.readouterr().err
    assert (place / "out" / "study.toml").read_text() == before


def test_another_studys_ledger_is_refused_before_a_bank_is_built(place, files):
    study = write(place)
    run_study(study, place / "out", say=lambda text: None, execute=pretend)
    banks = sorted((place / "out" / "banks").iterdir())
    images = f'source = "{place / "images.npz"}"'
    other = write(place / "b", ('source = "images.npz"', images), ('"none", "kd"', '"kd"'))
    shutil.copy(files / "changed.onnx", place / "b" / "big.onnx")
    with pytest.raises(AlambicError, match="another file of the same name"):
        run_study(other, place / "out", say=lambda text: None, execute=pretend)
    assert sorted((place / "out" / "banks").iterdir()) == banks


def test_a_distillation_without_its_teacher_is_refused_before_anything_is_loaded(capsys):
    assert main(["distill", "--student", "dscnn_8x2", "--data", "nowhere", "--method", "kd", "--out", "out"]) == 2
    assert "expected --teacher, got none, because --method kd learns from one" in capsys.readouterr().err
    assert not Path("out").exists()


def test_deploy_finds_what_distill_has_trained(place, monkeypatch):
    (place / "run").mkdir()
    write(place / "run", ('source = "images.npz"', f'source = "{place / "images.npz"}"'))
    outs = []

    def stop(net, name, images, chip, out, *given, **more):
        outs.append(str(out))
        raise AlambicError("far enough")

    monkeypatch.setattr(pack, "deploy_student", stop)
    for function in ("make", "more"):
        main(["deploy", f"nets.py:{function}", "--study", "run/study.toml", "--chip", "acc-32", "--no-emulation"])
    assert outs == ["runs/deploy/nets-make-acc-32", "runs/deploy/nets-more-acc-32"]
    (place / "nets.py").rename(place / "run" / "nets.py")  # beside the study it is found as before
    main(["deploy", "nets.py:make", "--study", "run/study.toml", "--chip", "acc-32", "--no-emulation"])
    assert len(outs) == 3


def test_deploy_says_where_it_looked(place, capsys):
    write(place / "run", ('source = "images.npz"', f'source = "{place / "images.npz"}"'))
    assert main(["deploy", "no.py:make", "--study", "run/study.toml", "--chip", "acc-32", "--no-emulation"]) == 2
    assert f"found none at {place}/no.py or {place}/run/no.py" in capsys.readouterr().err


@pytest.mark.parametrize("said", ["disk I/O error", "database or disk is full"])
def test_a_full_disk_is_named_when_the_ledger_is_made(said, tmp_path, monkeypatch):
    def fail(*given, **more):
        raise sqlite3.OperationalError(said)

    monkeypatch.setattr(sqlite3, "connect", fail)
    with pytest.raises(AlambicError, match=f"cannot write the ledger .*{said}.*try freeing disk space") as caught:
        Ledger(tmp_path / "ledger.sqlite")
    assert "damaged" not in str(caught.value)


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    "words",
    [
        "study new x.toml --student nets.py --data images.npz",
        "distill --student nets.py --data images.npz --method none --out out",
        "deploy nets.py --chip acc-32 --no-emulation --input 1x12x12 --classes 3",
    ],
)
def test_a_file_without_a_function_is_told_which_it_has(words, capsys):
    assert main(words.split()) == 2
    told = capsys.readouterr().err
    assert "expected a network as file.py:function, got 'nets.py'" in told
    assert "try nets.py:make or nets.py:more" in told


def test_options_that_make_no_study_name_no_file_that_is_not_there(place, capsys):
    assert main(["study", "new", "x.toml", "--student", "dscnn_8x2", "--data", "images.npz", "--epochs", "0"]) == 2
    told = capsys.readouterr().err
    assert "these options give recipe: " in told
    assert "x.toml:" not in told
    assert not (place / "x.toml").exists()


def test_a_file_with_a_byte_order_mark_is_read(place):
    study = write(place)
    study.path.write_bytes(b"\xef\xbb\xbf" + study.path.read_bytes())
    assert read_study(study.path) == study


def test_spans_are_told_in_units_that_fit():
    told = [tell_span(seconds) for seconds in (0.04, 9.94, 36.0, 119.4, 120.0, 7100.0, 7920.0)]
    assert told == ["0.0 s", "9.9 s", "36 s", "119 s", "2 min", "118 min", "2.2 h"]
