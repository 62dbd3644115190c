"""Each student of the zoo through the whole chain: same answers, arena to the byte, a file that Vela takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from deploy_nets import settle_student

pytest.importorskip("onnxruntime")
pytest.importorskip("ai_edge_litert")

from alambic.deploy.execute import execute
from alambic.deploy.graph import Int8Graph
from alambic.deploy.int8 import APART, Int8Result, quantize_student
from alambic.deploy.measure import measure_agreement, predict_onnx
from alambic.deploy.memory import plan_memory
from alambic.deploy.read import read_graph
from alambic.deploy.targets.host import predict_litert
from alambic.deploy.tflite import emit_tflite
from alambic.models.students import describe_student

# student: weights and biases, TFLite-Micro's arena head, both in bytes, measured on the same architectures with
# TensorFlow's SAME padding (8 bytes of each .tflite are the shape of its reshape, which is no weight)
ZOO = {
    "dscnn_24x3": (3_544, 9_408),
    "dscnn_48x4": (14_488, 24_576),
    "resnet8_w8": (20_320, 24_576),
    "resnet8_w12": (44_764, 36_864),
    "resnet8_w16": (78_744, 49_152),
    "resnet8_w24": (175_312, 73_728),
    "resnet20_w16": (274_072, 65_536),
    "mbv1_0125_96g": (60_544, 36_864),
    "mbv1_025_96": (219_064, 73_728),
    "fdmbv1_025_96": (132_696, 46_080),
    "mcunetish_64": (293_152, 65_536),
    "mbv2_tiny_32": (48_296, 81_920),
    "lowrank_resnet_64": (121_112, 98_304),
}
# the same, before any planner loses bytes to fragmentation
LIVENESS = {"resnet8_w16": 49_152, "mbv1_025_96": 55_296, "resnet20_w16": 49_152}


@dataclass
class Emitted:
    name: str
    done: Int8Result
    graph: Int8Graph
    tflite: Path
    images: np.ndarray


@pytest.fixture(scope="module", params=ZOO)
def student(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Emitted:
    folder = tmp_path_factory.mktemp(request.param)
    net, shape = settle_student(request.param)
    images = torch.randn(24, *shape)
    done = quantize_student(net, images[:8], shape, folder)
    graph = read_graph(done.onnx_int8)
    emit_tflite(graph, folder / "student.tflite")
    return Emitted(request.param, done, graph, folder / "student.tflite", images.numpy())


def test_weights_and_arena_equal_the_measured_table(student: Emitted) -> None:
    assert (student.done.weight_bytes, student.done.arena_bytes) == ZOO[student.name]
    assert student.done.peak_activation_bytes == LIVENESS.get(student.name, student.done.peak_activation_bytes)
    assert student.done.peak_activation_bytes <= student.done.arena_bytes
    assert student.done.macs == describe_student(student.name).macs


def test_the_planner_equals_tflite_micros_arena_head(student: Emitted) -> None:
    pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")
    from alambic.deploy.targets.tflm import measure_arena

    arena = measure_arena(student.tflite)
    assert plan_memory(student.graph).arena_bytes == arena.head
    assert 2_000 < arena.tail < 80_000
    assert arena.total == arena.head + arena.tail


def test_the_tflite_file_decides_as_the_onnx_file_does(student: Emitted) -> None:
    expected = predict_onnx(student.done.onnx_int8, student.images)
    assert measure_agreement(predict_litert(student.tflite, student.images), expected) >= 0.995


def test_integers_answer_as_the_onnx_file_does(student: Emitted) -> None:
    """Far below what ``check_device`` refuses: rounding alone."""
    expected = predict_onnx(student.done.onnx_int8, student.images)
    apart = np.sqrt(np.square(expected - execute(student.graph, student.images)).mean())
    assert apart < 0.03 * expected.std() < APART * expected.std() / 10


def test_tflite_micro_decides_as_the_reference_kernels_do(student: Emitted) -> None:
    pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")
    from alambic.deploy.targets.tflm import predict_tflm

    on_device, on_host = (run(student.tflite, student.images[:4]) for run in (predict_tflm, predict_litert))
    steps = abs(on_device - on_host) / student.graph.tensors[student.graph.output].scale[0]
    assert steps.max() < 1.5


def test_vela_takes_the_file_whole(student: Emitted) -> None:
    pytest.importorskip("ethosu.vela", reason="ethos-u-vela is not installed")
    from alambic.deploy.targets.vela import Ethos, compile_vela

    report = compile_vela(student.tflite, Ethos("ethos-u55-128", "Ethos_U55_High_End_Embedded", "Sram_Only"))
    assert report.host_operators == 0
    assert sum(layer.macs for layer in report.layers) == report.macs
    pooling = sum(layer.macs for layer in report.layers if layer.kind == "AvgPool")  # additions, in truth
    assert report.macs - pooling == pytest.approx(student.done.macs, rel=0.005)
    assert plan_memory(student.graph, in_place=True).liveness_bytes <= report.sram_bytes
    maps = [student.graph.tensors[op.output].shape for op in student.graph.ops]
    if all(shape[3] % 16 == 0 for shape in maps if len(shape) == 4):  # Vela stores maps in bricks of 16 channels
        assert report.sram_bytes <= student.done.arena_bytes
