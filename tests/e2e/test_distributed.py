"""Two gloo processes build a bank: the arrays of one process, to the byte; what breaks in one ends both.

And the two commands that start processes; how teachers are trained by several is in test_spread.py.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from alambic.cli import main
from alambic.data import DataSpec, Source, ViewSpec, from_arrays
from alambic.errors import AlambicError
from alambic.models.teacher import TeacherSpec
from alambic.models.teachers import load_teacher
from alambic.training import bank as banks
from alambic.training import together
from alambic.training.bank import Bank, build_bank
from alambic.training.bank_part import BLOCK
from alambic.training.setup import live_feed
from process_tools import start_two

IMAGES, VIEWS = 700, 2  # blocks of 250, 250 and 200 for each view: the two processes get unlike ones
WANT = frozenset({"logits", "embedding", "energy"})

STUDY = """
name = "banks"
purpose = "demo"
seeds = 1
students = ["dscnn_8x2"]
methods = ["kd"]
[data]
source = "SOURCE"
tune = 60
[views]
count = 2
flip = true
[recipe]
epochs = 1
batch = 32
[teachers.small]
net = "zoo:resnet8_w8"
[teachers.small.recipe]
epochs = 1
"""

TEACHERS = """
[data]
source = "SOURCE"
tune = 60
[views]
flip = true
[recipe]
epochs = 2
batch = 33
[teachers.first]
net = "timm:vit_tiny_patch16_224"
kwargs = { img_size = 16, patch_size = 4, embed_dim = 24, depth = 2, num_heads = 3 }
[teachers.second]
net = "zoo:resnet8_w8"
distil_from = "first"
"""


def make_source() -> Source:
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (IMAGES + 100, 16, 16, 3), dtype=np.uint8)
    split = ["train"] * IMAGES + ["val"] * 50 + ["test"] * 50
    return from_arrays(pixels, np.arange(len(pixels)) % 3, split=split, spec=DataSpec("arrays"))


def build(folder: Path, broken: bool = False) -> Path:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    source = make_source()
    teacher = load_teacher("small", TeacherSpec("zoo:resnet8_w8"), 3, 3, source.size, source.mean, source.std)
    views = ViewSpec(count=VIEWS, flip=True, shift=2)
    feed: Any = live_feed(teacher, source, views, WANT, source.splits["train"])
    if broken and together.place()[0] == 1:
        feed = Broken(feed)
    return build_bank(folder, feed, source.splits["train"], VIEWS, {"teacher": "small"})


class Broken:
    """A teacher whose logits overflow fp16 in the process that holds it."""

    def __init__(self, feed: Any) -> None:
        self.feed, self.spec = feed, feed.spec

    def __call__(self, ids: torch.Tensor, views: torch.Tensor) -> Any:
        outputs = self.feed(ids, views)
        outputs.logits.fill_(1e6)
        return outputs


def work(number: int, folder: Path, answers: Any) -> None:
    passes: list[tuple[int, int]] = []
    original = banks.LiveFeed.__call__

    def count(self: Any, ids: torch.Tensor, views: torch.Tensor) -> Any:
        passes.append((int(views[0]), int(ids[0])))
        return original(self, ids, views)

    banks.LiveFeed.__call__ = count  # type: ignore[method-assign]
    with together.joined():
        answers.put((number, "whole", str(build(folder / "two")), passes))
        try:
            build(folder / "broken", broken=True)
        except AlambicError as error:
            answers.put((number, "broken", str(error), []))


def run_two(folder: Path) -> dict[tuple[int, str], tuple[str, list[tuple[int, int]]]]:
    """(process, which bank) -> what came of it, and the (view, first id) of each pass of the teacher."""
    answers = multiprocessing.get_context("spawn").Queue()
    processes = start_two(work, folder, answers)
    told = [answers.get(timeout=900) for _ in range(4)]
    for process in processes:
        process.join(timeout=300)
        assert process.exitcode == 0
    return {(number, which): (answer, passes) for number, which, answer, passes in told}


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(path.glob("*.npy"))}


@pytest.mark.slow
def test_two_processes_build_the_bank_of_one_and_what_breaks_in_one_ends_both(tmp_path: Path) -> None:
    told = run_two(tmp_path)
    alone = build(tmp_path / "one")
    assert told[0, "whole"][0] == told[1, "whole"][0]
    made = Path(told[0, "whole"][0])
    assert contents(made) == contents(alone)
    assert {"logits.npy", "embedding.npy", "energy0.npy", "ids.npy"} <= set(contents(alone))
    ids = make_source().splits["train"]
    blocks = [(view, int(ids[start])) for view in range(VIEWS) for start in range(0, IMAGES, BLOCK)]
    shapes = (0, int(ids[0]))  # the network is probed once by each, and two images tell the first one the shapes
    assert [sorted(set(told[n, "whole"][1]) | {shapes}) for n in range(2)] == [
        sorted({*blocks[n::2], shapes}) for n in range(2)
    ]
    assert list((tmp_path / "two").iterdir()) == [made], "no half bank is left"
    Bank(made)
    assert json.loads((made / "bank.json").read_text())["processes"] == 2
    assert "finite in float16" in told[1, "broken"][0]
    assert "process 1 of 2 broke" in told[0, "broken"][0]
    assert "finite in float16" in told[0, "broken"][0]
    assert list((tmp_path / "broken").iterdir()) == []


def write_file(folder: Path, text: str) -> Path:
    """A study's or teachers' file on 260 images."""
    source = make_source()
    rows = source.images.permute(0, 2, 3, 1).numpy()[:260], source.labels.numpy()[:260]
    test = source.images.permute(0, 2, 3, 1).numpy()[700:], source.labels.numpy()[700:]
    np.savez(folder / "x.npz", x_train=rows[0], y_train=rows[1], x_test=test[0], y_test=test[1])
    (folder / "file.toml").write_text(text.replace("SOURCE", str(folder / "x.npz")))
    return folder / "file.toml"


def run_on_two(command: list[str]) -> str:
    """What ``alambic ... --devices 2`` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "alambic.cli", *command, "--devices", "2"],
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_devices_starts_processes_whose_banks_a_run_finds(tmp_path: Path) -> None:
    command = ["study", "banks", str(write_file(tmp_path, STUDY)), "--out"]
    told = run_on_two([*command, str(tmp_path / "two")])
    assert "2 processes" in told
    assert told.count("bank of 2 views") == 1, "one voice"
    (made,) = (tmp_path / "two" / "banks").iterdir()
    assert main([*command, str(tmp_path / "one")]) == 0
    (single,) = (tmp_path / "one" / "banks").iterdir()
    assert single.name == made.name
    assert contents(single) == contents(made)


@pytest.mark.slow
def test_devices_trains_the_teachers_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["teachers", "train", str(write_file(tmp_path, TEACHERS)), "--threads", "1", "--out"]
    told = run_on_two([*command, str(tmp_path / "two")])
    assert told.count("first: epoch 1/2") == 1, "one voice"
    assert "by 2 processes" in told
    assert main([*command, str(tmp_path / "one")]) == 0
    assert "processes" not in capsys.readouterr().out
    runs = [(tmp_path / out / f"{name}.json").read_text() for out in ("two", "one") for name in ("first", "second")]
    first, second, alone, other = (json.loads(text) for text in runs)
    assert [card["processes"] for card in (first, second, alone, other)] == [2, 2, 1, 1]
    assert first["tune"] == alone["tune"], "a transformer, without BatchNorm"
