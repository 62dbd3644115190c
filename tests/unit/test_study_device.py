"""What a row says of its artefact on the device: kernels, arithmetics, fits; students that do not fit are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from deploy_nets import Sunken, make_stripes, train_stripes

from alambic.cli import main
from alambic.errors import AlambicError

pytest.importorskip("onnxruntime")
pytest.importorskip("ai_edge_litert")
pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")

from alambic.deploy.chips import find_chip
from alambic.deploy.int8 import Int8Result, quantize_student
from alambic.deploy.measure import predict_onnx
from alambic.deploy.read import read_graph
from alambic.deploy.targets.tflm import predict_tflm
from alambic.deploy.tflite import emit_tflite
from alambic.study import device
from alambic.study.device import ARITHMETICS, choose_positions, hash_chip, measure_device
from alambic.study.ledger import Predictions
from alambic.study.study_file import read_study
from alambic.training.task import predict

Row = tuple[Int8Result, np.ndarray, np.ndarray, dict[str, Predictions]]


@pytest.fixture(scope="module")
def row(tmp_path_factory: pytest.TempPathFactory) -> Row:
    folder = tmp_path_factory.mktemp("row")
    done = quantize_student(train_stripes(), make_stripes(64, 2)[0], (1, 16, 16), folder)
    images, labels = make_stripes(130, 3)
    logits = {
        "fp32": predict_onnx(done.onnx_fp32, images.numpy()),
        "int8": predict_onnx(done.onnx_int8, images.numpy()),
    }
    return done, images.numpy(), labels.numpy(), {key: Predictions(*predict(value)) for key, value in logits.items()}


def test_the_row_keeps_what_tflite_micro_answers(row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, images, labels, others = row
    monkeypatch.setattr(device, "IMAGES", 60)
    chip = find_chip("acc-32")
    numbers, predictions = measure_device(done, images, labels, others, "test", "accuracy", chip, arithmetics=True)
    places = choose_positions(130)
    emit_tflite(read_graph(done.onnx_int8), tmp_path / "a.tflite")
    expected = predict_tflm(tmp_path / "a.tflite", images[places]).argmax(1)
    assert np.array_equal(predictions["test", "kernels"].predicted, expected)
    assert numbers["test_kernels"] == pytest.approx((expected == labels[places]).mean())
    assert numbers["agreement_kernels"] == pytest.approx((expected == others["fp32"].predicted[places]).mean())
    assert numbers["agreement_between"] == pytest.approx((expected == others["int8"].predicted[places]).mean())
    assert numbers["test_fp32_same"] == pytest.approx((others["fp32"].predicted[places] == labels[places]).mean())
    assert (numbers["kernel_images"], numbers["kernels"]) == (60, "TFLite-Micro")
    assert numbers["tflite_bytes"] == (tmp_path / "a.tflite").stat().st_size
    assert set(predictions) == {("test", name) for name in ("kernels", *ARITHMETICS)}
    assert all(len(found.predicted) == len(found.margin) == 60 for found in predictions.values())
    assert numbers["flash_bytes"] == done.weight_bytes
    assert (numbers["chip"], numbers["engine"], numbers["fits"]) == ("acc-32", "accelerator", True)
    assert numbers["ram_over"] == numbers["ram_bytes"] - 32 * 1024


def test_a_chip_that_is_too_small(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "IMAGES", 4)
    small = replace(find_chip("acc-32"), flash_kib=1)
    numbers, predictions = measure_device(*row, "tune", "accuracy", small)
    assert (numbers["fits"], numbers["flash_over"]) == (False, row[0].weight_bytes - 1024)
    assert set(predictions) == {("tune", "kernels")}


def test_a_missing_runtime_is_a_reason_and_no_error(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "IMAGES", 4)
    monkeypatch.setattr(device, "has", lambda package: package != "tflite_micro")
    numbers, _ = measure_device(*row, "test", "accuracy")
    assert numbers["kernels"] == "LiteRT reference"
    monkeypatch.setattr(device, "has", lambda package: False)
    numbers, predictions = measure_device(*row, "test", "accuracy", find_chip("acc-32"))
    assert 'pip install "alambic[chip]"' in numbers["kernels_missing"]
    assert (predictions, numbers["fits"]) == ({}, True)

    def refuse(*_: object) -> None:
        raise AlambicError("no such package")

    monkeypatch.setattr(device, "measure_need", refuse)
    numbers, _ = measure_device(*row, "test", "accuracy", find_chip("ethos-u55-128"))
    assert (numbers["fits"], numbers["fits_unknown"]) == (None, "no such package")


@pytest.mark.parametrize(("swish", "why"), [(False, "exit code -6, an abort"), (True, "HARD_SWISH")])
def test_a_network_that_kernels_do_not_run_keeps_its_other_numbers(
    swish: bool, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "IMAGES", 4)
    images, labels = make_stripes(8, 2)
    done = quantize_student(Sunken(4, swish).eval(), images, (1, 16, 16), tmp_path)
    real, int8 = (
        Predictions(*predict(predict_onnx(path, images.numpy()))) for path in (done.onnx_fp32, done.onnx_int8)
    )
    numbers, predictions = measure_device(
        done,
        images.numpy(),
        labels.numpy(),
        {"fp32": real, "int8": int8},
        "test",
        "accuracy",
        find_chip("bluepill"),
        True,
    )
    for name in ("kernels_missing", "fits_unknown"):  # the chip's engine is TFLite-Micro
        assert numbers[name].startswith("student.tflite: expected")
        assert why in numbers[name]
        assert numbers[name].isprintable()
    assert numbers["fits"] is None
    assert numbers["tflite_bytes"] > 0
    assert numbers["test_fp32_same"] == pytest.approx((real.predicted == labels.numpy())[[0, 2, 4, 6]].mean())
    assert set(predictions) == {("test", name) for name in ARITHMETICS}


def test_without_a_tflite_file_an_engine_that_reads_it_cannot_be_asked(
    row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "has", lambda package: False)
    for chip in ("bluepill", "ethos-u55-128"):
        numbers, _ = measure_device(*row, "test", "accuracy", find_chip(chip))
        assert numbers["fits"] is None
        assert "expected the network as a .tflite file" in numbers["fits_unknown"]


def test_positions_are_spread_over_a_split() -> None:
    assert choose_positions(7).tolist() == list(range(7))
    spread = choose_positions(10_000)
    assert (len(spread), spread[0], spread[-1]) == (500, 0, 9980)
    assert set(np.diff(spread)) == {20}


def write_images(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    np.savez(folder / "images.npz", x=rng.integers(0, 255, (60, 16, 16), dtype=np.uint8), y=rng.integers(0, 2, 60))
    return folder / "images.npz"


def test_a_new_study_asks_whether_its_students_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, file = write_images(tmp_path), tmp_path / "new.toml"
    arguments = [
        "study",
        "new",
        str(file),
        "--data",
        str(data),
        "--methods",
        "none",
        "--epochs",
        "1",
        "--chip",
        "acc-32",
    ]
    assert main([*arguments, "--student", "resnet8_w16"]) == 2
    said = capsys.readouterr().err
    assert "student 'resnet8_w16': expected one that fits acc-32" in said
    assert "bytes too many" in said
    assert "the widest of this family that fits acc-32 is resnet8_w" in said
    assert not file.exists()
    assert main([*arguments, "--student", "dscnn_8x2"]) == 0
    assert "dscnn_8x2 on acc-32 (generic tiny accelerator): fits" in capsys.readouterr().out
    chip = read_study(file).chip
    assert chip is not None
    assert chip.name == "acc-32"


def test_a_study_names_a_chip_that_exists(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    lines = ['name = "a"', 'purpose = "demo"', 'students = ["dscnn_8x2"]', 'methods = ["none"]', 'chip = "acc-3"']
    text = "\n".join([*lines, "[data]", 'source = "x"', ""])
    file.write_text(text)
    with pytest.raises(AlambicError, match=r"a\.toml.*5.*did you mean 'acc-32'"):
        read_study(file)
    (tmp_path / "mine.toml").write_text('[acc-3]\ncore = "one"\nengine = "accelerator"\nram_kib = 8\nsource = "me"\n')
    file.write_text(text.replace('chip = "acc-3"', 'chip = "acc-3"\nchips = "mine.toml"'))
    chip = read_study(file).chip
    assert chip is not None
    assert chip.ram_kib == 8


def test_rows_of_an_engine_that_counts_otherwise_are_judged_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hash_chip(find_chip("acc-32")) == "1a077837862e"  # as committed ledgers hold it
    names = ("nucleo-g474re", "acc-32")
    now = [hash_chip(find_chip(name)) for name in names]
    monkeypatch.setattr(device, "COUNTED", {})  # as when verdicts were first stored
    assert [hash_chip(find_chip(name)) == old for name, old in zip(names, now, strict=True)] == [False, True]
