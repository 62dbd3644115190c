"""A written report against its ledger: every fact is computed again, every place where it is shown is compared."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from alambic.report.facts.examined import NAME as EXAMINATION
from alambic.report.facts.fact import Fact
from alambic.report.facts.findings import Findings, find
from alambic.report.facts.suited import measure_rows
from alambic.report.page.page import render_report
from alambic.report.stamp import Stamp, hash_rows, hash_source, read_stamp
from alambic.report.words.wording import Lang, show_bounds, show_number
from alambic.study.ledger import Ledger
from alambic.suitability.judgement import pass_judgement

TOLERANCE = 1e-7  # resampling sums images in an order that another processor may choose otherwise
LINK = re.compile(r'<a class="fact" href="#F(\d+)">([^<]*)</a>(?: <span class="ci">(\[[^<]*)</span>)?')


@dataclass
class Checked:
    """What a check found.

    Attributes:
        facts: how many were computed again. queries: how many of them by their own query as well. shown: how many
            places of the report were compared. differences: one line each; empty where all agree.
        notice: what could not be compared, and why; "" where everything was.
    """

    facts: int = 0
    queries: int = 0
    shown: int = 0
    differences: list[str] = field(default_factory=list)
    notice: str = ""


def check_report(path: Path, ledger: Path) -> Checked:
    """Computes each fact of a report again from the ledger, by its query too, and compares it with what is written.

    Where the report was written by this very code, all its words and figures are made again and compared as well.

    Args:
        path: a report.html, report.pdf or slides.pptx. ledger: the one that it was made from.

    Raises AlambicError for a file that is no report of ours.
    """
    stamp = read_stamp(path)
    findings = find(ledger)
    same_code = stamp.source == hash_source()
    compare = REMADE[path.suffix](path, findings, stamp.lang)  # registers all the facts that this report shows
    known = {fact.name: fact for fact in findings.facts.all}
    checked = Checked(facts=len(known))
    _ask(ledger, findings, checked)
    if findings.scored.contradicted:
        rows = ", ".join(findings.scored.contradicted[:6])
        checked.differences.append(f"the stored predictions of {rows} do not give their stored scores")
    notices = _judge_again(findings, checked)
    compare_facts(stamp, known, same_code, checked)
    if path.suffix == ".html":
        _compare_links(_read_page(path), stamp, known, checked)
    if not checked.shown:
        checked.differences.append("the report holds no number at all that could be compared")
    if findings.examination is not None:
        notices.append(f"{EXAMINATION} was read, not computed again: that takes the students' weights, alambic examine")
    if not same_code:
        notices.append("another state of alambic wrote it: its facts were compared, its words and figures were not")
    elif not checked.differences and compare:
        checked.differences.append(f"words or figures: {compare}")
    checked.notice = "\n".join(notices)
    return checked


def _judge_again(findings: Findings, checked: Checked) -> list[str]:
    """Judges the estimators anew where this ledger holds the gains that they were judged by; else says it cannot."""
    suited = findings.suitability
    judgement = suited.judgement if suited is not None else None
    if suited is None or judgement is None:
        return []
    if suited.stale:
        return ["the judge saw other gains than this ledger's: its verdicts were read, not judged again"]
    asked = (judgement.controls, judgement.nasty, judgement.variants, judgement.reference, judgement.refits)
    gains = measure_rows([row for row in findings.rows if row.state == "done"])
    again = _flatten(asdict(pass_judgement(suited.cards, gains, *asked)))
    for name, value in _flatten(asdict(judgement)).items():
        checked.queries += 1
        new = again.get(name)
        if not (_same(value, new) if _is_number(value) and _is_number(new) else value == new):
            checked.differences.append(f"judgement.{name}: written {value}, judged again {new}")
    return []


def _flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Every leaf of nested dicts and sequences by its path."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else None
    if pairs is None:
        return {prefix: value}
    return {k: v for key, item in pairs for k, v in _flatten(item, f"{prefix}.{key}" if prefix else f"{key}").items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _ask(ledger: Path, findings: Findings, checked: Checked) -> None:
    with closing(Ledger(ledger, read_only=True)) as opened, opened.read() as db:
        for fact in findings.facts.all:
            if fact.sql:
                (value,) = db.execute(fact.sql).fetchone()
                checked.queries += 1
                if not _same(value, fact.value):
                    checked.differences.append(f"{fact.name}: its query gives {value}, the report's code {fact.value}")


def compare_facts(stamp: Stamp, known: dict[str, Fact], same_code: bool, checked: Checked) -> None:
    """Each fact of a written document with those computed now; with ``same_code`` no other may be there."""
    written = {entry.name for entry in stamp.facts}
    if same_code:
        checked.differences += [f"{name}: in the ledger only" for name in known if name not in written]
    for entry in stamp.facts:
        fact = known.get(entry.name)
        if fact is None:
            checked.differences.append(f"F{entry.number} {entry.name}: in the report only")
            continue
        checked.shown += 1
        pairs = ("", entry.value, fact.value), (" low", entry.low, fact.low), (" high", entry.high, fact.high)
        for name, was, now in pairs:
            if not _same(was, now):
                checked.differences.append(f"F{entry.number} {entry.name}{name}: written {was}, the ledger gives {now}")
        if entry.rows != hash_rows(fact.rows):
            checked.differences.append(f"F{entry.number} {entry.name}: written for other rows than the ledger's")


def _read_page(path: Path) -> str:
    """As it was written: a reason in the ledger may hold ends of line of another system, which reading would change."""
    return path.read_bytes().decode("utf-8")


def _compare_links(page: str, stamp: Stamp, known: dict[str, Fact], checked: Checked) -> None:
    names = {entry.number: entry.name for entry in stamp.facts}
    for number, shown, bounds in LINK.findall(page):
        fact = known.get(names.get(int(number), ""))
        if fact is None:
            checked.differences.append(f"F{number}: shown as {shown!r}, but stored nowhere in the report")
            continue
        checked.shown += 1
        right = {show_number(fact.value, fact.unit, stamp.lang, noun) for noun in (True, False)}
        if html.unescape(shown) not in right:
            told = " or ".join(sorted(right))
            checked.differences.append(f"F{number} {fact.name}: shown as {shown!r}, the ledger gives {told}")
        if bounds and html.unescape(bounds) != (told := show_bounds(fact, stamp.lang)):
            checked.differences.append(f"F{number} {fact.name}: interval shown as {bounds!r}, the ledger gives {told}")


def _same(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return first is second
    if first != first or second != second:
        return first != first and second != second
    return first == second or abs(first - second) <= TOLERANCE * max(1.0, abs(second))


def _remake_page(path: Path, findings: Findings, lang: Lang) -> str:
    return first_difference(_read_page(path), render_report(findings, lang))


def first_difference(written: str, made: str) -> str:
    """Where two texts part, with a few characters of each; "" where they are equal."""
    if written == made:
        return ""
    place = next(
        (i for i, (a, b) in enumerate(zip(written, made, strict=False)) if a != b), min(len(written), len(made))
    )
    around = slice(max(0, place - 20), place + 40)
    return f"written {written[around]!r}, made again {made[around]!r}"


def _remake_pdf(path: Path, findings: Findings, lang: Lang) -> str:
    from alambic.report.print.pdf import render_pdf

    return "the pages differ from those made again" if path.read_bytes() != render_pdf(findings, lang) else ""


def _remake_slides(path: Path, findings: Findings, lang: Lang) -> str:
    from alambic.report.talk.slides import read_words, render_slides

    return first_difference(read_words(path.read_bytes()), read_words(render_slides(findings, lang)))


# suffix -> makes the report again and says where it differs from the written one, "" where nowhere
REMADE: dict[str, Callable[[Path, Findings, Lang], str]] = {
    ".html": _remake_page,
    ".pdf": _remake_pdf,
    ".pptx": _remake_slides,
}
