"""``report.pdf``: the document, set by Typst (the PyPI package ``typst``, extra ``report``)."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from alambic.errors import AlambicError
from alambic.report.chapters.blocks import Block, Figure, Section
from alambic.report.chapters.document import compose_document
from alambic.report.chapters.tables import Entry, Table
from alambic.report.facts.fact import Fact
from alambic.report.facts.findings import Findings
from alambic.report.print.measure import Ruler, clean, measure_all
from alambic.report.print.svg import paint
from alambic.report.print.tables import lay
from alambic.report.stamp import write_stamp
from alambic.report.words.texts import read_texts
from alambic.report.words.wording import Lang, hold


def render_pdf(findings: Findings, lang: Lang) -> bytes:
    """The document as PDF/1.7 with its facts attached. Equal ledgers give equal bytes.

    Raises AlambicError where the package ``typst`` is missing.
    """
    sections = [section.without_hints() for section in compose_document(findings, lang)]
    return set_pdf(findings.name, read_texts(lang)["report"], sections, findings.facts.all, lang)


def set_pdf(title: str, subtitle: str, sections: Sequence[Section], facts: Sequence[Fact], lang: Lang) -> bytes:
    """Chapters as PDF/1.7, empty ones left out. Raises AlambicError where the package ``typst`` is missing."""
    try:
        import typst  # noqa: F401
    except ImportError as error:
        raise AlambicError('a PDF expected the package typst, got none; try pip install "alambic[report]"') from error
    kept = [replace(s, blocks=tuple(_space(b, lang) for b in s.blocks)) for s in sections if s.blocks]
    tables = [item for section in kept for item in section.blocks if isinstance(item, Table)]
    content: dict[str, Any] = {"title": clean(title), "subtitle": subtitle, "lang": lang}
    try:
        ruler = measure_all(tables, ask_typst)
        content["sections"] = [{"title": s.title, "blocks": _blocks(s.blocks, lang, ruler)} for s in kept]
        content["stamp"] = write_stamp(facts, lang)
        with tempfile.TemporaryDirectory() as folder:
            return _set(Path(folder), content)
    except RuntimeError as error:
        raise AlambicError(f"the PDF of {title} could not be set: {error}") from error


def _space(block: Block, lang: Lang) -> Block:
    """A table whose French signs have their space, before it is measured."""
    if lang != "fr" or not isinstance(block, Table):
        return block
    heads = tuple((hold(head, lang), name, numeric) for head, name, numeric in block.heads)
    return replace(block, heads=heads, rows=[[_space_cell(cell, lang) for cell in row] for row in block.rows])


def _space_cell(cell: Entry, lang: Lang) -> Entry:
    return cell if cell.quoted else replace(cell, text=hold(cell.text, lang), note=hold(cell.note, lang))


def _set(place: Path, content: dict[str, Any]) -> bytes:
    import typst

    (place / "data.json").write_text(json.dumps(content), encoding="utf-8")
    (place / "report.typ").write_text((Path(__file__).parent / "report.typ").read_text("utf-8"), encoding="utf-8")
    return bytes(typst.compile(str(place / "report.typ"), root=str(place), format="pdf"))


def ask_typst(source: str, data: Any) -> Any:
    """What the label <widths> of a source holds, whose data lie beside it as data.json."""
    import typst

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "data.json").write_text(json.dumps(data), encoding="utf-8")
        (Path(folder) / "ask.typ").write_text(source, encoding="utf-8")
        (found,) = json.loads(typst.query(str(Path(folder) / "ask.typ"), "<widths>", field="value", root=folder))
        return found


def _blocks(items: Sequence[Block], lang: Lang, ruler: Ruler) -> list[dict[str, Any]]:
    """What the template needs; a heading goes with a table that is set across a page of its own."""
    told: list[dict[str, Any]] = []
    for item in items:
        block = _block(item, lang, ruler)
        if block.get("across"):
            block["title"] = told.pop()["text"] if told and told[-1]["kind"] == "heading" else ""
        told.append(block)
    return told


def _block(item: Block, lang: Lang, ruler: Ruler) -> dict[str, Any]:
    if isinstance(item, str):
        return {"kind": "heading", "text": clean(item)}
    if isinstance(item, Figure):
        return {"kind": "figure", "svg": paint(item.drawing), "caption": hold(item.caption, lang)}
    if isinstance(item, Table):
        return lay(item, ruler)
    return {"kind": "claim", "tone": item.tone, "text": hold(clean(item.text(lang)), lang)}
