"""A polite stop: on SIGTERM the step in hand ends, its state is saved, and the same command goes on later.

Nothing is interrupted: code that can stop without loss asks. A process that does not listen dies of SIGTERM as ever.
"""

from __future__ import annotations

import signal
from types import FrameType

_asked = False


class Stopped(BaseException):
    """The work ended early because it was asked to; what was computed is saved.

    Not an ``Exception``, so that nothing that records failures takes it for one.
    """


def listen() -> None:
    """From now on SIGTERM only asks. Call it in the main thread."""
    signal.signal(signal.SIGTERM, _note)


def asked() -> bool:
    """Whether a stop was asked for."""
    return _asked


def check() -> None:
    """Raises Stopped where a stop was asked for: for moments at which nothing is lost."""
    if _asked:
        raise Stopped


def _note(number: int, frame: FrameType | None) -> None:
    global _asked
    _asked = True
