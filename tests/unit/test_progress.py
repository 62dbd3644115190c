"""What is shown of a long step where there is no terminal: few lines, each with the time left."""

import re
from types import SimpleNamespace

import pytest

from alambic.study import follow, progress
from alambic.study.local import Event


class Clock:
    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


def watch(monkeypatch, seconds_each, count):
    clock, said = Clock(), []
    monkeypatch.setattr(follow, "time", clock)
    with follow.follow("bank of x", "images", said.append) as advance:
        for done in range(1, count + 1):
            clock.now += seconds_each
            advance(done, count)
    return said


def test_a_line_each_ten_seconds_with_the_time_left(monkeypatch):
    said = watch(monkeypatch, 4.0, 30)
    assert said[0] == "bank of x: 3 of 30 images, 1 min 48 s left"  # 12 s for 3, hence 108 s for 27
    assert len(said) == 10
    done = [int(re.search(r"(\d+) of 30", line)[1]) for line in said]
    assert done == list(range(3, 31, 3))


def test_a_short_step_says_nothing(monkeypatch):
    assert watch(monkeypatch, 0.1, 60) == []


def test_a_study_s_time_left_counts_each_cell_s_own_epochs(monkeypatch):
    """A treatment multiplies a cell's epochs (labelled only): what is left never falls below nothing."""
    clock, board = Clock(), progress.Board(4)
    monkeypatch.setattr(progress, "time", clock)
    board.started = 0.0
    first, second = (SimpleNamespace(id=name) for name in "ab")
    for cell in (first, second):
        board.show(Event("started", cell))
    assert board.seconds_left() is None
    clock.now = 10.0
    board.show(Event("epoch", first, (40, 80)))
    assert board.seconds_left() == pytest.approx(70.0)  # half of one of four
    board.show(Event("epoch", second, (4, 8)))
    assert board.seconds_left() == pytest.approx(30.0)
