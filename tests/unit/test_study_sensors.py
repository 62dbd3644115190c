"""Students under other sensors than their own, and by other metrics: in the ledger, and in the report."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from alambic.data import load_source
from alambic.errors import AlambicError
from alambic.models.students import count_macs, create_student
from alambic.models.teacher import TeacherSpec
from alambic.models.teachers import load_teacher
from alambic.report.chapters.tables import Table
from alambic.report.chapters.trust import describe_conditions
from alambic.report.check import check_report
from alambic.report.facts.findings import find
from alambic.report.facts.sensors import read_condition
from alambic.report.page.page import write_report
from alambic.study.content import ask_students
from alambic.study.ledger import Ledger
from alambic.study.run import run_study
from alambic.study.study_file import read_study
from alambic.study.treat import make_scene
from alambic.training.task import evaluate_metric
from alambic.treatments import create_treatment
from alambic.treatments.base import new_teacher_path

STUDY = """
name = "sensors"
purpose = "demo"
seeds = 2
students = ["dscnn_8x2"]
methods = ["none"]
[data]
source = "npz"
path = "{path}"
[task]
metric = "average_precision"
also = ["recall_at_1_percent_false_alarms"]
[views]
count = 1
[views.student.sensor]
grey = true
down = 2
read = 0.02
[test_sensors.own]
grey = true
down = 2
read = 0.02
[test_sensors.sharp]
grey = true
[test_sensors.blind]
grey = {grey}
down = 2
read = 5.0
[recipe]
epochs = 6
batch = 32
lr = 0.05
[int8]
calibration_images = 32
[execution]
jobs = 1
"""


def write(folder: Path, grey: str = "true", name: str = "blind") -> Path:
    generator = np.random.default_rng(0)
    labels = (generator.random(600) < 0.3).astype(np.int64)
    pixels = generator.integers(0, 60, (600, 3, 16, 16)).astype(np.uint8)
    pixels[labels == 1, :, 4:12, 4:12] += 120
    np.savez(folder / "set.npz", images=pixels, labels=labels)
    text = STUDY.format(path=folder / "set.npz", grey=grey).replace("test_sensors.blind", f"test_sensors.{name}")
    (folder / "study.toml").write_text(text)
    return folder / "study.toml"


@pytest.mark.parametrize(
    ("classes", "one_class", "said"),
    [(3, False, "metric 'average_precision' expected one or two classes, got 3"), (2, True, "expected both classes")],
)
def test_another_metric_is_refused_as_the_one_that_ranks(tmp_path: Path, classes: int, one_class: bool, said: str):
    path = write(tmp_path)
    labels = np.arange(60) % classes
    test = labels * 0 if one_class else labels
    images = np.random.default_rng(0).integers(0, 255, (60, 16, 16, 3), dtype=np.uint8)
    np.savez(tmp_path / "set.npz", x_train=images, y_train=labels, x_test=images, y_test=test)
    text = path.read_text().replace('"average_precision"', '"accuracy"')
    path.write_text(text.replace('"recall_at_1_percent_false_alarms"', '"average_precision"'))
    study = read_study(path)
    with pytest.raises(AlambicError, match=said):
        ask_students(study, load_source(study.data))


@pytest.fixture(scope="module")
def ledger(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sensors")
    summary = run_study(read_study(write(folder)), folder / "out", say=lambda text: None)
    assert summary.failed == 0
    return summary.ledger


def test_a_row_holds_every_sensor_and_metric_with_its_predictions(ledger: Path) -> None:
    opened = Ledger(ledger, read_only=True)
    source = load_source(read_study(ledger.parents[1] / "study.toml").data)
    labels = source.labels[source.splits["test"]].numpy()
    for row in opened.rows("done"):
        numbers = row.numbers
        assert "int8_error" not in numbers
        assert numbers["test_on_own"] == numbers["test"], "the training's own sensor gives the same images"
        assert numbers["test_on_own_int8"] == numbers["test_int8"]
        assert numbers["test"] > 0.9 > 0.6 > numbers["test_on_blind"], "what cannot be seen is not found"
        for name in ("tune_on_own", "tune_on_blind", "test_on_own", "test_on_blind"):
            assert f"{name}_recall_at_1_percent_false_alarms" in numbers
        for precision, suffix in (("fp32", ""), ("int8", "_int8")):
            kept = opened.predictions(row.id, "test_on_blind", precision)
            again = evaluate_metric("average_precision", kept.predicted, kept.margin, labels)
            assert abs(again - numbers[f"test_on_blind{suffix}"]) < 5e-3
            recall = numbers[f"test_recall_at_1_percent_false_alarms{suffix}"]
            kept = opened.predictions(row.id, "test", precision)
            again = evaluate_metric("recall_at_1_percent_false_alarms", kept.predicted, kept.margin, labels)
            assert abs(again - recall) < 2e-2
        assert row.content["test_sensors"]["blind"]["read"] == 5.0


def test_a_student_behind_a_sensor_is_a_network_for_the_sensor_s_pixels(ledger: Path) -> None:
    """Not one for the canvas that the small image is blown up to: four times its MACs and memory."""
    small = count_macs(create_student("dscnn_8x2", 1, (8, 8), 2), (1, 8, 8))
    for row in Ledger(ledger, read_only=True).rows("done"):
        assert row.content["input"] == [1, 8, 8]  # of 16 x 16 in colour
        assert row.numbers["macs"] == small
        assert row.numbers["test_on_sharp"] > 0.9, "an image of another size is brought to the student's"
        assert row.numbers["test_on_sharp_int8"] > 0.9


@pytest.mark.parametrize(
    ("lang", "head"),
    [("en", "recall at 1% false alarms, int8"), ("fr", "rappel à 1")],
)
def test_the_report_shows_them_and_its_check_asks_the_ledger(ledger: Path, tmp_path: Path, lang, head) -> None:
    findings = find(ledger)
    (numbers,) = findings.conditions.values()
    assert {"test_on_blind", "test_on_own_int8", "test_recall_at_1_percent_false_alarms"} <= set(numbers)
    table = describe_conditions(findings, lang)[1]
    assert isinstance(table, Table)
    assert [entry.text for row in table.rows for entry in row if entry.text == "–"] == [], "the score that ranks too"
    page = write_report(ledger, tmp_path, lang)
    assert head in page.read_text("utf-8")
    assert not check_report(page, ledger).differences


def test_names_of_numbers() -> None:
    assert read_condition("test_on_dark_recall_at_1_percent_false_alarms_int8") == (
        "dark",
        "recall_at_1_percent_false_alarms",
    )
    assert read_condition("tune_on_dark") == ("dark", "")
    assert read_condition("test_int8") == ("", "")
    assert read_condition("agreement_int8") is None


def test_a_sensor_of_other_channels_or_with_a_strange_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AlambicError, match="expected grey = true as the student was trained"):
        run_study(read_study(write(tmp_path, grey="false")), tmp_path / "out", say=lambda text: None)
    with pytest.raises(AlambicError, match="small letters and digits"):
        read_study(write(tmp_path, name="a_b"))


def test_treatments_know_the_student_s_input_whatever_their_teacher_is_trained_on(tmp_path: Path) -> None:
    path = write(tmp_path)
    clean = '\n[teachers.big]\nnet = "zoo:resnet8_w8"\nviews = { student = {} }\n[[arms]]\nmethod = "kd"\n'
    path.write_text(path.read_text() + clean)
    study = read_study(path)
    source = load_source(study.data)
    scene = make_scene(study, source, "dscnn_8x2", "big", tmp_path)
    assert scene.training.views.student.sensor is None
    assert scene.image == (1, 8, 8)
    assert scene.make_student(0)(torch.zeros(2, *scene.image)).shape == (2, 2)
    teacher = load_teacher("big", TeacherSpec("zoo:resnet8_w8"), 2, 3, (16, 16), source.mean, source.std)
    treatment = create_treatment("sftn")
    canvas = dataclasses.replace(scene, image=(3, 16, 16))
    assert new_teacher_path(treatment, teacher, scene) != new_teacher_path(treatment, teacher, canvas)
