"""What a study asks before anything is trained, and what makes a cell another one: each was once silent."""

import dataclasses
import json
import sqlite3
import tomllib

import numpy as np
import pytest
import torch

from alambic.cli import main
from alambic.data import load_source
from alambic.errors import AlambicError
from alambic.models.teacher import TeacherSpec
from alambic.models.teachers import load_teacher, save_teacher
from alambic.report.facts.fact import Facts
from alambic.report.facts.gather import Scored, group_rows
from alambic.study import plan as plan_module
from alambic.study import prepare as prepare_module
from alambic.study.cell import Arm
from alambic.study.compose import Request, compose_study
from alambic.study.content import tell_source
from alambic.study.ledger import Ledger, Row
from alambic.study.local import Event
from alambic.study.prepare import prepare
from alambic.study.run import run_study
from alambic.study.study_file import read_study
from alambic.study.table import print_results
from alambic.study.work import Result
from alambic.training.costs import Cost

STUDY = """
name = "asks"
purpose = "demo"
seeds = 1
students = ["dscnn_8x2"]
methods = ["none", "kd"]
[data]
source = "images.npz"
[views]
count = 1
[recipe]
epochs = 1
batch = 16
"""
TEACHER = '[teachers.big]\nnet = "zoo:dscnn_8x2"\n[teachers.big.recipe]\nepochs = 1\nbatch = 16\n'
NETS = """
from torch import nn

def make(in_channels, num_classes):
    return nn.Sequential(nn.Conv2d(in_channels, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(4, num_classes))

def wide(in_channels, num_classes):
    return make(in_channels, num_classes + 2)
"""


@pytest.fixture
def place(tmp_path):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (120, 12, 12), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", x=images, y=np.arange(120) % 3)
    (tmp_path / "nets.py").write_text(NETS)

    def write(*changes, more=""):
        text = STUDY.replace("images.npz", str(tmp_path / "images.npz"))
        for was, now in changes:
            assert was in text
            text = text.replace(was, now)
        (tmp_path / "study.toml").write_text(text + more)
        return read_study(tmp_path / "study.toml")

    return write


def run(study, say=lambda text: None):
    return prepare(study, study.folder / "out", say)


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("dscnn_8x2", "dscnn_8x", "did you mean"),
        ("dscnn_8x2", "nets.py:wide", "expected 3 class scores an image.*got 5"),
        ("dscnn_8x2", "nets.py:nothing", "no function 'nothing'"),
        ("count = 1", 'count = 1\nshift = 20\npadding = "reflect"', "shift below"),
        ("count = 1", "count = 1\nshift = 20", "shift below.*no pixel of its image"),
        ("count = 1", "count = 1\n[views.teacher.sensor]\ndown = 5", "multiples of down"),
        ("[views]", "tune = 0\n[views]", "got none of the tune split"),
    ],
)
def test_students_and_views_are_asked_before_a_teacher_is_trained(place, monkeypatch, was, now, said):
    monkeypatch.setattr(prepare_module, "train_teacher", lambda *a, **k: pytest.fail("an hour of training"))
    study = place((was, now), more=TEACHER)
    with pytest.raises(AlambicError, match=said):
        run(study)
    assert main(["study", "plan", str(study.path)]) == 2


def test_a_method_without_any_teacher_is_skipped_with_the_reason(place):
    prepared = run(place())
    assert [cell.arm.name for cell in prepared.cells] == ["none"]
    ((cell, reason),) = prepared.skipped
    assert cell.arm.name == "kd"
    assert "expected a teacher" in reason


def test_a_class_that_no_training_image_has_is_told(place):
    study = place(("[views]", "unlabelled = 1.0\n[views]"))
    said = []
    run(study, said.append)
    assert any("no labelled training image of ['0', '1', '2']" in line for line in said)


def test_a_plan_warns_as_a_run_does(place, monkeypatch):
    study = place(("[views]", "unlabelled = 1.0\n[views]"))
    broken = dataclasses.replace(load_source(study.data), unreadable=(("dog/000.png", "no picture"),))
    monkeypatch.setattr(plan_module, "load_source", lambda spec: broken)
    told = "\n".join(plan_module.plan_study(study).told)
    assert "1 image cannot be read and is left out: dog/000.png (no picture)" in told
    assert "no labelled training image of ['0', '1', '2']" in told


def test_a_class_that_a_split_scores_on_a_handful_of_images_is_told(place):
    study = place()
    source = load_source(study.data)
    every = torch.arange(len(source.labels))
    first = [*every[source.labels == 0][:2], *every[source.labels != 0]]

    def warn(tune):
        splits = {**source.splits, "tune": tune, "test": every}
        return [line for line in tell_source(study, dataclasses.replace(source, splits=splits)) if "scores say" in line]

    assert warn(every) == []
    (told,) = warn(torch.stack(first))
    assert "1 of 3 classes have under 5 tune images (0 2)" in told


def test_another_text_in_the_students_file_is_another_cell(place):
    study = place(("dscnn_8x2", "nets.py:make"), ('"none", "kd"', '"none"'))
    (first,) = run(study).cells
    assert (first.id,) == tuple(cell.id for cell in run(study).cells)
    (study.folder / "nets.py").write_text(
        NETS.replace("in_channels, 4", "in_channels, 8").replace("Linear(4", "Linear(8")
    )
    (second,) = run(study).cells
    assert second.id != first.id
    (zoo,) = run(place(('"none", "kd"', '"none"'))).cells
    assert "student_code" not in zoo.full_content  # cells of the zoo keep the ids that they had


def test_another_input_of_the_teacher_is_another_cell(place):
    study = place()
    source = load_source(study.data)
    teacher = load_teacher("big", TeacherSpec("zoo:dscnn_8x2"), 3, 1, source.size, source.mean, source.std)
    save_teacher(study.folder / "big.safetensors", teacher.net, {"spec": {"net": "zoo:dscnn_8x2"}})
    given = '[teachers.big]\nnet = "card"\nweights = "big.safetensors"\n'
    plain = run(place(more=given)).cells
    moved = run(place(more=given + "mean = [0.1]\n")).cells
    assert plain[0].id == moved[0].id  # none has no teacher
    assert plain[1].id != moved[1].id
    assert "teacher_input" not in plain[1].full_content
    assert moved[1].full_content["teacher_input"] == {"mean": (0.1,)}


def test_a_teacher_is_trained_again_when_its_own_teacher_changes(place):
    child = TEACHER.replace("big", "small") + "[teachers.small.settings]\n"
    child = child.replace('net = "zoo:dscnn_8x2"', 'net = "zoo:dscnn_8x2"\ndistil_from = "big"')
    first = run(place(more=TEACHER + child)).teachers
    second = run(place(more=TEACHER.replace("epochs = 1", "epochs = 2") + child)).teachers
    assert first["big"].hash != second["big"].hash
    assert first["small"].hash != second["small"].hash


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("[views]", "[execution]\nthreads = -1\n[views]", r"\(key execution\).*threads >= 0"),
        ("[views]", "[execution]\njobs = -1\n[views]", r"\(key execution\).*jobs >= 0"),
        ("[views]", "[int8]\ncalibration_images = 0\n[views]", r"\(key int8\).*calibration_images >= 1"),
        ('["none", "kd"]', '[]\narms = [{method = "kd", weights = [1.0, 2.0]}]', "one weight per method"),
    ],
)
def test_settings_that_cannot_be_name_their_key(place, was, now, said):
    with pytest.raises(AlambicError, match=said):
        place((was, now))


def test_own_networks_are_named_from_the_study_files_folder(tmp_path, monkeypatch):
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    request = Request("x", ["nets.py:make", "dscnn_8x2"], "fashion-mnist", ["nets.py:make"], size=0, train=0)
    text = compose_study(request, tmp_path / "deep" / "folder")
    assert f'students = ["{tmp_path}/nets.py:make", "dscnn_8x2"]' in text
    assert f'net = "{tmp_path}/nets.py:make"' in text
    assert "size = 0\n" in text
    assert "train = 0\n" in text
    assert 'students = ["nets.py:make", "dscnn_8x2"]' in compose_study(request, tmp_path)


def test_teachers_of_one_stem_and_odd_names_give_a_study_that_reads(tmp_path):
    given = ["a/big.onnx", "b/big.onnx", "c/big_2.onnx", "l'\"été.onnx", "timm:", "timm:vit_tiny"]
    settings = {"temperature": 2.5, "told": "\U0001f600\x7f", "odd name": True}
    request = Request("x", ["dscnn_8x2"], "fashion-mnist", given, ["kd"], settings=settings)
    found = tomllib.loads(compose_study(request, tmp_path))
    assert list(found["teachers"]) == ["big", "big_2", "big_2_2", "l__été", "", "vit_tiny"]
    assert [table["net"].rsplit("/", 1)[-1] for table in found["teachers"].values()] == [
        "big.onnx", "big.onnx", "big_2.onnx", 'l\'"été.onnx', "timm:", "timm:vit_tiny",
    ]  # fmt: skip
    assert found["teachers"]["vit_tiny"]["recipe"] == {"epochs": 20}
    assert found["arms"] == [{"method": "kd", "settings": settings}]


def row(name, arm, seed, numbers, **more):
    content = {"student": "s", "teacher": None, "seed": seed, "arm": {"name": arm, "methods": [arm]}, **more}
    return Row(name, content, "done", "", {"seconds": 1.0, **numbers})


def test_the_printed_table_pools_no_cells_that_differ_by_more_than_the_seed(tmp_path, capsys):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    for seed, score in enumerate((0.5, 0.6)):
        ledger.record(row(f"a{seed}", "none", seed, {"tune": 0.9, "test": score}, recipe={"epochs": 5}))
        ledger.record(row(f"b{seed}", "none", seed, {"tune": 0.9, "test": score + 0.2}, recipe={"epochs": 9}))
    ledger.record(row("c", "at", 0, {"tune": 0.4}, recipe={"epochs": 5}))  # not among a claim's contrasts
    ledger.close()
    print_results(tmp_path / "ledger.sqlite")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    told = [(line.split()[4], line.partition("1.0  ")[2]) for line in lines[1:]]
    assert told == [("40.00", "of tune"), ("55.00", "of test"), ("75.00", "version 2 in this ledger, of test")]


def test_seeds_of_an_older_ledger_are_the_same_arms(tmp_path, capsys):
    """Cells from before an arm had balance, schedules or a recipe of its own lack these fields; their ids are equal."""
    ledger = Ledger(tmp_path / "ledger.sqlite")
    for seed in range(5):
        found = row(f"a{seed}", "none", seed, {"test": 0.5})
        whole = dataclasses.asdict(Arm("none", ("none",)))
        for name in ("balance", "schedules", "recipe") if seed < 3 else ():
            del whole[name]
        ledger.record(dataclasses.replace(found, content={**found.content, "arm": whole}))
    print_results(tmp_path / "ledger.sqlite")
    (line,) = capsys.readouterr().out.splitlines()[1:]
    assert line.split()[3:5] == ["5", "50.00"]
    (group,) = group_rows(ledger.rows("done"), Scored("test", (), "accuracy", 0, {}, ()), Facts())
    assert len(group.rows) == 5
    ledger.close()


@pytest.mark.parametrize(
    "harm",
    [
        "DROP TABLE cells",
        "UPDATE cells SET content = 'no JSON'",
        "UPDATE cells SET content = CAST(x'ff22' AS TEXT)",
        "UPDATE cells SET numbers = '{'",
    ],
)
def test_a_ledger_that_is_damaged_inside_says_so(tmp_path, harm, capsys):
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path)
    ledger.record(row("a", "none", 0, {"tune": 0.9}))
    ledger.close()
    with sqlite3.connect(path) as db:
        db.execute(harm)
    db.close()
    with pytest.raises(AlambicError, match=r"expected a ledger at .*damaged"):
        Ledger(path, read_only=True).rows()
    assert main(["report", str(path)]) == 2
    assert "damaged" in capsys.readouterr().err


def test_a_plan_counts_the_training_of_teachers_and_the_passes_of_live_ones(place, monkeypatch):
    monkeypatch.setattr(plan_module, "_measure_teacher", lambda *a: (0.001, 8))
    train, images = len(load_source(place().data).splits["train"]), 0.001  # seconds a pass
    bank = images * train
    assert plan_module.plan_study(place(more=TEACHER)).teacher_seconds == pytest.approx(bank + 3 * images * train)
    longer = TEACHER.replace("epochs = 1", "epochs = 100")
    assert plan_module.plan_study(place(more=longer)).teacher_seconds == pytest.approx(bank + 300 * images * train)
    live = plan_module.plan_study(place(("[views]", "[execution]\njobs = 1\nlive_only = true\n[views]"), more=TEACHER))
    assert live.teacher_seconds == pytest.approx(4 * images * train)


def test_a_plan_counts_what_each_method_costs(place, monkeypatch):
    monkeypatch.setattr(plan_module, "measure_speed", lambda *a: 1.0)  # images a second
    source = load_source(place().data)
    times = {"kd": 3.0, "rsd": 0.5}  # of "at" nothing is known
    known = {name: Cost(time, 0.0, 0.0, 0) for name, time in times.items()}
    monkeypatch.setattr(plan_module, "read_cost", known.get)
    methods = ('"none", "kd"', '"none", "kd", "rsd", "at"')
    plan = plan_module.plan_study(place(methods, ("[views]", "[execution]\njobs = 1\n[views]"), more=TEACHER))
    assert plan.cells == 4
    assert plan.seconds == pytest.approx(len(source.splits["train"]) * (1 + 3 + 1 + 1))
    assert plan_module.cost_of(Arm("both", ("kd", "rsd"))) == 3.0


def test_measured_costs_reach_the_plan():
    assert plan_module.cost_of(Arm("at", ("at",))) > 1.1  # attention maps of every stage


def test_a_plan_sees_less_on_fewer_images(place):
    study = place()
    source = load_source(study.data)
    few = dataclasses.replace(
        source, splits={**source.splits, "tune": source.splits["train"][:2], "test": source.splits["train"][:2]}
    )
    for purpose in ("demo", "explore"):
        asked = dataclasses.replace(study, purpose=purpose)
        assert plan_module.image_error(asked, few) == pytest.approx(100 * (0.006 / 2) ** 0.5)
    several = dataclasses.replace(study, seeds=4)
    assert plan_module.plan_study(several).smallest_effect > plan_module.detectable_effect(0.5, 4)


def test_a_plan_says_what_is_seen_beside_the_contrasts_that_holm_counts(place, monkeypatch):
    study = place(('"none", "kd"', '"none", "kd", "rsd"'), more=TEACHER)
    several = dataclasses.replace(study, seeds=4)
    monkeypatch.setattr(plan_module, "image_error", lambda *a: 0.0)
    plan = plan_module.plan_study(several)
    expected = plan_module.detectable_effect(0.5, 4, alpha=0.05 / 2)
    assert (plan.contrasts, plan.corrected_effect) == (2, pytest.approx(expected))
    assert plan.corrected_effect > plan.smallest_effect == pytest.approx(plan_module.detectable_effect(0.5, 4))


def test_weights_of_an_arm_are_one_a_method(place):
    study = place(('["none", "kd"]', '[]\narms = [{method = "kd", weights = [2.0]}]'))
    assert dataclasses.asdict(study.arms[0])["weights"] == (2.0,)


def pretend(prepared, cells, out, jobs):
    """An executor that trains nothing."""
    for cell in cells:
        yield Event("started", cell)
        yield Event("done", cell, Result({"tune": 0.5, "test": 0.5, "seconds": 0.0}, [], {}))


def test_what_was_skipped_is_tried_again_once_its_reason_is_gone(place, monkeypatch):
    study, quiet = place(more=TEACHER), lambda text: None
    out, possible = study.folder / "out", prepare_module.find_reason

    def missing(study, arm, *rest):
        return "a package is missing" if arm.name == "kd" else possible(study, arm, *rest)

    monkeypatch.setattr(prepare_module, "find_reason", missing)
    first = run_study(study, out, say=quiet, execute=pretend)
    assert (first.done, first.skipped) == (1, 1)
    (skipped,) = Ledger(out / "ledger.sqlite", read_only=True).rows("skipped")
    assert skipped.reason == "a package is missing"
    monkeypatch.setattr(prepare_module, "find_reason", possible)
    second = run_study(study, out, say=quiet, execute=pretend)
    assert (second.done, second.kept, second.skipped) == (1, 1, 0)
    rows = Ledger(out / "ledger.sqlite", read_only=True).rows()
    assert {row.state for row in rows} == {"done"}
    assert skipped.id in {row.id for row in rows}
    monkeypatch.setattr(prepare_module, "find_reason", missing)  # and what was paid for stays
    third = run_study(study, out, say=quiet, execute=pretend)
    assert (third.done, third.kept, third.skipped) == (0, 2, 0)
    assert len(Ledger(out / "ledger.sqlite", read_only=True).rows("done")) == 2


def test_another_file_of_the_same_name_does_not_write_into_its_ledger(place, tmp_path):
    def quiet(text):
        pass

    study, one, out = place(), tmp_path / "one.toml", tmp_path / "out"
    text = study.path.read_text()
    run_study(study, out, say=quiet, execute=pretend)
    one.write_text(text.replace("epochs = 1", "epochs = 7"))
    with pytest.raises(AlambicError, match=r"expected a ledger of this study.*another file of the same name.*--out"):
        run_study(read_study(one), out, say=quiet, execute=pretend)
    one.write_text(text.replace("seeds = 1", "seeds = 2"))  # the same study, moved and extended
    assert run_study(read_study(one), out, say=quiet, execute=pretend).kept > 0
    one.write_text(text.replace("epochs = 1", "epochs = 7"))  # its own file, changed where it lies
    assert run_study(read_study(one), out, say=quiet, execute=pretend).done > 0
    place_told = Ledger(out / "ledger.sqlite", read_only=True).meta("study_place")
    assert place_told
    assert str(tmp_path) not in place_told


def test_the_ledger_keeps_the_falsifiers_and_those_of_its_first_run(place):
    def quiet(text):
        pass

    table = '\n[[falsifiers]]\nidea = "I9"\narm = "none"\nagainst = ["label_smoothing"]\n'
    first = place(('["none", "kd"]', '["none", "label_smoothing"]'), more=table)
    out = first.folder / "out"
    run_study(first, out, say=quiet, execute=pretend)
    ledger = Ledger(out / "ledger.sqlite", read_only=True)
    told = {"idea": "I9", "arm": "none", "against": ["label_smoothing"], "smallest_effect": 0.3}
    assert json.loads(ledger.meta("falsifiers")) == json.loads(ledger.meta("falsifiers_first")) == [told]
    assert ledger.meta("seeds") == str(first.seeds)
    first.path.write_text(first.path.read_text().replace('"I9"\n', '"I9"\nsmallest_effect = 0.1\n'))
    run_study(read_study(first.path), out, say=quiet, execute=pretend)
    assert json.loads(ledger.meta("falsifiers"))[0]["smallest_effect"] == 0.1
    assert json.loads(ledger.meta("falsifiers_first")) == [told]
