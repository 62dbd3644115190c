"""``report.pdf``: the document, set by Typst (the PyPI package ``typst``, extra ``report``)."""

from __future__ import annotations

import json
import math
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alambic.errors import AlambicError
from alambic.report.blocks import Block, Figure, Section
from alambic.report.document import compose_document
from alambic.report.facts import Fact
from alambic.report.findings import Findings
from alambic.report.print_svg import paint
from alambic.report.stamp import write_stamp
from alambic.report.tables import Table
from alambic.report.texts import read_texts
from alambic.report.wording import Lang, hold

FEW_COLUMNS, MANY_COLUMNS = 4, 8  # beyond many a table is set small
LONG, MARGIN = 14, 3  # letters: what is longer takes a second line; what a column leaves free beside its text
CONTROL, BREAKS = re.compile(r"[\x00-\x1f]"), re.compile(r"[ -]")  # a no-break space is none


def render_pdf(findings: Findings, lang: Lang) -> bytes:
    """The document as PDF/1.7 with its facts attached. Equal ledgers give equal bytes.

    Raises AlambicError where the package ``typst`` is missing.
    """
    sections = [section.without_hints() for section in compose_document(findings, lang)]
    return set_pdf(findings.name, read_texts(lang)["report"], sections, findings.facts.all, lang)


def set_pdf(title: str, subtitle: str, sections: Sequence[Section], facts: Sequence[Fact], lang: Lang) -> bytes:
    """Chapters as PDF/1.7, empty ones left out. Raises AlambicError where the package ``typst`` is missing."""
    try:
        import typst
    except ImportError as error:
        raise AlambicError('a PDF expected the package typst, got none; try pip install "alambic[report]"') from error
    content = {
        "title": _clean(title),
        "subtitle": subtitle,
        "lang": lang,
        "sections": [
            {"title": section.title, "blocks": [_block(item, lang) for item in section.blocks]}
            for section in sections
            if section.blocks
        ],
        "stamp": write_stamp(facts, lang),
    }
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "data.json").write_text(json.dumps(content), encoding="utf-8")
        (place / "report.typ").write_text((Path(__file__).parent / "report.typ").read_text("utf-8"), encoding="utf-8")
        try:
            return bytes(typst.compile(str(place / "report.typ"), root=folder, format="pdf"))
        except RuntimeError as error:
            raise AlambicError(f"the PDF of {title} could not be set: {error}") from error


def _clean(text: str) -> str:
    return CONTROL.sub(" ", text)


def _block(item: Block, lang: Lang) -> dict[str, Any]:
    if isinstance(item, str):
        return {"kind": "heading", "text": _clean(item)}
    if isinstance(item, Figure):
        return {"kind": "figure", "svg": paint(item.drawing), "caption": hold(item.caption)}
    if isinstance(item, Table):
        return _table(item)
    return {"kind": "claim", "tone": item.tone, "text": hold(_clean(item.text(lang)))}


def _table(table: Table) -> dict[str, Any]:
    texts = [[_clean(f"{cell.text} {cell.note}".strip()) for cell in row] for row in table.rows]
    wide = [any("wide" in row[i].class_ for row in table.rows) for i in range(len(table.heads))]
    columns: list[str | int] = ["wide" if is_wide else "auto" for is_wide in wide]
    dense = len(wide) > MANY_COLUMNS
    if dense or (any(wide) and len(wide) > FEW_COLUMNS):
        # columns as wide as their texts would leave the wide ones no room, or run into each other
        heads = [head for head, _, _ in table.heads]
        columns = [_weigh(column) for column in zip(heads, *texts, strict=True)]
    return {
        "kind": "table",
        "dense": dense,
        "heads": [head for head, _, _ in table.heads],
        "numeric": [numeric for _, _, numeric in table.heads],
        "columns": columns,
        "rows": texts,
    }


def _weigh(column: Sequence[str]) -> int:
    """The share of a column of texts: room for its longest word, and for more where its texts are longer.

    Rows are lowest where the widths of long texts go with the root of their lengths.
    """
    word = max((len(word) for text in column for word in BREAKS.split(text)), default=1)
    longest = max(map(len, column))
    return MARGIN + max(word, min(LONG, longest), round(2 * math.sqrt(longest)))
