"""Slides on teachers: which gave most, which families, what their accuracy tells, what foretold them."""

from __future__ import annotations

from alambic.report import tables
from alambic.report.chapter_suitability import best_estimator, say_best, say_families, say_judgement
from alambic.report.claims import METRIC_NAMES, Blank, Claim, Words
from alambic.report.contrasts import Contrast
from alambic.report.findings import Findings
from alambic.report.suitability_words import SCOPES
from alambic.report.suited import Suitability
from alambic.report.talk_parts import Scatter, Series, Slide, make_bars
from alambic.report.teachers import colour_families, gather_panels, read_score, tell_of
from alambic.report.texts import Texts
from alambic.report.wording import Lang, name_teacher

OF_ACCURACY = ("accuracy_means", "accuracy_ranks")


def tell_teachers(findings: Findings, lang: Lang, texts: Texts) -> list[Slide]:
    """Which teachers gave most; families and accuracy where they were judged; what was foretold of them."""
    made, found = _rank(findings, lang, texts), findings.suitability
    if found is None:
        return made
    if found.judgement is not None:
        made += [*_families(found, lang, texts), *_accuracy(found, findings, lang, texts)]
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
    blanks: dict[str, Blank] = {"teacher": name, "gain": first.gain, "arm": first.group.arm}
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


def _accuracy(found: Suitability, findings: Findings, lang: Lang, texts: Texts) -> list[Slide]:
    """Gain by the teacher's own score, of the student and arm with most teachers."""
    judged = next((one for one in found.verdicts if one.verdict.name == "accuracy"), None)
    panels = gather_panels(findings)
    if judged is None or not panels:
        return []
    name, own = max(panels.items(), key=lambda item: (len(item[1]), sum(c.gain.value for c in item[1])))
    series = []
    for family, colour in colour_families(own).items():
        members = sorted((c for c in own if tell_of(c, "teacher_family") == family), key=read_score)
        across = tuple(100 * read_score(contrast) for contrast in members)
        series.append(Series(family, across, tuple(contrast.gain for contrast in members), colour))
    rho = judged.facts["spearman"]
    key = "more" if rho.low is not None and rho.low > 0 else "less" if rho.high is not None and rho.high < 0 else "open"
    metric = Words(METRIC_NAMES.get(findings.scored.metric, METRIC_NAMES["accuracy"]))
    title = Claim(f"slide_accuracy_{key}", {"rho": rho, "metric": metric})
    listing = tuple((contrast.group, contrast.gain) for contrast in sorted(own, key=read_score, reverse=True))
    axes = (texts["teachers_score_axis"], texts["axis_points"])
    series.sort(key=lambda one: -len(one.facts))  # LibreOffice leaves out series that stand before a longer one
    shown = Scatter(tuple(series), axes, texts["key_accuracy"].format(panel=name))
    ranks = [claim for claim in say_judgement(found) if claim.key in OF_ACCURACY]
    return [Slide(title, (), shown, (*ranks, Claim("note_accuracy", {"listing": listing})))]
