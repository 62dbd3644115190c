"""The chapter on teachers: which estimators foretold their gains, what trusting them costs, and which families give."""

from __future__ import annotations

import math

from markupsafe import Markup

from alambic.report.chapters.blocks import Block, Figure
from alambic.report.chapters.claims import METRIC_NAMES, Blank, Claim, Words
from alambic.report.chapters.rows import DotRow, draw_dots
from alambic.report.chapters.tables import Entry, Table, fact_entry
from alambic.report.chapters.teachers import draw_teachers
from alambic.report.facts.findings import Findings
from alambic.report.facts.suited import Family, Judged, Suitability
from alambic.report.words.suitability import COVARIATES, ESTIMATORS, ORDERS, SCOPES
from alambic.report.words.texts import Texts, read_texts, tell_teacher
from alambic.report.words.wording import LANGS, Lang, show_bounds, show_number
from alambic.suitability.advice import FEWEST, Advice, advise, choose_order
from alambic.suitability.base import all_estimators
from alambic.suitability.fitted import FITTED
from alambic.suitability.others import OTHERS
from alambic.suitability.scorecard import pool_cards


def describe_suitability(findings: Findings, lang: Lang) -> list[Block]:
    """What the judge found of the estimates, the families, the estimates; without a file the command that makes it."""
    found, texts = findings.suitability, read_texts(lang)
    drawn = draw_teachers(findings, lang, texts)
    seen: list[Block] = [] if drawn is None else [Figure(drawn, texts["teachers_caption"])]
    if found is None:
        return [*seen, Claim("no_scorecards", {})]
    blocks: list[Block] = [*_say_promises(found), *seen]
    if found.judgement is None:
        return [*blocks, *say_judgement(found), _tabulate_promises(found, lang, texts)]
    blocks = [*say_judgement(found), *say_families(found), *blocks]
    blocks.append(Figure(_draw_verdicts(found, lang, texts), texts["verdicts_caption"]))
    blocks.append(_tabulate_verdicts(found, lang, texts))
    if found.families:
        blocks += [texts["families_title"], _tabulate_families(found, lang, texts)]
    return [*blocks, texts["promises_title"], _tabulate_promises(found, lang, texts)]


def say_judgement(found: Suitability) -> list[Claim]:
    """What could be seen, the best estimator, its regret, the bar, the controls; without a judgement, that it lacks."""
    if found.judgement is None:
        return [Claim("judged_before" if found.outdated else "not_judged", {}, "warning")]
    best, first = best_estimator(found), _widest(found).facts
    claims = [
        Claim("judged_on", {"teachers": first["teachers"], "blocks": first["blocks"], "visible": first["visible"]})
    ]
    if found.judgement.nasty:
        claims.append(Claim("judged_without", {"listing": tuple(sorted(found.judgement.nasty))}))
    if "ceiling" in first:
        claims.append(Claim("ceiling", {"ceiling": first["ceiling"]}))
    if found.stale:
        claims.append(Claim("judged_elsewhere", {}, "warning"))
    claims += _say_baselines(found)
    if best is None:
        return claims
    claims.append(say_best(best))
    regret: dict[str, Blank] = {"name": tell_title(best), "regret": best.facts["regret"]}
    if "regret_pilot" in best.facts and "regret_accuracy" in best.facts:
        more: dict[str, Blank] = {"accuracy": best.facts["regret_accuracy"], "pilot": best.facts["regret_pilot"]}
        claims.append(Claim("regret", {**regret, **more}))
    elif "regret_accuracy" in best.facts:
        claims.append(Claim("regret_alone", {**regret, "accuracy": best.facts["regret_accuracy"]}))
    claims += _say_reversed(found)
    rivals = {judged.verdict.name: judged for judged in found.verdicts if judged.verdict.name in OTHERS}
    if rivals:
        claims.append(Claim("regret_others", {"regret": rivals[next(iter(OTHERS))].facts["regret"]}))
    return [*claims, _say_bar(found), *_say_controls(found)]


def _widest(found: Suitability) -> Judged:
    """What was judged on the most: others lack teachers or blocks, and fitted scores have a chance of their own."""
    given = [judged for judged in found.verdicts if judged.verdict.name not in FITTED]
    return max(given, key=lambda j: (j.verdict.blocks, j.verdict.teachers))


def list_survey(found: Suitability) -> list[Judged]:
    """The survey's estimators, best rank correlation first; baselines and the pilot are their rivals."""
    known = all_estimators()
    return [j for j in found.verdicts if j.verdict.name in known and known[j.verdict.name].kind == "estimator"]


def best_estimator(found: Suitability) -> Judged | None:
    """Of the survey, the highest rank correlation; what restates a baseline says nothing more."""
    return next((judged for judged in list_survey(found) if not judged.verdict.restates_accuracy), None)


def say_best(best: Judged) -> Claim:
    verdict = best.verdict
    key = "beats" if verdict.beats_accuracy else "worse" if verdict.trails_accuracy else "ties"
    tone = {"beats": "gain", "worse": "loss", "ties": "tie"}[key]
    return Claim(f"estimator_{key}", {"name": tell_title(best), "rho": best.facts["spearman"]}, tone)


def _say_reversed(found: Suitability) -> list[Claim]:
    """The estimators that put good teachers last: who follows them loses most."""
    wrong = [j for j in list_survey(found) if j.verdict.high < 0 and (j.verdict.p_holm or 0.0) <= 0.05]
    listing = tuple((tell_title(judged), judged.facts["spearman"]) for judged in reversed(wrong))
    return [Claim("estimators_reversed", {"listing": listing}, "loss")] if wrong else []


def _say_baselines(found: Suitability) -> list[Claim]:
    """How accuracy and a pilot rank, and which estimators say the same in other words."""
    by_name = {judged.verdict.name: judged for judged in found.verdicts}
    claims = []
    if found.metric != "accuracy":
        claims.append(Claim("accuracy_means", {"metric": Words(METRIC_NAMES[found.metric])}))
    if "accuracy" in by_name:
        claims.append(Claim("accuracy_ranks", {"rho": by_name["accuracy"].facts["spearman"]}))
        same = [judged for judged in found.verdicts if judged.verdict.restates_accuracy]
        claims += [Claim("same_as_accuracy", {"name": tell_title(judged)}) for judged in same]
    if "pilot_gain" in by_name:
        claims.append(Claim("pilot_ranks", {"rho": by_name["pilot_gain"].facts["spearman"]}))
    return claims


def tell_title(judged: Judged) -> Words:
    """An estimator's name in both languages."""
    name = judged.verdict.name
    return Words(ESTIMATORS.get(name, dict.fromkeys(LANGS, name.replace("_", " "))))


def _say_bar(found: Suitability) -> Claim:
    fair = [j for j in found.verdicts if _is_contender(j) and j.verdict.passes and "regret_accuracy" in j.facts]
    met = tuple((tell_title(judged), judged.facts["regret"]) for judged in fair)
    if _widest(found).verdict.regret_accuracy == 0:
        return Claim("bar_empty", {}, "tie")
    return Claim("bar_met", {"listing": met}, "gain") if met else Claim("bar_missed", {}, "tie")


def _is_contender(judged: Judged) -> bool:
    """Estimators and composites; accuracy, size, the pilot and other students are what they are measured against."""
    known, name = all_estimators(), judged.verdict.name
    return name not in OTHERS and (name not in known or known[name].kind == "estimator")


def _say_controls(found: Suitability) -> list[Claim]:
    given = [judged for judged in found.verdicts if judged.verdict.name not in FITTED]
    worst = max(given, key=lambda j: abs(j.verdict.null))
    claims = [Claim("control_permuted", {"null": worst.facts["null"], "name": tell_title(worst)})]
    claims += [_say_refit(judged) for judged in found.verdicts if judged.verdict.name in FITTED]
    if not found.judgement or not found.judgement.nasty:
        return [*claims, Claim("control_no_nasty", {}, "warning")]
    claims += [Claim("control_void", {"nasty": name, "gain": gain}, "warning") for name, gain in found.void.items()]
    if not found.held or all(math.isnan(j.verdict.nasty_last) for j in found.verdicts):
        return claims
    seeing = tuple(tell_title(j) for j in found.verdicts if j.verdict.nasty_last == 1)
    nasty = ", ".join(found.held)
    if seeing:
        return [*claims, Claim("control_nasty", {"nasty": nasty, "listing": seeing})]
    return [*claims, Claim("control_nasty_missed", {"nasty": nasty}, "warning")]


def _say_refit(judged: Judged) -> Claim:
    """What chance gives a fitted score, whose model was fitted anew for each permutation."""
    told = {"null": "null", "visible": "visible", "rho": "spearman", "p": "p"}
    blanks: dict[str, Blank] = {blank: judged.facts[name] for blank, name in told.items()}
    blanks["name"] = tell_title(judged)
    centred = judged.verdict.centred
    return Claim("control_refit", blanks) if centred else Claim("control_refit_fails", blanks, "warning")


def say_families(found: Suitability) -> list[Claim]:
    """Each family against the reference, in each scope's main model; scopes without an answer are named."""
    claims = [_say_family(family) for family in found.families if family.main]
    scopes = tuple(_scope(scope) for scope in found.unanswered)
    return [*claims, Claim("family_no_answer", {"listing": scopes}, "tie")] if scopes else claims


def _say_family(family: Family) -> Claim:
    effect = family.effect
    key = "family_open" if effect.low * effect.high > 0 else "family_tie"
    if effect.is_clear:
        key = "family_more" if effect.effect > 0 else "family_less"
    tone = {"family_more": "gain", "family_less": "loss", "family_open": "tie", "family_tie": "tie"}[key]
    allowed = tuple(Words(COVARIATES[name]) for name in name_allowed(family))
    blanks: dict[str, Blank] = {"family": effect.family, "reference": family.reference, "gain": family.gain}
    return Claim(key, {**blanks, "scope": _scope(family.scope), "teachers": family.teachers, "allowed": allowed}, tone)


def name_allowed(family: Family) -> tuple[str, ...]:
    """Keys of COVARIATES: what a family's model allows for, be it by the choice of teachers alone."""
    return family.covariates or ("matching" if family.scope == "matched" else "",)


def _scope(scope: str) -> Words:
    return Words(SCOPES[scope]) if scope in SCOPES else Words({"en": scope, "fr": scope})


def _promised(found: Suitability) -> list[tuple[str, str, list[Advice]]]:
    """(student, what orders its teachers, its teachers in that order), one scorecard a teacher as for the judge."""
    pools = pool_cards(found.cards, found.names)
    students = [student for student, _, _ in pools]
    return [
        (student if students.count(student) == 1 else f"{student} ({data})", choose_order(pool), advise(pool))
        for (student, data, _), pool in sorted(pools.items())
    ]


def _say_promises(found: Suitability) -> list[Claim]:
    """Who is first by what is ordered by; who by the composite only together with the judge's verdict on it.

    Controls are not there to be taken, so none of them is said to be first.
    """
    claims = []
    outside = {*found.judgement.controls, *found.judgement.nasty} if found.judgement else set()
    judged = next((j for j in found.verdicts if j.verdict.name == "composite"), None)
    for student, order, ranked in _promised(found):
        pool = [advice for advice in ranked if advice.card.teacher not in outside]
        if len(pool) >= FEWEST and order in pool[0].card.values:
            told: dict[str, Blank] = {
                "student": student,
                "teacher": pool[0].card.teacher,
                "order": Words(ORDERS[order]),
            }
            claims.append(Claim("promised", told))
        scored = [advice for advice in pool if not math.isnan(advice.composite)]
        if judged is not None and scored:
            best = max(scored, key=lambda advice: advice.composite).card.teacher
            blanks: dict[str, Blank] = {"rho": judged.facts["spearman"], "regret": judged.facts["regret"]}
            tone = "gain" if judged.verdict.low > 0 else "loss" if judged.verdict.high < 0 else "tie"
            claims.append(Claim("promised_composite", {"student": student, "teacher": best, **blanks}, tone))
    return claims


def _draw_verdicts(found: Suitability, lang: Lang, texts: Texts) -> Markup:
    rows = []
    for judged in found.verdicts:
        rho = judged.facts["spearman"]
        clear = rho.low is not None and rho.high is not None and rho.low * rho.high > 0
        class_ = ("gain" if rho.value > 0 else "loss") if clear else "tie"
        told = f"{show_number(rho.value, rho.unit, lang)} {show_bounds(rho, lang)}"
        rows.append(
            DotRow(tell_title(judged).by_lang[lang], rho.value, rho.low, rho.high, (), told, class_, rho.anchor)
        )
    return draw_dots(
        rows,
        texts["verdicts"],
        texts["axis_rho"],
        lambda ticks: [show_number(tick, "correlation", lang) for tick in ticks],
    )


def _tabulate_verdicts(found: Suitability, lang: Lang, texts: Texts) -> Table:
    shown = ["spearman", "p", "p_holm", "partial", "regret", "top3"]
    shown += ["nasty_last"] if found.held else []
    heads = [(texts["estimator"], "", False), *((texts[f"judge_{name}"], "", True) for name in shown)]
    table = Table((*heads, (texts["bar"], "", False)))
    for judged in found.verdicts:
        met = judged.verdict.passes
        bar = Entry(texts["yes"] if met else texts["no"], class_="gain" if met else "tie")
        bar = bar if _is_contender(judged) else Entry("–")
        # what is cleared of itself tells nothing
        own = {"partial"} if judged.verdict.name in ("accuracy", "size") else set()
        facts = [judged.facts.get(name) if name not in own else None for name in shown]
        row = [Entry(tell_title(judged).by_lang[lang]), *(fact_entry(fact, lang, noun=False) for fact in facts)]
        table.rows.append([*row, bar])
    return table


def _tabulate_families(found: Suitability, lang: Lang, texts: Texts) -> Table:
    names = ("scope", "family", "against", "gain_column", "teachers_count", "allowed")
    table = Table(tuple((texts[name], "", name in ("gain_column", "teachers_count")) for name in names))
    for one in found.families:
        allowed = ", ".join(COVARIATES[name][lang] for name in name_allowed(one))
        allowed += "" if one.main else f" ({texts['beside']})"
        first = [Entry(_scope(one.scope).by_lang[lang]), Entry(one.effect.family), Entry(one.reference)]
        last = [fact_entry(one.gain, lang, noun=False), fact_entry(one.teachers, lang, noun=False), Entry(allowed)]
        table.rows.append([*first, *last])
    return table


def _tabulate_promises(found: Suitability, lang: Lang, texts: Texts) -> Table:
    """One row a student and teacher, in the order of ``advise``: what was known before any distillation."""
    names = ("student", "teacher", "family", "provenance", "held_accuracy", "composite", "pilot", "temperature")
    numeric = ("held_accuracy", "composite", "pilot", "temperature")
    table = Table(tuple((texts[name], "", name in numeric) for name in (*names, "suits")))
    for student, _, pool in _promised(found):
        for advice in pool:
            card = advice.card
            first = [Entry(item) for item in (student, card.teacher, card.family, tell_teacher(card.provenance, lang))]
            row = [*first, _number(card.values.get("accuracy"), "share", lang), _number(advice.composite, "z", lang)]
            pilot = card.values.get("pilot_gain")
            row += [_number(pilot, "points", lang), _number(card.temperature, "plain", lang)]
            table.rows.append([*row, Entry(", ".join(advice.methods) if advice.loss else "–")])
    return table


def _number(value: float | None, kind: str, lang: Lang) -> Entry:
    if value is None or math.isnan(value):
        return Entry("–")
    if kind == "share":
        return Entry(show_number(value, "share", lang), value)
    if kind == "points":
        return Entry(show_number(value, "points", lang, noun=False), value)
    return Entry(show_number(value, "correlation" if kind == "z" else "decimal", lang), value)
