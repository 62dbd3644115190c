"""A study goes on with the teacher that its finished cells learnt from, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from alambic.errors import AlambicError
from alambic.study.archive import restore_ledger, write_archive
from alambic.study.cell import Cell
from alambic.study.ledger import Ledger
from alambic.study.local import Event
from alambic.study.prepare import Prepared, prepare
from alambic.study.run import run_study
from alambic.study.study_file import read_study
from alambic.study.work import Result

NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, gain):
        super().__init__()
        self.fc, self.gain = nn.Linear(256, 3), gain

    def forward(self, images):
        return self.fc((self.gain * images).flatten(1))

def make(gain=1.0, **_):
    return Net(gain)
"""
CARD = {"spec": {"net": "net.py:make", "mean": [0.1], "std": [0.2]}, "classes": 3}
STUDY = """
name = "own"
purpose = "explore"
students = ["dscnn_8x2"]
seeds = {seeds}
methods = ["kd"]
[data]
source = "{folder}/x.npz"
tune = 60
[views]
count = 2
[recipe]
epochs = 1
batch = 32
[int8]
enabled = false
[teachers.t]
net = "net.py:make"
weights = "t.safetensors"
{more}
"""


def quiet(text: str) -> None:
    pass


def pretend(prepared: Prepared, cells: list[Cell], out: Path, jobs: int) -> Iterator[Event]:
    """Stands for training: which cells are trained, or refused before, is what counts here."""
    for cell in cells:
        yield Event("done", cell, Result({"tune": 0.5}, [], {}))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A teacher of one's own code beside its weights, its card and images."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 255, (160, 16, 16), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", x=images, y=np.arange(160) % 3)
    torch.manual_seed(0)
    save_file({"fc.weight": torch.randn(3, 256) / 10, "fc.bias": torch.zeros(3)}, tmp_path / "t.safetensors")
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "t.json").write_text(json.dumps(CARD))
    return tmp_path


def run(folder: Path, seeds: int = 1, more: str = "", out: str = "out") -> int:
    """Cells trained now."""
    (folder / "study.toml").write_text(STUDY.format(seeds=seeds, more=more, folder=folder))
    return run_study(read_study(folder / "study.toml"), folder / out, say=quiet, execute=pretend).done


def change_code(folder: Path) -> None:
    (folder / "net.py").write_text(NET.replace("self.gain * images", "-5 * images"))


def change_card(folder: Path) -> None:
    (folder / "t.json").write_text(json.dumps({**CARD, "spec": {**CARD["spec"], "mean": [0.9]}}))


@pytest.mark.parametrize(("change", "said"), [(change_code, "net = net.py:make"), (change_card, r"mean = \[0.1\]")])
def test_a_changed_teacher_does_not_teach_the_other_seeds(own: Path, change: Callable[[Path], None], said: str) -> None:
    assert run(own) == 1
    change(own)
    with pytest.raises(AlambicError, match=f"{said}.*, got .*try restoring what it was, or another --out"):
        run(own, seeds=2)
    assert len(Ledger(own / "out" / "ledger.sqlite", read_only=True).rows()) == 1
    assert run(own, seeds=2, out="elsewhere") == 2
    (own / "net.py").write_text(NET)
    (own / "t.json").write_text(json.dumps(CARD))
    assert run(own, seeds=2) == 1


def test_what_the_cells_tell_apart_is_no_changed_teacher(own: Path) -> None:
    assert run(own) == 1
    assert run(own, more="kwargs = { gain = -3.0 }") == 1
    assert run(own) == 0


def test_an_older_ledger_takes_the_present_teacher_and_an_export_keeps_it(own: Path) -> None:
    run(own)
    held = Ledger(own / "out" / "ledger.sqlite")
    held.set_meta("teachers", "{}")
    held.close()
    change_code(own)
    assert run(own, seeds=2) == 1
    write_archive(own / "out" / "ledger.sqlite", own / "kept")
    restore_ledger(own / "kept", own / "again" / "ledger.sqlite")
    (own / "net.py").write_text(NET)
    with pytest.raises(AlambicError, match=r"net = net\.py:make"):
        run(own, seeds=3, out="again")


def test_a_bank_is_of_one_teacher_s_settings(own: Path) -> None:
    """Two of the same weights, told apart by what their code is given."""
    more = '[teachers.other]\nnet = "net.py:make"\nweights = "t.safetensors"\nkwargs = { gain = -3.0 }'
    (own / "study.toml").write_text(STUDY.format(seeds=1, more=more, folder=own))
    prepared = prepare(read_study(own / "study.toml"), own / "out", quiet)
    assert len({teacher.hash for teacher in prepared.teachers.values()}) == 1
    assert len({teacher.bank_key for teacher in prepared.teachers.values()}) == 2
