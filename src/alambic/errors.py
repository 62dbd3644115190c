"""The one error type that a user sees, and the one way to say "did you mean", a reason, and how a process ended."""

from __future__ import annotations

import difflib
import re
import tempfile
from collections.abc import Iterable


class AlambicError(Exception):
    """What went wrong, for a person: expected ..., got ..., because ..., try ...

    The command line prints it without a traceback; in Python it is an ordinary exception.
    """


class Skip(AlambicError):
    """A combination that cannot work, with the reason: data in a study, an error in a single run."""


def nearest(name: str, options: Iterable[str], count: int = 3) -> str:
    """Text that names the closest options to a mistyped name, for the end of an error message."""
    known = sorted(options)
    plain = {item.casefold(): item for item in known}  # what differs by capitals alone is the closest there is
    close = difflib.get_close_matches(name.casefold(), plain, n=count, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(repr(plain[item]) for item in close) + "?"
    shown = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
    return f"known names: {shown or 'none'}"


def show_plainly(text: str) -> str:
    """Text for a terminal: control characters, which could move its cursor or set its title, as their codes."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def one_line(error: object) -> str:
    """A reason on one line, to be stored: any white space as one space, no folder of a file that is temporary."""
    temporary = rf"{re.escape(tempfile.gettempdir())}/{tempfile.gettempprefix()}\w{{8}}/(?:[^\s/:]+/)*"
    return " ".join(re.sub(temporary, "", str(error)).split())


DEATHS = {-6: "an abort of a native library", -9: "often a lack of memory", -11: "a crash of a native library"}


def explain_exit(code: int | None) -> str:
    """A process's exit code, and what it means where a signal ended it."""
    return f"exit code {code}" + (f", {DEATHS[code]}" if code in DEATHS else "")
