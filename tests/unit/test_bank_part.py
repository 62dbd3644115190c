"""A stopped or killed filling of a bank goes on, bit for bit; what is damaged or another's is thrown away."""

import errno
import json
import os
import threading
import time

import numpy as np
import pytest
import torch

from alambic.data import DataSpec, ViewSpec, from_arrays
from alambic.errors import AlambicError
from alambic.models.teacher import TeacherSpec
from alambic.models.teachers import load_teacher
from alambic.training import bank_part, stop
from alambic.training.bank import Bank, build_bank
from alambic.training.bank_part import ABANDONED, BLOCK, owning
from alambic.training.setup import live_feed

VIEWS = ViewSpec(count=3, flip=True, shift=1)
BLOCKS = 9  # three a view


@pytest.fixture(scope="module")
def scene():
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (2 * BLOCK + 200, 1, 8, 8)).astype(np.uint8)
    source = from_arrays(images, np.arange(len(images)) % 3, spec=DataSpec("arrays", tune=50, test=0.1))
    torch.manual_seed(0)
    teacher = load_teacher("small", TeacherSpec("zoo:resnet8_w8"), 3, 1, (8, 8), source.mean, source.std)
    ids = source.splits["train"]
    return Counting(live_feed(teacher, source, VIEWS, frozenset({"logits", "energy"}), ids)), ids


class Counting:
    """A live teacher that notes the blocks it was asked for, and fails where a test says so."""

    def __init__(self, feed):
        self.feed, self.spec, self.asked, self.fail = feed, feed.spec, [], None

    def __call__(self, ids, views):
        outputs = self.feed(ids, views)
        if len(ids) > 2:
            self.asked.append((int(views[0]), int(ids[0])))
            if self.fail is not None:
                self.fail(outputs)
        return outputs


def build(scene, folder, after=None, error=None, say=None):
    """Builds the bank, or raises after so many blocks; the blocks that the teacher was asked for."""
    feed, ids = scene
    feed.asked = []

    def progress(done, todo):
        if len(feed.asked) == after:
            raise error

    path = build_bank(folder, feed, ids, VIEWS.count, {"teacher": "t"}, progress, say)
    return path, len(feed.asked)


def stop_after(scene, folder, blocks, error):
    with pytest.raises(type(error)):
        build(scene, folder, blocks, error)
    assert not list(folder.glob("*/bank.json"))


def contents(path):
    return {file.name: file.read_bytes() for file in path.glob("*.npy")}


@pytest.mark.parametrize("error", [stop.Stopped(), KeyboardInterrupt()])
def test_a_stopped_filling_goes_on_bit_for_bit(scene, tmp_path, error):
    whole, all_blocks = build(scene, tmp_path / "whole")
    assert all_blocks == BLOCKS
    stop_after(scene, tmp_path / "out", 4, error)
    stop_after(scene, tmp_path / "out", 2, error)
    said = []
    path, blocks = build(scene, tmp_path / "out", say=said.append)
    assert blocks == BLOCKS - 6
    assert contents(path) == contents(whole)
    assert len(said) == 1
    assert "images are missing: going on" in said[0]
    assert [file.name for file in (tmp_path / "out").iterdir()] == [path.name]
    assert {file.name for file in path.iterdir()} == {*contents(path), "bank.json"}
    Bank(path, verify=scene[0])


def test_a_killed_filling_goes_on_from_its_last_mark(scene, tmp_path, monkeypatch):
    monkeypatch.setattr(bank_part, "MARK_EVERY", -1.0)
    kept = {}

    def kill(outputs):
        if len(scene[0].asked) == 6:
            (folder,) = (tmp_path / "out").glob(".*.filling")
            kept.update({file.name: file.read_bytes() for file in folder.iterdir()})
            raise KeyboardInterrupt

    monkeypatch.setattr(scene[0], "fail", kill)
    stop_after(scene, tmp_path / "out", None, KeyboardInterrupt())
    monkeypatch.setattr(scene[0], "fail", None)
    (folder,) = (tmp_path / "out").glob(".*.filling")
    for name, content in kept.items():  # as a SIGKILL in the sixth block leaves it
        (folder / name).write_bytes(content)
    path, blocks = build(scene, tmp_path / "out")
    assert blocks == BLOCKS - 5
    assert contents(path) == contents(build(scene, tmp_path / "whole")[0])


def damage_array(part):
    array = np.load(part / "logits.npy", mmap_mode="r+")
    array[0, 3, 0] += 1
    array.flush()


def cut_array(part):
    with (part / "energy0.npy").open("r+b") as file:
        file.truncate(500)


def lose_array(part):
    (part / "energy0.npy").unlink()


def reshape_array(part):
    np.save(part / "logits.npy", np.zeros((3, 5, 3), np.float16))


def damage_mark(part):
    (mark,) = part.glob("mark-*")
    mark.write_text(mark.read_text()[:20])


def overstate_mark(part):
    (mark,) = part.glob("mark-*")
    mark.write_text(json.dumps({**json.loads(mark.read_text()), "blocks": 5}))


def lose_mark(part):
    (mark,) = part.glob("mark-*")
    mark.unlink()


@pytest.mark.parametrize(
    "damage", [damage_array, cut_array, lose_array, reshape_array, damage_mark, overstate_mark, lose_mark]
)
def test_a_damaged_or_foreign_part_is_thrown_away(scene, tmp_path, damage):
    stop_after(scene, tmp_path / "out", 4, stop.Stopped())
    (part,) = (tmp_path / "out").glob(".*.filling")
    damage(part)
    path, blocks = build(scene, tmp_path / "out")
    assert blocks == BLOCKS
    assert contents(path) == contents(build(scene, tmp_path / "whole")[0])


def test_a_part_that_cannot_end_well_is_removed(scene, tmp_path, monkeypatch):
    monkeypatch.setattr(scene[0], "fail", lambda outputs: outputs.logits.fill_(1e6))
    with pytest.raises(AlambicError, match="finite in float16"):
        build(scene, tmp_path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(scene[0], "fail", None)

    def full(handle, start, size):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(AlambicError, match=r"cannot write the bank .*: No space left on device; try another folder"):
        build(scene, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_one_process_fills_and_the_other_waits_and_takes_the_bank(scene, tmp_path, monkeypatch):
    monkeypatch.setattr(bank_part, "WAIT", 0.01)
    whole, _ = build(scene, tmp_path / "whole")
    said, made = [], []
    with owning(tmp_path / whole.name) as part:
        other = threading.Thread(target=lambda: made.append(build(scene, tmp_path, say=said.append)))
        other.start()
        deadline = time.monotonic() + 60
        while not said and time.monotonic() < deadline:
            time.sleep(0.01)
        assert "another process fills the bank" in said[0]
        assert not made
        assert not list(part.iterdir()), "the other one wrote into a part that is not its own"
        for file in whole.iterdir():
            (part / file.name).write_bytes(file.read_bytes())
        part.replace(tmp_path / whole.name)
    other.join(60)
    assert made == [(tmp_path / whole.name, 0)]
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(["whole", whole.name])


def test_a_part_of_a_study_that_changed_goes_after_a_week(scene, tmp_path):
    old, new = tmp_path / ".old.filling", tmp_path / ".new.filling"
    for part in (old, new):
        part.mkdir()
        (part / "logits.npy").write_text("half")
    past = time.time() - ABANDONED - 100
    for path in (old, old / "logits.npy", new):
        os.utime(path, (past, past))
    build(scene, tmp_path)
    assert not old.exists()
    assert new.exists()
