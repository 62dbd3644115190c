"""What a talk says, slide by slide: one message each, its evidence in the notes. ``slides.py`` draws it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from alambic.report import tables
from alambic.report.advice import decide
from alambic.report.answers import name_student, say_answers, say_caveats, say_purpose, say_sight
from alambic.report.blocks import Section
from alambic.report.chapter_classes import say_classes
from alambic.report.chapter_decisions import say_decision, say_decisions, tabulate_decisions
from alambic.report.chapter_suitability import best_estimator, say_best
from alambic.report.chapter_trust import numbers_of, say_trust
from alambic.report.claims import Blank, Claim
from alambic.report.document import (
    compose_document,
    list_data,
    list_students,
    measures_int8,
    sees_labelled_only,
    tabulate_methods,
    used_methods,
)
from alambic.report.facts import Fact
from alambic.report.findings import Findings, StudentFindings
from alambic.report.gather import Group
from alambic.report.tables import Table
from alambic.report.texts import Texts, read_texts
from alambic.report.wording import Lang, name_group

BARS = 9  # bars of one chart that stay readable on a wall
MOST_STUDENTS, MOST_SLIDES, FEW_ROWS = 2, 15, 4  # of the next student the chart gives way, then all
Item = TypeVar("Item")


@dataclass(frozen=True)
class Bars:
    """A native bar chart: labels, values in points or percent, the axis' title; colours of the page, one a bar."""

    labels: tuple[str, ...]
    values: tuple[float, ...]
    axis: str
    colours: tuple[str, ...] = ()


@dataclass(frozen=True)
class Slide:
    """Title (the message), then lines, a chart or a table; ``notes`` are claims.

    ``spare`` slides give way where a talk grows too long, the highest number first.
    """

    title: Claim | str
    lines: tuple[str, ...] = ()
    shown: Bars | Table | None = None
    notes: tuple[Claim, ...] = ()
    spare: int = 0


def compose_slides(findings: Findings, lang: Lang) -> list[Slide]:
    """The slides in order: 12 to 15 for a study of up to three students."""
    texts = read_texts(lang)
    chapters = {section.key: section for section in compose_document(findings, lang)}
    one, made = len(findings.students) == 1, [*_open(findings, chapters, lang, texts), *_declared(findings, chapters)]
    answers = zip(say_answers(findings), say_answers(findings, brief=True), strict=True)
    for place, ((found, claims), (_, brief)) in enumerate(answers):
        told = _answer(found, tuple(claims), tuple(brief), findings, lang, texts, one)
        spare = [place > MOST_STUDENTS or (place == MOST_STUDENTS and slide.shown is not None) for slide in told]
        made += [replace(slide, spare=place + 1) if may else slide for slide, may in zip(told, spare, strict=True)]
    made += _falls(findings, lang, texts)
    made += _classes(findings, lang, texts) if one else []
    made += [*_trust(findings, lang, texts, chapters), *_sizes(findings, lang, texts, chapters)]
    made += [*_teachers(findings, lang, texts, chapters), *_ideas(findings, chapters)]
    made += _close(findings, chapters, lang)
    while len(made) > MOST_SLIDES and any(slide.spare for slide in made):
        made.remove(max(made, key=lambda slide: slide.spare))
    return made


def _open(findings: Findings, chapters: dict[str, Section], lang: Lang, texts: Texts) -> list[Slide]:
    asked, sights = chapters["question"].claims, say_sight(findings)
    shown = sights[0][:4] if len(sights) == 1 else [claims[0] for claims in sights]
    asking = "slide_asked" if measures_int8(findings) else "slide_asked_float"
    question = Claim(asking, {"students": list_students(findings)})
    compared = Claim("slide_compared", {"count": len(used_methods(findings)), "data": list_data(findings)})
    protocol, methods = chapters["protocol"].claims, tabulate_methods(findings, lang)
    kind = "tuned" if any(claim.key == "own_recipes" for claim in protocol) else "same"
    fair = f"slide_protocol_{'labelled' if sees_labelled_only(findings) else kind}"
    brief = Table(methods.heads[:3], [row[:3] for row in methods.rows])  # nobody reads formulas on a wall
    return [
        Slide(findings.name, (texts["report"], say_purpose(findings).text(lang)), notes=asked),
        Slide(question, (asked[0].text(lang),), notes=asked),
        Slide(compared, (), brief, chapters["survey"].claims),
        Slide(Claim(fair, {}), tuple(claim.text(lang) for claim in protocol), notes=protocol),
        Slide(_title_sight(findings), tuple(claim.text(lang) for claim in shown), notes=sum(map(tuple, sights), ())),
    ]


def _title_sight(findings: Findings) -> Claim:
    """What could not be seen: of students that differ in it, the least and the most."""
    seen = [f.sight.effect for f in findings.students if f.sight is not None and f.sight.effect is not None]
    if not seen:
        return Claim("slide_blind", {})
    least, most = min(seen, key=lambda fact: fact.value), max(seen, key=lambda fact: fact.value)
    if round(least.value, 4) == round(most.value, 4):
        return Claim("slide_sight", {"effect": most})
    return Claim("slide_sights", {"least": least, "most": most})


def _declared(findings: Findings, chapters: dict[str, Section]) -> list[Slide]:
    if findings.declared is None or not findings.declared.contrasts:
        return []
    found = findings.declared.contrasts
    confirmed = sum(c.verdict == "gain" and not findings.declared.is_small(c) for c in found)
    title = Claim("slide_confirmed", {"declared": len(found), "confirmed": confirmed})
    table = next(block for block in chapters["declared"].blocks if isinstance(block, Table))
    return [Slide(title, (), table, chapters["declared"].claims)]


def _ideas(findings: Findings, chapters: dict[str, Section]) -> list[Slide]:
    tables = [block for block in chapters["ideas"].blocks if isinstance(block, Table)]
    if not tables:
        return []
    fates = Counter(idea.fate for idea in findings.ideas)
    counts = {name: fates[name] for name in ("survives", "refuted", "undecided")}
    title = Claim("slide_ideas", {"ideas": len(findings.ideas), **counts})
    # the student is one, or stands in the document; a wall has room for idea, arms, gain, p and verdict
    brief = Table(tables[0].heads[:1] + tables[0].heads[2:], [row[:1] + row[2:] for row in tables[0].rows])
    return [Slide(title, (), brief, chapters["ideas"].claims)]


def _answer(
    found: StudentFindings,
    claims: tuple[Claim, ...],
    brief: tuple[Claim, ...],
    findings: Findings,
    lang: Lang,
    texts: Texts,
    one: bool,
) -> list[Slide]:
    """The answer in brief words, in full in the notes; the gains as a chart, the scores too where there is room."""
    student = name_student(found, findings)
    decision = next((d for d in decide(findings) if d.found is found), None)
    headline = Claim("headline_none", {"student": student})
    if decision is not None and decision.take is not None:
        headline = Claim("headline_gain", {"student": student, "arm": decision.take.group, "gain": decision.take.gain})
    if not found.contrasts:
        return [Slide(brief[0], tuple(c.text(lang) for c in brief[1:5]), notes=claims)] if claims else []
    made = [Slide(headline, tuple(c.text(lang) for c in brief[:4]), notes=claims)]
    ordered = sorted(found.contrasts, key=lambda c: (-c.gain.value, c.group.key))
    verdicts = [contrast.verdict for contrast in ordered]
    counts: dict[str, Blank] = {"better": verdicts.count("gain"), "worse": verdicts.count("loss")}
    counts |= {"tied": verdicts.count("tie"), "count": len(verdicts), "student": student}
    counts |= {"open": verdicts.count("open")} if "open" in verdicts else {}
    told = tuple(c for c in claims if c.key in ("none_helps", "helps", "hurts", "ties", "opens"))
    shown = _ends(ordered)
    colours = tuple("warn" if c.verdict == "open" else c.verdict for c in shown)
    names, values = tuple(name_group(c.group, lang) for c in shown), tuple(100 * c.gain.value for c in shown)
    title = Claim("slide_gains_open" if "open" in verdicts else "slide_gains", counts)
    made.append(Slide(title, (), Bars(names, values, texts["axis_points"], colours), told))
    if one and found.rivals:
        tied = len(found.not_told_apart)
        blanks: dict[str, Blank] = {"best": found.best, "score": found.best.score}
        title = Claim("slide_best_tied", {**blanks, "count": tied}) if tied else Claim("slide_best_apart", blanks)
        made += _chart(found.groups, title, lambda group: group.score, f"{texts['score']}, %", lang, claims, 3)
    return made


def _ends(items: list[Item]) -> list[Item]:
    """As many as a chart holds, from both ends of an order."""
    return items if len(items) <= BARS else [*items[: BARS - BARS // 2], *items[-(BARS // 2) :]]


def _chart(
    groups: tuple[Group, ...],
    title: Claim,
    read: Callable[[Group], Fact | None],
    axis: str,
    lang: Lang,
    notes: tuple[Claim, ...],
    spare: int = 0,
) -> list[Slide]:
    known = [(name_group(group, lang), 100 * fact.value) for group in groups if (fact := read(group)) is not None]
    found = _ends(sorted(known, key=lambda item: (-item[1], item[0])))
    bars = Bars(tuple(n for n, _ in found), tuple(v for _, v in found), axis)
    return [Slide(title, (), bars, notes, spare)] if found else []


def _under(table: Table, claims: tuple[Claim, ...], lang: Lang) -> tuple[str, ...]:
    """Sentences under a table, where it leaves them room."""
    return tuple(claim.text(lang) for claim in claims) if len(table.rows) <= FEW_ROWS else ()


def _brief(table: Table) -> Table:
    """The table without the columns that hold nothing."""
    kept = [i for i in range(len(table.heads)) if any(row[i].text != "–" for row in table.rows)]
    return Table(tuple(table.heads[i] for i in kept), [[row[i] for i in kept] for row in table.rows])


def _falls(findings: Findings, lang: Lang, texts: Texts) -> list[Slide]:
    """Of the student whom int8 costs most."""
    each = [(g.numbers["fall"], g, f) for f in findings.students for g in f.groups if "fall" in g.numbers]
    if not each:
        return []
    most, worst, found = max(each, key=lambda item: (item[0].value, item[1].key))
    title = Claim("slide_falls", {"student": name_student(found, findings), "most": most, "worst": worst})
    notes = tuple(c for f, claims in say_answers(findings) if f is found for c in claims if c.key in ("fall", "falls"))
    return _chart(found.groups, title, lambda group: group.numbers.get("fall"), texts["axis_falls"], lang, notes)


def _classes(findings: Findings, lang: Lang, texts: Texts) -> list[Slide]:
    found = findings.students[0].classes
    if found is None:
        return []
    first, last = found.classes[0], found.classes[-1]
    blanks: dict[str, Blank] = {"arm": found.contrast.group, "best": first.name, "most": first.gain}
    title = Claim("slide_classes", {**blanks, "worst": last.name, "least": last.gain})
    shown = _ends(list(found.classes))
    values, colours = tuple(100 * one.gain.value for one in shown), tuple(_colour(one.gain) for one in shown)
    bars = Bars(tuple(one.name for one in shown), values, texts["axis_points"], colours)
    return [Slide(title, (), bars, tuple(say_classes(findings.students[0].student, found)), 1)]


def _colour(gain: Fact) -> str:
    clear = gain.low is not None and gain.high is not None and gain.low * gain.high > 0
    return "tie" if not clear else "gain" if gain.value > 0 else "loss"


def _trust(findings: Findings, lang: Lang, texts: Texts, chapters: dict[str, Section]) -> list[Slide]:
    """Agreement of int8 with fp32, or nothing where there is no int8."""
    each = [(numbers_of(g, findings), g) for f in findings.students for g in f.groups]
    known = [(numbers["agreement_int8"], group) for numbers, group in each if "agreement_int8" in numbers]
    table = next((block for block in chapters["trust"].blocks if isinstance(block, Table)), None)
    if not known or table is None:
        return []
    least = min(known, key=lambda item: (item[0].value, item[1].key))[0]
    notes = tuple(claim for found in findings.students for claim in say_trust(found, findings))
    return [Slide(Claim("slide_trust", {"least": least}), (), table, notes, 2)]


def _sizes(findings: Findings, lang: Lang, texts: Texts, chapters: dict[str, Section]) -> list[Slide]:
    costs = tables.tabulate_costs(findings, lang, texts)
    known = [(f, g.numbers) for f in findings.students for g in f.groups if "weight_bytes" in g.numbers]
    if not known:
        return []
    found, numbers = known[0]
    blanks: dict[str, Blank] = {"student": name_student(found, findings), "weights": numbers["weight_bytes"]}
    title = Claim("slide_weights", blanks)
    if "arena_bytes" in numbers:
        title = Claim("slide_sizes", {**blanks, "arena": numbers["arena_bytes"]})
    caveats = tuple(say_caveats(findings)[:2])
    return [Slide(title, _under(costs, caveats, lang), costs, (*chapters["chip"].claims, *caveats))]


def _teachers(findings: Findings, lang: Lang, texts: Texts, chapters: dict[str, Section]) -> list[Slide]:
    """Which teachers there were and which gave most; what was foretold of them."""
    suited = chapters["suitability"].claims
    taught = [c for f in findings.students for c in f.contrasts if c.group.teacher is not None]
    made = []
    if taught:
        ordered = sorted(taught, key=lambda c: (c.verdict == "gain", c.gain.value, c.group.key), reverse=True)
        best = ordered[0]
        blanks: dict[str, Blank] = {"teacher": str(best.group.teacher), "gain": best.gain, "arm": best.group.arm}
        table = tables.rank_teachers(ordered, tables.tabulate_teachers(findings, lang, texts), lang, texts)
        told = _under(table, suited[:2], lang) if findings.suitability is None else ()
        key = "slide_teachers" if best.verdict == "gain" else "slide_teachers_open"
        key += "_one" if len({contrast.group.teacher for contrast in taught}) == 1 else ""
        made.append(Slide(Claim(key, blanks), told, table, suited))
    lines, found = tuple(claim.text(lang) for claim in suited[:4]), findings.suitability
    if found is None and made:
        return made  # the notes of the teachers' slide say what would make it
    title = Claim(
        "slide_no_scorecards" if found is None else "slide_judged_before" if found.outdated else "slide_not_judged", {}
    )
    judged = best_estimator(found) if found is not None and found.judgement is not None else None
    if judged is not None:
        said = say_best(judged)
        title = Claim(f"slide_{said.key}", said.blanks)
    return [*made, Slide(title, lines, notes=suited)]


def _close(findings: Findings, chapters: dict[str, Section], lang: Lang) -> list[Slide]:
    """What to do, and how far it holds."""
    advice, limits = tuple(say_decisions(findings)), chapters["limits"].claims
    made = decide(findings)
    seeds = [f.sight.seeds for f in findings.students if f.sight is not None]
    closing: list[Slide] = []
    if made:
        best = max(made, key=lambda d: (d.take is not None, d.take.gain.value if d.take else 0.0, d.found.student))
        title = say_decision(best, name_student(best.found, findings))
        table = tabulate_decisions(findings, lang)
        told = _under(table, (say_purpose(findings), *(claim for claim in advice if claim != title)), lang)
        closing.append(Slide(title, told, _brief(table), advice))
    bound: Blank = min(seeds, key=lambda fact: fact.value) if seeds else "–"
    last = Claim("slide_limits", {"data": list_data(findings), "seeds": bound})
    return [*closing, Slide(last, tuple(c.text(lang) for c in limits[:5]), notes=limits)]
