"""Device runtimes and vendor compilers: what they report, what they refuse, and that a missing one is named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from deploy_nets import Sunken, make_stripes, train_stripes

from alambic.errors import AlambicError

pytest.importorskip("onnxruntime")
pytest.importorskip("ai_edge_litert")

from alambic.deploy.int8 import quantize_student
from alambic.deploy.read import read_graph
from alambic.deploy.targets.tflm import CHILD, measure_arena, predict_tflm
from alambic.deploy.targets.vela import ETHOS, VelaReport, compile_vela, read_report, survey_vela
from alambic.deploy.tflite import emit_tflite

SUMMARY = """inference_time,sram_memory_used,on_chip_flash_memory_used,off_chip_flash_memory_used,nn_macs,cycles_total
0.000719348,72.734375,0.0,227.359375,7491968,359674
"""
LAYERS = """Original Operator,NNG Operator,Target,Staging Usage,Op Cycles,MAC Count,Util% (MAC),Name
Conv2D,Conv2D,NPU,64912,20974,497664,18.5,clip_1
AvgPool,AvgPool,NPU,2560,1568,2304,1.15,pool_54
"""


@pytest.fixture(scope="module")
def tflite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("net")
    done = quantize_student(train_stripes(), make_stripes(64, 2)[0], (1, 16, 16), folder)
    emit_tflite(read_graph(done.onnx_int8), folder / "a.tflite")
    return folder / "a.tflite"


def test_a_recorded_report_is_read() -> None:
    report = read_report(ETHOS["ethos-u55-128"], "Performance", SUMMARY, LAYERS, "CPU operators = 2 (4.0%)")
    assert (report.sram_bytes, report.flash_bytes) == (74_480, 232_816)
    assert (report.cycles, report.macs, report.host_operators) == (359_674, 7_491_968, 2)
    assert report.milliseconds == pytest.approx(0.719348)
    assert [(item.kind, item.sram_bytes, item.cycles) for item in report.layers] == [
        ("Conv2D", 64_912, 20_974),
        ("AvgPool", 2_560, 1_568),
    ]
    assert report.layers[0].use == pytest.approx(0.185)


@pytest.mark.parametrize(
    ("summary", "log"),
    [("nothing\n", "CPU operators = 0"), (SUMMARY, "-"), (SUMMARY.replace("359674", "?"), "CPU operators = 0")],
)
def test_another_report_is_refused(summary: str, log: str) -> None:
    with pytest.raises(AlambicError, match=r"try ethos-u-vela 5\.2\.0"):
        read_report(ETHOS["ethos-u55-128"], "Performance", summary, LAYERS, log)


def test_vela_configurations_rank_as_their_multipliers(tflite: Path, tmp_path: Path) -> None:
    pytest.importorskip("ethosu.vela", reason="ethos-u-vela is not installed")
    reports: dict[str, VelaReport] = {name: compile_vela(tflite, name) for name in ETHOS}
    cycles = [reports[f"ethos-u55-{width}"].cycles for width in (32, 64, 128, 256)]
    assert cycles == sorted(cycles, reverse=True)
    assert len({reports[f"ethos-u55-{width}"].macs for width in (32, 64, 128, 256)}) == 1
    compile_vela(tflite, keep=tmp_path / "kept" / "vela.tflite")
    assert (tmp_path / "kept" / "vela.tflite").read_bytes()[4:8] == b"TFL3"


def test_a_survey_has_every_configuration_and_one_for_size(tflite: Path) -> None:
    pytest.importorskip("ethosu.vela", reason="ethos-u-vela is not installed")
    found = survey_vela(tflite, "ethos-u55-64")
    assert list(found) == [*ETHOS, "ethos-u55-64, for size"]
    small, fast = found["ethos-u55-64, for size"], found["ethos-u55-64"]
    assert isinstance(small, VelaReport)
    assert isinstance(fast, VelaReport)
    assert small.optimise == "Size"
    assert small.sram_bytes <= fast.sram_bytes
    assert fast == compile_vela(tflite, "ethos-u55-64")


def test_a_survey_says_why_a_configuration_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("ethosu.vela", reason="ethos-u-vela is not installed")
    (tmp_path / "b.tflite").write_bytes(b"not a network at all")
    found = survey_vela(tmp_path / "b.tflite").values()
    assert all("expected a network that Vela takes" in str(said) for said in found)


def test_vela_refuses_with_its_own_words(tmp_path: Path) -> None:
    pytest.importorskip("ethosu.vela", reason="ethos-u-vela is not installed")
    (tmp_path / "b.tflite").write_bytes(b"not a network at all")
    with pytest.raises(AlambicError, match=r"b\.tflite: expected a network that Vela takes"):
        compile_vela(tmp_path / "b.tflite")
    with pytest.raises(AlambicError, match="did you mean 'ethos-u55-128'"):
        compile_vela(tmp_path / "b.tflite", "ethos-u55-12")


def test_tflite_micro_refuses_with_its_own_words(tflite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")
    from alambic.deploy.targets import tflm

    (tmp_path / "b.tflite").write_bytes(b"not a network at all")
    with pytest.raises(AlambicError, match=r"b\.tflite: expected a \.tflite file, got other bytes"):
        measure_arena(tmp_path / "b.tflite")
    monkeypatch.setattr(tflm, "ARENA", 1000)
    with pytest.raises(AlambicError, match=r"TFLite-Micro runs, but it says: .*Failed to allocate tail memory"):
        measure_arena(tflite)


@pytest.mark.parametrize(
    ("swish", "said"),
    [
        (False, "but its process ended with exit code -6, an abort of a native library; try smaller weights"),
        (True, "but it says: .* Node HARD_SWISH .* failed to prepare .*; try a network without the operator"),
    ],
)
def test_what_tflite_micro_does_not_run_is_an_error_on_one_line(swish: bool, said: str, tmp_path: Path) -> None:
    pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")
    images = make_stripes(8, 2)[0]
    done = quantize_student(Sunken(4, swish).eval(), images, (1, 16, 16), tmp_path)
    emit_tflite(read_graph(done.onnx_int8), tmp_path / "a.tflite")
    for run in (measure_arena, lambda path: predict_tflm(path, images.numpy())):
        with pytest.raises(AlambicError, match=said) as caught:
            run(tmp_path / "a.tflite")
        assert str(caught.value).isprintable()


def test_tflite_micro_runs_apart_from_torch() -> None:
    pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")
    known = "{'torch', 'alambic'} & set(sys.modules)"
    code = f"import sys, runpy; runpy.run_path({str(CHILD)!r}); sys.exit(bool({known}))"
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0


def test_stderr_is_back_after_a_measurement(tflite: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")
    arena = measure_arena(tflite)
    assert arena == measure_arena(tflite)
    print("still here", file=sys.stderr)
    assert capfd.readouterr().err == "still here\n"


def test_images_of_another_size_are_named(tflite: Path) -> None:
    pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")
    with pytest.raises(AlambicError, match=r"expected images N x 1 x 16 x 16, got \(1, 1, 15, 16\)"):
        predict_tflm(tflite, np.zeros((1, 1, 15, 16), np.float32))


@pytest.mark.parametrize(("package", "run"), [("tflite_micro", measure_arena), ("ethosu.vela", compile_vela)])
def test_a_missing_package_is_named(package: str, run: object, tflite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == package.split(".")[0]]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package.split(".")[0], None)
    with pytest.raises(AlambicError, match=r'pip install "alambic\[chip\]"'):
        run(tflite)  # type: ignore[operator]
