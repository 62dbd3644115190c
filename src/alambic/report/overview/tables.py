"""Tables of the document and the talk over all studies."""

from __future__ import annotations

from collections.abc import Sequence

from alambic.report.chapters.data_told import tell_task
from alambic.report.chapters.suitability import best_estimator, list_survey, tell_title
from alambic.report.chapters.tables import Entry, Table, drop_empty, fact_entry
from alambic.report.facts.contrasts import Contrast
from alambic.report.facts.suited import Judged
from alambic.report.overview.gather import Overview, Study, main_families, see_families, tell_data
from alambic.report.overview.kept import find_former, mean_gains
from alambic.report.overview.teachers import Accurate, measure_accurate
from alambic.report.words.document import HEADINGS
from alambic.report.words.french_names import tell_idea
from alambic.report.words.overview_texts import read_overview_texts
from alambic.report.words.suitability import COVARIATES
from alambic.report.words.texts import read_texts
from alambic.report.words.wording import Lang, name_group, show_number


def tabulate_studies(overview: Overview, lang: Lang) -> Table:
    """A row a study: data and task, students, teachers, arms, seeds, what for."""
    words, texts = read_overview_texts(lang), read_texts(lang)
    names = ("study", "task", "students", "teachers", "arms")
    table = Table(
        (*((words[name], "", False) for name in names), (texts["seeds"], "", True), (words["purpose"], "", False))
    )
    for study in overview.studies:
        contents, findings = study.contents, study.findings
        counts = [len(group.rows) for group in findings.groups]
        seeds = show_number(min(counts), "number", lang)
        seeds += f"–{show_number(max(counts), 'number', lang)}" if max(counts) > min(counts) else ""
        task = tell_task(findings.groups[0], findings.scored.metric, lang)
        told = [", ".join(sorted({c["student"] for c in contents}))]
        told.append(_count({c["teacher"] for c in contents if c.get("teacher")}, lang))
        told.append(_count({c["arm"]["name"] for c in contents}, lang))
        last = [Entry(seeds), Entry(texts[f"purpose_{findings.purpose}"])]
        first = [
            Entry(study.place),
            Entry(task),
            *(Entry(t) for t in told),
        ]
        table.rows.append([*first, *last])
    return table


def _count(names: set[str], lang: Lang) -> str:
    return show_number(len(names), "number", lang)


def tabulate_data(overview: Overview, lang: Lang) -> Table:
    """A row a data set as students see it: studies, confirmations, students, teachers, trainings."""
    words, texts = read_overview_texts(lang), read_texts(lang)
    heads = ("task", "number", "claims", "students", "teachers")
    table = Table((*((words[name], "", name in ("number", "claims")) for name in heads), (texts["cells"], "", True)))
    found: dict[str, list[Study]] = {}
    for study in overview.studies:
        found.setdefault(tell_data(study, lang), []).append(study)
    for data, studies in sorted(found.items(), key=lambda item: -len(item[1])):
        contents = [content for study in studies for content in study.contents]
        claims = sum(study in overview.claims for study in studies)
        counts = [len(studies), claims, len({c["student"] for c in contents})]
        counts += [len({c["teacher"] for c in contents if c.get("teacher")}), len(contents)]
        table.rows.append([Entry(data), *(Entry(show_number(n, "number", lang), n) for n in counts)])
    return table


def tabulate_judged(overview: Overview, lang: Lang, best_too: bool = True) -> Table:
    """A row a judged study: how accuracy ranks, also among the better half, and the best estimator; what the most
    accurate teacher gave and what taking it loses; how many teachers gave more than nothing.

    Args:
        best_too: False where another table tells the estimators.
    """
    words = read_overview_texts(lang)
    names = ("study", "teachers", "rank_accuracy", "rank_half", "rank_best", "first_gave", "lost_accuracy", "gaining")
    table = Table(tuple((words[name], "", name not in ("study", "rank_best")) for name in names))
    for study in overview.judged:
        accuracy, _ = study.ranked
        found, best = measure_accurate(study, overview), best_estimator(study.suitability)
        first = [Entry(study.name), fact_entry(accuracy.get("teachers"), lang, noun=False)]
        ranks = [fact_entry(accuracy.get("spearman"), lang), fact_entry(found.half if found else None, lang)]
        ranks.append(Entry("–") if best is None or not best_too else Entry(_name_rank(best, lang)))
        lost = fact_entry(accuracy.get("regret"), lang, noun=False)
        table.rows.append([*first, *ranks, _tell_first(found, lang), lost, _tell_gaining(found, lang)])
    return drop_empty(table)


def _tell_first(found: Accurate | None, lang: Lang) -> Entry:
    """What the most accurate teacher gave, and in how many blocks none gave more."""
    if found is None:
        return Entry("–")
    best, blocks = (show_number(fact.value, "number", lang) for fact in (found.best, found.blocks))
    told = show_number(found.gain.value, "points", lang, noun=False)
    return Entry(told, found.gain.value, note=read_overview_texts(lang)["best_in"].format(best=best, blocks=blocks))


def _tell_gaining(found: Accurate | None, lang: Lang) -> Entry:
    if found is None:
        return Entry("–")
    ends = [show_number(fact.value, "number", lang) for fact in (found.least, found.most)]
    words, total = read_overview_texts(lang), show_number(found.teachers.value, "number", lang)
    told = ends[0] if ends[0] == ends[1] else f"{ends[0]}–{ends[1]}"
    return Entry(words["of"].format(part=told, whole=total), found.most.value)


def tabulate_estimators(overview: Overview, lang: Lang) -> Table:
    """A row a judged study: how a pilot, the best and the worst estimator rank, what the pilot's first loses."""
    words = read_overview_texts(lang)
    names = ("study", "rank_pilot", "lost_pilot", "rank_best", "rank_worst")
    table = Table(tuple((words[name], "", name in ("rank_pilot", "lost_pilot")) for name in names))
    for study in overview.judged:
        _, pilot = study.ranked
        ends = [best_estimator(study.suitability), next(reversed(list_survey(study.suitability)), None)]
        told = [Entry("–") if one is None else Entry(_name_rank(one, lang)) for one in ends]
        known = [fact_entry(pilot.get("spearman"), lang), fact_entry(pilot.get("regret"), lang, noun=False)]
        table.rows.append([Entry(study.name), *known, *told])
    return drop_empty(table)


def _name_rank(judged: Judged, lang: Lang) -> str:
    entry = fact_entry(judged.facts["spearman"], lang, noun=False)
    return f"{tell_title(judged).by_lang[lang]} {entry.text} {entry.note}".strip()


def tabulate_families(overview: Overview, lang: Lang) -> Table:
    """A row a study and family: what it gave, what it gives more than the reference, what could have been seen."""
    words, texts = read_overview_texts(lang), read_texts(lang)
    heads = [words["study"], texts["family"], words["mean_gain"], words["against_reference"], words["could_see"]]
    table = Table(tuple((head, "", place > 1) for place, head in enumerate(heads)))
    for study in overview.judged:
        families = {family.effect.family: family for family in main_families(study)}
        if not families:
            continue
        seen, first = see_families(study, overview.facts), next(iter(families.values()))
        allowed = ", ".join(COVARIATES[name][lang] for name in first.covariates)
        head = f"{study.name} ({allowed})"
        for family, mean in mean_gains(study.findings).items():
            row = [
                Entry(head),
                Entry(family),
                Entry(show_number(mean, "points", lang, noun=False), mean),
            ]
            own = families.get(family)
            bare = Entry(words["reference"] if family == first.reference else "–")
            given = fact_entry(own.gain, lang, noun=False) if own else bare
            table.rows.append([*row, given, fact_entry(seen.get(family), lang, noun=False)])
            head = ""
    return table


def tabulate_families_brief(overview: Overview, lang: Lang) -> Table:
    """For a wall: a row a family, a column a judged study."""
    studies = [study for study in overview.judged if main_families(study)]
    found = [{one.effect.family: one for one in main_families(study)} for study in studies]
    table = Table(((read_texts(lang)["family"], "", False), *((study.name, "", True) for study in studies)))
    known = [{*one, next(iter(one.values())).reference} for one in found]
    for family in sorted(set().union(*known)):
        gains = []
        for one, names in zip(found, known, strict=True):
            bare = Entry(read_overview_texts(lang)["reference"] if family in names else "–")
            gains.append(fact_entry(one[family].gain, lang, noun=False) if family in one else bare)
        table.rows.append([Entry(family), *gains])
    return table


def tabulate_declared(pairs: Sequence[tuple[Study, Contrast]], lang: Lang) -> Table:
    """A row a declared contrast: study and student, both arms, gain, p, seeds, verdict with what else is to be told."""
    words, texts = read_overview_texts(lang), read_texts(lang)
    heads = [words["study"], texts["arm"], texts["against"], texts["gain_column"], texts["p_holm"]]
    heads += [texts["seeds"], texts["verdict"]]
    table = Table(tuple((head, "", place in (3, 4, 5)) for place, head in enumerate(heads)))
    before = ""
    for study, c in pairs:
        head = f"{study.name}, {c.group.student}"
        names = [name_group(c.group, lang), name_group(c.other, lang)]
        first = [Entry("" if head == before else head)]
        counts = [fact_entry(c.gain, lang, noun=False), fact_entry(c.p_holm, lang), Entry(str(len(c.paired.seeds)))]
        verdict = Entry(tell_verdict(study, c, lang))
        table.rows.append([*first, *(Entry(name) for name in names), *counts, verdict])
        before = head
    return table


def tell_verdict(study: Study, contrast: Contrast, lang: Lang) -> str:
    """Confirmed or what else; the word until the rule was corrected, and whether seeds were added after a look.

    A tie is called what it is: not shown to differ, unless its corrected p says that it does.
    """
    words, texts, declared = read_overview_texts(lang), read_texts(lang), study.findings.declared
    assert declared is not None
    verdict = declared.name_verdict(contrast)
    own = {"tie": words["verdict_tie"], "clear_tie": words["verdict_clear"]}
    told = [HEADINGS["confirmed"][lang] if study.is_confirmed(contrast) else {**texts, **own}[verdict]]
    told = [words["verdict_small"]] if declared.is_small(contrast) else told
    former = find_former(contrast, study.findings, lang)
    told += [words["formerly"].format(was=former)] * bool(former)
    told += [words["looked"]] * (declared.first_seeds is not None)
    return ", ".join(told)


def tabulate_fates(overview: Overview, lang: Lang) -> Table:
    """A row an idea and study: its fate beside its hardest control."""
    words, texts = read_overview_texts(lang), read_texts(lang)
    heads = [texts["idea"], words["study"], words["fate"], words["hardest"], texts["gain_column"]]
    table = Table(tuple((head, "", place == 4) for place, head in enumerate(heads)))
    rows = [(idea, study) for study in overview.ideas for idea in study.findings.ideas]
    for idea, study in sorted(rows, key=lambda row: (row[0].fate != "survives", row[0].fate, row[0].name)):
        hardest = idea.hardest
        assert hardest is not None  # a finished study misses no control
        against = f"{name_group(hardest.group, lang)} – {name_group(hardest.other, lang)}"
        first = [Entry(tell_idea(idea.name, lang)), Entry(study.name), Entry(texts[idea.fate])]
        table.rows.append([*first, Entry(against), fact_entry(hardest.gain, lang, noun=False)])
    return table
