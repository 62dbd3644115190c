"""``alambic report``: writes the report of a ledger, and checks one; ``alambic examine``: what a ledger cannot hold."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alambic.errors import AlambicError

if TYPE_CHECKING:  # help must answer at once
    from alambic.report.facts.findings import Findings
    from alambic.report.words.wording import Lang

FEWEST = 100
SHOWN = 12  # differences that are printed one by one
NAMES = {"html": "report.html", "pdf": "report.pdf", "slides": "slides.pptx"}  # format -> in a folder


def add_commands(commands: Any) -> None:
    """Adds ``report`` and ``examine`` to the parser's commands."""
    report = commands.add_parser("report", help="write the report of a ledger, or check a written one")
    report.add_argument(
        "ledger",
        type=Path,
        nargs="?",
        help="a ledger.sqlite, its folder, or one that `study export` wrote; with --check: the one beside the report",
    )
    report.add_argument(
        "--out",
        type=Path,
        help="a .html, .pdf or .pptx file, or else a folder; the ledger's by default; in French, fr in it",
    )
    report.add_argument("--format", nargs="+", choices=tuple(NAMES), default=["html"], dest="formats")
    report.add_argument("--lang", choices=("en", "fr"), default="en")
    report.add_argument(
        "--check", type=Path, metavar="PATH", help="compute each fact of this report again, and compare"
    )
    report.set_defaults(run=make_report)
    examine = commands.add_parser(
        "examine", help="calibration, agreement with the teacher and CKA of a study's saved students, for its report"
    )
    examine.add_argument("file", type=Path, help="the study file")
    examine.add_argument("--out", type=Path, help="folder of the study's ledger and students; runs/NAME by default")
    examine.add_argument("--images", type=int, default=2000, help="of the tune split")
    examine.set_defaults(run=examine_students)


def make_report(options: argparse.Namespace) -> int:
    """Writes or checks; 1 where a check finds a difference."""
    from alambic.report.facts.findings import find
    from alambic.study.archive import locate_ledger

    if options.check is not None:
        return check_written(options.check, locate_ledger(options.ledger or _ledger_beside(options.check)))
    if options.ledger is None:
        raise AlambicError("expected a ledger to report on, got none; try alambic report runs/NAME/ledger.sqlite")
    ledger = locate_ledger(options.ledger)
    usual = ledger.parent if options.lang == "en" else ledger.parent / options.lang  # neither replaces the other
    targets = {name: _choose_file(options.out or usual, name) for name in NAMES if name in options.formats}
    for written in write_formats(find(ledger), targets, options.lang):
        print(written.resolve())
    return 0


def write_formats(findings: Findings, targets: Mapping[str, Path], lang: Lang) -> Iterator[Path]:
    """Writes a ledger's findings, read once, in some formats (of ``NAMES``), and gives each file once it is there.

    What a format shows it adds to the facts of its findings, so each gets some of its own.
    """
    from alambic.files import write_atomic

    for name, target in targets.items():
        content = _render(name, copy.deepcopy(findings), lang)
        write_atomic(target, lambda part, content=content: part.write_bytes(content))  # type: ignore[misc]
        yield target


def _render(name: str, findings: Findings, lang: Lang) -> bytes:
    if name == "pdf":
        from alambic.report.print.pdf import render_pdf

        return render_pdf(findings, lang)
    if name == "slides":
        from alambic.report.talk.slides import render_slides

        return render_slides(findings, lang)
    from alambic.report.page.page import render_report

    return render_report(findings, lang).encode()


def _choose_file(out: Path, name: str) -> Path:
    """Where a format goes: ``out`` is a folder, or a file whose stem all formats share; our own names stay as they are.

    >>> _choose_file(Path("runs/v1.2"), "pdf"), _choose_file(Path("mine.html"), "pdf")
    (PosixPath('runs/v1.2/report.pdf'), PosixPath('mine.pdf'))
    >>> _choose_file(Path("report.html"), "slides")
    PosixPath('slides.pptx')
    """
    usual = NAMES[name]
    if out.name in NAMES.values():
        return out.with_name(usual)
    if out.suffix in {Path(each).suffix for each in NAMES.values()}:
        return out.with_suffix(Path(usual).suffix)
    return out / usual


def _ledger_beside(report: Path) -> Path:
    """``ledger.sqlite``, or the folder ``ledger`` of Parquet files that stands for it in a repository.

    A French report stands in a folder of its own beside them.
    """
    folder = report.parent.parent if report.parent.name == "fr" else report.parent
    exported = folder / "ledger"
    ledger = folder / "ledger.sqlite"
    return exported if exported.is_dir() and not ledger.exists() else ledger


def examine_students(options: argparse.Namespace) -> int:
    """Writes examination.json beside the study's ledger."""
    from contextlib import closing

    import torch

    from alambic.report.chapters.examine import examine, find_saved, load_study_teachers
    from alambic.study.ledger import Ledger
    from alambic.study.study_file import read_study

    if options.images < FEWEST:
        raise AlambicError(f"expected --images of at least {FEWEST}, got {options.images}: fewer tell no calibration")
    study = read_study(options.file)
    out = options.out or Path("runs") / study.name
    with closing(Ledger(out / "ledger.sqlite", read_only=True)) as ledger:
        find_saved(ledger, out)  # before the teachers, which would be trained in a folder that has none
    torch.set_num_threads(max(1, study.execution.threads))
    torch.set_flush_denormal(True)
    print(examine(study, load_study_teachers(study, out, print), out, options.images, print))
    return 0


def write_report_of(ledger: Path) -> Path:
    """Writes the English page beside a ledger."""
    from alambic.report.page.page import write_report

    return write_report(ledger, ledger.parent / "report.html")


def check_written(path: Path, ledger: Path) -> int:
    """Prints what was compared and what differs."""
    from alambic.report.check import check_report

    checked = check_report(path, ledger)
    print(f"{path}: {checked.facts} facts computed again from {ledger}, {checked.queries} of them by their query too")
    print(f"{checked.shown} places compared: {len(checked.differences) or 'no'} differences")
    for line in checked.differences[:SHOWN]:
        print(f"  {line}")
    if len(checked.differences) > SHOWN:
        print(f"  and {len(checked.differences) - SHOWN} more")
    if checked.notice:
        print(checked.notice)
    return 1 if checked.differences else 0
