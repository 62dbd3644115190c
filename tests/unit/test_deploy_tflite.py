"""The .tflite file computes what the ONNX file says, on LiteRT's reference kernels and on TFLite-Micro."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from deploy_nets import NETS, build_net, make_stripes, run_float, train_stripes

from alambic.errors import AlambicError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
schema = pytest.importorskip("ai_edge_litert.schema_py_generated")

from alambic.deploy.graph import to_int8, to_real  # noqa: E402
from alambic.deploy.int8 import quantize_student  # noqa: E402
from alambic.deploy.measure import measure_agreement, predict_onnx  # noqa: E402
from alambic.deploy.read import read_graph  # noqa: E402
from alambic.deploy.targets.host import predict_litert  # noqa: E402
from alambic.deploy.targets.tflm import predict_tflm  # noqa: E402
from alambic.deploy.tflite import emit_tflite  # noqa: E402

needs_tflm = pytest.mark.skipif(find_spec("tflite_micro") is None, reason="tflite-micro is not installed")


@pytest.mark.parametrize("name", NETS)
def test_each_operator_computes_what_the_graph_says(name: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    net = build_net(name)
    images = torch.randn(24, 3, 8, 8)
    done = quantize_student(net, images[:16], (3, 8, 8), tmp_path)
    graph = read_graph(done.onnx_int8)
    emit_tflite(graph, tmp_path / "a.tflite")
    expected = np.concatenate([run_float(graph, image[None].numpy()) for image in images[16:]])
    step = float(graph.tensors[graph.output].scale[0])
    found = predict_litert(tmp_path / "a.tflite", images[16:].numpy())
    # a tie that rounds the other way inside, and hard-swish's own rounding, move a logit by a step or two
    assert abs(found - expected).max() <= 2.01 * step
    assert (abs(found - expected) < 0.01 * step).mean() > 0.6


@needs_tflm
@pytest.mark.parametrize("name", NETS)
def test_tflite_micro_runs_each_operator_as_the_reference_kernels_do(name: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    net = build_net(name)
    images = torch.randn(12, 3, 8, 8)
    graph = read_graph(quantize_student(net, images, (3, 8, 8), tmp_path).onnx_int8)
    emit_tflite(graph, tmp_path / "a.tflite")
    on_device, on_host = (run(tmp_path / "a.tflite", images.numpy()) for run in (predict_tflm, predict_litert))
    steps = abs(on_host - on_device) / graph.tensors[graph.output].scale[0]
    assert steps.max() < 1.5  # LiteRT rounds once where TFLite-Micro rounds twice
    assert (steps < 0.5).mean() > 0.95


@pytest.mark.parametrize("per_channel", [True, False])
def test_a_trained_network_decides_alike_in_both_files(per_channel: bool, tmp_path: Path) -> None:
    done = quantize_student(train_stripes(), make_stripes(64, 2)[0], (1, 16, 16), tmp_path, per_channel)
    graph = read_graph(done.onnx_int8)
    emit_tflite(graph, tmp_path / "a.tflite")
    images = make_stripes(400, 3)[0].numpy()
    expected, found = predict_onnx(done.onnx_int8, images), predict_litert(tmp_path / "a.tflite", images)
    assert measure_agreement(found, expected) >= 0.995
    steps = abs(found - expected) / graph.tensors[graph.output].scale[0]
    assert steps.max() < 2.5
    assert (steps < 1.5).mean() > 0.99


def read_model(path: Path) -> schema.ModelT:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(path.read_bytes(), 0))


def test_parameters_and_weights_are_those_of_the_onnx_file_to_the_bit(tmp_path: Path) -> None:
    done = quantize_student(train_stripes(), make_stripes(16, 2)[0], (1, 16, 16), tmp_path)
    emit_tflite(read_graph(done.onnx_int8), tmp_path / "a.tflite")
    source = onnx.load(str(done.onnx_int8)).graph
    constants = {item.name: onnx.numpy_helper.to_array(item) for item in source.initializer}
    wanted = {
        (float(constants[node.input[1]]), int(constants[node.input[2]]))
        for node in source.node
        if node.op_type == "QuantizeLinear"
    }
    model = read_model(tmp_path / "a.tflite")
    tensors = model.subgraphs[0].tensors
    activations = [t for t in tensors if t.buffer == 0]
    assert {(float(t.quantization.scale[0]), int(t.quantization.zeroPoint[0])) for t in activations} == wanted
    stored = sorted(v.tobytes() for v in constants.values() if v.dtype == np.int8 and v.ndim == 4 and v.shape[1] == 1)
    kept = [
        np.frombuffer(bytes(model.buffers[t.buffer].data), np.int8).reshape(t.shape).transpose(3, 0, 1, 2)
        for t in tensors
        if t.buffer and len(t.shape) == 4 and t.shape[0] == 1
    ]
    assert len(kept) == 3  # the depthwise layers
    assert {np.ascontiguousarray(v).tobytes() for v in kept} < set(stored)


def test_constants_start_at_multiples_of_16_bytes(tmp_path: Path) -> None:
    done = quantize_student(train_stripes(), make_stripes(16, 2)[0], (1, 16, 16), tmp_path)
    size = emit_tflite(read_graph(done.onnx_int8), tmp_path / "a.tflite")
    raw = (tmp_path / "a.tflite").read_bytes()
    assert size == len(raw)
    assert raw[4:8] == b"TFL3"
    buffers = [bytes(item.data) for item in read_model(tmp_path / "a.tflite").buffers if item.data is not None]
    assert len(buffers) == 8 * 2 + 1
    assert all(raw.find(data) % 16 == 0 for data in buffers if len(data) > 32)


def test_what_no_runtime_reads_is_named(tmp_path: Path) -> None:
    done = quantize_student(train_stripes(), make_stripes(16, 2)[0], (1, 16, 16), tmp_path)
    emit_tflite(read_graph(done.onnx_int8), tmp_path / "a.tflite")
    with pytest.raises(AlambicError, match=r"N x 1 x 16 x 16, got \(2, 1, 16, 15\)"):
        predict_litert(tmp_path / "a.tflite", np.zeros((2, 1, 16, 15), np.float32))
    (tmp_path / "b.tflite").write_bytes(b"not a network at all")
    with pytest.raises(AlambicError, match=r"b\.tflite: expected a \.tflite file that LiteRT runs"):
        predict_litert(tmp_path / "b.tflite", np.zeros((2, 1, 16, 16), np.float32))


def test_integers_round_half_to_even_and_saturate() -> None:
    values = np.array([0.5, 1.5, -0.5, 200.0, -200.0, 2.4])
    assert to_int8(values, 1.0, 0).tolist() == [0, 2, 0, 127, -128, 2]
    assert to_real(np.array([-128, 127], np.int8), 0.5, -128).tolist() == [0.0, 127.5]
