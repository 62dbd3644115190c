"""The local executor's workers and a person's Ctrl-C, which reaches the driver and every worker at once."""

import multiprocessing
import os
import signal
from collections import deque
from types import SimpleNamespace

import pytest

from alambic.study import local, work
from alambic.training import stop


def tell_handler(pipe, prepared, out):
    pipe.send(signal.getsignal(signal.SIGINT) == signal.SIG_IGN)


def test_a_worker_leaves_an_interrupt_to_the_driver(monkeypatch, tmp_path):
    monkeypatch.setattr(local, "_serve", tell_handler)
    before = signal.getsignal(signal.SIGINT)
    worker = local._Worker(None, tmp_path)
    try:
        assert signal.getsignal(signal.SIGINT) is before
        assert worker.pipe.poll(200)
        assert worker.pipe.recv()  # else each worker would print a traceback of its own
    finally:
        worker.process.join(20)


def abort(pipe, prepared, out):
    os.abort()


@pytest.mark.parametrize(
    ("end", "told"),
    [(signal.SIGABRT, "-6, an abort of a native library"), (signal.SIGKILL, "-9, often a lack of memory")],
)
def test_a_death_is_explained(monkeypatch, tmp_path, end, told):
    monkeypatch.setattr(local, "_serve", abort)
    worker = local._Worker(None, tmp_path)
    if end != signal.SIGABRT:
        worker.process.kill()
    cell = SimpleNamespace(id="a")
    worker.cells = {"a": cell}
    deaths = {"a": 1}
    (event,) = local._bury(worker, deque(), deaths)
    assert (event.kind, event.cell) == ("failed", cell)
    assert event.detail == f"its process died twice (exit code {told})"


@pytest.mark.parametrize("moment", ["waiting", "epoch", "done", "broken", "idle", "unread"])
def test_a_worker_without_a_driver_ends_without_a_word(monkeypatch, tmp_path, moment):
    """A traceback of it would stand on the terminal of a person whose driver was killed, or whose disk is full."""
    ours, theirs = multiprocessing.Pipe()
    cell = SimpleNamespace(id="a")

    class Shop:
        def __init__(self, prepared, out):
            pass

        def run_group(self, group, finish, on_epoch):
            if moment == "unread":  # the pipe is reset, not broken
                on_epoch("a", 0, 2)
            ours.close()
            if moment == "epoch":
                on_epoch("a", 1, 2)
            if moment == "broken":
                raise ValueError("a cell's own")
            if moment == "done":
                finish(cell, None, None)

    monkeypatch.setattr(work, "Workshop", Shop)
    monkeypatch.setattr(stop, "listen", lambda: None)
    if moment == "waiting":
        ours.close()
    else:
        ours.send((cell,))
    local._serve(theirs, None, tmp_path)
