"""Tables of a report: headings, and rows of cells that sort by value and link to where a number comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from alambic.report.chapters.answers import name_student
from alambic.report.facts.contrasts import Contrast
from alambic.report.facts.fact import Fact, Unit
from alambic.report.facts.findings import Findings
from alambic.report.words.french_names import tell_arm
from alambic.report.words.texts import Texts, tell_teacher
from alambic.report.words.wording import Lang, name_arm, name_teacher, show_bounds, show_number

CELL_NUMBERS: dict[str, Unit] = {
    "tune": "share",
    "test": "share",
    "tune_int8": "share",
    "test_int8": "share",
    "agreement_int8": "share",
    "seconds": "seconds",
    "parameters": "number",
    "macs": "number",
    "weight_bytes": "bytes",
    "arena_bytes": "bytes",
    "peak_activation_bytes": "bytes",
}
MOST_LINKS, FEW_LINKS = 8000, 3


@dataclass(frozen=True)
class Entry:
    """A table cell: text, the value that it sorts by, where it leads, a small note, a class, ids of rows.

    ``quoted`` is a paper's title or the like: its signs are set as they are, in any language.
    """

    text: str
    value: float | None = None
    link: str = ""
    note: str = ""
    class_: str = ""
    links: tuple[tuple[str, str], ...] = ()
    ids: tuple[str, ...] = ()
    quoted: bool = False


@dataclass(frozen=True)
class Table:
    """Headings (text, name in the ledger or "", whether numeric) and rows; each row may have an anchor."""

    heads: tuple[tuple[str, str, bool], ...]
    rows: list[list[Entry]] = field(default_factory=list)
    anchors: list[str] = field(default_factory=list)


def fact_entry(fact: Fact | None, lang: Lang, noun: bool = True, class_: str = "") -> Entry:
    """A fact as a table cell; a dash without one."""
    if fact is None:
        return Entry("–")
    text = show_number(fact.value, fact.unit, lang, noun)
    return Entry(text, fact.value, f"#{fact.anchor}", show_bounds(fact, lang), class_)


def drop_empty(table: Table) -> Table:
    """The table without the columns that hold nothing."""
    kept = [i for i in range(len(table.heads)) if any(row[i].text != "–" for row in table.rows)]
    return Table(tuple(table.heads[i] for i in kept), [[row[i] for i in kept] for row in table.rows])


def tabulate_differences(findings: Findings, lang: Lang, texts: Texts) -> Table:
    """One row a group: score, gain over the student alone, tests, verdict, int8 loss."""
    several = len(findings.students) > 1
    table = Table(
        (
            *(((texts["student"], "", False),) if several else ()),
            (texts["arm"], "", False),
            (texts["teacher"], "", False),
            (texts["seeds"], "", True),
            (texts["score"], findings.scored.number, True),
            (texts["gain_column"], "", True),
            (texts["verdict"], "", False),
            (texts["p_holm"], "", True),
            (texts["p_flip"], "", True),
            (texts["fall"], "", True),
        )
    )
    for found in findings.students:
        by = {contrast.group.key: contrast for contrast in found.contrasts}
        for group in found.groups:
            contrast = by.get(group.key)
            verdict = Entry(texts[contrast.verdict], class_=contrast.verdict) if contrast else Entry("–")
            table.rows.append(
                [
                    *((Entry(name_student(found, findings)),) if several else ()),
                    Entry(name_arm(group, lang)),
                    Entry(name_teacher(group.rows[0].content, lang) or "–"),
                    Entry(str(len(group.rows)), len(group.rows)),
                    fact_entry(group.score, lang),
                    fact_entry(contrast.gain if contrast else None, lang, noun=False),
                    verdict,
                    fact_entry(contrast.p_holm if contrast else None, lang),
                    fact_entry(contrast.p_flip if contrast else None, lang),
                    fact_entry(group.numbers.get("fall"), lang, noun=False),
                ]
            )
    return table


def tabulate_costs(findings: Findings, lang: Lang, texts: Texts) -> Table:
    """One row a student: what its network costs on a chip; equal for all its arms, so taken from the first."""
    names = ("parameters", "macs", "weight_bytes", "arena_bytes", "peak_activation_bytes")
    kept = [name for name in names if any(name in group.numbers for group in findings.groups)]
    table = Table(((texts["student"], "", False), *((texts[name], name, True) for name in kept)))
    for found in findings.students:
        row = [Entry(name_student(found, findings))]
        for name in kept:
            known = [group.numbers[name] for group in found.groups if name in group.numbers]
            row.append(fact_entry(known[0] if known else None, lang))
        table.rows.append(row)
    return table


def tabulate_cells(findings: Findings, lang: Lang, texts: Texts) -> Table:
    """Every finished cell with its numbers."""
    done = [row for row in findings.rows if row.state == "done"]
    kept = [name for name in CELL_NUMBERS if any(name in row.numbers for row in done)]
    heads = [(texts[name], "", False) for name in ("cell", "student", "arm", "teacher")]
    table = Table((*heads, (texts["seed"], "", True), *((texts[name], name, True) for name in kept)))
    for row in sorted(done, key=lambda row: _order(row.content)):
        content = row.content
        entries = [Entry(row.id, class_="id"), Entry(content["student"]), Entry(tell_arm(content["arm"]["name"], lang))]
        entries += [Entry(name_teacher(content, lang) or "–"), Entry(str(content["seed"]), content["seed"])]
        for name in kept:
            entries.append(_number_entry(row.numbers.get(name), CELL_NUMBERS[name], lang))
        table.rows.append(entries)
        table.anchors.append(f"c-{row.id}")
    return table


def tabulate_left_out(findings: Findings, texts: Texts) -> Table:
    """Skipped and failed cells: one row a reason."""
    names = ("state", "student", "arm", "teacher", "seeds", "reason", "cell")
    table = Table(tuple((texts[name], "", name == "seeds") for name in names))
    found: dict[tuple[str, ...], list[str]] = {}
    for row in findings.rows:
        if row.state != "done":
            content = row.content
            key = (row.state, content["student"], content["arm"]["name"], content.get("teacher") or "–", row.reason)
            found.setdefault(key, []).append(row.id)
    for (state, student, arm, teacher, reason), ids in sorted(found.items()):
        first = Entry(texts.get(state, state), class_="loss" if state == "failed" else "tie")
        middle = [Entry(student), Entry(arm), Entry(teacher), Entry(str(len(ids)), len(ids))]
        last = [Entry(reason, class_="wide"), Entry("", class_="id", ids=tuple(ids))]
        table.rows.append([first, *middle, *last])
    return table


def tabulate_teachers(findings: Findings, lang: Lang, texts: Texts) -> Table:
    """Teachers with family, provenance and the data that they saw."""
    table = Table(_head_teachers(texts))
    every = [row.content for row in reversed(findings.rows) if row.content.get("teacher")]
    found = {_teacher_key(content, lang): content for content in every}
    table.rows.extend(_teacher_row(key[0], content, lang) for key, content in sorted(found.items(), key=itemgetter(0)))
    return table


def _head_teachers(texts: Texts) -> tuple[tuple[str, str, bool], ...]:
    names = ("teacher", "family", "provenance", "teacher_data", "teacher_score")
    return tuple((texts[name], "", name == "teacher_score") for name in names)


def _teacher_key(content: Mapping[str, Any], lang: Lang) -> tuple[str, str]:
    return name_teacher(content, lang), content.get("teacher_hash", "")


def _teacher_row(name: str, content: Mapping[str, Any], lang: Lang) -> list[Entry]:
    told = [content.get(key) for key in ("teacher_family", "teacher_provenance", "teacher_data")]
    shown = ["–" if item is None else tell_teacher(str(item), lang) for item in told]
    return [Entry(name), *map(Entry, shown), _number_entry(content.get("teacher_score"), "share", lang)]


def rank_teachers(ordered: list[Contrast], lang: Lang, texts: Texts) -> Table:
    """The table of teachers with the highest gain of each, in the order of these gains."""
    first_head, *heads = _head_teachers(texts)
    table = Table((first_head, (texts["highest_gain"], "", True), *heads))
    best: dict[tuple[str, str], Contrast] = {}
    for contrast in ordered:
        best.setdefault(_teacher_key(contrast.group.rows[0].content, lang), contrast)
    for (name, _), contrast in best.items():
        first, *rest = _teacher_row(name, contrast.group.rows[0].content, lang)
        table.rows.append([first, fact_entry(contrast.gain, lang, noun=False), *rest])
    return table


def tabulate_banks(findings: Findings, lang: Lang, texts: Texts) -> Table:
    """Banks with what they hold and the time that filling them took."""
    numbers: dict[str, Unit] = {"views": "number", "images": "number", "seconds": "seconds"}
    heads = [(texts["bank"], "", False), (texts["quantities"], "", False)]
    table = Table((*heads, *((texts["filling" if name == "seconds" else name], "", True) for name in numbers)))
    for key, card in findings.banks.items():
        first = [Entry(key, class_="id"), Entry(", ".join(map(str, card.get("quantities", ()))))]
        table.rows.append([*first, *(_number_entry(card.get(name), unit, lang) for name, unit in numbers.items())])
    return table


def _number_entry(value: Any, unit: Unit, lang: Lang) -> Entry:
    return Entry(show_number(value, unit, lang), value) if isinstance(value, int | float) else Entry("–")


def tabulate_sources(findings: Findings, texts: Texts) -> Table:
    """Where each teacher quantity of an arm came from, and why."""
    table = Table(tuple((texts[name], "", False) for name in ("arm", "teacher", "quantity", "source")))
    found = {
        (row.content["arm"]["name"], row.content["teacher"], quantity, source)
        for row in findings.rows
        if row.content.get("teacher")
        for quantity, source in row.content.get("sources", {}).items()
    }
    table.rows.extend([Entry(str(item)) for item in key] for key in sorted(found))
    return table


def tabulate_facts(facts: Iterable[Fact], lang: Lang, texts: Texts) -> Table:
    """Every fact with its query and links to its rows."""
    facts = list(facts)
    # the query names each row; links are for the hand, and a page of links alone would pass the size of a report
    total = sum(len(fact.rows) for fact in facts)
    most = total if total <= MOST_LINKS else FEW_LINKS
    heads = (("fact", True), ("value", True), ("query", False), ("rows", False))
    table = Table(tuple((texts[name], "", numeric) for name, numeric in heads))
    for fact in facts:
        links = tuple((row[:8], f"#c-{row}") for row in fact.rows[:most])
        more = f"+{len(fact.rows) - most}" if len(fact.rows) > most else ""
        text, note = show_number(fact.value, fact.unit, lang), show_bounds(fact, lang)
        shown = Entry(text, fact.value, note=note)
        query = Entry(fact.query, class_="query")
        table.rows.append(
            [Entry(fact.anchor, fact.number, class_="id"), shown, query, Entry("", note=more, links=links)]
        )
        table.anchors.append(fact.anchor)
    return table


def _order(content: dict[str, Any]) -> tuple[Any, ...]:
    return content["student"], content.get("teacher") or "", content["arm"]["name"], content["seed"]
