"""Writes the committed studies' reports again: `python scripts/write_reports.py [FOLDER ...]`.

For each exported ledger below the folders (``studies`` by default) a page, a document and slides lie beside it, in
French in ``fr/``. The state of the code is part of their stamp, so they are written after the last change of it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from alambic.cli_report import NAMES, write_formats
from alambic.report.facts.findings import find
from alambic.report.words.wording import LANGS

ROOT = Path(__file__).resolve().parent.parent


def find_ledgers(folders: list[Path]) -> list[Path]:
    """Exported ledgers of studies that have a report, or are named themselves."""
    found = sorted({path.parent for folder in folders for path in folder.rglob("ledger/cells.parquet")})
    return [ledger for ledger in found if (ledger.parent / "report.html").exists() or ledger.parent in folders]


def write_reports(ledger: Path) -> None:
    """The three formats in both languages, of one reading: that takes minutes where a metric ranks many cells."""
    findings = find(ledger)
    for lang in LANGS:
        folder = ledger.parent if lang == "en" else ledger.parent / lang
        for written in write_formats(findings, {name: folder / file for name, file in NAMES.items()}, lang):
            print(written)


if __name__ == "__main__":
    for found in find_ledgers([Path(name).resolve() for name in sys.argv[1:]] or [ROOT / "studies"]):
        write_reports(found)
