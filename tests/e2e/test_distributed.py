"""Two gloo processes build a bank: the arrays of one process, to the byte; what breaks in one ends both."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
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
from alambic.models.teachers import TeacherSpec, load_teacher
from alambic.training import bank as banks
from alambic.training import together
from alambic.training.bank import Bank, build_bank
from alambic.training.setup import live_feed

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


def work(number: int, port: int, folder: Path, answers: Any) -> None:
    os.environ |= {"RANK": str(number), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
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
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    processes = [context.Process(target=work, args=(n, port, folder, answers)) for n in range(2)]
    for process in processes:
        process.start()
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
    blocks = [(view, int(ids[start])) for view in range(VIEWS) for start in range(0, IMAGES, banks.BLOCK)]
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


@pytest.mark.slow
def test_devices_starts_processes_whose_banks_a_run_finds(tmp_path: Path) -> None:
    source = make_source()
    rows = source.images.permute(0, 2, 3, 1).numpy()[:260], source.labels.numpy()[:260]
    test = source.images.permute(0, 2, 3, 1).numpy()[700:], source.labels.numpy()[700:]
    np.savez(tmp_path / "x.npz", x_train=rows[0], y_train=rows[1], x_test=test[0], y_test=test[1])
    (tmp_path / "study.toml").write_text(STUDY.replace("SOURCE", str(tmp_path / "x.npz")))
    command = ["study", "banks", str(tmp_path / "study.toml"), "--out"]
    done = subprocess.run(
        [sys.executable, "-m", "alambic.cli", *command, str(tmp_path / "two"), "--devices", "2"],
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 processes" in done.stdout
    assert done.stdout.count("bank of 2 views") == 1, "one voice"
    (made,) = (tmp_path / "two" / "banks").iterdir()
    assert main([*command, str(tmp_path / "one")]) == 0
    (single,) = (tmp_path / "one" / "banks").iterdir()
    assert single.name == made.name
    assert contents(single) == contents(made)
