"""Where a ledger is and where its report goes: each form that a person types, and files that are neither."""

from __future__ import annotations

import json
import os
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import pytest

from alambic.cli import main
from alambic.errors import AlambicError
from alambic.report.check import check_report
from alambic.report.page.page import write_report
from alambic.report.print import pdf as pages
from alambic.report.stamp import MARK, PART, read_stamp
from alambic.report.talk import slides
from alambic.study.archive import write_archive
from report_ledger import make_ledger


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_ledger(tmp_path_factory.mktemp("run") / "ledger.sqlite", seeds=3, images=200)


@pytest.fixture
def kept(ledger: Path, tmp_path: Path) -> Path:
    pytest.importorskip("pyarrow")
    write_archive(ledger, tmp_path / "kept")
    return tmp_path / "kept"


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other formats than HTML as one word each: these tests read names only."""
    monkeypatch.setattr(pages, "render_pdf", lambda findings, lang: b"pdf")
    monkeypatch.setattr(slides, "render_slides", lambda findings, lang: b"slides")


def test_an_exported_ledger_is_not_exported_again(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study", "export", str(kept), "--out", str(tmp_path / "kept2")]) == 2
    assert f"got the folder {kept}, because it is exported already" in capsys.readouterr().err
    assert not (tmp_path / "kept2").exists()


def test_a_run_folder_stands_for_its_ledger(ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(ledger.parent)
    assert main(["report", run, "--out", str(tmp_path)]) == 0
    assert main(["report", run, "--check", str(tmp_path / "report.html")]) == 0
    assert main(["study", "export", run, "--out", str(tmp_path / "kept")]) == 0
    assert main(["report", str(tmp_path / "kept"), "--out", str(tmp_path / "again.html")]) == 0
    assert (tmp_path / "again.html").read_bytes() == (tmp_path / "report.html").read_bytes()


@pytest.mark.parametrize("words", ["report {0}", "study export {0} --out {0}/kept"])
def test_a_folder_without_a_ledger_says_so(words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.format(tmp_path).split()) == 2
    assert f"{tmp_path}, a folder without ledger.sqlite or meta.parquet" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_that_no_one_can_write_is_exported_and_checked(
    ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    written = write_report(ledger, tmp_path)
    connect, access = sqlite3.connect, os.access

    def connect_where_no_one_writes(address: Any, *given: Any, **named: Any) -> sqlite3.Connection:
        if str(address).startswith(ledger.as_uri()) and "immutable=1" not in address:
            raise sqlite3.OperationalError("unable to open database file")
        return connect(address, *given, **named)

    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != ledger.parent and access(path, mode))
    monkeypatch.setattr(sqlite3, "connect", connect_where_no_one_writes)
    checked = check_report(written, ledger)
    assert checked.queries > 40
    assert not checked.differences
    write_archive(ledger, tmp_path / "kept")
    assert (tmp_path / "kept" / "cells.parquet").is_file()


@pytest.mark.parametrize(
    ("out", "formats", "written"),
    [
        ("report.html", "html pdf slides", "report.html report.pdf slides.pptx"),
        ("v1.2", "html pdf slides", "v1.2/report.html v1.2/report.pdf v1.2/slides.pptx"),
        ("v1.2", "pdf", "v1.2/report.pdf"),
        ("mine.pdf", "pdf", "mine.pdf"),
        ("mine.pptx", "slides", "mine.pptx"),
        ("mine.html", "html pdf slides", "mine.html mine.pdf mine.pptx"),
        ("mine.pdf", "html", "mine.html"),
        ("slides.pptx", "pdf slides", "report.pdf slides.pptx"),
    ],
)
@pytest.mark.usefixtures("fast")
def test_a_report_goes_where_out_says(
    out: str, formats: str, written: str, ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(ledger), "--format", *formats.split(), "--out", str(tmp_path / out)]) == 0
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == set(written.split())
    assert capsys.readouterr().out.split() == [str(tmp_path / name) for name in written.split()]


@pytest.mark.usefixtures("fast")
def test_a_report_goes_beside_its_ledger(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(ledger.parent), "--format", "pdf"]) == 0
    assert Path(capsys.readouterr().out.strip()) == ledger.with_name("report.pdf")


def stamp_with(**changes: Any) -> str:
    told = {MARK: 1, "lang": "en", "source": "0", "facts": [[1, "cells/done", 3, None, None, "0"]]}
    return json.dumps(told | changes)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        "3",
        stamp_with(lang=[]),
        stamp_with(facts=3),
        stamp_with(facts=[3]),
        stamp_with(facts=[[1, "cells/done"]]),
        stamp_with(facts=[[1, "cells/done", "three", None, None, "0"]]),
    ],
)
def test_a_broken_stamp_is_told(text: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(f'<meta name="{MARK}" content="{text.replace(chr(34), "&#34;")}">')
    with pytest.raises(AlambicError, match=r"report\.html: expected .* the file was changed"):
        read_stamp(page)


def write_zip(path: Path, part: bytes) -> None:
    with zipfile.ZipFile(path, "w") as parts:
        parts.writestr(PART, part)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pptx", b"no zip"),
        ("a.html", "é".encode("latin-1")),
        ("a.html", b"a page"),
        ("a.pdf", b'stream\n{"' + MARK.encode() + b'": \xff\nendstream'),
        ("a.txt", b"text"),
    ],
)
def test_a_foreign_file_is_no_report(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AlambicError, match=r"expected a report .* that alambic report wrote"):
        read_stamp(tmp_path / name)


def test_foreign_slides_are_no_report(tmp_path: Path) -> None:
    for part in (b"\xff", b"<other/>"):
        write_zip(tmp_path / "a.pptx", part)
        with pytest.raises(AlambicError, match=r"expected a report .* that alambic report wrote"):
            read_stamp(tmp_path / "a.pptx")


def test_a_missing_report_is_told(ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(ledger), "--check", str(tmp_path / "none.html")]) == 2
    assert f"expected a report at {tmp_path / 'none.html'}, got none: there is no such file" in capsys.readouterr().err
