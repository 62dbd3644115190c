"""Generated C on an emulated Cortex-M: equal to TFLite-Micro bit for bit, RAM and flash as predicted, faults told."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from deploy_nets import Net, settle_student
from torch import nn

from alambic.errors import AlambicError

pytest.importorskip("onnxruntime")
pytest.importorskip("ai_edge_litert")
pytest.importorskip("bakenn", reason="bakenn is not installed")

from alambic.deploy.chips import find_chip
from alambic.deploy.execute import run_integers
from alambic.deploy.fit import count_program, judge_fit, measure_need
from alambic.deploy.graph import Int8Graph, to_int8
from alambic.deploy.int8 import quantize_student
from alambic.deploy.memory import count_inner_arena, count_scratch
from alambic.deploy.read import read_graph
from alambic.deploy.targets.c_source import write_c
from alambic.deploy.targets.cortex_m import find_toolchain, run_cortex_m
from alambic.deploy.targets.tflm import predict_tflm
from alambic.deploy.tflite import emit_tflite

needs_toolchain = pytest.mark.skipif(find_toolchain() is not None, reason=find_toolchain() or "")


def make(name: str, folder: Path) -> tuple[Int8Graph, Path, np.ndarray]:
    net, shape = settle_student(name)
    images = torch.randn(12, *shape)
    graph = read_graph(quantize_student(net, images[:4], shape, folder).onnx_int8)
    emit_tflite(graph, folder / "a.tflite")
    return graph, folder / "a.tflite", images.numpy()


@needs_toolchain
@pytest.mark.parametrize(
    ("name", "kernels", "core"),
    [("resnet8_w16", "cmsis-nn", "cortex-m4"), ("dscnn_24x3", "portable", "cortex-m7")],
)
def test_a_program_equals_tflite_micro_to_the_bit(name: str, kernels: str, core: str, tmp_path: Path) -> None:
    pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")
    graph, tflite, images = make(name, tmp_path)
    given, wanted = graph.tensors[graph.input], graph.tensors[graph.output]
    inputs = to_int8(images.transpose(0, 2, 3, 1), float(given.scale[0]), given.zero_point)
    logits = predict_tflm(tflite, images)
    expected = to_int8(logits, float(wanted.scale[0]), wanted.zero_point)
    source = write_c(tflite, tmp_path / "c", kernels)  # type: ignore[arg-type]
    program = run_cortex_m(source, inputs, expected, core)
    assert (program.tests, program.wrong_bytes) == (12, 0)
    assert (program.arena_bytes, program.input_bytes) == (source.arena_bytes, inputs[0].nbytes)
    assert 0 <= program.static_bytes <= 64
    assert 0 < program.stack_bytes < 2048
    assert graph.weight_bytes < program.flash_bytes < graph.weight_bytes + 40_000
    again = run_cortex_m(source, inputs, expected, core)
    assert again == program  # the instruction count repeats
    planned = measure_need(find_chip("nucleo-g474re"), graph, tflite)
    if kernels == "cmsis-nn":
        assert abs(planned.flash_bytes - program.flash_bytes) < 5_000
        assert planned.ram_bytes == source.arena_bytes + inputs[0].nbytes


@needs_toolchain
def test_a_measured_verdict_counts_the_image_beside_the_arena(tmp_path: Path) -> None:
    """Its first layer holds most: the image and its own output together are more than the chip has."""
    graph, tflite, images = make("fdmbv1_025_176", tmp_path)
    given = graph.tensors[graph.input]
    inputs = to_int8(images[:1].transpose(0, 2, 3, 1), float(given.scale[0]), given.zero_point)
    source = write_c(tflite, tmp_path / "c")
    program = run_cortex_m(source, inputs, run_integers(graph, inputs).astype(np.int8))
    chip = find_chip("nucleo-g474re")
    measured, planned = count_program(program), measure_need(chip, graph, tflite)
    assert measured.ram["input image"] == planned.ram["input image"] == 176 * 176 * 3
    assert measured.ram_bytes == source.arena_bytes + 176 * 176 * 3 + program.static_bytes + program.stack_bytes
    assert 0 < measured.ram_bytes - planned.ram_bytes < 2048  # its stack and a few variables
    assert [judge_fit(chip, need, graph).fits for need in (measured, planned)] == [False, False]
    assert measured.ram_bytes - measured.ram["input image"] < (chip.ram_bytes or 0)  # without it, it would fit


@needs_toolchain
def test_a_wrong_answer_is_counted(tmp_path: Path) -> None:
    graph, tflite, _ = make("dscnn_24x3", tmp_path)
    inputs = np.random.default_rng(0).integers(-128, 128, (2, 28, 28, 1)).astype(np.int8)
    expected = run_integers(graph, inputs).astype(np.int8)
    expected[1, 3] ^= 1
    source = write_c(tflite, tmp_path / "c")
    assert run_cortex_m(source, inputs, expected).wrong_bytes == 1
    with pytest.raises(AlambicError, match=r"inputs of 784 bytes and outputs of 10, got \(2, 28, 28, 1\)"):
        run_cortex_m(source, inputs, expected[:1])
    with pytest.raises(AlambicError, match="did you mean 'cortex-m4'"):
        run_cortex_m(source, inputs, expected, "cortex-m44")


@pytest.mark.parametrize("name", ["dscnn_24x3", "resnet8_w16", "mbv1_0125_96g", "mcunetish_64", "fdmbv1_025_96"])
def test_its_arena_is_the_planners_and_scratch_as_counted(name: str, tmp_path: Path) -> None:
    graph, tflite, _ = make(name, tmp_path)
    arena = count_inner_arena(graph)
    assert write_c(tflite, tmp_path / "c", "portable").arena_bytes == arena
    fast = write_c(tflite, tmp_path / "c", "cmsis-nn")
    assert fast.arena_bytes == arena + count_scratch(graph)
    assert any(kernel.startswith("cmsis_nn") for kernel in fast.kernels)
    assert {path.suffix for path in fast.sources} == {".c"}
    assert all(path.exists() for path in (*fast.sources, *fast.includes, fast.header))


def test_an_average_pooling_without_larger_kernels_needs_scratch(tmp_path: Path) -> None:
    """Around it a 1 x 1 convolution and a linear layer, whose kernels need none."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 64, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 5)).eval()
    graph = read_graph(quantize_student(net, torch.randn(4, 3, 8, 8), (3, 8, 8), tmp_path).onnx_int8)
    emit_tflite(graph, tmp_path / "a.tflite")
    assert count_scratch(graph) == 4 * 64
    arenas = [
        write_c(tmp_path / "a.tflite", tmp_path / "c", kernels).arena_bytes for kernels in ("portable", "cmsis-nn")
    ]
    assert arenas[1] - arenas[0] == 4 * 64


def test_an_operator_without_c_is_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    done = quantize_student(Net(F.hardswish, 8).eval(), torch.randn(4, 3, 8, 8), (3, 8, 8), tmp_path)
    emit_tflite(read_graph(done.onnx_int8), tmp_path / "a.tflite")
    for _ in range(2):
        with pytest.raises(AlambicError, match=r"BakeNN writes as C, but it says: .*HARD_SWISH.*try ReLU"):
            write_c(tmp_path / "a.tflite", tmp_path / "c")


def test_only_c_sources_of_its_own_are_replaced(tmp_path: Path) -> None:
    _, tflite, _ = make("dscnn_24x3", tmp_path)
    mine = tmp_path / "c" / "main.c"
    mine.parent.mkdir()
    write_c(tflite, mine.parent)  # an empty folder is nobody's
    write_c(tflite, mine.parent)
    shutil.rmtree(mine.parent)
    mine.parent.mkdir()
    mine.write_text("int main(void) { return 0; }")
    with pytest.raises(AlambicError, match=r"got one without bakenn_sources\.cmake"):
        write_c(tflite, mine.parent)
    assert mine.read_text().startswith("int main")


def test_a_missing_toolchain_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, tflite, _ = make("dscnn_24x3", tmp_path)
    source = write_c(tflite, tmp_path / "c")
    monkeypatch.setattr(shutil, "which", lambda tool: None if "qemu" in tool else tool)
    with pytest.raises(AlambicError, match="qemu-system-arm not found; on Debian: apt-get install --no-install-recom"):
        run_cortex_m(source, np.zeros((1, 784), np.int8), np.zeros((1, 10), np.int8))
