"""Writes ``docs/imagenet.md``: on paper, what a study on ImageNet-1k costs. Nothing there is measured.

Multiply-accumulates and activations are counted from the networks themselves, on the meta device; bytes of banks come
from ``bank_bytes``; the rest is the cost model below with its stated assumptions. ``--check`` says whether the page is
out of date (exit code 1).
"""

from __future__ import annotations

import argparse
import functools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from torch import nn

from alambic.models.students import count_macs, create_student
from alambic.training.bank import bank_bytes

PAGE = Path(__file__).parent.parent / "docs" / "imagenet.md"
IMAGES, CLASSES = 1_281_167, 1000
VIEWS, EPOCHS, RUNS = (1, 4, 16), 90, 60
PEAK, BANDWIDTH = 989e12, 3.35e12  # of one H100 SXM, by its data sheet: bf16 FLOP/s without sparsity, bytes/s
TEACHER_SHARE, STUDENT_SHARE = 0.4, 0.1  # of the peak that is reached
TOUCHES, ELEMENT = 7, 2  # reads and writes of each activation, forward and backward, fused; bytes of bf16
LAUNCHES, LAUNCH, BATCH = 200, 1.25e-6, 512  # kernels a step, seconds each in a CUDA graph, images a step
ACHIEVED = 0.3  # of a student's bound that its training is taken to reach
DISK = 2e9  # bytes/s of one NVMe disk, read in blocks
TEACHERS = ("resnet50", "convnext_base", "vit_base_patch16_224", "mixer_b16_224")
STUDENTS = (("mbv1_025_96", 96), ("mcunetish_64", 64), ("resnet8_w16", 32))
STORES = (64, 96, 112, 224)


@dataclass(frozen=True)
class Net:
    """What the model needs to know: multiply-accumulates and activation elements of an image, embedding width."""

    name: str
    side: int
    macs: int
    activations: int
    width: int


def examine(name: str, net: nn.Module, side: int, width: int = 0) -> Net:
    """Counts one network on the meta device: shapes without numbers."""
    elements = 0

    def add(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        nonlocal elements
        elements += output[0].numel()

    handles = [module.register_forward_hook(add) for module in net.modules() if isinstance(module, nn.Conv2d)]
    macs = count_macs(net, (3, side, side))
    for handle in handles:
        handle.remove()
    return Net(name, side, macs, elements, width)


@functools.cache
def teachers() -> list[Net]:
    """The teachers of the page, at 224 x 224."""
    with torch.device("meta"):
        nets: list[tuple[str, Any]] = [(name, timm.create_model(name)) for name in TEACHERS]
    return [examine(name, net, 224, net.num_features) for name, net in nets]


def students() -> list[Net]:
    """The students of the page."""
    with torch.device("meta"):
        nets = [(name, create_student(name, 3, side, CLASSES), side) for name, side in STUDENTS]
    return [examine(name, net, side) for name, net, side in nets]


def teacher_seconds(net: Net) -> float:
    """Of one image forward."""
    return 2 * net.macs / (TEACHER_SHARE * PEAK)


def student_seconds(net: Net) -> dict[str, float]:
    """Of one image forward and backward, by what could bound it."""
    return {
        "arithmetic": 6 * net.macs / (STUDENT_SHARE * PEAK),
        "memory": TOUCHES * net.activations * ELEMENT / BANDWIDTH,
        "launches": LAUNCHES * LAUNCH / BATCH,
    }


def gigabytes(count: float) -> str:
    return f"{count / 1e9:,.1f} GB"


def hours(seconds: float) -> str:
    return f"{seconds / 3600:,.2f}" if seconds < 36_000 else f"{seconds / 3600:,.0f}"


def table(heads: list[str], rows: list[list[str]]) -> list[str]:
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def make_page() -> str:
    """The page's text."""
    given, pupils = teachers(), students()
    seconds = {net.name: max(student_seconds(net).values()) / ACHIEVED for net in pupils}
    each = EPOCHS * IMAGES
    text = [
        "<!-- made by scripts/imagenet_cost.py: change its assumptions instead -->",
        "# What a study on ImageNet-1k costs, on paper",
        "",
        f"{IMAGES:,} training images, {CLASSES:,} classes, one H100. **Nothing on this page is measured**: operations "
        "and activations are counted from the networks, the rest follows from the assumptions at its end. Expect a "
        "factor of two.",
        "",
        "## The images",
        "",
        "They do not fit in most memories, so `data.store` decodes them once into one file that is mapped (uint8, "
        "N x 3 x side x side). Whatever the system can keep of it in memory is shared by all processes.",
        "",
        *table(
            ["side", "store", "read once"],
            [[str(s), gigabytes(IMAGES * 3 * s * s), f"{IMAGES * 3 * s * s / DISK:,.0f} s"] for s in STORES],
        ),
        "",
        "## The bank: raw logits and embedding in fp16",
        "",
        *table(
            ["teacher at 224", "GMAC", "a view", *[f"bank, V = {v}" for v in VIEWS], f"GPU hours, V = {VIEWS[-1]}"],
            [
                [
                    net.name,
                    f"{net.macs / 1e9:.2f}",
                    f"{teacher_seconds(net) * IMAGES / 60:.1f} min",
                    *[gigabytes(bank_bytes(IMAGES, v, CLASSES, net.width, 0)) for v in VIEWS],
                    hours(teacher_seconds(net) * IMAGES * VIEWS[-1]),
                ]
                for net in given
            ],
        ),
        "",
        "Of these bytes the logits take "
        f"{gigabytes(bank_bytes(IMAGES, 1, CLASSES, 0, 0))} a view. A step of {BATCH} images reads "
        f"{bank_bytes(BATCH, 1, CLASSES, given[2].width, 0) / 1e6:.1f} MB of a {given[2].name} bank.",
        "",
        "## Over several GPUs",
        "",
        "`alambic study banks STUDY.toml --devices 8` builds the banks by eight processes, each its share of the "
        "blocks: the arrays are those of one. `alambic teachers train TEACHERS.toml --devices 8 --device cuda` trains "
        "teachers so: each process takes its block of the recipe's batch, gradients are averaged before they are "
        "clipped, and the card tells the number of processes. Without BatchNorm the weights are those of one process "
        "but for rounding; BatchNorm normalises by its own block, and its running numbers are averaged. A process "
        "that ends or hangs ends the others; the same command goes on. Over several machines, whose processes see "
        "one disk: `torchrun --nnodes 2 --nproc-per-node 8 ... -m alambic.cli teachers train "
        "TEACHERS.toml --device cuda`.",
        "",
        f"## The students: {EPOCHS} epochs each, {RUNS} of them (methods x seeds)",
        "",
        *table(
            ["student", "MMAC", "images/s", "bound by", "GPU hours each", f"GPU hours, {RUNS}", "bank, MB/s"],
            [
                [
                    f"{net.name} at {net.side}",
                    f"{net.macs / 1e6:.1f}",
                    f"{1 / seconds[net.name]:,.0f}",
                    max(student_seconds(net), key=lambda name, net=net: student_seconds(net)[name]),  # type: ignore[misc]
                    hours(each * seconds[net.name]),
                    hours(RUNS * each * seconds[net.name]),
                    f"{bank_bytes(1, 1, CLASSES, given[2].width, 0) / seconds[net.name] / 1e6:,.0f}",
                ]
                for net in pupils
            ],
        ),
        "",
        f"The last column is what is read of a {given[2].name} bank, in rows of a few kB: too much for a disk, so it "
        "wants memory (the GPU's, or the page cache).",
        "",
        f"## With a bank, and with the teacher in each step: GPU hours for {RUNS} runs of {pupils[0].name}",
        "",
        *table(
            ["teacher", f"bank, V = {VIEWS[1]}", f"bank, V = {VIEWS[2]}", "live", f"live / bank, V = {VIEWS[1]}"],
            [_compare(net, each * seconds[pupils[0].name]) for net in given],
        ),
        "",
        "## Assumptions",
        "",
        f"- One H100 SXM by its data sheet: {PEAK / 1e12:.0f} TFLOP/s in bf16, {BANDWIDTH / 1e12} TB/s.",
        f"- A teacher reaches {TEACHER_SHARE:.0%} of the peak and needs 2 FLOP a multiply-accumulate; a student "
        f"{STUDENT_SHARE:.0%}, and 6, forward and backward.",
        f"- Each output of a convolution is read or written {TOUCHES} times in {ELEMENT} bytes, once its norm and "
        "activation are fused.",
        f"- {LAUNCHES} kernels a step of {BATCH} images, {LAUNCH * 1e6} µs each inside a CUDA graph. Students run one "
        "after the other; small ones side by side take less.",
        f"- The largest of these three bounds a student's step, which reaches {ACHIEVED:.0%} of it (views, losses and "
        "the optimiser take the rest); decoding, evaluation and int8 are left out.",
        "- live = runs x epochs x images x (teacher + student); bank = V x images x teacher + the students. V views "
        "cost nothing more, however many epochs or runs there are.",
        "",
    ]
    return "\n".join(text)


def _compare(net: Net, student: float) -> list[str]:
    live = RUNS * (EPOCHS * IMAGES * teacher_seconds(net) + student)
    bank = [views * IMAGES * teacher_seconds(net) + RUNS * student for views in VIEWS]
    return [net.name, hours(bank[1]), hours(bank[2]), hours(live), f"{live / bank[1]:.1f}"]


def main() -> int:
    parser = argparse.ArgumentParser(description="write docs/imagenet.md")
    parser.add_argument("--check", action="store_true", help="only say whether it is out of date")
    if not parser.parse_args().check:
        PAGE.write_text(make_page())
        return 0
    stale = not PAGE.exists() or PAGE.read_text() != make_page()
    if stale:
        print(f"out of date: {PAGE.name}; run python scripts/imagenet_cost.py")
    return int(stale)


if __name__ == "__main__":
    sys.exit(main())
