"""What a talk says, slide by slide: one message each, its evidence in the notes. ``slides.py`` draws it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from alambic.report.chapters.answers import say_purpose, say_sight
from alambic.report.chapters.blocks import Section
from alambic.report.chapters.claims import Blank, Claim
from alambic.report.chapters.decisions import say_decision, say_decisions, tabulate_decisions
from alambic.report.chapters.document import (
    compose_document,
    describe_data,
    has_baseline,
    list_data,
    list_students,
    measures_int8,
    sees_labelled_only,
    tabulate_methods,
    used_methods,
)
from alambic.report.chapters.tables import Table, drop_empty, tabulate_teachers
from alambic.report.facts.advice import decide
from alambic.report.facts.fact import Fact
from alambic.report.facts.findings import Findings
from alambic.report.talk.layout import measure, measure_lines
from alambic.report.talk.parts import Slide, tell_under
from alambic.report.talk.results import tell_answers, tell_classes, tell_falls, tell_sizes, tell_trust
from alambic.report.talk.tables import drop_repeated, turn
from alambic.report.talk.teachers import tell_teachers
from alambic.report.words.texts import read_texts
from alambic.report.words.wording import Lang

FEWEST_SLIDES, MOST_SLIDES = 12, 15
ROOM = 5.1  # inches of a slide below its title
BOTH = 6  # rows of methods and teachers that share a slide
TAKES = ("take_", "shown_none")
SIZED = ("slide_sizes", "slide_weights")
# nearly empty slides -> what they join: costs to what int8 answers, the one teacher and the limits to what to take
FOLDED = (
    (SIZED, ("slide_trust",)),
    (("slide_teachers_one", "slide_teachers_open_one"), TAKES),
    (("slide_limits",), TAKES),
)


def compose_slides(findings: Findings, lang: Lang) -> list[Slide]:
    """The slides in order, those left out that would be empty: 12 to 15 for a study of up to three students."""
    texts = read_texts(lang)
    chapters = {section.key: section.without_hints() for section in compose_document(findings, lang)}
    made = [*_open(findings, chapters, lang), *_declared(findings, chapters), *tell_answers(findings, lang, texts)]
    made += [*tell_falls(findings, lang, texts), *tell_classes(findings, lang, texts)]
    made += [*tell_trust(findings, chapters), *tell_sizes(findings, lang, texts, chapters)]
    made += [*tell_teachers(findings, lang, texts), *_ideas(findings, chapters), *_close(findings, chapters, lang)]
    while len(made) > MOST_SLIDES and any(slide.spare for slide in made):
        made.remove(max(made, key=lambda slide: slide.spare))
    return _fold(made, lang)


def _fold(made: list[Slide], lang: Lang) -> list[Slide]:
    """Slides that would be nearly empty join another one that has room, while the talk keeps its least length."""
    for guests, hosts in FOLDED:
        guest, host = (next((s for s in made if _key(s).startswith(keys)), None) for keys in (guests, hosts))
        if guest is None or host is None or len(made) <= FEWEST_SLIDES or not isinstance(guest.title, Claim):
            continue
        own = (guest.title.text(lang),) if isinstance(guest.shown, Table) else guest.lines
        # what the one teacher is stands beside the methods: of its slide the message is left
        also = host.also if _key(guest).endswith("_one") or not isinstance(guest.shown, Table) else guest.shown
        lines = (*host.lines, *(line for line in own if line not in host.lines))
        notes = (*host.notes, *(claim for claim in guest.notes if claim not in host.notes))
        joined = replace(host, lines=lines, also=also, notes=notes)
        if _measure(joined, lang) <= ROOM:
            made[made.index(host)] = joined
            made.remove(guest)
    return [replace(s, shown=turn(s.shown)) if _key(s) in SIZED and isinstance(s.shown, Table) else s for s in made]


def _key(slide: Slide) -> str:
    return slide.title.key if isinstance(slide.title, Claim) else ""


def _measure(slide: Slide, lang: Lang) -> float:
    """Inches that a slide's tables and sentences take at the least."""
    tables = [table for table in (slide.shown, slide.also) if isinstance(table, Table)]
    return sum(measure(table, lang) + 0.25 for table in tables) + measure_lines(slide.lines)


def _open(findings: Findings, chapters: dict[str, Section], lang: Lang) -> list[Slide]:
    sights, purpose = say_sight(findings), say_purpose(findings)
    asked = "slide_asked" if measures_int8(findings) else "slide_asked_float"
    question = Claim(asked, {"students": list_students(findings)})
    told: dict[str, Blank] = {"data": describe_data(findings), "done": findings.counts["done"]}
    answered = Claim("slides_answer" if measures_int8(findings) else "slides_answer_float", told)
    key = "slide_compared" if has_baseline(findings) else "slide_compared_arms"
    compared = Claim(key, {"count": len(used_methods(findings.groups))})
    protocol, methods = chapters["protocol"].claims, tabulate_methods(findings, lang)
    kind = "tuned" if any(claim.key == "own_recipes" for claim in protocol) else "same"
    fair = f"slide_protocol_{'labelled' if sees_labelled_only(findings) else kind}"
    brief = Table(methods.heads[:3], [row[:3] for row in methods.rows])  # nobody reads formulas on a wall
    taught = tabulate_teachers(findings, lang, read_texts(lang))
    also = taught if taught.rows and len(taught.rows) + len(brief.rows) <= BOTH else None
    lines = tuple(claim.text(lang) for claim in (answered, compared))
    made = [
        Slide(findings.name, (read_texts(lang)["report"], purpose.text(lang)), notes=(purpose,)),
        Slide(question, lines, brief, (answered, *chapters["survey"].claims), also=also),
        Slide(Claim(fair, {}), tuple(claim.text(lang) for claim in protocol), notes=protocol),
    ]
    if not sights:
        return made
    shown = sights[0][:4] if len(sights) == 1 else [claims[0] for claims in sights]
    seen = tuple(claim for claims in sights for claim in claims)
    return [*made, Slide(_title_sight(findings), tuple(claim.text(lang) for claim in shown), notes=seen)]


def _title_sight(findings: Findings) -> Claim:
    """What could not be seen: of students that differ in it, the least and the most."""
    seen = [f.seen.effect for f in findings.students if f.seen is not None and f.seen.effect is not None]
    if not seen:
        return Claim("slide_blind", {})
    least, most = min(seen, key=lambda fact: fact.value), max(seen, key=lambda fact: fact.value)
    if not has_baseline(findings):
        return Claim("slide_sight_between", {"effect": most})
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
    return [Slide(title, (), drop_repeated(table), chapters["declared"].claims)]


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


def _close(findings: Findings, chapters: dict[str, Section], lang: Lang) -> list[Slide]:
    """What to do, and how far it holds."""
    advice, limits, made = tuple(say_decisions(findings)), chapters["limits"].claims, decide(findings)
    closing: list[Slide] = []
    if made:
        best = max(made, key=lambda d: (d.take is not None, d.take.gain.value if d.take else 0.0, d.found.student))
        title = say_decision(best, findings)
        table = tabulate_decisions(findings, lang)
        told = tell_under(table, (say_purpose(findings), *(claim for claim in advice if claim != title)), lang)
        closing.append(Slide(title, told, drop_empty(table), advice))
    last = Claim("slide_limits", {"data": list_data(findings), "seeds": _count_seeds(findings)})
    return [*closing, Slide(last, tuple(c.text(lang) for c in limits[:5]), notes=limits)]


def _count_seeds(findings: Findings) -> Fact:
    """The fewest seeds of a student's contrasts; without contrasts, of an arm."""
    seeds = [found.seen.seeds for found in findings.students if found.seen is not None]
    if seeds:
        return min(seeds, key=lambda fact: fact.value)
    fewest = min(findings.groups, key=lambda group: (len(group.rows), group.key))
    return findings.facts.add("seeds/fewest", len(fewest.rows), "seeds", fewest.ids, "", "of the arm with fewest")
