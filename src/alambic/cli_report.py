"""``alambic report``: writes the report of a ledger, and checks one that was written."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from alambic.errors import AlambicError

SHOWN = 12  # differences that are printed one by one


def add_commands(commands: Any) -> None:
    """Adds ``report`` to the parser's commands."""
    report = commands.add_parser("report", help="write the report of a ledger, or check a written one")
    report.add_argument("ledger", type=Path, nargs="?", help="with --check: ledger.sqlite beside the report by default")
    report.add_argument("--out", type=Path, help="the HTML file, or a folder; the ledger's folder by default")
    report.add_argument("--format", nargs="+", choices=("html", "pdf", "slides"), default=["html"], dest="formats")
    report.add_argument("--lang", choices=("en", "fr"), default="en")
    report.add_argument(
        "--check", type=Path, metavar="PATH", help="compute each fact of this report again, and compare"
    )
    report.set_defaults(run=make_report)


def make_report(options: argparse.Namespace) -> int:
    """Writes or checks; 1 where a check finds a difference."""
    if options.check is not None:
        return check_written(options.check, options.ledger or options.check.parent / "ledger.sqlite")
    if options.ledger is None:
        raise AlambicError("expected a ledger to report on, got none; try alambic report runs/NAME/ledger.sqlite")
    if "html" in options.formats:
        print(write_report_of(options.ledger, options.out, options.lang).resolve())
    out = options.out or options.ledger.parent
    for name in options.formats:
        if name != "html":
            print(write_other(options.ledger, out.parent if out.suffix else out, name, options.lang).resolve())
    return 0


def write_other(ledger: Path, folder: Path, name: str, lang: str) -> Path:
    """Writes ``report.pdf`` or ``slides.pptx``."""
    from alambic.files import write_atomic
    from alambic.report.findings import find

    findings = find(ledger)
    if name == "pdf":
        from alambic.report.print import render_pdf

        target, content = folder / "report.pdf", render_pdf(findings, "fr" if lang == "fr" else "en")
    else:
        from alambic.report.slides import render_slides

        target, content = folder / "slides.pptx", render_slides(findings, "fr" if lang == "fr" else "en")
    write_atomic(target, lambda part: part.write_bytes(content))
    return target


def write_report_of(ledger: Path, out: Path | None = None, lang: str = "en") -> Path:
    from alambic.report.page import write_report

    return write_report(ledger, out or ledger.parent / "report.html", "fr" if lang == "fr" else "en")


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
