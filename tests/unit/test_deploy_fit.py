"""Chips and verdicts: every shipped entry, each broken entry by name, limits to the byte, and the widest that fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alambic.deploy.arithmetic import TFLM, Arithmetic
from alambic.deploy.chips import Chip, find_chip, load_chips
from alambic.deploy.fit import (
    Need,
    Widest,
    draft_fit,
    explain_fit,
    explain_widest,
    find_widest,
    judge_fit,
    measure_need,
)
from alambic.deploy.graph import Int8Graph, Op, Quantized
from alambic.deploy.memory import count_scratch, plan_memory, weigh_layers
from alambic.deploy.widths import list_widths
from alambic.errors import AlambicError
from alambic.models.students import count_weight_bytes, create_student

CHIP = Chip("toy", "a toy", "accelerator", "this test", flash_kib=1, ram_kib=1)


def make_tensor(name: str, shape: tuple[int, ...], constant: bool = False) -> Quantized:
    data = np.zeros(shape, np.int32 if name.startswith("bias") else np.int8) if constant else None
    return Quantized(name, shape, "int32" if name.startswith("bias") else "int8", np.ones(1, np.float32), 0, 0, data)


@pytest.fixture
def graph() -> Int8Graph:
    """conv 3x3 (4 -> 8 maps of 5 x 5), depthwise 5x5, dense; sizes by hand in the tests."""
    tensors = [
        make_tensor("in", (1, 5, 5, 4)),
        make_tensor("w1", (8, 3, 3, 4), True),
        make_tensor("bias1", (8,), True),
        make_tensor("a", (1, 5, 5, 8)),
        make_tensor("w2", (1, 5, 5, 8), True),
        make_tensor("bias2", (8,), True),
        make_tensor("b", (1, 1, 1, 8)),
        make_tensor("w3", (2, 8), True),
        make_tensor("bias3", (2,), True),
        make_tensor("out", (1, 2)),
    ]
    ops = [
        Op("conv", "first", ("in", "w1", "bias1"), "a"),
        Op("depthwise", "second", ("a", "w2", "bias2"), "b"),
        Op("dense", "head", ("b", "w3", "bias3"), "out"),
    ]
    return Int8Graph("toy", {item.name: item for item in tensors}, ops, "in", "out")


def test_weights_scratch_and_activations_by_hand(graph: Int8Graph) -> None:
    assert weigh_layers(graph) == {
        "conv 3x3, 5x5x4 -> 5x5x8 (first)": 8 * 36 + 32,
        "depthwise 5x5, 5x5x8 -> 1x1x8 (second)": 200 + 32,
        "dense, 1x1x8 -> 2 (head)": 16 + 8,
    }
    assert count_scratch(graph) == 2 * 25 * 8
    graph.ops[1] = replace(graph.ops[1], kind="conv")
    assert count_scratch(graph) == 2 * 2 * 25 * 8
    assert plan_memory(graph, alignment=1).arena_bytes == 300
    assert plan_memory(graph).arena_bytes == 112 + 208
    assert plan_memory(graph, alignment=64).arena_bytes == 128 + 256


def test_what_each_engine_counts(graph: Int8Graph, tmp_path: Path) -> None:
    weights = 320 + 232 + 24
    need = measure_need(CHIP, graph, tmp_path)
    assert (need.ram_bytes, need.flash_bytes) == (320, weights)
    assert need.how == "by the planner; factors that requantise are not counted"
    need = measure_need(replace(CHIP, engine="c"), graph, tmp_path)
    assert need.ram == {"activations": 208 + 16, "scratch": 400, "input image": 100}  # the arena holds no image
    assert need.flash_bytes == weights + 8 * 18 + 15_000 + 3 * 280


def test_a_network_without_weights_is_judged() -> None:
    tensors = [make_tensor("in", (1, 4, 4, 8)), make_tensor("out", (1, 1, 1, 8))]
    ops = [Op("average_pool", "pool", ("in",), "out", {"kernel": (4, 4)})]
    graph = Int8Graph("toy", {item.name: item for item in tensors}, ops, "in", "out")
    fit = judge_fit(CHIP, Need("accelerator", {"x": 144}, {"x": 0}, "by hand"), graph)
    assert (fit.fits, fit.flash_layer, fit.flash_share) == (True, "", 0)
    assert explain_fit(fit)[-1].endswith("; no weights")


@pytest.mark.parametrize(
    ("ram", "flash", "fits", "overs"),
    [(1024, 1024, True, (0, 0)), (1000, 1030, False, (-24, 6)), (9, 1, True, (-1015, -1023))],
)
def test_limits_are_exact(graph: Int8Graph, ram: int, flash: int, fits: bool, overs: tuple[int, int]) -> None:
    fit = judge_fit(CHIP, Need("accelerator", {"x": ram}, {"x": flash}, "by hand"), graph)
    assert (fit.fits, (fit.ram_over, fit.flash_over)) == (fits, overs)
    assert fit.ram_layer == "conv 3x3, 5x5x4 -> 5x5x8 (first)"
    assert fit.ram_holds == (("first", 200), ("the image", 100))
    assert fit.flash_layer == fit.ram_layer
    assert fit.flash_share == pytest.approx(320 / 576)


def test_the_verdict_in_words(graph: Int8Graph) -> None:
    need = Need("accelerator", {"x": 2000}, {"x": 24}, "by hand")
    text = explain_fit(judge_fit(CHIP, need, graph))
    assert text[:3] == [
        "toy (a toy): does not fit",
        "RAM: 2,000 bytes needed of 1,024: 976 bytes too many",
        "flash: 24 bytes needed of 1,024: 1,000 bytes left",
    ]
    unknown = replace(CHIP, flash_kib=None, ram_kib=None)
    assert "cannot be judged" in explain_fit(judge_fit(unknown, need, graph))[0]
    assert judge_fit(replace(CHIP, ram_kib=None), need, graph).fits is True


def test_an_engine_whose_code_is_not_counted_never_fits_without_that_word(graph: Int8Graph) -> None:
    need = Need("tflm", {"x": 24}, {"x": 24}, "by hand", "TFLite-Micro's own code")
    fit = judge_fit(CHIP, need, graph)
    text = explain_fit(fit)
    assert text[0] == "toy (a toy): fits only if what is left holds TFLite-Micro's own code, which is not counted"
    assert text[2] == (
        "flash: 24 bytes needed of 1,024: 1,000 bytes left without TFLite-Micro's own code (try reserved_flash_kib in "
        "the chip's entry)"
    )
    assert text[1] == "RAM: 24 bytes needed of 1,024: 1,000 bytes left"
    told = explain_widest(Widest("dscnn_4x1", fit, False, "dscnn_4x1", 1), CHIP)
    assert told.endswith("24 bytes of RAM and 24 of flash, without TFLite-Micro's own code")
    kept = explain_fit(judge_fit(replace(CHIP, reserved_flash_kib=0.5), need, graph))
    assert kept[0] == "toy (a toy): fits"
    assert kept[2] == "flash: 24 bytes needed of 512: 488 bytes left"
    over = explain_fit(judge_fit(CHIP, replace(need, flash={"x": 2000}), graph))
    assert over[0] == "toy (a toy): does not fit"


def test_tflite_micro_says_that_its_code_is_not_counted(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tflite_micro")
    fit = draft_fit(create_student("dscnn_8x1", 1, 16, 2), (1, 16, 16), find_chip("bluepill"))
    assert fit.fits
    assert "fits only if" in explain_fit(fit)[0]
    accelerator = draft_fit(create_student("dscnn_8x1", 1, 16, 2), (1, 16, 16), find_chip("acc-64"))
    assert explain_fit(accelerator)[0].endswith(": fits")


def test_reserved_memory_is_not_the_networks(graph: Int8Graph) -> None:
    chip = replace(CHIP, reserved_ram_kib=0.5, reserved_flash_kib=1)
    fit = judge_fit(chip, Need("accelerator", {"x": 513}, {"x": 1}, "by hand"), graph)
    assert (fit.fits, fit.ram_over, fit.flash_over) == (False, 1, 1)


def test_operators_that_a_chip_lacks_are_named(graph: Int8Graph) -> None:
    need = Need("accelerator", {"x": 1}, {"x": 1}, "by hand")
    fit = judge_fit(replace(CHIP, operators=("conv", "dense")), need, graph)
    assert (fit.fits, fit.missing) == (False, ("depthwise",))
    assert explain_fit(fit)[-1] == "operators that the chip lacks: depthwise"
    assert judge_fit(replace(CHIP, operators=("conv", "dense", "depthwise")), need, graph).fits is True


def test_every_shipped_chip_is_whole() -> None:
    chips = load_chips()
    assert len(chips) >= 20
    assert all(chip.source and chip.core for chip in chips.values())
    chip = chips["stm32h747i-disco"]
    assert (chip.ram_bytes, chip.flash_bytes) == (1 << 20, 2 << 20)
    assert chips["stm32h7p"].ram_bytes is None
    with pytest.raises(AlambicError, match="did you mean 'stm32h747i-disco'"):
        find_chip("stm32h747i-disko")


# KiB of flash, RAM, the largest of disjoint banks, reserved RAM; by hand from linker scripts and device trees
BANKS = {
    "nucleo-g474re": (512, 128, None, 0),
    "stm32f469i-disco": (2048, 160 + 32 + 128 + 64, 160 + 32 + 128, 0),
    "stm32l4r9i-disco": (2048, 192 + 64 + 384, None, 0),
    "b-u585i-iot02a": (2048, 768 + 16 + 2, 768, 0),
    "stm32f769i-disco": (2048, 128 + 368 + 16, None, 0),
    "stm32h735g-dk": (1024, 128 + 64 + 320 + 3 * 16 + 4, 128 + 192, 0),
    "stm32h747i-disco": (2048, 1024, 512, 0),
    "stm32h7b3i-dk": (2048, 256 + 384 + 384 + 64 + 64 + 32, 256 + 384 + 384, 0),
    "stm32f746": (1024, 320, None, 0),
    "stm32f412": (1024, 256, None, 0),
    "stm32n6570-dk": (None, 400 + 624 + 1024 + 4 * 448, None, 1024),
}


@pytest.mark.parametrize("name", BANKS)
def test_memories_are_those_of_the_silicon(name: str) -> None:
    chip = find_chip(name)
    assert (chip.flash_kib, chip.ram_kib, chip.largest_block_kib, chip.reserved_ram_kib) == BANKS[name]


@pytest.mark.parametrize(
    ("engine", "parts", "joined", "block"),
    [
        ("accelerator", {"activations": 600}, (), 600),
        ("c", {"activations": 500, "scratch": 100, "input image": 300}, ("activations", "scratch"), 600),
        ("tflm", {"arena head": 200, "arena tail": 200, "other": 500}, ("arena head", "arena tail"), 500),
    ],
)
def test_the_largest_buffer_must_lie_in_one_bank(
    graph: Int8Graph, engine: str, parts: dict[str, int], joined: tuple[str, ...], block: int
) -> None:
    need = Need(engine, parts, {"x": 24}, "by hand", joined=joined)
    assert need.block_bytes == block
    whole = replace(CHIP, largest_block_kib=block / 1024)
    assert (judge_fit(whole, need, graph).fits, judge_fit(whole, need, graph).block_over) == (True, 0)
    assert judge_fit(CHIP, need, graph).block_over is None
    fit = judge_fit(replace(CHIP, largest_block_kib=(block - 8) / 1024), need, graph)
    assert (fit.fits, fit.block_over, fit.ram_excess) == (False, 8, 8)
    assert (fit.ram_over or 0) < 0  # the sum of its banks would suffice
    text = explain_fit(fit)
    assert text[0] == "toy (a toy): does not fit"
    assert f"RAM in one piece: needs {block} bytes, the largest block is {block - 8}: 8 bytes too many" in text
    assert not any("piece" in line for line in explain_fit(judge_fit(whole, need, graph)))


def test_engines_name_the_parts_of_their_arena(graph: Int8Graph, tmp_path: Path) -> None:
    assert measure_need(replace(CHIP, engine="c"), graph, tmp_path).block_bytes == 208 + 16 + 400
    assert measure_need(CHIP, graph, tmp_path).block_bytes == 320
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tflite_micro")
    fit = draft_fit(create_student("dscnn_8x1", 1, 16, 2), (1, 16, 16), find_chip("bluepill"))
    assert fit.need.block_bytes == fit.need.ram_bytes


def test_narrow_weights_take_less_flash(graph: Int8Graph, tmp_path: Path) -> None:
    chip = replace(CHIP, arithmetic=Arithmetic(weight_bits=4))
    assert measure_need(chip, graph, tmp_path).flash_bytes == (288 + 200 + 16) // 2 + 4 * 18


def test_a_chip_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[mine]\ncore = "c"\nengine = "accelerator"\nsource = "s"\nram_kib = 0.5\noperators = ["conv"]\n')
    chip = find_chip("mine", file)
    assert (chip.ram_bytes, chip.flash_bytes, chip.operators) == (512, None, ("conv",))
    assert "acc-32" in load_chips(file)
    assert chip.arithmetic == TFLM
    file.write_text(file.read_text() + '[mine.arithmetic]\nscales = "power-of-two"\naccumulator_bits = 24\n')
    assert find_chip("mine", file).arithmetic == Arithmetic(scales="power-of-two", accumulator_bits=24)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a", "expected TOML"),
        ("a = 3", "expected a table"),
        ('[a]\ncore = "c"\nengine = "accelerator"', "expected the key source"),
        ('[a]\ncore = "c"\nsource = "s"\nengine = "npu"', "accelerator, c, tflm, ethos, got 'npu'"),
        ("[a]\nram_kb = 3", "got 'ram_kb'; did you mean 'ram_kib'"),
        ('[a]\nram_kib = "64"', "expected ram_kib as a number of KiB"),
        ("[a]\nram_kib = true", "expected ram_kib as a number of KiB"),
        ("[a]\ncore = 3", "expected text for core"),
        (
            '[a]\ncore = "c"\nsource = "s"\nengine = "c"\nram_kib = 8\nlargest_block_kib = 9',
            "largest_block_kib of at most ram_kib 8, got 9",
        ),
        ('[a]\ncore = "c"\nsource = "s"\nengine = "c"\nalignment = 0', "expected alignment"),
        ('[a]\ncore = "c"\nsource = "s"\nengine = "c"\noperators = ["convolve"]', r"got \['convolve'\]"),
        ('[a]\ncore = "c"\nsource = "s"\nengine = "c"\n[a.arithmetic]\nscale = 1', "did you mean 'scales'"),
        ('[a]\ncore = "c"\nsource = "s"\nengine = "c"\n[a.arithmetic]\nweight_bits = 9', "weight_bits from 2 to 8"),
        ('[a]\ncore = "c"\nsource = "s"\nengine = "c"\n[a.arithmetic]\nscales = "any"', "float or power-of-two"),
        ('[a]\ncore = "c"\nsource = "s"\nengine = "c"\n[a.arithmetic]\nsaturate = 1', "saturate true or false"),
        ('[a]\ncore = "c"\nsource = "s"\nengine = "c"\narithmetic = 1', "expected a table"),
    ],
)
def test_a_broken_entry_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(AlambicError, match=rf"mine\.toml.*{message}"):
        load_chips(tmp_path / "mine.toml")


def test_a_missing_file_of_chips_is_named(tmp_path: Path) -> None:
    with pytest.raises(AlambicError, match=r"none\.toml: No such file"):
        load_chips(tmp_path / "none.toml")


@pytest.mark.parametrize(
    "name", ["dscnn_24x3", "dscnn_24-36x3", "resnet8_w16", "mbv1_0125_96g", "mcunetish_64", "fdmbv1_025_96"]
)
def test_a_familys_widths_are_students_that_grow(name: str) -> None:
    names = list_widths(name)
    assert len(names) == len(set(names)) >= 16
    assert name in names or "-" in name or name == "mcunetish_64"  # a bare family name is its _100_
    few = [names[0], names[len(names) // 4], names[len(names) // 2], names[-1]]
    sizes = [count_weight_bytes(create_student(item, 1, 32, 2)) for item in few]
    assert sizes == sorted(sizes)
    assert sizes[-1] > 2 * count_weight_bytes(create_student(name, 1, 32, 2))


@pytest.mark.parametrize(("engine", "flash", "ram"), [("accelerator", 0.7, 50), ("accelerator", 50, 4), ("c", 17, 50)])
def test_the_widest_that_fits_does_and_the_next_does_not(engine: str, flash: float, ram: float) -> None:
    pytest.importorskip("onnxruntime")
    chip = Chip("toy", "a toy", engine, "this test", flash_kib=flash, ram_kib=ram)  # type: ignore[arg-type]
    widest = find_widest("dscnn_8x1", (1, 28, 28), 2, chip)
    names = list_widths("dscnn_8x1")
    assert widest.name is not None
    assert widest.fit is not None
    assert widest.fit.fits
    after = names[names.index(widest.name) + 1]
    again = find_widest(after, (1, 28, 28), 2, chip)
    assert (again.name, again.capped) == (widest.name, False)
    assert f"is {widest.name}: {widest.fit.need.ram_bytes:,} bytes of RAM" in explain_widest(widest, chip)


def test_the_widest_of_narrow_weights_is_not_cut_short() -> None:
    """Weights that would be too many at 8 bits fit at 4."""
    pytest.importorskip("onnxruntime")
    chip = Chip(
        "toy", "a toy", "accelerator", "this test", flash_kib=1, ram_kib=100, arithmetic=Arithmetic(weight_bits=4)
    )
    widest = find_widest("dscnn_8x1", (1, 28, 28), 2, chip)
    assert (widest.name, widest.capped) == ("dscnn_28x1", False)
    assert widest.fit is not None
    assert count_weight_bytes(create_student("dscnn_20x1", 1, 28, 2)) > 1024
    after = draft_fit(create_student("dscnn_32x1", 1, 28, 2), (1, 28, 28), chip)
    assert (widest.fit.fits, after.fits) == (True, False)


def test_no_width_fits_or_all_do() -> None:
    pytest.importorskip("onnxruntime")
    tiny = replace(CHIP, ram_kib=0.1)
    widest = find_widest("dscnn_8x1", (1, 28, 28), 2, tiny)
    assert (widest.name, widest.narrowest) == (None, "dscnn_4x1")
    assert explain_widest(widest, tiny) == "no width of this family fits toy: not even the narrowest, dscnn_4x1"
    vast = replace(CHIP, ram_kib=1000, flash_kib=1000)
    widest = find_widest("dscnn_8x1", (1, 28, 28), 2, vast)
    assert (widest.name, widest.capped) == ("dscnn_32x1", True)
    with pytest.raises(AlambicError, match="expected ram_kib or flash_kib"):
        find_widest("dscnn_8x1", (1, 28, 28), 2, replace(CHIP, ram_kib=None, flash_kib=None))


def test_a_students_layers_carry_the_names_of_its_modules(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    import torch

    from alambic.deploy.int8 import quantize_student
    from alambic.deploy.read import read_graph

    net = create_student("resnet8_w8", 1, 16, 2).eval()
    graph = read_graph(quantize_student(net, torch.randn(2, 1, 16, 16), (1, 16, 16), tmp_path).onnx_int8)
    named = [op.name for op in graph.ops if op.kind in ("conv", "dense")]
    assert named[0] == "stem.conv"
    assert set(named) <= {name for name, _ in net.named_modules()}
    assert len(named) == 10
