"""The folder of a deployment: errors by layer, scores, the figure and the page."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from deploy_nets import Sunken, make_stripes, train_stripes

from alambic.errors import AlambicError

pytest.importorskip("onnxruntime")
pytest.importorskip("ai_edge_litert")

from alambic.deploy import pack
from alambic.deploy.arena_figure import draw_arena
from alambic.deploy.chips import find_chip
from alambic.deploy.fit import Need
from alambic.deploy.graph import Int8Graph
from alambic.deploy.int8 import Int8Result, quantize_student
from alambic.deploy.layers import compare, measure_layer_errors
from alambic.deploy.memory import plan_memory
from alambic.deploy.pack import deploy_student
from alambic.deploy.read import read_graph
from alambic.deploy.score import score_artefact
from alambic.deploy.targets.cortex_m import Program

CLASSES = ("thin rows", "thin columns", "wide rows", "wide columns")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Int8Result:
    folder = tmp_path_factory.mktemp("net")
    return quantize_student(train_stripes(), make_stripes(64, 2)[0], (1, 16, 16), folder)


@pytest.fixture
def graph(done: Int8Result) -> Int8Graph:
    return read_graph(done.onnx_int8)


def test_signal_over_error_by_hand() -> None:
    target = np.array([0.0, 2.0])  # variance 1
    assert compare(target, target + np.array([0.1, -0.1])) == pytest.approx(20.0)
    assert compare(target, target) == 99.0
    assert compare(np.ones(3), np.zeros(3)) == -99.0


def test_a_spoilt_layer_shows_where_it_is(done: Int8Result, graph: Int8Graph) -> None:
    images = make_stripes(16, 5)[0].numpy()
    sound = measure_layer_errors(done.onnx_fp32, graph, images)
    assert len(sound) == 9  # stem, three separable blocks, pool, head
    assert min(item.alone for item in sound) > 25
    assert sound[0].alone == sound[0].together
    weight = graph.tensors[graph.ops[3].inputs[1]]
    assert weight.data is not None
    graph.tensors[weight.name] = replace(weight, data=np.roll(weight.data, 1, 3))
    spoilt = measure_layer_errors(done.onnx_fp32, graph, images)
    worse = [a.alone - b.alone > 6 for a, b in zip(sound, spoilt, strict=True)]
    assert worse == [False] * 3 + [True] + [False] * 5
    assert all(b.together < a.together - 6 for a, b in zip(sound[3:], spoilt[3:], strict=True))


def test_scores_are_those_of_each_file_and_kernel(done: Int8Result, graph: Int8Graph) -> None:
    images, labels = make_stripes(200, 1)
    score = score_artefact(done.onnx_fp32, done.onnx_int8, graph, images.numpy(), labels.numpy(), CLASSES)
    with_torch = float((train_stripes()(images).argmax(1) == labels).float().mean())
    assert (score.images, score.fp32) == (200, with_torch)
    assert score.device > 0.9
    assert score.between > 0.98
    assert score.equal == score.checked
    assert {name for name, _ in score.class_drops} == set(CLASSES)
    shares = [float((labels == index).float().mean()) for index in range(4)]
    drop = sum(dict(score.class_drops)[name] * share for name, share in zip(CLASSES, shares, strict=True))
    assert drop == pytest.approx(score.fp32 - score.device, abs=1e-6)


@pytest.mark.parametrize(("swish", "why"), [(False, "exit code -6"), (True, "HARD_SWISH")])
def test_where_tflite_micro_runs_none_the_rest_is_scored(swish: bool, why: str, tmp_path: Path) -> None:
    pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")
    images, labels = make_stripes(40, 1)
    facts = deploy_student(
        Sunken(4, swish).eval(), "own.py:make", images[:8], find_chip("acc-32"), tmp_path,
        (images.numpy(), labels.numpy(), CLASSES), emulate=False,
    )  # fmt: skip
    score = facts["accuracy"]
    assert (score["checked"], score["equal"]) == (None, None)
    assert score["unchecked"].startswith("net.tflite: expected")
    assert why in score["unchecked"]
    assert score["unchecked"].isprintable()
    assert all(0 <= score[name] <= 1 for name in ("fp32", "onnx", "device", "chip"))
    assert facts["verdict"]["fits"] is True
    assert why in facts["needs"]["tflm"]["missing"]
    page = unescape((tmp_path / "index.html").read_text())
    assert (
        f"TFLite-Micro itself ran none, so its arithmetic is that of the executor alone: {score['unchecked']}" in page
    )


class Reader(HTMLParser):
    """Counts elements and collects text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_figure_holds_every_buffer_to_scale(graph: Int8Graph) -> None:
    plan = plan_memory(graph)
    svg = draw_arena(graph, plan, limit=2 * plan.arena_bytes)
    boxes = re.findall(r"<g><title>(.*?)</title><rect x=\"(.*?)\" y=\"(.*?)\" width=\"(.*?)\" height=\"(.*?)\"", svg)
    assert len(boxes) == len(plan.placed)
    heights = {item.buffer.name: float(box[4]) for item, box in zip(plan.placed, boxes, strict=True)}
    big, small = (plan.placed[index].buffer for index in (0, 2))
    assert heights[big.name] / heights[small.name] == pytest.approx(big.bytes / small.bytes, rel=0.05)
    assert f"the chip: {2 * plan.arena_bytes:,} bytes" in svg
    assert "the chip" not in draw_arena(graph, plan, limit=100 * plan.arena_bytes)
    assert "the image" in boxes[[item.buffer.name for item in plan.placed].index(graph.input)][0]


def deploy(out: Path, name: str = "dscnn_24x3", chip: str = "acc-32", **more: object) -> dict:
    images, labels = make_stripes(60, 1)
    test = (images.numpy(), labels.numpy(), CLASSES)
    settings: dict = {"emulate": False} | more
    return deploy_student(train_stripes(), name, make_stripes(64, 2)[0], find_chip(chip), out, test, **settings)


def test_the_folder_is_whole(tmp_path: Path) -> None:
    lines: list[str] = []
    facts = deploy(tmp_path, widths=("dscnn_24x3", 4), emulate=True, say=lines.append)
    names = {path.name for path in tmp_path.iterdir()} - {"c"}
    assert names == {"student_fp32.onnx", "student_int8.onnx", "student_int8.tflite", "fit.json", "index.html"}
    if "missing" not in facts["program"]:
        assert facts["program"]["wrong_bytes"] == 0
        assert facts["needs"]["c"]["flash"] == {"program": facts["program"]["flash_bytes"]}
        assert (tmp_path / "c" / "bknn_student.h").exists()
    assert json.loads((tmp_path / "fit.json").read_text()) == json.loads(json.dumps(facts))
    assert facts["verdict"]["fits"] is True
    assert facts["needs"]["accelerator"]["ram_bytes"] == facts["memory"]["arena_bytes"] == max(facts["memory"]["alive"])
    assert facts["widest"]["name"].startswith("dscnn_")
    assert facts["accuracy"]["images"] == 60
    assert facts["files"]["student_int8.tflite"]["bytes"] == (tmp_path / "student_int8.tflite").stat().st_size
    told = ("int8 files written", "memory measured", "layers compared", "60 test images scored")
    assert all(any(line.startswith(start) for line in lines) for start in told)
    assert len(lines) == len(told)
    page = Reader((tmp_path / "index.html").read_text())
    assert "script" not in page.tags
    assert page.tags.count("svg") == 1
    assert not re.findall(r'(?:href|src)="(?!data:)', (tmp_path / "index.html").read_text())
    assert "acc-32 (generic tiny accelerator): fits" in page.text


def test_wrong_answers_of_the_program_stand_in_the_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("bakenn", reason="bakenn is not installed")
    program = Program("cortex-m4", 30_000, 10_000, 20, 256, 900, 4, 3, 1_000)
    monkeypatch.setattr(pack, "run_cortex_m", lambda *_: program)
    facts = deploy(tmp_path, chip="nucleo-g474re", emulate=True)
    assert facts["needs"]["c"]["ram"] == {
        "arena": 10_000, "other variables": 20, "input image": 256, "stack": 900,
    }  # fmt: skip
    assert facts["verdict"]["wrong_bytes"] == 3
    told = "the program's answers are not the network's: 3 wrong bytes on the emulated core"
    assert told in facts["verdict"]["sentences"]
    assert told in unescape((tmp_path / "index.html").read_text())


def test_names_are_text_and_warnings_stand_on_the_page(tmp_path: Path) -> None:
    deploy(tmp_path, name="<script>alert(1)</script>", warnings=("weights are random",))
    page = Reader((tmp_path / "index.html").read_text())
    assert "script" not in page.tags
    assert "<script>alert(1)</script> on acc-32" in page.text
    assert "weights are random" in page.text


@pytest.mark.parametrize(("chip", "engine"), [("acc-32", "tflm"), ("rp2040", "tflm"), ("ethos-u55-64", "ethos")])
def test_an_engine_that_cannot_be_asked_says_why(
    chip: str, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = pack.measure_need

    def without(chip: object, graph: object, tflite: object, asked: str) -> Need:
        if asked == engine:
            raise AlambicError("expected the package 'x', found none")
        return measure(chip, graph, tflite, asked)  # type: ignore[arg-type]

    monkeypatch.setattr(pack, "measure_need", without)
    facts = deploy(tmp_path, chip=chip)
    assert facts["needs"][engine] == {"missing": "expected the package 'x', found none"}
    assert "accelerator" in facts["needs"]
    text = (tmp_path / "index.html").read_text()
    assert "found none" in text
    assert ("cannot be judged" in text) == (find_chip(chip).engine == engine)
