"""The stamp of a written report: its facts as data, so that a later check needs no reading of sentences.

An HTML page holds it in a meta tag, a PDF as an attached file, slides as a custom XML part.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from alambic.errors import AlambicError
from alambic.report.facts.fact import Fact
from alambic.report.words.wording import LANGS, Lang

HERE = Path(__file__).parent
MARK = "alambic-facts"
META = re.compile(rf'<meta name="{MARK}" content="([^"]*)">')
STREAM = re.compile(rb"stream\r?\n(.*?)\nendstream", re.DOTALL)
PART = "customXml/item1.xml"
NUMBER = int | float
# what reading says of a file that is not what its suffix tells: another encoding; a zip that is none, cut or locked
FOREIGN = (UnicodeDecodeError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)


@dataclass(frozen=True)
class Written:
    """A fact as a report was written with it; ``rows`` is a hash of its rows' ids."""

    number: int
    name: str
    value: float
    low: float | None
    high: float | None
    rows: str


@dataclass(frozen=True)
class Stamp:
    """Language and facts of a written report; ``source`` is the hash of the code that wrote it."""

    lang: Lang
    source: str
    facts: tuple[Written, ...]


def write_stamp(facts: Iterable[Fact], lang: Lang) -> str:
    """The stamp as one line of JSON."""
    entries = [[f.number, f.name, f.value, f.low, f.high, hash_rows(f.rows)] for f in facts]
    return json.dumps({MARK: 1, "lang": lang, "source": hash_source(), "facts": entries}, ensure_ascii=True)


def read_stamp(path: Path) -> Stamp:
    """The stamp of a report.html, report.pdf or slides.pptx. Raises AlambicError where the file has none."""
    if not path.exists():
        raise AlambicError(
            f"expected a report at {path}, got none: there is no such file, so no facts are stored there; "
            "try alambic report LEDGER first"
        )
    found = {".html": _from_html, ".pdf": _from_pdf, ".pptx": _from_slides}.get(path.suffix)
    try:
        text = found(path) if found is not None and path.is_file() else None
    except OSError as error:
        raise AlambicError(f"expected a report at {path} that can be read, got: {error.strerror}") from error
    except FOREIGN:
        text = None
    if text is None:
        raise AlambicError(
            f"expected a report (.html, .pdf or .pptx) that alambic report wrote, got {path}, because no facts are "
            "stored in it; try alambic report LEDGER first"
        )
    try:
        told: dict[str, Any] = json.loads(text)
        stamp = Stamp(told["lang"], told["source"], tuple(Written(*entry) for entry in told["facts"]))
    except (ValueError, TypeError, KeyError) as error:
        raise AlambicError(f"{path}: expected facts as JSON, got {error!r}; the file was changed") from error
    if stamp.lang not in LANGS:
        raise AlambicError(f"{path}: expected a language of {LANGS}, got {stamp.lang!r}; the file was changed")
    for fact in stamp.facts:
        if not _is_whole(fact):
            raise AlambicError(f"{path}: expected a fact with its numbers, got {fact}; the file was changed")
    return stamp


def _is_whole(fact: Written) -> bool:
    numbers = isinstance(fact.value, NUMBER) and all(isinstance(x, NUMBER | None) for x in (fact.low, fact.high))
    return numbers and isinstance(fact.number, int) and isinstance(fact.name, str)


def _from_html(path: Path) -> str | None:
    found = META.search(path.read_text("utf-8"))
    return html.unescape(found.group(1)) if found else None


def _from_pdf(path: Path) -> str | None:
    start = f'{{"{MARK}"'.encode()
    for found in STREAM.finditer(path.read_bytes()):
        content = found.group(1)
        if not content.startswith(start):
            unpacker = zlib.decompressobj()  # it leaves a last \r over where that is of the line's end, not its own
            try:
                content = unpacker.decompress(content)
            except zlib.error:  # not every stream of a PDF is a deflated one
                continue
            if not unpacker.eof:
                continue
        if content.startswith(start):
            return content.decode().strip()
    return None


def _from_slides(path: Path) -> str | None:
    with zipfile.ZipFile(path) as parts:
        if PART not in parts.namelist():
            return None
        found = re.search(rf"<{MARK}[^>]*>(.*)</{MARK}>", parts.read(PART).decode(), re.DOTALL)
    return html.unescape(found.group(1)) if found else None


def hash_rows(rows: Iterable[str]) -> str:
    return hashlib.sha256(" ".join(rows).encode()).hexdigest()[:8]


@cache
def hash_source() -> str:
    """Hash of this room's code, words, templates and styles: equal ones write equal reports from equal ledgers."""
    told = hashlib.sha256()
    for path in sorted(path for path in HERE.rglob("*") if path.is_file() and path.parent.name != "__pycache__"):
        told.update(str(path.relative_to(HERE)).encode() + b"\0" + path.read_bytes())
    return told.hexdigest()[:16]
