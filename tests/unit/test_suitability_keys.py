"""A scorecard's key: what it is computed from, the student's own code and the library's files among it."""

import sys

import numpy as np
import pytest
import torch

from alambic.data import DataSpec, ViewSpec, load_source
from alambic.models.own_code import create_own
from alambic.models.teacher import Teacher, TeacherSpec
from alambic.suitability import ranking, scorecard
from alambic.suitability.pilot import choose_images
from alambic.suitability.ranking import Ranking, Setting
from alambic.training.recipe import Recipe
from alambic.training.task import Task

OWN_CLASS = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(64, 2)

    def forward(self, x):
        return self.head(x.flatten(1)) * 1

def make(**_):
    return Net()
"""
PLAIN = """
from torch import nn

def make(**_):
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.1), nn.Linear(64, 2))
"""
METHOD = """
import types
from torch import nn

def make(**_):
    net = nn.Linear(64, 2)
    net.forward = types.MethodType(lambda self, x: nn.Linear.forward(self, x.flatten(1)) * 1, net)
    return net
"""
HOOK = """
from torch import nn

def make(**_):
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    net.register_forward_hook(lambda net, given, out: out * 1)
    return net
"""
ATTRIBUTE = """
from torch import nn

def make(**_):
    net = nn.MultiheadAttention(8, 2)
    net.dropout = 0.1
    return net
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "x.npz"
    np.savez(
        path, x=np.zeros((200, 8, 8), np.uint8) + np.arange(200, dtype=np.uint8)[:, None, None], y=np.arange(200) % 2
    )
    return load_source(DataSpec(str(path), tune=40))


def key_of(source, folder, student="net.py:make", net="zoo:resnet8_w8", kwargs=None, teacher_data="same", **changed):
    """As a new session finds it: the key of one student with one teacher."""
    spec = TeacherSpec(net, kwargs or {}, family="vit", teacher_data=teacher_data)
    teacher = Teacher("t", torch.nn.Flatten(), spec, (8, 8), (0.0,), (1.0,), 2, "h", {}, folder)
    return make_ranking(source, folder, student, [teacher], **changed)._key(student, teacher, {})


def make_ranking(source, folder, student, teachers, **changed):
    def make(name):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return create_own(name, folder) if ".py:" in name else torch.nn.Linear(64, 2)

    given = (source, ViewSpec(), Recipe(batch=8), Task(2), source.splits["train"], make, {student: 1.0})
    return Ranking(Setting(*given, images=40, **changed), teachers, folder / "suitability.json", print)


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        (OWN_CLASS, "* 1", "* 3"),
        (PLAIN, "Dropout(0.1)", "Dropout(0.5)"),
        (METHOD, "* 1", "* 3"),
        (HOOK, "* 1", "* 3"),
        (ATTRIBUTE, "0.1", "0.5"),
        (PLAIN, "nn.Linear(64, 2))", "nn.Linear(64, 2, bias=False))"),
    ],
    ids=["class", "layers", "method", "hook", "attribute", "weights"],
)
def test_a_students_own_file_is_part_of_the_key(source, tmp_path, monkeypatch, text, old, new):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two edits within a second look alike to Python's cache
    (tmp_path / "net.py").write_text(text)
    first = key_of(source, tmp_path)
    assert key_of(source, tmp_path) == first
    assert old in text
    (tmp_path / "net.py").write_text(text.replace(old, new))
    assert key_of(source, tmp_path) != first
    (tmp_path / "net.py").write_text(text)
    assert key_of(source, tmp_path) == first


def test_which_images_a_pilot_takes_is_part_of_the_key(source, tmp_path):
    assert key_of(source, tmp_path, "zoo") == key_of(source, tmp_path, "zoo", split_seed=0)
    assert key_of(source, tmp_path, "zoo") != key_of(source, tmp_path, "zoo", split_seed=1)


def test_who_taught_the_teacher_is_part_of_the_key(source, tmp_path):
    assert key_of(source, tmp_path, "zoo") != key_of(source, tmp_path, "zoo", teacher_data="external")


def test_what_runs_the_teachers_weights_is_part_of_the_key(source, tmp_path):
    """Its hash tells its weights alone."""
    (tmp_path / "big.py").write_text("gain = 1")
    keys = [key_of(source, tmp_path, "zoo", net) for net in ("big.py:make", "big.py:other", "zoo:resnet8_w8")]
    (tmp_path / "big.py").write_text("gain = -3")
    keys.append(key_of(source, tmp_path, "zoo", "big.py:make"))
    keys.append(key_of(source, tmp_path, "zoo", "big.py:make", {"gain": -3.0}))
    assert len(set(keys)) == len(keys)


def test_a_pilot_draws_its_images_apart_from_those_that_keep_their_labels(source, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(ranking, "run_trial", lambda *given: seen.append(given[7]))
    make_ranking(source, tmp_path, "zoo", [], split_seed=1)._try("zoo", None, None)
    assert len(seen[0]) < len(source.splits["train"])
    assert torch.equal(seen[0], choose_images(source.splits["train"], len(seen[0]), 1))
    ids = source.splits["train"]
    labelled = source.subset("train", 40, 0)
    chosen = choose_images(ids, 80, 0)
    assert torch.equal(chosen, chosen.unique())
    assert torch.isin(chosen, ids).all()
    assert torch.equal(chosen, choose_images(ids, 80, 0))
    assert int(torch.isin(labelled, chosen).sum()) < 30  # half of them, not all
    assert not torch.equal(chosen, choose_images(ids, 80, 1))


HERE = ["collect", "inputs", "onlooker", "sketch", "pilot", "measures", "evidence", "estimators/cka"]
ELSEWHERE = (
    *("training/task", "training/loop", "training/setup", "training/objective", "training/feed", "training/recipe"),
    *("treatments/calibrated_temperature", "functional/prob", "methods/base", "methods/kd", "methods/none"),
    *("data/views", "data/geometry", "data/photometry", "data/hashing", "models/taps", "models/feature"),
    "models/student_blocks",
)


@pytest.mark.parametrize("name", [*(f"suitability/{name}" for name in HERE), *ELSEWHERE])
def test_a_changed_file_makes_old_scorecards_worthless(tmp_path, monkeypatch, name):
    """Each file that decides a number, in a copy of the package."""
    package = scorecard.Path(scorecard.__file__).parents[1]
    for path in package.rglob("*.py"):
        copy = tmp_path / path.relative_to(package)
        copy.parent.mkdir(exist_ok=True, parents=True)
        copy.write_bytes(path.read_bytes())
    monkeypatch.setattr(scorecard, "__file__", str(tmp_path / "suitability" / "scorecard.py"))
    first = scorecard.code_version()
    with (tmp_path / f"{name}.py").open("a") as file:
        file.write("# changed\n")
    assert scorecard.code_version() != first


def test_scorecards_of_older_code_are_still_judged(tmp_path, monkeypatch):
    """A key says what need not be computed again; what was computed is read whatever code made it."""
    card = scorecard.Scorecard(
        "t", "h", "vit", "labels", 1, "s", "d", "split", {"cka": 0.5}, key=scorecard.make_key(a=1)
    )
    scorecard.save_scorecards(tmp_path / "suitability.json", [card])
    monkeypatch.setattr(scorecard, "code_version", lambda: "newer")
    assert scorecard.make_key(a=1) != card.key
    assert scorecard.load_scorecards(tmp_path / "suitability.json") == [card]
