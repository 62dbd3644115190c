"""The printed document: the same claims, figures and tables as the page, in the order that one reads on paper."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from markupsafe import Markup

from alambic.methods import all_methods
from alambic.methods.base import Method
from alambic.report.chapters import tables
from alambic.report.chapters.across import describe_across
from alambic.report.chapters.answers import name_student, say_answers, say_caveats, say_purpose, say_sight
from alambic.report.chapters.blocks import Block, Figure, Section
from alambic.report.chapters.chip import describe_chip
from alambic.report.chapters.claims import Blank, Claim, Words
from alambic.report.chapters.classes import describe_classes
from alambic.report.chapters.data_told import detail_data
from alambic.report.chapters.decisions import say_decisions, tabulate_decisions
from alambic.report.chapters.declared import describe_declared
from alambic.report.chapters.figures import Legend, draw_differences, draw_falls, draw_heat
from alambic.report.chapters.ideas import describe_ideas
from alambic.report.chapters.plots import draw_curves, draw_sizes
from alambic.report.chapters.suitability import describe_suitability
from alambic.report.chapters.tables import Entry, Table
from alambic.report.chapters.trust import describe_alignment, describe_trust
from alambic.report.facts.findings import Findings, StudentFindings
from alambic.report.facts.gather import Group
from alambic.report.words.document import FIDELITIES, HEADINGS, SOURCES
from alambic.report.words.french_names import join_settings, tell_arm, tell_setting
from alambic.report.words.texts import read_texts
from alambic.report.words.wording import LANGS, Lang


def compose_document(findings: Findings, lang: Lang) -> list[Section]:
    """All chapters in order."""
    texts, legend = read_texts(lang), Legend(findings, lang)
    own = [f for f in findings.students if f.contrasts]

    def figure(
        drawn: Markup | Sequence[Markup] | None, caption: str, found: StudentFindings | None = None
    ) -> list[Figure]:
        """A figure, or those that share a caption, which the last one has; of several students it names its own."""
        each = [drawn] if isinstance(drawn, Markup) else drawn or []
        whose = f"{name_student(found, findings)}. " if found and len(findings.students) > 1 else ""
        return [Figure(one, whose + texts[caption] if one is each[-1] else "") for one in each]

    answers = say_answers(findings)
    said: list[Block] = []
    for found, claims in answers:
        said += [name_student(found, findings)] if len(answers) > 1 and claims else []
        said += claims
    said += figure(draw_differences(findings, lang, texts), "differences_caption")
    for found in own:
        said += figure(draw_heat(found, findings, lang, texts), "heat_caption", found)
    for found in findings.students:
        said += figure(draw_curves(found, findings, lang, texts, legend), "curves_caption", found)
    chip: list[Block] = [*figure(draw_sizes(findings, lang, texts, legend), "sizes_caption")]
    chip += figure(draw_falls(findings, lang, texts, legend), "falls_caption")
    device = describe_chip(findings, lang, legend, hints=False)
    if device is not None:
        chip += device.blocks
    costs = tables.tabulate_costs(findings, lang, texts)
    chip += [costs] if len(costs.heads) > 1 else []
    chip[:0] = [_say_chip(findings)] if chip else []
    said += [] if own else [tables.drop_empty(tables.tabulate_differences(findings, lang, texts))]
    advice = say_decisions(findings)
    one = [Claim("one_data", {})] if findings.settings == 1 else []
    parts: dict[str, Sequence[Block]] = {
        "question": [_ask(findings), say_purpose(findings), *(c for claims in say_sight(findings) for c in claims)],
        "survey": [*_say_compared(findings), tabulate_methods(findings, lang)],
        "protocol": [*_say_protocol(findings), tables.tabulate_teachers(findings, lang, texts)],
        "declared": describe_declared(findings.declared, lang),
        "results": said,
        "across": describe_across(findings.across, lang),
        "classes": describe_classes(findings, lang),
        "trust": describe_trust(findings, lang),
        "alignment": describe_alignment(findings, lang),
        "chip": chip,
        "suitability": describe_suitability(findings, lang),
        "ideas": describe_ideas(findings.ideas, _own(findings), findings.ideas_changed, lang),
        "recommendations": [*advice, tables.drop_empty(tabulate_decisions(findings, lang))] if advice else [],
        "limits": [*say_caveats(findings), *one, Claim("checkable", {})],
        "references": [tabulate_papers(findings, lang)],
    }
    return [Section(key, HEADINGS[key][lang], tuple(blocks)) for key, blocks in parts.items()]


def _ask(findings: Findings) -> Claim:
    key = "asked" if measures_int8(findings) else "asked_float"
    blanks: dict[str, Blank] = {"students": list_students(findings), "data": describe_data(findings)}
    return Claim(key, {**blanks, "done": findings.counts["done"]}, "lead")


def _say_chip(findings: Findings) -> Claim:
    return Claim("chip_same" if measures_int8(findings) else "chip_same_float", {})


def measures_int8(findings: Findings) -> bool:
    """Whether any student was scored in int8."""
    return any(f"{split}_int8" in group.numbers for group in findings.groups for split in ("test", "tune"))


def list_students(findings: Findings) -> Words:
    """The students' names in one phrase."""
    return _join([found.student for found in findings.students])


def list_data(findings: Findings) -> Words:
    """The names of the data in one phrase."""
    return _join([str(group.rows[0].content["data"]["source"]) for group in findings.groups])


def describe_data(findings: Findings) -> Words:
    """The data in one phrase: name, the two classes where there are two, what the student sees, images and labels."""
    each: dict[Lang, str] = {}
    for lang in LANGS:
        told = [(group.rows[0].content["data"]["source"], detail_data(group, lang)) for group in findings.groups]
        each[lang] = _join([f"{source} ({', '.join(details)})" for source, details in told]).by_lang[lang]
    return Words(each)


def _join(names: Sequence[str]) -> Words:
    """Names, each once, in one phrase: a, b and c."""
    *first, last = dict.fromkeys(names)
    ands: dict[Lang, str] = {"en": " and ", "fr": " et "}
    return Words({lang: ", ".join(first) + (word if first else "") + last for lang, word in ands.items()})


def _say_compared(findings: Findings) -> list[Claim]:
    methods = list(used_methods(findings.groups))
    key = "compared" if len(methods) > 1 else "compared_one"
    key = key if has_baseline(findings) else "compared_arms"
    return [Claim(key, {"methods": _join(methods)})] if methods else []


def has_baseline(findings: Findings) -> bool:
    """Whether the student alone was trained."""
    return any(found.baseline is not None for found in findings.students)


def _own(findings: Findings) -> tuple[str, ...]:
    return tuple(name for name, method in used_methods(findings.groups).items() if method.fidelity == "O")


def _say_protocol(findings: Findings) -> list[Claim]:
    key = "measured_on_labelled" if sees_labelled_only(findings) else "measured_on"
    first = [Claim(key, {"images": findings.images})] if findings.images is not None else []
    own = _own_recipes(findings)
    recipes = Claim("own_recipes", {"listing": own}) if own else Claim("same_recipe", {})
    return [*first, recipes, Claim("intervals", {})]


def _own_recipes(findings: Findings) -> tuple[Words, ...]:
    """Per arm that has a recipe of its own, the settings in which it differs from its student's most common one."""
    usual: dict[tuple[str, str], Counter[str]] = {}
    for group in findings.groups:
        recipe = json.dumps(group.rows[0].content["recipe"], sort_keys=True)
        usual.setdefault((group.place, group.student), Counter())[recipe] += 1
    told: list[dict[Lang, str]] = []
    for group in findings.groups:
        ((most, _),) = usual[group.place, group.student].most_common(1)
        common, own = json.loads(most), group.rows[0].content["recipe"]
        differs = {name: value for name, value in own.items() if value != common.get(name)}
        line: dict[Lang, str] = {}
        for lang in LANGS:
            each = join_settings([tell_setting(name, value, lang) for name, value in differs.items()], lang)
            line[lang] = f"{tell_arm(group.arm, lang)}{':' if lang == 'en' else ' :'} {each}"
        told += [line] * bool(differs)
    return tuple(map(Words, {line["en"]: line for line in told}.values()))


def sees_labelled_only(findings: Findings) -> bool:
    """Whether some arms leave out the images without a label, and others do not."""
    return len({"labelled_only" in (g.rows[0].content["arm"].get("treatments") or ()) for g in findings.groups}) == 2


def used_methods(groups: Sequence[Group]) -> dict[str, type[Method]]:
    """Methods of finished arms by name, in the alphabet's order, without none."""
    known = all_methods()
    names = {name for group in groups for name in group.rows[0].content["arm"]["methods"]}
    return {name: known[name] for name in sorted(names) if name in known and name != "none"}


def tabulate_methods(findings: Findings, lang: Lang) -> Table:
    """One row a method: venue, what it was checked against, formula."""
    table = Table(tuple((HEADINGS[name][lang], "", False) for name in ("method", "paper", "fidelity", "formula")))
    for name, cls in used_methods(findings.groups).items():
        paper = f"{cls.paper.venue} {cls.paper.year}"
        table.rows.append(
            [Entry(name), Entry(paper), Entry(FIDELITIES[cls.fidelity][lang]), Entry(cls.formula, class_="wide")]
        )
    return table


def tabulate_papers(findings: Findings, lang: Lang) -> Table:
    """One row a paper: of the methods first, then of what this report computes."""
    table = Table(tuple((HEADINGS[name][lang], "", False) for name in ("used_for", "references")))
    for name, cls in used_methods(findings.groups).items():
        paper = cls.paper
        where = f"{paper.authors.rstrip('.')}. {paper.title}. {paper.venue} {paper.year}."
        where += f" arXiv {paper.arxiv}." if paper.arxiv else ""
        table.rows.append([Entry(name), Entry(where, class_="wide", quoted=True)])
    table.rows.extend([Entry(what[lang]), Entry(where, class_="wide", quoted=True)] for what, where in SOURCES)
    return table
