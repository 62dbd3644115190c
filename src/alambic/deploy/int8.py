"""Static int8 quantisation by ONNX Runtime: one set of parameters for every target.

QDQ format, int8 weights (symmetric, per output channel or per tensor) and int8 activations (affine, per tensor), int32
biases: the recipe of ST's model zoo. Every other artefact (TFLite, C) is emitted from the file made here.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from alambic.deploy.equalise import Equalised, equalise_onnx
from alambic.deploy.execute import execute
from alambic.deploy.export import clean_model, export_onnx
from alambic.deploy.graph import Int8Graph
from alambic.deploy.measure import predict_onnx
from alambic.deploy.memory import plan_memory
from alambic.deploy.packages import require
from alambic.deploy.read import read_graph
from alambic.errors import AlambicError
from alambic.files import write_atomic
from alambic.models.students import count_macs

Calibration = Literal["minmax", "percentile", "entropy"]
POOLS = ("AveragePool", "GlobalAveragePool")
COMPARED = 16  # calibration images on which the device's network must answer as the int8 file does
APART = 0.5  # of the answers' spread: rounding alone makes less than .03 over the zoo, a wrongly read operator made 1.3


@dataclass(frozen=True)
class Calibrated:
    """Which images set the ranges of activations: how many, and sha256 over their shape and fp32 bytes."""

    method: Calibration
    size: int
    hash: str


@dataclass(frozen=True)
class Int8Result:
    """A student's int8 artefact and what it costs.

    Attributes:
        onnx_fp32, onnx_int8: files in the working folder.
        weight_bytes: int8 weights and int32 biases in the artefact. macs: of one image.
        peak_activation_bytes: the most activations alive at once (no planner can do better without tiling).
        arena_bytes: what TFLite-Micro's planner needs for them. peak_layer: the operator at the peak.
        calibration_size, calibration_hash: of the calibration images.
        equalised: pairs of layers looked at for outlier channels; empty where that was not asked for.
    """

    onnx_fp32: Path
    onnx_int8: Path
    weight_bytes: int
    macs: int
    peak_activation_bytes: int
    arena_bytes: int
    peak_layer: str
    calibration_size: int
    calibration_hash: str
    equalised: tuple[Equalised, ...] = ()


def quantize_student(
    net: nn.Module,
    calibration_images: Tensor,
    example_shape: tuple[int, int, int],
    workdir: Path | str,
    per_channel: bool = True,
    calibration: Calibration = "minmax",
    equalise: bool = False,
) -> Int8Result:
    """Exports, quantises and measures a student.

    Args:
        net: maps B x C x H x W to logits; read in evaluation mode, not changed.
        calibration_images: N x C x H x W, normalised as in training, drawn from the training split.
        example_shape: C, H, W.
        workdir: gets ``student_fp32.onnx`` and ``student_int8.onnx``.
        equalise: scale outlier channels down first (``deploy.equalise``): the fp32 file then holds the scaled weights.

    Raises AlambicError when the network cannot be exported, or holds an operator that no int8 target has.
    """
    folder = Path(workdir)
    fp32, int8 = folder / "student_fp32.onnx", folder / "student_int8.onnx"
    exported = export_onnx(net, example_shape, fp32)
    images = calibration_images.detach().cpu().numpy().astype(np.float32)
    equalised = equalise_onnx(fp32, images, per_channel) if equalise else []
    calibrated = quantize_onnx(fp32, int8, images, per_channel, calibration)
    try:
        graph = read_graph(int8)
    except AlambicError as error:
        if not exported.reason:
            raise
        raise AlambicError(f"{error}; what set it apart from other networks is {exported.reason}") from error
    check_device(graph, int8, images[:COMPARED])
    plan = plan_memory(graph)
    return Int8Result(
        onnx_fp32=fp32,
        onnx_int8=int8,
        weight_bytes=graph.weight_bytes,
        macs=count_macs(net, example_shape),
        peak_activation_bytes=plan.liveness_bytes,
        arena_bytes=plan.arena_bytes,
        peak_layer=plan.peak_layer,
        calibration_size=calibrated.size,
        calibration_hash=calibrated.hash,
        equalised=tuple(equalised),
    )


def check_device(graph: Int8Graph, int8: Path, images: npt.NDArray[np.float32]) -> None:
    """That what devices run is the network of the int8 file. Raises AlambicError where it answers otherwise.

    Args:
        images: N x C x H x W, normalised. ``between`` of a score is about classes; this is about the numbers.
    """
    real, device = predict_onnx(int8, images), execute(graph, images)
    apart = float(np.sqrt(np.square(real - device).mean()))
    step, spread = float(graph.tensors[graph.output].scale[0]), float(real.std())
    if apart > max(APART * spread, 4 * step):
        raise AlambicError(
            f"{int8}: expected the device's integers to answer as this file does, got answers to {len(images)} "
            f"calibration images that lie {apart:.3g} apart, where they spread by {spread:.3g}, because an operator "
            "was read otherwise than ONNX Runtime runs it, a fault of alambic; try convolutions, pooling and linear "
            "layers in a plainer order, and report it with this file"
        )


def quantize_onnx(
    source: Path | str,
    target: Path | str,
    images: npt.NDArray[np.float32],
    per_channel: bool = True,
    calibration: Calibration = "minmax",
    batch: int = 32,
) -> Calibrated:
    """Writes the int8 twin of an fp32 ONNX file.

    Args:
        images: N x C x H x W calibration images, normalised; tens to hundreds are enough.
        per_channel: one weight scale per output channel, else one per layer.
        calibration: ``minmax`` takes the range seen, ``percentile`` cuts 0.0005 % at each end, ``entropy`` (slow)
            minimises the divergence of the distributions.
        batch: images a run, where the file's batch axis is free.
    """
    source, target = Path(source), Path(target)
    if calibration not in get_args(Calibration):
        raise AlambicError(f"expected a calibration among {', '.join(get_args(Calibration))}, got {calibration!r}")
    if images.ndim != 4 or not len(images) or not np.isfinite(images).all():
        raise AlambicError(
            f"expected finite calibration images N x C x H x W with N >= 1, got shape {images.shape}; "
            "try 256 images of the training split, normalised as in training"
        )
    onnx, quantization = require("onnx"), require("onnxruntime.quantization")
    model = onnx.shape_inference.infer_shapes(onnx.load(str(source)))
    given = model.graph.input[0].type.tensor_type.shape.dim
    if [item.dim_value for item in given[1:]] != list(images.shape[1:]):
        raise AlambicError(
            f"{source}: expected calibration images N x {' x '.join(str(item.dim_value) for item in given[1:])}, "
            f"got {images.shape}"
        )
    step = given[0].dim_value or batch
    images = images[: max(len(images) // step * step, step)] if given[0].dim_value else images
    with _quiet():
        ranges = _calibrate(model, images, step, calibration)
        _tie_ranges(model, ranges)
        quantizer = quantization.QDQQuantizer(
            model, per_channel, False, quantization.QuantType.QInt8, quantization.QuantType.QInt8, ranges, [], [],
            _quantized_operators(), {"WeightSymmetric": True, "ActivationSymmetric": False},
        )  # fmt: skip
        quantizer.quantize_model()
        quantizer.model.topological_sort()
        result = quantizer.model.model
    clean_model(result)
    write_atomic(target, lambda part: part.write_bytes(result.SerializeToString()))
    return Calibrated(calibration, len(images), hash_images(images))


def hash_images(images: npt.NDArray[np.float32]) -> str:
    """sha256 over shape and bytes of an array."""
    digest = hashlib.sha256(repr(images.shape).encode())
    digest.update(np.ascontiguousarray(images, dtype=np.float32).tobytes())
    return digest.hexdigest()


def _quantized_operators() -> list[str]:
    """ONNX Runtime's own default, and the operators that our kernels have beside: else their output may stay float."""
    registry = require("onnxruntime.quantization.registry")
    return sorted({*registry.QLinearOpsRegistry, *registry.QDQRegistry, "HardSwish", "HardSigmoid"})


def _calibrate(model: Any, images: npt.NDArray[np.float32], step: int, method: Calibration) -> Any:
    quantization = require("onnxruntime.quantization")
    name = model.graph.input[0].name

    class Reader(quantization.CalibrationDataReader):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            self.batches: Iterator[int] = iter(range(0, len(images), step))

        def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
            start = next(self.batches, None)
            return None if start is None else {name: images[start : start + step]}

    methods = {
        "minmax": quantization.CalibrationMethod.MinMax,
        "percentile": quantization.CalibrationMethod.Percentile,
        "entropy": quantization.CalibrationMethod.Entropy,
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fp32.onnx"
        path.write_bytes(model.SerializeToString())
        calibrator = quantization.create_calibrator(
            path, _quantized_operators(), augmented_model_path=str(Path(folder) / "augmented.onnx"),
            calibrate_method=methods[method], extra_options={"symmetric": False},
        )  # fmt: skip
        calibrator.collect_data(Reader())
        return calibrator.compute_data()


def _tie_ranges(model: Any, ranges: Any) -> None:
    """Sets the ranges that int8 kernels dictate, in place: the network that is scored must be the one that runs.

    Average pooling keeps its input's scale on every engine (with a range of its own it would be a MEAN, which fewer
    engines have). The sigmoid's output is fixed at scale 1/256, zero point -128.
    """
    quantization = require("onnxruntime.quantization")
    for node in model.graph.node:
        if node.op_type in POOLS and node.input[0] in ranges and node.output[0] in ranges:
            ranges[node.output[0]] = ranges[node.input[0]]
        if node.op_type == "Sigmoid" and node.output[0] in ranges:
            low, high = np.array(0, np.float32), np.array(255 / 256, np.float32)
            ranges[node.output[0]] = quantization.calibrate.TensorData(lowest=low, highest=high)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """ONNX Runtime's quantiser prints its progress and advises a pre-processing that our exporter has done already."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(disabled)
