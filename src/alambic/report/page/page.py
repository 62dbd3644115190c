"""The report as one HTML file: offline, light and dark, in print; everything from the ledger is escaped."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from alambic.errors import AlambicError
from alambic.files import write_atomic
from alambic.report.chapters import tables
from alambic.report.chapters.answers import name_student, say_answers, say_caveats, say_purpose, say_sight
from alambic.report.chapters.blocks import Figure
from alambic.report.chapters.chip import describe_chip
from alambic.report.chapters.claims import Claim
from alambic.report.chapters.document import compose_document
from alambic.report.chapters.figures import Legend, draw_differences, draw_falls, draw_heat
from alambic.report.chapters.plots import draw_curves, draw_sizes
from alambic.report.chapters.tables import Table
from alambic.report.facts.findings import Findings, find
from alambic.report.stamp import write_stamp
from alambic.report.words.texts import read_texts
from alambic.report.words.wording import LANGS, Lang, show_fact
from alambic.suitability.gains import SETTING as SHARED
from alambic.suitability.gains import describe_setting

HERE = Path(__file__).parent
HASH = re.compile("[0-9a-f]{32,}")


def write_report(ledger_path: Path, out: Path, lang: Lang = "en") -> Path:
    """Writes the report of a ledger to ``out`` (a folder: ``report.html`` in it) and returns the file's path.

    Equal ledgers give equal bytes. Raises AlambicError for an unknown language or a ledger without finished cells.
    """
    if lang not in LANGS:
        raise AlambicError(f"expected a language of {LANGS}, got {lang!r}")
    target = out / "report.html" if out.suffix != ".html" else out
    page = render_report(find(ledger_path), lang)
    write_atomic(target, lambda part: part.write_text(page, encoding="utf-8"))
    return target


def render_report(findings: Findings, lang: Lang) -> str:
    """The page's text."""
    texts, legend = read_texts(lang), Legend(findings, lang)
    script, style = (HERE / "page.js").read_text("utf-8"), (HERE / "page.css").read_text("utf-8")
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    each = findings.students
    chapters = {section.key: section for section in compose_document(findings, lang)}
    caveats = say_caveats(findings)
    curves = [(name_student(found, findings), draw_curves(found, findings, lang, texts, legend)) for found in each]
    content: dict[str, Any] = {
        "lang": lang,
        "t": texts,
        "findings": findings,
        "purpose": findings.purpose,
        "purpose_claim": say_purpose(findings),
        "sight": say_sight(findings),
        "answers": [(name_student(found, findings), claims) for found, claims in say_answers(findings)],
        "caveats": caveats,
        "chapters": chapters,
        "limits": [claim for claim in chapters["limits"].claims if claim not in caveats],
        "kind": lambda block: next(
            (kind.__name__ for kind in (Claim, Figure, Table) if isinstance(block, kind)), "str"
        ),
        "differences": draw_differences(findings, lang, texts),
        "heat": [(name_student(f, findings), drawn) for f in each if (drawn := draw_heat(f, findings, lang, texts))],
        "sizes": draw_sizes(findings, lang, texts, legend),
        "curves": [(name, drawn) for name, drawn in curves if drawn is not None],
        "falls": draw_falls(findings, lang, texts, legend),
        "differences_table": tables.tabulate_differences(findings, lang, texts),
        "chip": describe_chip(findings, lang, legend),
        "costs_table": tables.tabulate_costs(findings, lang, texts),
        "cells_table": tables.tabulate_cells(findings, lang, texts),
        "left_out_table": tables.tabulate_left_out(findings, texts),
        "teachers_table": tables.tabulate_teachers(findings, lang, texts),
        "banks_table": tables.tabulate_banks(findings, lang, texts),
        "sources_table": tables.tabulate_sources(findings, texts),
        "facts_table": tables.tabulate_facts(findings.facts.all, lang, texts),
        "settings": list_settings(findings),
        "script": Markup(script),
        "style": Markup(style),
        # the browser runs this very script and no other, whatever a name in the ledger may hold
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "stamp": lambda: write_stamp(findings.facts.all, lang),
        "show": lambda fact: show_fact(fact, lang),
    }
    return environment.get_template("page.html.j2").render(content)


def list_settings(findings: Findings) -> list[tuple[int, list[tuple[str, list[tuple[str, str]]]]]]:
    """Per setting: data, views, recipe and environment as (part, [(name, value)])."""
    found = []
    for number in range(1, findings.settings + 1):
        content = next(group for group in findings.groups if group.setting == number).rows[0].content
        content = {**content, **describe_setting(content)}  # what the setting's arms share, not the first one's own
        parts = [(name, _flat(content[name])) for name in SHARED if content.get(name) not in (None, {}, [])]
        found.append((number, parts))
    return found


def _flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [pair for key, item in value.items() for pair in _flat(item, f"{prefix}.{key}" if prefix else key)]
    if value is None or value in ("", [], ()):
        return [(prefix, "–")]
    if isinstance(value, bool):
        return [(prefix, str(value).lower())]
    if isinstance(value, list):
        return [(prefix, ", ".join(map(str, value)))]
    return [(prefix, f"{value[:12]}…" if isinstance(value, str) and HASH.fullmatch(value) else str(value))]
