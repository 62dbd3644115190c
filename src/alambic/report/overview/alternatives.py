"""What helps a student without any teacher: longer training, the controls of an exploration, a wider student."""

from __future__ import annotations

from dataclasses import dataclass

from alambic.report.chapters.claims import Claim, Words
from alambic.report.chapters.tables import Entry, Table, drop_empty, fact_entry
from alambic.report.facts.contrasts import Contrast, compare_groups, share_seeds
from alambic.report.facts.fact import Fact
from alambic.report.overview.costs import name_amounts
from alambic.report.overview.gather import Curved, Overview, Study
from alambic.report.words.overview_texts import OVERVIEW_TEXTS, read_overview_texts
from alambic.report.words.texts import read_texts
from alambic.report.words.wording import LANGS, Lang, name_group, show_number

CONTROLS = "controls"  # how the folder of a study ends that asks what else could explain a gain
NOTHING = {"random_teacher", "shuffled_teacher"}  # made to teach nothing: no way that anybody would take
HOW = "alambic.study.stats.compare, paired by seed; 95 % interval over seeds and images"


@dataclass(frozen=True)
class Alternative:
    """One way to a better student, with what it gives over the student alone; ``taught`` by another network."""

    name: Words
    where: str
    gain: Fact
    seeds: int | None
    taught: bool = False


def find_alternatives(overview: Overview) -> list[Alternative]:
    """More epochs first, then the arms of studies of controls; those with a teacher last, for comparison."""
    found = [one for curve in overview.curves if curve.key == "epochs" for one in _lengthen(curve)]
    for study in overview.studies:
        if study.place.endswith(CONTROLS):
            found += [*_widen(study, overview), *_read_controls(study)]
    return sorted(found, key=lambda one: one.taught)


def _lengthen(curve: Curved) -> list[Alternative]:
    """What each amount gives the student alone over the one before."""
    amounts = {lang: name_amounts(curve, lang) for lang in LANGS}
    student, found = str(curve.contents[0]["student"]), []
    for place, step in enumerate(curve.steps):
        told = {lang: f"{student}: {amounts[lang][place]} → {amounts[lang][place + 1]}" for lang in LANGS}
        seeds = curve.step_seeds[place] if curve.step_seeds else None
        found.append(Alternative(Words(told), "curves", step, seeds))
    return found


def _widen(study: Study, overview: Overview) -> list[Alternative]:
    """Other students alone, over the one that the study teaches."""
    findings = study.findings
    taught = [found for found in findings.students if found.contrasts and found.baseline is not None]
    alone = [found for found in findings.students if not found.contrasts and found.baseline is not None]
    made = []
    for first in taught:
        for other in alone:
            assert first.baseline is not None
            assert other.baseline is not None
            if not share_seeds(other.baseline, first.baseline, findings.scored):
                continue
            _, paired = compare_groups(other.baseline, first.baseline, findings.scored)
            key, seen = f"wider: {other.student} over {first.student}/{study.place}", paired.interval
            ids = other.baseline.ids + first.baseline.ids
            gain = overview.facts.add(key, seen.mean, "points", ids, "", HOW, (seen.low, seen.high))
            told = {lang: OVERVIEW_TEXTS["wider"][lang].format(student=other.student) for lang in LANGS}
            told = {lang: f"{first.student}: {text}" for lang, text in told.items()}
            made.append(Alternative(Words(told), study.name, gain, len(paired.seeds)))
    return made


def _read_controls(study: Study) -> list[Alternative]:
    """The study's arms over the student alone, without those whose teacher was made to teach nothing."""
    contrasts = [c for found in study.findings.students for c in found.contrasts]
    return [_read_contrast(c, study) for c in contrasts if not NOTHING & set(_treatments(c))]


def _read_contrast(contrast: Contrast, study: Study) -> Alternative:
    told = {lang: f"{contrast.group.student}: {name_group(contrast.group, lang)}" for lang in LANGS}
    taught = contrast.group.teacher is not None and "self_distillation" not in _treatments(contrast)
    return Alternative(Words(told), study.name, contrast.gain, len(contrast.paired.seeds), taught)


def _treatments(contrast: Contrast) -> list[str]:
    return list(contrast.group.rows[0].content["arm"].get("treatments") or ())


def say_alternatives(overview: Overview) -> list[Claim]:
    """What was shown to help without a teacher, as explored."""
    alone = [one for one in find_alternatives(overview) if not one.taught]
    sure = tuple((one.name, one.gain) for one in alone if one.gain.low is not None and one.gain.low > 0)
    if not alone:
        return []
    if not sure:
        return [Claim("all_alternatives_none", {"count": len(alone)}, "tie")]
    return [Claim("all_alternatives", {"count": len(alone), "listing": sure})]


def tabulate_alternatives(overview: Overview, lang: Lang) -> Table:
    """A row a way: what it gives over the student alone, with its seeds, where from."""
    words, texts = read_overview_texts(lang), read_texts(lang)
    heads = (words["way"], words["study"], texts["gain_column"], texts["seeds"])
    table = Table(tuple((head, "", place > 1) for place, head in enumerate(heads)))
    for one in find_alternatives(overview):
        name = one.name.by_lang[lang] + (f" ({texts['beside']})" if one.taught else "")
        seeds = Entry("–") if one.seeds is None else Entry(show_number(one.seeds, "number", lang))
        table.rows.append([Entry(name), Entry(one.where), fact_entry(one.gain, lang, noun=False), seeds])
    return drop_empty(table)
