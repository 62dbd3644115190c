"""A folder for a person who deploys: int8 files, the verdict for a chip as JSON, and a page."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from alambic.deploy.chips import Chip
from alambic.deploy.execute import run_integers
from alambic.deploy.fit import (
    Fit,
    Need,
    count_program,
    explain_fit,
    explain_widest,
    find_widest,
    judge_fit,
    measure_need,
)
from alambic.deploy.float_layers import measure_float_layers
from alambic.deploy.graph import Int8Graph, to_int8
from alambic.deploy.int8 import Calibration, Int8Result, quantize_student
from alambic.deploy.layers import measure_layer_errors
from alambic.deploy.measure import measure_accuracy, predict_onnx
from alambic.deploy.memory import MemoryPlan, count_scratch, plan_memory, weigh_layers
from alambic.deploy.page import render_page
from alambic.deploy.patches import explain_patches, plan_patches
from alambic.deploy.read import read_graph
from alambic.deploy.score import VARIED, Score, score_artefact
from alambic.deploy.targets.c_source import write_c
from alambic.deploy.targets.cortex_m import Program, run_cortex_m
from alambic.deploy.targets.stedgeai import StReport, analyze_st
from alambic.deploy.targets.vela import DEFAULT, ETHOS, VelaReport, survey_vela
from alambic.deploy.tflite import emit_tflite
from alambic.errors import AlambicError
from alambic.files import hash_file, write_atomic

Test = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], tuple[str, ...]]
PROGRAM_IMAGES = 4  # that the emulated core runs
FLOAT_IMAGES = 200  # test images over which one layer is left in float
LAYER_IMAGES = 32  # images over which the error of each layer is taken
PACKAGES = ("torch", "onnx", "onnxruntime", "ai-edge-litert", "tflite-micro", "ethos-u-vela", "bakenn")


def deploy_student(
    net: nn.Module,
    name: str,
    calibration_images: Tensor,
    chip: Chip,
    out: Path | str,
    test: Test | None = None,
    per_channel: bool = True,
    calibration: Calibration = "minmax",
    widths: tuple[str, int] | None = None,
    emulate: bool = True,
    warnings: tuple[str, ...] = (),
    say: Callable[[str], None] = lambda line: None,
    equalise: bool = False,
) -> dict[str, Any]:
    """Writes ``student_fp32.onnx``, ``student_int8.onnx``, ``student_int8.tflite``, C sources in ``c``, ``fit.json``
    and ``index.html``.

    Args:
        calibration_images: N x C x H x W of the training split, normalised.
        test: normalised test images N x C x H x W, labels, class names; None leaves accuracy out.
        widths: (zoo student, classes) to search the widest of its family that fits; None leaves it out.
        emulate: build a Cortex-M program of the C sources and run it on an emulated core, where the tools are there.
        warnings: what a reader must know first, such as random weights.
        say: is told each finished stage.
        equalise: scale outlier channels down first; what the other choice would score is told either way.

    Returns what ``fit.json`` holds. Raises AlambicError where the network has no int8 form; what single engines refuse
    is written down instead.
    """
    out = Path(out)
    shape = tuple(int(size) for size in calibration_images.shape[1:])

    def quantise(folder: Path, scaled: bool) -> Int8Result:
        size = (shape[0], shape[1], shape[2])
        return quantize_student(net, calibration_images, size, folder, per_channel, calibration, scaled)

    done = quantise(out, equalise)
    graph, tflite = read_graph(done.onnx_int8), out / "student_int8.tflite"
    emit_tflite(graph, tflite)
    say("int8 files written")
    needs = _measure_needs(chip, graph, tflite)
    program = _build_program(chip, graph, tflite, out / "c", calibration_images[:PROGRAM_IMAGES].numpy(), emulate)
    if isinstance(program, Program):
        needs["c"] = count_program(program)
    st = _ask_st(chip, done.onnx_int8)
    if st is not None:
        needs["stedgeai"] = st if isinstance(st, str) else _count_st(st)
    plan = plan_memory(graph, alignment=chip.alignment)
    own = needs[chip.engine]
    fit = judge_fit(chip, own, graph) if isinstance(own, Need) else None
    say("memory measured")
    facts: dict[str, Any] = {
        "student": name,
        "input": list(shape),
        "warnings": list(warnings),
        "chip": {**asdict(chip), "ram_bytes": chip.ram_bytes, "flash_bytes": chip.flash_bytes},
        "verdict": _describe_fit(fit, own, program),
        "widest": _describe_widest(chip, shape, widths),
        "needs": {engine: _describe_need(need) for engine, need in needs.items()},
        "program": asdict(program) if isinstance(program, Program) else {"missing": program},
        "stedgeai": asdict(st) if isinstance(st, StReport) else {"missing": st or "no compiler for this chip"},
        "vela": _describe_vela(tflite, chip),
        "memory": _describe_memory(graph, plan, done),
        "patches": _describe_patches(graph, plan, fit),
        "quantisation": {
            "per_channel": per_channel,
            "calibration": calibration,
            "calibration_size": done.calibration_size,
            "calibration_hash": done.calibration_hash,
            "equalise": equalise,
        },
    }
    images = calibration_images[:LAYER_IMAGES].numpy().astype(np.float32)
    facts["layers"] = [asdict(item) for item in measure_layer_errors(done.onnx_fp32, graph, images)]
    seen = (images, None) if test is None else (test[0][:FLOAT_IMAGES], test[1][:FLOAT_IMAGES])
    floated = measure_float_layers(done.onnx_fp32, done.onnx_int8, graph, *seen)
    facts["float_layers"] = {"images": len(seen[0]), "layers": [asdict(item) for item in floated]}
    say("layers compared")
    with tempfile.TemporaryDirectory() as folder:
        facts["equalisation"] = _describe_equalisation(done, quantise(Path(folder), not equalise), equalise, test)
    if test is not None:
        score: Score = score_artefact(done.onnx_fp32, done.onnx_int8, graph, *test, chip.arithmetic)
        facts["accuracy"] = score.as_dict()
        say(f"{score.images:,} test images scored")
    files = {path.name: path for path in (done.onnx_fp32, done.onnx_int8, tflite)}
    facts["files"] = {key: {"bytes": p.stat().st_size, "sha256": hash_file(p)} for key, p in files.items()}
    facts["versions"] = _list_versions()
    page = render_page(facts, graph, plan, chip.ram_bytes)
    write_atomic(out / "fit.json", lambda part: part.write_text(json.dumps(facts, indent=2) + "\n"))
    write_atomic(out / "index.html", lambda part: part.write_text(page))
    return facts


def _measure_needs(chip: Chip, graph: Int8Graph, tflite: Path) -> dict[str, Need | str]:
    """What each engine takes, the chip's own first; the reason where one cannot be asked."""
    found: dict[str, Need | str] = {}
    for engine in dict.fromkeys((chip.engine, "accelerator", "c", "tflm", "ethos")):
        try:
            found[engine] = measure_need(chip, graph, tflite, engine)
        except AlambicError as error:
            found[engine] = str(error)
    return found


def _build_program(
    chip: Chip, graph: Int8Graph, tflite: Path, folder: Path, images: npt.NDArray[np.float32], emulate: bool
) -> Program | str:
    """C sources, and where a compiler and emulator are there the program on a core; else the reason why not."""
    try:
        source = write_c(tflite, folder)
        if not emulate:
            return "not asked for"
        given = graph.tensors[graph.input]
        inputs = to_int8(images.transpose(0, 2, 3, 1), float(given.scale[0]), given.zero_point)
        expected = run_integers(graph, inputs).astype(np.int8)
        return run_cortex_m(source, inputs, expected, "cortex-m7" if "Cortex-M7" in chip.core else "cortex-m4")
    except AlambicError as error:
        return str(error)


def _describe_vela(tflite: Path, chip: Chip) -> dict[str, Any]:
    """Each Ethos-U configuration, and the layers of one; the reason where Vela is missing or refuses."""
    chosen = chip.name if chip.name in ETHOS else DEFAULT
    try:
        surveyed = survey_vela(tflite, chosen)
    except AlambicError as error:
        return {"missing": str(error)}
    told: dict[str, Any] = {}
    for name, report in surveyed.items():
        told[name] = asdict(report) if isinstance(report, VelaReport) else {"missing": report}
    layers = [told[name].pop("layers", []) for name in surveyed]
    return {"configurations": told, "layers_of": chosen, "layers": layers[list(surveyed).index(chosen)]}


def _ask_st(chip: Chip, onnx: Path) -> StReport | str | None:
    """What ST's compiler says of the int8 ONNX file; the reason where it cannot be asked; None for others' chips."""
    if not chip.stedgeai:
        return None
    try:
        return analyze_st(onnx, chip.stedgeai)
    except AlambicError as error:
        return str(error)


def _count_st(report: StReport) -> Need:
    ram, flash = {"activations": report.activation_bytes}, {"weights": report.weight_bytes}
    how = f"by {report.tool} for {report.target}, {report.macs:,} multiply-accumulates by its count"
    if report.runtime_flash is None or report.runtime_ram is None:
        return Need("stedgeai", ram, flash, f"{how}; its library is not counted, no compiler for the target was there")
    return Need("stedgeai", {**ram, "library": report.runtime_ram}, {**flash, "library": report.runtime_flash}, how)


def _describe_equalisation(done: Int8Result, other: Int8Result, asked: bool, test: Test | None) -> dict[str, Any]:
    """What scaling outlier channels down does: the pairs of layers, int8 accuracies with and without, a sentence."""
    pairs = (done if asked else other).equalised
    found: dict[str, Any] = {"asked": asked, "pairs": [asdict(pair) for pair in pairs]}
    worst = max(pairs, key=lambda pair: pair.before, default=None)
    if worst is None:
        return {
            **found,
            "sentence": "equalisation has no layers to work on: none hands its channels to one layer alone",
        }
    told = f"the widest channel of {worst.first} reaches {worst.before:.1f} times as far as the median one"
    if test is None:
        return {**found, "sentence": f"{told}; equalisation makes that {worst.after:.1f}"}
    images, labels = test[0][:VARIED], test[1][:VARIED]
    mine, others = (measure_accuracy(predict_onnx(item.onnx_int8, images), labels) for item in (done, other))
    found |= {"images": len(images), "equalised": mine if asked else others, "as_is": others if asked else mine}
    scores = (
        f"int8 by ONNX Runtime's simulation scores {found['equalised']:.4f} with equalisation and "
        f"{found['as_is']:.4f} without"
    )
    return {**found, "sentence": f"{told}; over {len(images)} test images {scores} ({'on' if asked else 'off'} here)"}


def _describe_need(need: Need | str) -> dict[str, Any]:
    if isinstance(need, str):
        return {"missing": need}
    return {**asdict(need), "ram_bytes": need.ram_bytes, "flash_bytes": need.flash_bytes}


def _describe_fit(fit: Fit | None, own: Need | str, program: Program | str) -> dict[str, Any]:
    if fit is None:
        return {"fits": None, "sentences": [f"cannot be judged: {own}"]}
    wrong = program.wrong_bytes if isinstance(program, Program) and fit.need.engine == "c" else 0
    doubt = f"the program's answers are not the network's: {wrong:,} wrong bytes on the emulated core"
    return {
        "fits": fit.fits,
        "ram_over": fit.ram_over,
        "flash_over": fit.flash_over,
        "block_over": fit.block_over,
        "ram_layer": fit.ram_layer,
        "ram_holds": list(fit.ram_holds),
        "flash_layer": fit.flash_layer,
        "flash_share": fit.flash_share,
        "missing_operators": list(fit.missing),
        "uncounted": fit.uncounted,
        "wrong_bytes": wrong,
        "sentences": explain_fit(fit) + ([doubt] if wrong else []),
    }


def _describe_widest(chip: Chip, shape: tuple[int, ...], widths: tuple[str, int] | None) -> dict[str, Any]:
    if widths is None:
        return {"name": None, "sentence": "widths were not searched: the network is of no zoo family"}
    try:
        widest = find_widest(widths[0], (shape[0], shape[1], shape[2]), widths[1], chip)
    except AlambicError as error:
        return {"name": None, "sentence": f"widths were not searched: {error}"}
    return {"name": widest.name, "tried": widest.tried, "sentence": explain_widest(widest, chip)}


def _describe_memory(graph: Int8Graph, plan: MemoryPlan, done: Int8Result) -> dict[str, Any]:
    return {
        "weight_bytes": graph.weight_bytes,
        "bias_bytes": graph.bias_bytes,
        "macs": done.macs,
        "liveness_bytes": plan.liveness_bytes,
        "arena_bytes": plan.arena_bytes,
        "in_place_liveness_bytes": plan_memory(graph, in_place=True).liveness_bytes,
        "scratch_bytes": count_scratch(graph),
        "peak_layer": plan.peak_layer,
        "peak_holds": list(plan.peak_tensors),
        "alive": list(plan.alive),
        "weights_by_layer": weigh_layers(graph),
    }


def _describe_patches(graph: Int8Graph, plan: MemoryPlan, fit: Fit | None) -> dict[str, Any]:
    """Plans with their bytes, and the advice; room is what the engine's other needs leave to the activations."""
    plans = plan_patches(graph)
    room = plan.arena_bytes - fit.ram_excess if fit is not None and fit.ram_excess else None
    told = [{**asdict(item), "ram_bytes": item.ram_bytes} for item in plans]
    return {"plans": told, "sentence": explain_patches(plans, plan.liveness_bytes, room)}


def _list_versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for package in ("alambic", *PACKAGES):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found
