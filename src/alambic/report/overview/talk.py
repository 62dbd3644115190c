"""The talk over all studies: one message a slide, its evidence in the notes. ``slides.py`` draws it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from alambic.report.chapters.blocks import Section
from alambic.report.chapters.claims import Blank, Claim, Words, name_metric
from alambic.report.chapters.suitability import list_survey
from alambic.report.chapters.tables import Entry, Table
from alambic.report.facts.contrasts import Contrast
from alambic.report.facts.gather import Group
from alambic.report.facts.ideas import Idea
from alambic.report.overview.chip import tell_tensor
from alambic.report.overview.claims import (
    count_fates,
    list_unconfirmed,
    name_idea,
    say_all_families,
    say_chip,
    say_ideas,
    say_methods_between,
    say_teachers_between,
)
from alambic.report.overview.costs import tabulate_costs
from alambic.report.overview.decisions import gather_advised, tabulate_brief
from alambic.report.overview.document import colour_of, count_taught
from alambic.report.overview.gather import Overview, Study, tell_data
from alambic.report.overview.limits import say_do
from alambic.report.overview.tables import (
    tabulate_data,
    tabulate_families_brief,
    tabulate_judged,
    tell_verdict,
)
from alambic.report.overview.talk_when import tell_curves
from alambic.report.overview.teachers import say_accuracy, say_superset
from alambic.report.talk.compose import MOST_SLIDES
from alambic.report.talk.parts import Scatter, Slide, make_bars
from alambic.report.talk.tables import choose, drop_columns
from alambic.report.talk.teachers import tell_teachers
from alambic.report.words.french_names import tell_idea
from alambic.report.words.overview_texts import read_overview_texts
from alambic.report.words.texts import Texts, read_texts
from alambic.report.words.wording import FROM, LANGS, Lang, name_arm, name_group, show_number

LONGEST = 40  # letters of an arm beside a bar; a longer one is named by its methods
LISTED = 4  # items of a list in a sentence on a slide; of more, some are named, and the notes hold all
ACCURACY = 0  # place of its rank in a judged study’s


def compose_talk(overview: Overview, sections: Sequence[Section], lang: Lang) -> list[Slide]:
    """The slides in order; those that would be empty are left out. ``sections``: the document's chapters."""
    words, said = read_overview_texts(lang), {section.key: section.claims for section in sections}
    told: dict[str, Blank] = {"studies": len(overview.studies), "claims": len(overview.claims)}
    asked = said["question"]
    under = tuple(claim.text(lang) for claim in asked if claim.key == "all_distil")
    answers = [
        *_teachers(overview, lang),
        *_methods(overview, lang, words),
        *_between(overview, lang, words),
        *tell_curves(overview, " ".join([words["key_sign"], *_warn(overview, lang)]), lang, words),
        *_ideas(overview, lang, words),
        *_chip(overview, lang, words),
    ]
    made = [
        Slide(words["title"], (words["subtitle"], *(claim.text(lang) for claim in asked[:1])), notes=asked),
        _short(said["short"], answers, overview, lang),
        Slide(Claim("talk_studies", told), under, tabulate_data(overview, lang), asked),
        *answers,
        *_advice(overview, lang),
        _lines(_title_limits(overview), said["limits"], lang),
    ]
    made = [slide for slide in made if slide.lines or slide.shown]
    while len(made) > MOST_SLIDES and any(slide.spare for slide in made):
        made.remove(max(made, key=lambda slide: slide.spare))
    return made


def _lines(title: Claim, claims: Sequence[Claim], lang: Lang) -> Slide:
    return Slide(title, tuple(shorten(claim).text(lang) for claim in claims), notes=tuple(claims))


def shorten(claim: Claim) -> Claim:
    """A sentence whose long lists name some items, evenly taken, and say how many more there are."""
    blanks: dict[str, Blank] = {}
    for name, blank in claim.blanks.items():
        blanks[name] = blank
        if isinstance(blank, tuple) and len(blank) > LISTED:
            kept = [blank[place] for place in choose([""] * len(blank), LISTED - 1)]
            more = len(blank) - len(kept)
            blanks[name] = (*kept, Words({"en": f"{more} more in the notes", "fr": f"{more} de plus dans les notes"}))
    return replace(claim, blanks=blanks)


def _short(claims: Sequence[Claim], answers: Sequence[Slide], overview: Overview, lang: Lang) -> Slide:
    """The messages of the slides that answer, but for that of one study; the answer in numbers in the notes."""
    pairs = overview.with_alone
    sure = [c for study, c in pairs if study.is_confirmed(c)]
    told = Claim("talk_short", {"confirmed": len(sure), "count": len(pairs)}) if pairs else Claim("talk_short_bare", {})
    titles = [slide.title for slide in answers if slide.title and not isinstance(slide.shown, Scatter)]
    return Slide(told, tuple(one.text(lang) if isinstance(one, Claim) else one for one in titles), notes=tuple(claims))


def _title_limits(overview: Overview) -> Claim:
    sizes = [group.numbers["parameters"] for group in overview.groups if "parameters" in group.numbers]
    students = {str(content["student"]) for study in overview.studies for content in study.contents}
    data = {tell_data(study, "en") for study in overview.studies}
    told: dict[str, Blank] = {"students": len(students), "data": len(data)}
    return Claim("talk_limits", {**told, "most": max(sizes, key=lambda fact: fact.value) if sizes else "–"})


def _teachers(overview: Overview, lang: Lang) -> list[Slide]:
    """What ranks them, gain against accuracy in the study with most of them, families."""
    if not overview.judged:
        return []
    claims, families, words = say_accuracy(overview), say_all_families(overview), read_overview_texts(lang)
    ranks = [study.ranked[ACCURACY].get("spearman") for study in overview.judged]
    told: dict[str, Blank] = {"clear": sum(rho is not None and (rho.low or 0.0) > 0 for rho in ranks)}
    told["count"] = len(ranks)
    found = [judged.verdict for study in overview.judged for judged in list_survey(study.suitability)]
    title = "talk_ranked_some" if any(one.beats_accuracy for one in found) or not found else "talk_ranked"
    spare = {words[key] for key in ("teachers", "rank_worst", "lost_accuracy", "lost_pilot") if key in words}
    lines = tuple(shorten(claim).text(lang) for claim in claims)
    table = drop_columns(tabulate_judged(overview, lang), spare)
    made = [Slide(Claim(title, told), lines, table, tuple(claims))]
    shown = max(overview.judged, key=count_taught)
    every = tell_teachers(shown.findings, lang, read_texts(lang), overview.facts)
    made += [slide for slide in every if isinstance(slide.shown, Scatter)][:1]
    if families:
        key = "talk_families_none" if families[0].key == "all_families_none" else "talk_families_some"
        lines = tuple(shorten(claim).text(lang) for claim in families)
        made.append(Slide(Claim(key, {}), lines, tabulate_families_brief(overview, lang), tuple(families)))
    return made


def _methods(overview: Overview, lang: Lang, words: Texts) -> list[Slide]:
    """A chart a metric of what was declared against the student alone."""
    metrics: dict[str, list[tuple[Study, Contrast]]] = {}
    for study, contrast in overview.with_alone:
        metrics.setdefault(study.findings.scored.metric, []).append((study, contrast))
    made = []
    for metric, pairs in metrics.items():
        sure = [c for study, c in pairs if study.is_confirmed(c)]
        told: dict[str, Blank] = {"metric": _name_metric(metric), "count": len(pairs)}
        if sure:
            told |= {"confirmed": len(sure), "most": max((c.gain for c in sure), key=lambda gain: gain.value)}
        title = Claim("talk_alone" if sure else "talk_alone_none", told)
        ordered = sorted(pairs, key=lambda pair: -pair[1].gain.value)
        named = [(f"{_name(c.group, lang)} ({study.name})", c.gain) for study, c in ordered]
        colours = [colour_of(study, c) for study, c in ordered]
        key = " ".join([words["key_verdict"], *_warn(overview, lang)])
        bars = make_bars(named, read_texts(lang)["axis_points"], colours, key, lang)
        listing = tuple((c.group, c.gain, f"({study.name}, {c.group.student})") for study, c in pairs)
        notes = (*say_superset(overview), Claim("all_listed", {"listing": listing}))
        made.append(Slide(title, (), bars, notes))
    return made


def _warn(overview: Overview, lang: Lang) -> list[str]:
    """What stands below each chart of gains: what else the teachers knew."""
    return [replace(claim, key="talk_superset").text(lang) for claim in say_superset(overview)]


def _name_metric(metric: str) -> Words:
    return Words({lang: name_metric(metric, lang) for lang in LANGS})


def _name(group: Group, lang: Lang) -> str:
    name = name_group(group, lang)
    short = f"{'+'.join(group.rows[0].content['arm']['methods'])} {FROM[lang]} {group.teacher}"
    return name if len(name) <= LONGEST else short


def _between(overview: Overview, lang: Lang, words: Texts) -> list[Slide]:
    """A row a question: one arm against another, how often declared, how often confirmed, from which gain to which."""
    pairs = overview.between
    if not pairs:
        return []
    sure = [c for study, c in pairs if study.is_confirmed(c)]
    title = Claim("talk_between", {"confirmed": len(sure), "count": len(pairs)})
    texts, metrics = read_texts(lang), list(dict.fromkeys(study.findings.scored.metric for study, _ in pairs))
    heads = [texts["arm"], texts["against"], texts["declared_column"], texts["confirmed_column"]]
    for metric in metrics:
        name = _name_metric(metric).by_lang[lang]
        heads.append(texts["points_column"].format(metric=name[:1].upper() + name[1:]))
    asked: dict[tuple[str, str], list[tuple[Study, Contrast]]] = {}
    for study, c in pairs:
        asked.setdefault((name_arm(c.group, lang), name_arm(c.other, lang)), []).append((study, c))
    table = Table(tuple((head, "", place > 1) for place, head in enumerate(heads)))
    for key, own in sorted(asked.items(), key=lambda item: (-len(item[1]), item[0])):
        counted = [study for study, c in own if study.is_confirmed(c)]
        looked = any(study.findings.declared and study.findings.declared.first_seeds for study in counted)
        row = [*key, str(len(own)), f"{len(counted)}{'*' if looked else ''}"]
        row += [
            _tell_range([c for s, c in own if s.findings.scored.metric == metric], words, lang) for metric in metrics
        ]
        table.rows.append([Entry(cell) for cell in row])
    starred = any(row[3].text.endswith("*") for row in table.rows)
    listing = tuple((*row, f"({study.name})") for study, row in ((s, _row_of(s, c)) for s, c in pairs))
    notes = (*say_teachers_between(overview), *say_methods_between(overview), Claim("all_listed", {"listing": listing}))
    remark = Claim("all_looked_star", {}).text(lang) if starred else ""
    return [Slide(title, (), table, notes, 1, remark=remark)]


def _row_of(study: Study, c: Contrast) -> tuple[Blank, ...]:
    verdict = Words({lang: tell_verdict(study, c, lang) for lang in LANGS})
    return c.group, Words({"en": "against", "fr": "face à"}), c.other, c.gain, verdict


def _tell_range(contrasts: Sequence[Contrast], words: Texts, lang: Lang) -> str:
    """From the least gain to the most."""
    if not contrasts:
        return "–"
    values = [c.gain.value for c in contrasts]
    ends = [show_number(end, "points", lang, noun=False) for end in (min(values), max(values))]
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} {words['to']} {ends[1]}"


def _ideas(overview: Overview, lang: Lang, words: Texts) -> list[Slide]:
    """A row an idea: how often it met each fate, in a study or by a measure."""
    fates, texts = count_fates(overview), read_texts(lang)
    if not fates:
        return []
    names = ("survives", "refuted", "undecided")
    heads = [texts["idea"], words["times_judged"], *(texts[f"{name}_column"] for name in names)]
    table = Table(tuple((head, "", place > 0) for place, head in enumerate(heads)))
    for name, fate in sorted(fates.items(), key=lambda item: (-sum(item[1].values()), item[0])):
        counts = [sum(fate.values()), *(fate[one] for one in names)]
        shown = [Entry(show_number(count, "number", lang), count) for count in counts]
        table.rows.append([Entry(tell_idea(name, lang)), *shown])
    survived = sum(fate["survives"] > 0 for fate in fates.values())
    listing = tuple(
        (name_idea(idea.name), _tell_fate(idea), idea.hardest.gain, f"({study.name})")
        for study in overview.ideas
        for idea in study.findings.ideas
        if idea.hardest is not None
    )
    notes = (*say_ideas(overview), Claim("all_listed", {"listing": listing}))
    none = any(claim.key == "all_no_winner" for claim in notes)
    title = Claim("talk_ideas_none" if none else "talk_ideas", {"ideas": len(fates), "survived": survived})
    return [Slide(title, (), table, notes)]


def _tell_fate(idea: Idea) -> Words:
    return Words({lang: read_texts(lang)[idea.fate] for lang in LANGS})


def _chip(overview: Overview, lang: Lang, words: Texts) -> list[Slide]:
    """What a network costs there, in the columns that decide; the rest in the document."""
    groups = [group for study in overview.claims for group in study.findings.groups]
    falls = [group.numbers["fall"] for group in groups if "fall" in group.numbers]
    claims, texts = say_chip(overview), read_texts(lang)
    if not falls:
        return []
    spare = {texts["parameters"], texts["macs"], words["agrees"], words["kernels"]}
    table = drop_columns(tabulate_costs(overview, lang), spare)
    lines = tuple(shorten(claim).text(lang) for claim in claims)
    told: dict[str, Blank] = {"most": max(falls, key=lambda fact: fact.value), "more": tell_tensor(overview)}
    return [Slide(Claim("talk_chip", told), lines, table, tuple(claims))]


def _advice(overview: Overview, lang: Lang) -> list[Slide]:
    if not overview.claims:
        return []
    claims = say_do(overview)
    rows = gather_advised(overview)
    counts: dict[str, Blank] = {"confirmed": sum(row.is_sure for row in rows), "count": len(rows)}
    brief, remark = tabulate_brief(overview, lang), " ".join(_warn(overview, lang))
    decided = Slide(Claim("talk_decide", counts), (), brief, tuple(claims), remark=remark)
    tried, bare = {study.name for study, _ in overview.with_alone}, len(list_unconfirmed(overview))
    title = Claim("talk_do", {"sure": len(tried) - bare, "count": len(tried)})
    return [decided, _lines(title, claims, lang)]
