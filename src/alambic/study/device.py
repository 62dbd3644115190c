"""The artefact of a cell on its device: what the device's own kernels answer, other arithmetics, and does it fit."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alambic.deploy.arithmetic import VARIANTS
from alambic.deploy.chips import Chip
from alambic.deploy.fit import judge_fit, measure_need
from alambic.deploy.graph import Int8Graph
from alambic.deploy.int8 import Int8Result
from alambic.deploy.measure import Images
from alambic.deploy.packages import has
from alambic.deploy.private import simulate
from alambic.deploy.read import read_graph
from alambic.deploy.targets.host import predict_litert
from alambic.deploy.targets.tflm import predict_tflm
from alambic.deploy.tflite import emit_tflite
from alambic.errors import AlambicError, one_line
from alambic.study.ledger import Predictions
from alambic.training.task import Metric, evaluate_metric, predict

IMAGES = 500  # of a split that the device's kernels run
# name in the ledger -> an arithmetic that the int8 loss is told for, beside the device's own
ARITHMETICS = {"per_tensor": "per tensor", "power_of_two": "power-of-two scales", "4bit": "4-bit weights"}
JUDGED = (
    "chip", "chip_entry", "engine", "fits", "fits_unknown", "ram_bytes", "flash_bytes", "ram_over", "flash_over",
    "block_over",
)  # fmt: skip
COUNTED = {"c": 2}  # engines whose way to count has changed since verdicts were first stored, and how often + 1
Told = tuple[dict[str, Any], dict[tuple[str, str], Predictions]]


def choose_positions(count: int) -> npt.NDArray[np.int64]:
    """Places in a split, evenly spread, so that a split in the order of its classes has all of them."""
    few = min(count, IMAGES)
    return np.arange(few) * count // few


def measure_device(
    made: Int8Result,
    images: Images,
    labels: npt.NDArray[np.int64],
    others: Mapping[str, Predictions],
    split: str,
    metric: Metric,
    chip: Chip | None = None,
    arithmetics: bool = False,
) -> Told:
    """Numbers and predictions of a row.

    Args:
        images: normalised N x C x H x W of the whole split; ``choose_positions`` says which are run.
        others: predictions of the split by ``fp32`` and ``int8`` (ONNX Runtime).
        arithmetics: simulate ``ARITHMETICS`` too.

    A runtime that is missing, or does not run the network, or a chip whose engine cannot be asked, is a reason in the
    numbers and no error.
    """
    places = choose_positions(len(images))
    few, known = images[places], labels[places]
    numbers: dict[str, Any] = {"kernel_images": len(places)}
    predictions: dict[tuple[str, str], Predictions] = {}

    def add(name: str, logits: npt.NDArray[Any]) -> Predictions:
        found = Predictions(*predict(logits))
        numbers[f"{split}_{name}"] = evaluate_metric(metric, found.predicted, found.margin, known)
        predictions[split, name] = found
        return found

    graph = read_graph(made.onnx_int8)
    with tempfile.TemporaryDirectory() as folder:
        tflite = Path(folder) / "student.tflite"
        same = {key: Predictions(value.predicted[places], value.margin[places]) for key, value in others.items()}
        margin, real = same["fp32"].margin, same["fp32"].predicted
        numbers[f"{split}_fp32_same"] = evaluate_metric(metric, real, margin, known)
        try:
            if not has("ai_edge_litert"):  # its schema is what the file is written by
                raise AlambicError('expected ai-edge-litert or tflite-micro; try: pip install "alambic[chip]"')
            emit_tflite(graph, tflite)
            numbers["tflite_bytes"] = tflite.stat().st_size
            runs_tflm = has("tflite_micro")
            device = add("kernels", (predict_tflm if runs_tflm else predict_litert)(tflite, few))
            numbers["kernels"] = "TFLite-Micro" if runs_tflm else "LiteRT reference"
            numbers["agreement_kernels"] = float((device.predicted == real).mean())
            numbers["agreement_between"] = float((device.predicted == same["int8"].predicted).mean())
        except AlambicError as error:
            numbers["kernels_missing"] = one_line(error)
        if chip is not None:
            numbers |= judge_row(chip, graph, tflite)
    for name, title in ARITHMETICS.items() if arithmetics else ():
        add(name, simulate(graph, made.onnx_fp32, VARIANTS[title], few))
    return numbers, predictions


def hash_chip(chip: Chip) -> str:
    """Of everything that a verdict depends on: a changed entry of the same name is another chip, as is one whose engine
    counts otherwise than it did."""
    told = {key: value for key, value in asdict(chip).items() if key not in ("source", "note", "stedgeai")}
    if chip.largest_block_kib is None:
        del told["largest_block_kib"]  # verdicts without a largest block were stored before the key was known
    if chip.engine in COUNTED:
        told["counted"] = COUNTED[chip.engine]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]


def judge_row(chip: Chip, graph: Int8Graph, tflite: Path) -> dict[str, Any]:
    """The numbers ``JUDGED`` of a row; ``fits`` is None, with the reason, where the chip's engine cannot be asked."""
    told = {"chip": chip.name, "chip_entry": hash_chip(chip)}
    try:
        fit = judge_fit(chip, measure_need(chip, graph, tflite), graph)
    except AlambicError as error:
        return {**told, "fits": None, "fits_unknown": one_line(error)}
    sizes = {"ram_bytes": fit.need.ram_bytes, "flash_bytes": fit.need.flash_bytes}
    overs = {"ram_over": fit.ram_over, "flash_over": fit.flash_over}
    if fit.block_over is not None:
        overs["block_over"] = fit.block_over
    return {**told, "engine": fit.need.engine, "fits": fit.fits, **sizes, **overs}
