"""The local executor's workers and a person's Ctrl-C, which reaches the driver and every worker at once."""

import os
import signal
from collections import deque
from types import SimpleNamespace

import pytest

from alambic.study import local


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
