"""Slides on what was found: each student's answer, what int8 costs, classes, agreement, sizes."""

from __future__ import annotations

from dataclasses import replace

from alambic.report.chapters import tables
from alambic.report.chapters.answers import name_student, say_answers, say_caveats
from alambic.report.chapters.blocks import Section
from alambic.report.chapters.claims import Blank, Claim
from alambic.report.chapters.classes import say_classes
from alambic.report.chapters.tables import Entry, Table, fact_entry
from alambic.report.chapters.trust import numbers_of, say_trust
from alambic.report.facts.advice import decide
from alambic.report.facts.fact import Fact
from alambic.report.facts.findings import Findings, StudentFindings
from alambic.report.facts.gather import Group
from alambic.report.talk.parts import Slide, colour_gain, make_bars, tell_under
from alambic.report.talk.tables import drop_repeated
from alambic.report.words.texts import Texts
from alambic.report.words.wording import Lang, name_group

MOST_STUDENTS = 2  # of the next one the chart gives way, then all


def tell_answers(findings: Findings, lang: Lang, texts: Texts) -> list[Slide]:
    """Two slides a student, or three of one alone; of many students in a study of teachers one table."""
    if findings.judged and len(findings.students) > 1:
        return [_tabulate_answers(findings, lang, texts)]
    made = []
    answers = zip(say_answers(findings), say_answers(findings, brief=True), strict=True)
    for place, ((found, full), (_, brief)) in enumerate(answers):
        told = _answer(found, tuple(full), tuple(brief), findings, lang, texts)
        spare = [place > MOST_STUDENTS or (place == MOST_STUDENTS and slide.shown is not None) for slide in told]
        made += [replace(slide, spare=place + 1) if may else slide for slide, may in zip(told, spare, strict=True)]
    return made


def _answer(
    found: StudentFindings,
    claims: tuple[Claim, ...],
    brief: tuple[Claim, ...],
    findings: Findings,
    lang: Lang,
    texts: Texts,
) -> list[Slide]:
    """The answer in brief words, in full in the notes; the gains as a chart, the scores too where there is room."""
    made = []
    if found.contrasts:
        said = tuple(claim for claim in claims if not claim.key.startswith(("best", "fall")))
        made.append(Slide(_headline(found, findings), tuple(c.text(lang) for c in brief[:4]), notes=said))
        made.append(_chart_gains(found, findings, lang, texts))
    ranked = tuple(claim for claim in claims if claim.key.startswith("best"))
    if ranked and (len(findings.students) == 1 or not found.contrasts):
        tied, blanks = len(found.not_told_apart), dict[str, Blank](best=found.best, score=found.best.score)
        title = Claim("slide_best_tied", {**blanks, "count": tied}) if tied else Claim("slide_best_apart", blanks)
        named = [(group, group.score) for group in found.groups]
        made += _chart(named, title, f"{texts['score']}, %", texts["key_scores"], lang, ranked, 3)
    return made


def _headline(found: StudentFindings, findings: Findings) -> Claim:
    student = name_student(found, findings)
    decision = next((d for d in decide(findings) if d.found is found), None)
    if decision is None or decision.take is None:
        return Claim("headline_none", {"student": student})
    told: dict[str, Blank] = {"student": student, "arm": decision.take.group, "gain": decision.take.gain}
    if decision.simpler is None:
        return Claim("headline_gain", told)
    return Claim("headline_simpler", {**told, "simpler": decision.simpler.group, "own": decision.simpler.gain})


def _chart_gains(found: StudentFindings, findings: Findings, lang: Lang, texts: Texts) -> Slide:
    ordered = sorted(found.contrasts, key=lambda c: (-c.gain.value, c.group.key))
    verdicts = [contrast.verdict for contrast in ordered]
    counts: dict[str, Blank] = {"better": verdicts.count("gain"), "worse": verdicts.count("loss")}
    counts |= {"tied": verdicts.count("tie"), "count": len(verdicts), "student": name_student(found, findings)}
    counts |= {"open": verdicts.count("open")} if "open" in verdicts else {}
    colours = ["warn" if c.verdict == "open" else c.verdict for c in ordered]
    named = [(name_group(c.group, lang), c.gain) for c in ordered]
    title = Claim("slide_gains_open" if "open" in verdicts else "slide_gains", counts)
    listing = Claim("note_gains", {"listing": tuple((c.group, c.gain) for c in ordered)})
    bars = make_bars(named, texts["axis_points"], colours, texts["key_gains"], lang)
    return Slide(title, (), bars, (listing,))


def _tabulate_answers(findings: Findings, lang: Lang, texts: Texts) -> Slide:
    """One row a student: alone, how many arms help, tie or harm, the highest gain."""
    names = ("student", "alone_column", "gain", "loss", "tie", "open", "arm", "highest_gain")
    table = Table(tuple((texts[name], "", name not in ("student", "arm")) for name in names))
    found = [one for one in findings.students if one.contrasts]
    for one in found:
        verdicts = [contrast.verdict for contrast in one.contrasts]
        best = max(one.contrasts, key=lambda c: (c.gain.value, c.group.key))
        counts = [Entry(str(verdicts.count(verdict))) for verdict in ("gain", "loss", "tie", "open")]
        first = [Entry(name_student(one, findings)), fact_entry(one.baseline.score if one.baseline else None, lang)]
        last = [Entry(name_group(best.group, lang)), fact_entry(best.gain, lang, noun=False)]
        table.rows.append([*first, *counts, *last])
    helped = sum(any(contrast.verdict == "gain" for contrast in one.contrasts) for one in found)
    notes = tuple(c for _, claims in say_answers(findings) for c in claims if not c.key.startswith(("best", "fall")))
    return Slide(Claim("slide_students", {"helped": helped, "count": len(found)}), (), table, notes)


def _chart(
    groups: list[tuple[Group, Fact]],
    title: Claim,
    axis: str,
    key: str,
    lang: Lang,
    notes: tuple[Claim, ...],
    spare: int = 0,
) -> list[Slide]:
    named = sorted(((name_group(group, lang), fact) for group, fact in groups), key=lambda n: (-n[1].value, n[0]))
    return [Slide(title, (), make_bars(named, axis, ["s0"] * len(named), key, lang), notes, spare)] if named else []


def tell_falls(findings: Findings, lang: Lang, texts: Texts) -> list[Slide]:
    """Of the student whom int8 costs most."""
    each = [(g.numbers["fall"], g, f) for f in findings.students for g in f.groups if "fall" in g.numbers]
    if not each:
        return []
    most, worst, found = max(each, key=lambda item: (item[0].value, item[1].key))
    title = Claim("slide_falls", {"student": name_student(found, findings), "most": most, "worst": worst})
    notes = tuple(c for f, claims in say_answers(findings) if f is found for c in claims if c.key in ("fall", "falls"))
    named = [(group, fall) for fall, group, own in each if own is found]
    return _chart(named, title, texts["axis_falls"], texts["key_falls"], lang, notes)


def tell_classes(findings: Findings, lang: Lang, texts: Texts) -> list[Slide]:
    """Of the one student."""
    found = findings.students[0].classes if len(findings.students) == 1 else None
    if found is None:
        return []
    first, last = found.classes[0], found.classes[-1]
    blanks: dict[str, Blank] = {"arm": found.contrast.group, "best": first.name, "most": first.gain}
    title = Claim("slide_classes", {**blanks, "worst": last.name, "least": last.gain})
    named = [(one.name, one.gain) for one in found.classes]
    colours = [colour_gain(gain) for _, gain in named]
    bars = make_bars(named, texts["axis_points"], colours, texts["key_classes"], lang, ends=True)
    return [Slide(title, (), bars, tuple(say_classes(findings.students[0].student, found)), 1)]


def tell_trust(findings: Findings, chapters: dict[str, Section]) -> list[Slide]:
    """Agreement of int8 with fp32, or nothing where there is no int8."""
    each = [(numbers_of(g, findings), g) for f in findings.students for g in f.groups]
    known = [(numbers["agreement_int8"], group) for numbers, group in each if "agreement_int8" in numbers]
    table = next((block for block in chapters["trust"].blocks if isinstance(block, Table)), None)
    if not known or table is None:
        return []
    least = min(known, key=lambda item: (item[0].value, item[1].key))[0]
    notes = tuple(claim for found in findings.students for claim in say_trust(found, findings))
    return [Slide(Claim("slide_trust", {"least": least}), (), drop_repeated(table), notes, 2)]


def tell_sizes(findings: Findings, lang: Lang, texts: Texts, chapters: dict[str, Section]) -> list[Slide]:
    """What a student's network takes on a chip."""
    costs = tables.tabulate_costs(findings, lang, texts)
    known = [(f, g.numbers) for f in findings.students for g in f.groups if "weight_bytes" in g.numbers]
    if not known:
        return []
    found, numbers = known[0]
    blanks: dict[str, Blank] = {"student": name_student(found, findings), "weights": numbers["weight_bytes"]}
    title = Claim("slide_weights", blanks)
    if "arena_bytes" in numbers:
        title = Claim("slide_sizes", {**blanks, "arena": numbers["arena_bytes"]})
    told = (*chapters["chip"].claims, *say_caveats(findings)[:2])
    return [Slide(title, tell_under(costs, told, lang), costs, told)]
