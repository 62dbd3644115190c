"""Plain or compiled: chosen once for each student, kept, part of a cell where it is compiled and nowhere else."""

import json
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
import torch
from torch import nn

from alambic.data import load_source
from alambic.errors import AlambicError
from alambic.study import compiling
from alambic.study.cell import Arm, Cell
from alambic.study.compiling import FILE, Measured, settle_compiling, time_student, weigh
from alambic.study.prepare import prepare
from alambic.study.run import run_study
from alambic.study.study_file import read_study
from alambic.study.work import Workshop

LEDGERS = sorted((Path(__file__).parent.parent.parent / "studies").glob("**/ledger/cells.parquet"))
TEXT = """
name = "compiled"
purpose = "demo"
seeds = 2
students = ["dscnn_8x2", "dscnn_12x1", "own.py:branch"]
methods = ["none", "kd"]
[data]
source = "images.npz"
tune = 20
[views]
count = 2
flip = true
[recipe]
epochs = 2
batch = 16
[int8]
enabled = false
[execution]
jobs = 1
compile = "auto"
[teachers.small]
net = "zoo:dscnn_8x2"
[teachers.small.recipe]
epochs = 1
batch = 16
[[arms]]
method = "kd"
name = "kd with dot"
treatments = ["dot"]
"""
OWN = """
import torch
from torch import nn

class Branch(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 3)
        self.head = nn.Linear(4, classes)

    def forward(self, images):
        maps = self.conv(images)
        if maps.mean() > 0:
            maps = maps * 2
        return self.head(maps.mean((2, 3)))

def branch(in_channels, num_classes):
    return Branch(in_channels, num_classes)

class Drifting(Branch):
    def __init__(self, channels, classes, in_place):
        super().__init__(channels, classes)
        self.register_buffer("scale", torch.ones(1))
        self.in_place = in_place

    def forward(self, images):
        vectors = self.conv(images).mean((2, 3))
        # less in one step than the tolerance
        scale = 0.9995 * self.scale + 0.0005 * vectors.detach().mean()
        if self.in_place:
            self.scale.copy_(scale)
        else:
            self.scale = scale
        return self.head(vectors * self.scale)

def replaced(in_channels, num_classes):
    return Drifting(in_channels, num_classes, in_place=False)

def kept(in_channels, num_classes):
    return Drifting(in_channels, num_classes, in_place=True)

def noisy(in_channels, num_classes):
    return nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(144 * in_channels, num_classes))
"""


def quiet(text):
    pass


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    place = tmp_path_factory.mktemp("compiled")
    draw = np.random.default_rng(0)
    np.savez(place / "images.npz", x=draw.integers(0, 255, (160, 12, 12), dtype=np.uint8), y=np.arange(160) % 4)
    (place / "own.py").write_text(OWN)
    (place / "study.toml").write_text(TEXT.replace("images.npz", str(place / "images.npz")))
    return read_study(place / "study.toml")


@pytest.fixture(scope="module")
def source(study):
    return load_source(study.data)


@pytest.fixture
def long(monkeypatch):
    """Each student trains for ten hours or so."""
    monkeypatch.setattr(compiling, "measure_speed", lambda study, student, source: 0.01)


def asking(study, compile):
    return replace(study, execution=replace(study.execution, compile=compile))


def measuring(found, **wrong):
    """A measurement that tells whom it was asked about."""
    asked = []

    def measure(study, student):
        asked.append(student)
        if student in wrong:
            raise AlambicError(wrong[student])
        return found

    return measure, asked


def test_a_short_study_measures_nothing_and_trains_plain(study, source, tmp_path):
    measure, asked = measuring(Measured(1.0, 1e9, 0.0, 0.0))
    assert settle_compiling(study, source, tmp_path, quiet, measure).compiled == ()
    assert asked == []


def test_students_are_compiled_where_it_saves_more_than_it_costs(study, source, tmp_path, long):
    """112 images, 2 epochs, 4 cells: 896 images of one form; saved must be twice the compile time."""
    images, forms = weigh(study, source)
    assert (images, forms) == (4 * 2 * len(source.splits["train"]), 1)
    saved = images * (1 / 10 - 1 / 20)
    for cost, compiled in ((saved * 0.45, True), (saved * 0.55, False), (saved * 2, False)):
        out = tmp_path / str(cost)
        measure, asked = measuring(Measured(10.0, 20.0, cost * 0.75, cost * 0.25))
        settled = settle_compiling(study, source, out, quiet, measure)
        assert settled.compiled == (study.students if compiled else ())
        assert asked == list(study.students)
    for plain, compiled in ((20.0, 10.0), (10.0, 10.4)):
        little, _ = measuring(Measured(plain, compiled, 0.0, 0.0))
        assert settle_compiling(study, source, tmp_path / str(plain), quiet, little).compiled == ()


def test_a_choice_is_kept_and_a_new_student_alone_is_measured(study, source, tmp_path, long):
    first, told = replace(study, students=study.students[:1]), []
    measure, _ = measuring(Measured(10.0, 20.0, 0.1, 0.1))
    assert settle_compiling(first, source, tmp_path, told.append, measure).compiled == ("dscnn_8x2",)
    assert len(told) == 1
    assert "trains compiled" in told[0]
    other, again = measuring(Measured(20.0, 10.0, 0.1, 0.1), **{"own.py:branch": "it branches"})
    settled = settle_compiling(study, source, tmp_path, told.append, other)
    assert settled.compiled == ("dscnn_8x2",)
    assert again == list(study.students[1:])
    assert len(told) == 3
    assert "it branches" in told[2]
    settle_compiling(study, source, tmp_path, told.append, other)
    assert (len(again), len(told)) == (2, 3)  # nothing is measured or said again


@pytest.mark.parametrize("asked", ["auto", True])
def test_a_study_of_treatments_alone_compiles_nothing(study, source, tmp_path, long, asked):
    treated = replace(asking(study, asked), arms=study.arms[-1:])
    assert settle_compiling(treated, source, tmp_path, quiet).compiled == ()


def test_off_reads_and_writes_nothing(study, source, tmp_path):
    (tmp_path / FILE).write_text("not read")
    plain = asking(study, False)
    assert settle_compiling(plain, source, tmp_path, quiet) is plain


@pytest.mark.parametrize("text", ["{", "[]", '{"dscnn_8x2": {"asked": "auto"}}', '{"dscnn_8x2": 1}'])
def test_a_changed_file_is_refused(study, source, tmp_path, text):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(AlambicError, match="which students this study compiles"):
        settle_compiling(study, source, tmp_path, quiet)


@pytest.mark.parametrize("asked", ["auto", True])
def test_without_a_compiler_students_train_plain_and_that_is_said_once(
    study, source, tmp_path, long, asked, monkeypatch
):
    monkeypatch.setenv("CXX", "no-such-compiler")
    told, one = [], replace(asking(study, asked), students=study.students[:1])
    for _ in range(2):
        assert settle_compiling(one, source, tmp_path, told.append).compiled == ()
    assert len(told) == 1
    assert "no-such-compiler" in told[0]


def test_a_gpu_is_not_compiled_for(study, tmp_path):
    text = study.path.read_text().replace('compile = "auto"', 'compile = true\ndevice = "auto"')
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises(AlambicError, match=r'device = "cpu" with compile'):
        read_study(tmp_path / "study.toml")


def test_cells_tell_it_where_they_are_compiled_and_keep_their_ids_where_not(study, tmp_path):
    """Committed ledgers hold their cells: nothing of compiling is in the content of a plain one."""
    plain, settled = asking(study, False), replace(study, compiled=("dscnn_8x2",))
    before, after = (prepare(one, tmp_path, quiet).cells for one in (plain, settled))
    for a, b in zip(before, after, strict=True):
        compiled = b.student == "dscnn_8x2" and not b.arm.treatments
        assert b.content == (a.content | {"compiled": True} if compiled else a.content), b.label
        assert (a.id != b.id) == compiled
    known = {key for path in LEDGERS for text in _contents(path).values() for key in json.loads(text)}
    assert {key for cell in before for key in cell.full_content} <= known | {"student_code"}


@pytest.mark.parametrize("path", LEDGERS, ids=lambda path: path.parent.parent.name)
def test_committed_cells_keep_their_ids(path):
    for key, text in _contents(path).items():
        content = json.loads(text)
        own = {name: content.pop(name) for name in ("student", "teacher", "arm", "seed")}
        arm = Arm(**{field.name: own["arm"][field.name] for field in fields(Arm) if field.name in own["arm"]})
        assert Cell(own["student"], own["teacher"], arm, own["seed"], content).id == key


def _contents(path):
    table = parquet.read_table(path, columns=["id", "content"]).to_pydict()
    return dict(zip(table["id"], table["content"], strict=True))


def test_what_torch_cannot_compile_alike_is_refused(study, source, monkeypatch):
    """A branch on what was computed; numbers drawn otherwise. Plain torch trains both."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))  # seconds become tenths
    with pytest.raises(AlambicError, match=r"branch.*torch\.compile refuses it"):
        time_student(study, "own.py:branch", source)
    with pytest.raises(AlambicError, match=r"noisy.*got others by"):
        time_student(study, "own.py:noisy", source)
    for precision in ("fp32", "bf16"):
        plain, compiled, _ = time_student(
            replace(study, recipe=replace(study.recipe, precision=precision)), "dscnn_8x2", source
        )
        assert min(plain, compiled) > 0


def test_a_forward_that_replaces_a_buffer_is_not_compiled(study, source, monkeypatch):
    """The network that is evaluated and saved would keep the buffer it began with."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    with pytest.raises(AlambicError, match=r"replaced.*puts others in their place"):
        time_student(study, "own.py:replaced", source)
    assert min(time_student(study, "own.py:kept", source)) > 0


def test_a_worker_compiles_the_cells_that_say_so(study, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(torch, "compile", lambda reader, **_: calls.append(reader) or reader)
    settled = replace(study, compiled=("dscnn_8x2",), seeds=1, students=("dscnn_8x2",))
    prepared = prepare(settled, tmp_path, quiet)
    workshop = Workshop(prepared, tmp_path)
    for cell in prepared.cells:
        calls.clear()
        workshop.run(cell)
        assert len(calls) == ("compiled" in cell.content), cell.label
        assert isinstance(calls[0] if calls else nn.Identity(), nn.Module)


@pytest.mark.slow
@pytest.mark.timeout(900)  # a cold cache and a busy machine
def test_a_compiled_study_is_resumed_to_the_bit(study, tmp_path, long, monkeypatch):
    """Compiled and trained in processes of their own; the second study, which measures, stops half way."""
    monkeypatch.setattr(compiling, "MARGIN", -1e9)  # whatever it measures, it pays
    monkeypatch.setattr(compiling, "GAIN", 0.0)
    told, weights = [], []
    for name, asked in (("whole", True), ("halves", "auto")):
        chosen = replace(asking(study, asked), students=("dscnn_8x2",))
        for only in (1, None) if name == "halves" else (None,):
            run_study(chosen, tmp_path / name, say=told.append, only_seed=only)
        kept = json.loads((tmp_path / name / FILE).read_text())["dscnn_8x2"]
        assert kept["compiled"], kept["because"]
        weights.append({path.name: path.read_bytes() for path in (tmp_path / name / "students").glob("*.safetensors")})
    assert len(weights[0]) == 6
    assert weights[0] == weights[1]
    assert min(kept["measured"].values()) > 0
    assert kept["measured"]["cold"] > kept["measured"]["warm"]
    assert sum("trains compiled" in text for text in told) == 2
