"""Slides on teachers: which gave most, which families, what their accuracy tells, what foretold them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from alambic.report.chapters import tables
from alambic.report.chapters.claims import METRIC_NAMES, Blank, Claim, Words
from alambic.report.chapters.document import list_data
from alambic.report.chapters.suitability import best_estimator, say_best, say_families, say_judgement
from alambic.report.chapters.teachers import FEWEST, colour_families, gather_panels, read_score, score_alone, tell_of
from alambic.report.facts.contrasts import Contrast
from alambic.report.facts.fact import Fact, Facts
from alambic.report.facts.findings import Findings
from alambic.report.facts.suited import Suitability
from alambic.report.talk.parts import Scatter, Series, Slide, make_bars
from alambic.report.words.suitability import SCOPES
from alambic.report.words.texts import Texts
from alambic.report.words.wording import Lang, name_arm, name_teacher
from alambic.suitability.judge import bounds, draw_teachers
from alambic.suitability.ranks import spearman, spearman_weighted

DRAWS = 2000  # of teachers, for an interval of a rank correlation
OF_ACCURACY = ("accuracy_means", "accuracy_ranks")


def tell_teachers(findings: Findings, lang: Lang, texts: Texts, facts: Facts | None = None) -> list[Slide]:
    """Which teachers gave most; families and accuracy where they were judged; what was foretold of them.

    ``facts`` is where a number of these slides alone is kept: by default the study's own.
    """
    made, found = _rank(findings, lang, texts), findings.suitability
    if found is None:
        return made
    if found.judgement is not None:
        made += [*_families(found, lang, texts), *_accuracy(found, findings, lang, texts, facts or findings.facts)]
    best = best_estimator(found) if found.judgement is not None else None
    if best is None:
        return made
    title, said = say_best(best), [claim for claim in say_judgement(found) if claim.key not in OF_ACCURACY]
    lines = tuple(claim.text(lang) for claim in said if claim.key != title.key)
    return [*made, Slide(Claim(f"slide_{title.key}", title.blanks), lines[:4], notes=tuple(said))]


def _rank(findings: Findings, lang: Lang, texts: Texts) -> list[Slide]:
    taught = [c for f in findings.students for c in f.contrasts if c.group.teacher is not None]
    if not taught:
        return []
    ordered = sorted(taught, key=lambda c: (c.verdict == "gain", c.gain.value, c.group.key), reverse=True)
    best: dict[str, Contrast] = {}
    for contrast in ordered:
        best.setdefault(_name(contrast, lang), contrast)
    first, name = ordered[0], _name(ordered[0], lang)
    blanks: dict[str, Blank] = {"teacher": name, "gain": first.gain, "arm": name_arm(first.group, lang)}
    key = "slide_teachers" if first.verdict == "gain" else "slide_teachers_open"
    key += "_one" if len(best) == 1 else ""
    listing = tuple((one.group, one.gain) for one in best.values())
    table = tables.rank_teachers(ordered, lang, texts)
    return [Slide(Claim(key, blanks), (), table, (Claim("note_teachers", {"listing": listing}),))]


def _name(contrast: Contrast, lang: Lang) -> str:
    return name_teacher(contrast.group.rows[0].content, lang)


def _families(found: Suitability, lang: Lang, texts: Texts) -> list[Slide]:
    """Each family against the reference, in each scope's main model."""
    main = [family for family in found.families if family.main]
    if not main:
        return []
    several = len({family.scope for family in main}) > 1
    named, colours = [], []
    for one in main:
        scope = SCOPES[one.scope][lang] if one.scope in SCOPES else one.scope
        named.append((f"{one.effect.family} / {one.reference}" + (f" ({scope})" if several else ""), one.gain))
        apart = "gain" if one.effect.effect > 0 else "loss"
        colours.append(apart if one.effect.is_clear else "warn" if one.effect.low * one.effect.high > 0 else "tie")
    clear = sum(family.effect.is_clear for family in main)
    title = Claim("slide_families", {"clear": clear, "count": len(main)})
    bars = make_bars(named, texts["families_axis"], colours, texts["key_families"], lang)
    return [Slide(title, (), bars, tuple(say_families(found)))]


def _accuracy(found: Suitability, findings: Findings, lang: Lang, texts: Texts, facts: Facts) -> list[Slide]:
    """Gain by the teacher's own score, of the student and arm with most teachers, and the rank correlation of these
    very points: the judge's is a mean over all students and arms. As the judge does, it leaves out teachers that were
    made to teach nothing."""
    untold = {*found.judgement.nasty, *found.judgement.controls} if found.judgement is not None else set[str]()
    panels = {
        name: [contrast for contrast in own if contrast.group.teacher not in untold]
        for name, own in gather_panels(findings).items()
    }
    panels = {name: own for name, own in panels.items() if len(own) >= FEWEST}
    if not panels or not any(one.verdict.name == "accuracy" for one in found.verdicts):
        return []
    name, own = max(panels.items(), key=lambda item: (len(item[1]), sum(c.gain.value for c in item[1])))
    series = []
    for family, colour in colour_families(own).items():
        members = sorted((c for c in own if tell_of(c, "teacher_family") == family), key=read_score)
        across = tuple(100 * read_score(contrast) for contrast in members)
        series.append(Series(family, across, tuple(contrast.gain for contrast in members), colour))
    ordered = sorted(own, key=read_score, reverse=True)
    told: dict[str, Blank] = {"panel": name, "data": list_data(findings), "rho": _rank_panel(name, ordered, facts)}
    told["metric"] = Words(METRIC_NAMES.get(findings.scored.metric, METRIC_NAMES["accuracy"]))
    title = Claim("slide_accuracy_own", told)
    if len(own) >= 2 * FEWEST:
        half = _rank_panel(f"{name}, better half", ordered[: (len(ordered) + 1) // 2], facts)
        title = Claim("slide_accuracy_half", {**told, "half": half})
    listing = tuple((contrast.group, contrast.gain) for contrast in ordered)
    axes = (texts["teachers_score_axis"], texts["axis_points"])
    series.sort(key=lambda one: -len(one.facts))  # LibreOffice leaves out series that stand before a longer one
    alone = score_alone(own)
    key = texts["key_accuracy"].format(panel=name, data=list_data(findings).by_lang[lang], count=len(panels))
    shown = Scatter(tuple(series), axes, key, (texts["alone"], alone) if alone else None)
    ranks = [claim for claim in say_judgement(found) if claim.key in OF_ACCURACY]
    return [Slide(title, (), shown, (*ranks, Claim("note_accuracy", {"listing": listing})))]


def _rank_panel(name: str, own: Sequence[Contrast], facts: Facts) -> Fact:
    """Spearman of score and gain over the teachers of one student and arm, its interval by resampling them."""
    scores = np.array([read_score(contrast) for contrast in own])
    gains = np.array([contrast.gain.value for contrast in own])
    ends = bounds(spearman_weighted(scores, gains, draw_teachers(len(own), DRAWS)))
    how = f"Spearman of teachers’ score and gain; 95 % interval of {DRAWS} resamples of the teachers"
    rows = tuple(row for contrast in own for row in contrast.group.ids)
    return facts.add(f"ranks of accuracy/{name}", spearman(scores, gains), "correlation", rows, "", how, ends)
