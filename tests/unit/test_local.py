"""The local executor's workers and a person's Ctrl-C, which reaches the driver and every worker at once."""

import signal

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
