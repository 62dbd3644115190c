"""The commands as a person types them."""

import json
import re

import numpy as np
import pytest
import torch

from alambic.cli import main
from alambic.models.students import create_student
from alambic.models.teachers import load_weights
from alambic.study.compose import Request, compose_study
from alambic.study.ledger import Ledger
from alambic.study.study_file import read_study


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "images.npz"
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 300)
    pixels = generator.integers(0, 60, (300, 16, 16)).astype(np.uint8)
    pixels[np.arange(300), 5 * labels + 2, :] += 150
    np.savez(path, x_train=pixels[:240], y_train=labels[:240], x_test=pixels[240:], y_test=labels[240:])
    return path


@pytest.mark.slow
def test_distill_saves_a_student_that_loads_and_its_onnx(images, tmp_path, capsys):
    out = tmp_path / "out"
    words = f"distill --student dscnn_8x2 --data {images} --teacher zoo:resnet8_w8 --method kd --epochs 2"
    assert main([*words.split(), "--setting", "temperature=2.0", "--seed", "3", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    weights = next((out / "students").glob("*.safetensors"))
    assert str(weights) in said
    # trained here, so its card says its score
    assert re.search(r"^teacher resnet8_w8: [01]\.\d{4} on the tune split$", said, re.MULTILINE)
    assert re.search(r"^student dscnn_8x2: accuracy [01]\.\d{4} on the test split", said, re.MULTILINE)
    net = create_student("dscnn_8x2", 1, 16, 3)
    load_weights(net, weights, "student")
    rows = Ledger(out / "ledger.sqlite", read_only=True).rows("done")
    assert [(row.content["seed"], row.content["arm"]["settings"]) for row in rows] == [
        (3, {"kd": {"temperature": 2.0}})
    ]
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(str(out / "student.onnx"), providers=["CPUExecutionProvider"])
    x = torch.randn(2, 1, 16, 16)
    with torch.no_grad():
        expected = net.eval()(x).numpy()
    np.testing.assert_allclose(session.run(None, {session.get_inputs()[0].name: x.numpy()})[0], expected, atol=1e-4)


def test_new_writes_a_file_that_plan_reads(images, tmp_path, capsys):
    path = tmp_path / "mine.toml"
    words = f"study new {path} --student dscnn_8x2 resnet8_w8 --data {images} --teachers zoo:resnet8_w12"
    assert main([*words.split(), "--methods", "none", "kd", "--seeds", "3"]) == 0
    study = read_study(path)
    assert study.students == ("dscnn_8x2", "resnet8_w8")
    assert list(study.teachers) == ["resnet8_w12"]
    assert main(["study", "plan", str(path)]) == 0
    said = capsys.readouterr().out
    assert said.index("smallest effect") < said.index("cells: 12")
    assert main(["study", "new", str(path), "--student", "dscnn_8x2", "--data", str(images)]) == 2
    assert "there already" in capsys.readouterr().err


def test_budget_cuts_epochs(images, tmp_path, capsys):
    path = tmp_path / "short.toml"
    words = f"study new {path} --student resnet8_w16 --data {images} --methods none --epochs 4000 --budget 0.05"
    assert main(words.split()) == 0
    assert read_study(path).recipe.epochs < 4000
    assert "cut to" in capsys.readouterr().out


@pytest.mark.parametrize("name", ['x" ]\nseeds = 1000 #', "a\\b", "é", "</script>"])
def test_hostile_names_stay_text(name, tmp_path):
    text = compose_study(Request("study", [name], "fashion-mnist", methods=["none"]), tmp_path)
    path = tmp_path / "s.toml"
    path.write_text(text, encoding="utf-8")
    study = read_study(path)
    assert study.students == (name,)
    assert study.seeds == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("methods kdd", "did you mean 'kd'"),
        ("study run nowhere.toml", "expected a TOML file"),
        ("report nowhere.sqlite", "expected a ledger"),
        ("teachers train nowhere.toml", "expected a TOML file"),
        ("study new x.toml --student dscn_24x3 --data fashion-mnistt", "fashion-mnist"),
        ("distill --student dscnn_8x2 --data fashion-mnist --out o --setting weight", "NAME=VALUE"),
    ],
)
def test_mistakes_get_one_line_and_exit_code_2(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words.split()) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not (tmp_path / "x.toml").exists()


def test_methods_students_and_doctor_answer(capsys):
    for words in (["methods"], ["methods", "rsd"], ["methods", "--count"], ["students"], ["doctor"]):
        assert main(words) == 0
    said = capsys.readouterr().out
    assert "2507.21844" in said
    assert "dscnn_24x3" in said


def test_damaged_ledger_says_so(tmp_path, capsys):
    (tmp_path / "ledger.sqlite").write_bytes(b"SQLite format 3\0" + b"x" * 200)
    assert main(["report", str(tmp_path / "ledger.sqlite")]) == 2
    assert "ledger" in capsys.readouterr().err


def test_ledger_of_another_study_is_refused(images, tmp_path, capsys):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.set_meta("study_name", "other")
    ledger.close()
    path = tmp_path / "s.toml"
    path.write_text(compose_study(Request("mine", ["dscnn_8x2"], str(images), methods=["none"], epochs=1), tmp_path))
    assert main(["study", "run", str(path), "--out", str(tmp_path)]) == 2
    assert json.dumps("other").strip('"') in capsys.readouterr().err
