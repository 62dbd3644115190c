"""The talk over all studies: one message a slide, its evidence in the notes. ``slides.py`` draws it."""

from __future__ import annotations

from collections.abc import Sequence

from alambic.report.blocks import Section
from alambic.report.claims import METRIC_NAMES, Blank, Claim, Words
from alambic.report.contrasts import Contrast
from alambic.report.gather import Group
from alambic.report.overview import Overview, Study
from alambic.report.overview_claims import (
    count_fates,
    is_fading,
    say_accuracy,
    say_all_families,
    say_chip,
    say_ideas,
    say_methods_between,
    say_teachers_between,
    say_when,
)
from alambic.report.overview_costs import name_amounts, tabulate_brief, tabulate_costs, tell_side
from alambic.report.overview_document import colour_of, count_taught
from alambic.report.overview_limits import say_do, say_trained
from alambic.report.overview_tables import (
    tabulate_data,
    tabulate_declared,
    tabulate_families_brief,
    tabulate_fates,
    tabulate_judged,
)
from alambic.report.overview_texts import read_overview_texts
from alambic.report.tables import Table
from alambic.report.talk import MOST_SLIDES
from alambic.report.talk_parts import Bars, Scatter, Slide, colour_gain, make_bars, take_ends
from alambic.report.talk_teachers import tell_teachers
from alambic.report.texts import Texts, read_texts
from alambic.report.wording import FROM, Lang, name_group

LINES = 9  # sentences of one slide
LONGEST = 40  # letters of an arm beside a bar; a longer one is named by its methods


def compose_talk(overview: Overview, sections: Sequence[Section], lang: Lang) -> list[Slide]:
    """The slides in order; those that would be empty are left out. ``sections``: the document's chapters."""
    words, said = read_overview_texts(lang), {section.key: section.claims for section in sections}
    told: dict[str, Blank] = {"studies": len(overview.studies), "claims": len(overview.claims)}
    asked = said["question"]
    under = tuple(claim.text(lang) for claim in asked if claim.key in ("all_distil", "all_evidence"))
    made = [
        Slide(words["title"], (words["subtitle"], *(claim.text(lang) for claim in asked[:1])), notes=asked),
        _lines(Claim("talk_short", {}), said["short"], lang),
        Slide(Claim("talk_studies", told), under, tabulate_data(overview, lang), asked),
        *_teachers(overview, lang),
        *_methods(overview, lang, words),
        *_when(overview, lang, words),
        *_ideas(overview, lang),
        *_chip(overview, lang),
        *_advice(overview, lang),
        _lines(Claim("talk_limits", {}), said["limits"], lang),
    ]
    made = [slide for slide in made if slide.lines or slide.shown]
    while len(made) > MOST_SLIDES and any(slide.spare for slide in made):
        made.remove(max(made, key=lambda slide: slide.spare))
    return made


def _lines(title: Claim, claims: Sequence[Claim], lang: Lang) -> Slide:
    return Slide(title, tuple(claim.text(lang) for claim in claims[:LINES]), notes=tuple(claims))


def _teachers(overview: Overview, lang: Lang) -> list[Slide]:
    """What ranks them, gain against accuracy in the study with most of them, families."""
    if not overview.judged:
        return []
    claims, families = say_accuracy(overview), say_all_families(overview)
    keys = {claim.key for claim in claims}
    title = "talk_ranked" if {"all_accuracy_first", "all_estimators"} <= keys else "talk_ranked_some"
    made = [Slide(Claim(title, {}), (), _drop(tabulate_judged(overview, lang), 1), tuple(claims))]
    shown = max(overview.judged, key=count_taught)
    every = tell_teachers(shown.findings, lang, read_texts(lang))
    made += [slide for slide in every if isinstance(slide.shown, Scatter)][:1]
    if families:
        key = "talk_families_none" if families[0].key == "all_families_none" else "talk_families_some"
        made.append(
            Slide(
                Claim(key, {}),
                tuple(claim.text(lang) for claim in families),
                tabulate_families_brief(overview, lang),
                tuple(families),
            )
        )
    return made


def _drop(table: Table, column: int) -> Table:
    kept = [index for index in range(len(table.heads)) if index != column]
    return Table(tuple(table.heads[i] for i in kept), [[row[i] for i in kept] for row in table.rows])


def _methods(overview: Overview, lang: Lang, words: Texts) -> list[Slide]:
    """A chart a metric of what was declared against the student alone, then what was declared between two arms."""
    metrics: dict[str, list[tuple[Study, Contrast]]] = {}
    for study, contrast in overview.with_alone:
        metrics.setdefault(study.findings.scored.metric, []).append((study, contrast))
    made = []
    for metric, pairs in metrics.items():
        sure = [c for study, c in pairs if study.is_confirmed(c)]
        name = Words(METRIC_NAMES[metric]) if metric in METRIC_NAMES else metric
        title = Claim("talk_alone", {"metric": name, "confirmed": len(sure), "count": len(pairs)})
        shown = take_ends(sorted(pairs, key=lambda pair: -pair[1].gain.value))
        named = [(f"{_name(c.group, lang)} ({study.name})", c.gain) for study, c in shown]
        colours = [colour_of(study, c) for study, c in shown]
        bars = make_bars(named, read_texts(lang)["axis_points"], colours, words["key_verdict"], lang)
        listing = tuple((c.group, c.gain, f"({study.name}, {c.group.student})") for study, c in pairs)
        made.append(Slide(title, (), bars, (Claim("all_listed", {"listing": listing}),)))
    pairs = sorted(overview.between, key=lambda pair: (not pair[0].is_confirmed(pair[1]), -pair[1].gain.value))
    if pairs:
        sure = [c for study, c in pairs if study.is_confirmed(c)]
        title = Claim("talk_between", {"confirmed": len(sure), "count": len(pairs)})
        table = _drop(tabulate_declared(pairs, lang), 4)
        notes = (*say_teachers_between(overview), *say_methods_between(overview))
        made.append(Slide(title, (), table, notes, 1))
    return made


def _name(group: Group, lang: Lang) -> str:
    name = name_group(group, lang)
    short = f"{'+'.join(group.rows[0].content['arm']['methods'])} {FROM[lang]} {group.teacher}"
    return name if len(name) <= LONGEST else short


def _when(overview: Overview, lang: Lang, words: Texts) -> list[Slide]:
    """One arm over the student alone at each amount of images and labels."""
    named, colours = [], []
    for curve in overview.curves:
        if curve.key == "epochs" or curve.longest is None:
            continue
        side, facts = curve.longest
        for amount, fact in zip(name_amounts(curve, lang), facts, strict=True):
            if fact is not None:
                named.append((f"{tell_side(side, lang)}, {amount}", fact))
                colours.append(colour_gain(fact))
    if not named:
        return []
    fading = all(is_fading(curve) for curve in overview.curves if curve.key != "epochs" and curve.longest)
    bars: Bars = make_bars(named, read_texts(lang)["axis_points"], colours, words["key_sign"], lang)
    return [Slide(Claim("talk_when" if fading else "talk_when_open", {}), (), bars, _notes_when(overview))]


def _notes_when(overview: Overview) -> tuple[Claim, ...]:
    return (*say_when(overview), *say_trained(overview))


def _ideas(overview: Overview, lang: Lang) -> list[Slide]:
    fates = count_fates(overview)
    if not fates:
        return []
    survived = sum(fate["survives"] > 0 for fate in fates.values())
    claims = tuple(say_ideas(overview))
    return [
        Slide(
            Claim("talk_ideas", {"ideas": len(fates), "survived": survived}), (), tabulate_fates(overview, lang), claims
        )
    ]


def _chip(overview: Overview, lang: Lang) -> list[Slide]:
    claims = say_chip(overview)
    if not claims or claims[0].key != "all_int8":
        return []
    return [
        Slide(Claim("talk_chip", {"most": claims[0].blanks["most"]}), (), tabulate_costs(overview, lang), tuple(claims))
    ]


def _advice(overview: Overview, lang: Lang) -> list[Slide]:
    if not overview.claims:
        return []
    claims = say_do(overview)
    decided = Slide(Claim("talk_decide", {}), (), tabulate_brief(overview, lang), tuple(claims))
    return [decided, _lines(Claim("talk_do", {}), claims, lang)]
