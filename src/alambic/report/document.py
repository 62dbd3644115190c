"""The printed document: the same claims, figures and tables as the page, in the order that one reads on paper."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from alambic.methods import all_methods
from alambic.methods.base import Method
from alambic.report import tables
from alambic.report.answers import name_student, say_answers, say_caveats, say_purpose, say_sight
from alambic.report.blocks import Block, Figure, Section
from alambic.report.chapter_classes import describe_classes
from alambic.report.chapter_decisions import say_decisions, tabulate_decisions
from alambic.report.chapter_declared import describe_declared
from alambic.report.chapter_ideas import describe_ideas
from alambic.report.chapter_suitability import describe_suitability
from alambic.report.chapter_trust import describe_alignment, describe_trust
from alambic.report.chip import describe_chip
from alambic.report.claims import Claim
from alambic.report.document_words import HEADINGS, SOURCES
from alambic.report.figures import Legend, draw_costs, draw_differences, draw_falls, draw_heat
from alambic.report.findings import Findings
from alambic.report.plots import draw_curves, draw_sizes
from alambic.report.tables import Entry, Table
from alambic.report.texts import read_texts
from alambic.report.wording import Lang


def compose_document(findings: Findings, lang: Lang) -> list[Section]:
    """All chapters in order."""
    texts, legend = read_texts(lang), Legend(findings)
    own = [f for f in findings.students if f.contrasts]

    def figure(drawing: Markup | None, caption: str) -> list[Figure]:
        return [Figure(drawing, texts[caption])] if drawing is not None else []

    answers = say_answers(findings)
    said: list[Block] = []
    for found, claims in answers:
        said += [name_student(found, findings)] if len(answers) > 1 else []
        said += claims
    said += figure(draw_differences(findings, lang, texts), "differences_caption")
    for found in own:
        said += figure(draw_heat(found, findings, lang, texts), "heat_caption")
    for found in findings.students:
        said += figure(draw_curves(found, findings, lang, texts, legend), "curves_caption")
    chip: list[Block] = [*figure(draw_sizes(findings, lang, texts, legend), "sizes_caption")]
    chip += figure(draw_falls(findings, lang, texts, legend), "falls_caption")
    device = describe_chip(findings, lang, legend)
    if device is not None:
        chip += device.blocks
    costs = tables.tabulate_costs(findings, lang, texts)
    chip += [costs] if len(costs.heads) > 1 else []
    chip += figure(draw_costs(findings, lang, texts, legend), "costs_caption")
    one = [Claim("one_data", {})] if findings.settings == 1 else []
    parts: dict[str, Sequence[Block]] = {
        "question": [_ask(findings), say_purpose(findings), *(c for claims in say_sight(findings) for c in claims)],
        "survey": [_say_compared(findings), tabulate_methods(findings, lang)],
        "protocol": [*_say_protocol(findings), tables.tabulate_teachers(findings, lang, texts)],
        "declared": describe_declared(findings.declared, lang),
        "results": said,
        "classes": describe_classes(findings, lang),
        "trust": describe_trust(findings, lang),
        "alignment": describe_alignment(findings, lang),
        "chip": chip,
        "suitability": describe_suitability(findings, lang),
        "ideas": describe_ideas(findings.ideas, _own(findings), findings.ideas_changed, lang),
        "recommendations": [*say_decisions(findings), tabulate_decisions(findings, lang)],
        "limits": [*say_caveats(findings), *one, Claim("checkable", {})],
        "references": [tabulate_papers(findings, lang)],
    }
    return [Section(key, HEADINGS[key][lang], tuple(blocks)) for key, blocks in parts.items()]


def _ask(findings: Findings) -> Claim:
    students = tuple(dict.fromkeys(found.student for found in findings.students))
    data = tuple(dict.fromkeys(str(group.rows[0].content["data"]["source"]) for group in findings.groups))
    return Claim("asked", {"students": students, "done": findings.counts["done"], "data": data}, "lead")


def _say_compared(findings: Findings) -> Claim:
    return Claim("compared", {"methods": tuple(used_methods(findings))})


def _own(findings: Findings) -> tuple[str, ...]:
    return tuple(name for name, method in used_methods(findings).items() if method.fidelity == "O")


def _say_protocol(findings: Findings) -> list[Claim]:
    key = "measured_on_labelled" if sees_labelled_only(findings) else "measured_on"
    first = [Claim(key, {"images": findings.images})] if findings.images is not None else []
    return [*first, Claim("intervals", {})]


def sees_labelled_only(findings: Findings) -> bool:
    """Whether some arms leave out the images without a label, and others do not."""
    return len({"labelled_only" in (g.rows[0].content["arm"].get("treatments") or ()) for g in findings.groups}) == 2


def used_methods(findings: Findings) -> dict[str, type[Method]]:
    """Methods of the study's finished arms by name, in the alphabet's order, without none."""
    known = all_methods()
    names = {name for group in findings.groups for name in group.rows[0].content["arm"]["methods"]}
    return {name: known[name] for name in sorted(names) if name in known and name != "none"}


def tabulate_methods(findings: Findings, lang: Lang) -> Table:
    """One row a method: venue, fidelity, formula."""
    table = Table(tuple((HEADINGS[name][lang], "", False) for name in ("method", "paper", "fidelity", "formula")))
    for name, cls in used_methods(findings).items():
        paper = f"{cls.paper.venue} {cls.paper.year}"
        table.rows.append([Entry(name), Entry(paper), Entry(cls.fidelity), Entry(cls.formula, class_="wide")])
    return table


def tabulate_papers(findings: Findings, lang: Lang) -> Table:
    """One row a paper: of the methods first, then of what this report computes."""
    table = Table(tuple((HEADINGS[name][lang], "", False) for name in ("used_for", "references")))
    for name, cls in used_methods(findings).items():
        paper = cls.paper
        where = f"{paper.authors.rstrip('.')}. {paper.title}. {paper.venue} {paper.year}."
        where += f" arXiv {paper.arxiv}." if paper.arxiv else ""
        table.rows.append([Entry(name), Entry(where, class_="wide")])
    table.rows.extend([Entry(what[lang]), Entry(where, class_="wide")] for what, where in SOURCES)
    return table
