"""The chapter on teachers: which estimators foretold their gains, what trusting them costs, and which families give."""

from __future__ import annotations

import math

from markupsafe import Markup

from alambic.report.blocks import Block, Figure
from alambic.report.claims import Blank, Claim, Words
from alambic.report.findings import Findings
from alambic.report.rows import DotRow, draw_dots
from alambic.report.section_words import COVARIATES, ESTIMATORS, SCOPES
from alambic.report.suited import Family, Judged, Suitability
from alambic.report.tables import Entry, Table, fact_entry
from alambic.report.teachers import draw_teachers
from alambic.report.texts import Texts, read_texts
from alambic.report.wording import LANGS, Lang, show_bounds, show_number
from alambic.suitability.advice import FEWEST, Advice, advise
from alambic.suitability.base import all_estimators

MOST = 16  # estimators in the figure; the table holds all


def describe_suitability(findings: Findings, lang: Lang) -> list[Block]:
    """What the judge found of the estimates, the families, the estimates; without a file the command that makes it."""
    found, texts = findings.suitability, read_texts(lang)
    drawn = draw_teachers(findings, lang, texts)
    seen: list[Block] = [] if drawn is None else [Figure(drawn, texts["teachers_caption"])]
    if found is None:
        return [*seen, Claim("no_scorecards", {})]
    blocks: list[Block] = [*_say_promises(found), *seen]
    if found.judgement is None:
        return [*blocks, Claim("not_judged", {}, "warning"), _tabulate_promises(found, lang, texts)]
    blocks = [*say_judgement(found), *say_families(found), *blocks]
    blocks.append(Figure(_draw_verdicts(found, lang, texts), texts["verdicts_caption"]))
    blocks.append(_tabulate_verdicts(found, lang, texts))
    if found.families:
        blocks += [texts["families_title"], _tabulate_families(found, lang, texts)]
    return [*blocks, texts["promises_title"], _tabulate_promises(found, lang, texts)]


def say_judgement(found: Suitability) -> list[Claim]:
    """What could be seen, the best estimator, its regret, the bar, the controls."""
    best, first = best_estimator(found), found.verdicts[0].facts
    claims = [
        Claim("judged_on", {"teachers": first["teachers"], "blocks": first["blocks"], "visible": first["visible"]})
    ]
    if "ceiling" in first:
        claims.append(Claim("ceiling", {"ceiling": first["ceiling"]}))
    if found.stale:
        claims.append(Claim("judged_elsewhere", {}, "warning"))
    if best is None:
        return claims
    claims.append(say_best(best))
    regret: dict[str, Blank] = {"name": tell_title(best), "regret": best.facts["regret"]}
    if "regret_pilot" in best.facts and "regret_accuracy" in best.facts:
        more: dict[str, Blank] = {"accuracy": best.facts["regret_accuracy"], "pilot": best.facts["regret_pilot"]}
        claims.append(Claim("regret", {**regret, **more}))
    elif "regret_accuracy" in best.facts:
        claims.append(Claim("regret_alone", {**regret, "accuracy": best.facts["regret_accuracy"]}))
    return [*claims, _say_bar(found), *_say_controls(found)]


def best_estimator(found: Suitability) -> Judged | None:
    """Of the survey, the highest rank correlation; baselines and the pilot are what it is measured against."""
    known = all_estimators()
    own = [j for j in found.verdicts if j.verdict.name in known and known[j.verdict.name].kind == "estimator"]
    return own[0] if own else None


def say_best(best: Judged) -> Claim:
    key = "estimator_beats" if best.verdict.beats_accuracy else "estimator_ties"
    tone = "gain" if best.verdict.beats_accuracy else "tie"
    return Claim(key, {"name": tell_title(best), "rho": best.facts["spearman"]}, tone)


def tell_title(judged: Judged) -> Words:
    """An estimator's name in both languages."""
    name = judged.verdict.name
    return Words(ESTIMATORS.get(name, dict.fromkeys(LANGS, name.replace("_", " "))))


def _say_bar(found: Suitability) -> Claim:
    fair = [j for j in found.verdicts if _is_contender(j) and j.verdict.passes and "regret_accuracy" in j.facts]
    met = tuple((tell_title(judged), judged.facts["regret"]) for judged in fair)
    return Claim("bar_met", {"listing": met}, "gain") if met else Claim("bar_missed", {}, "tie")


def _is_contender(judged: Judged) -> bool:
    """Estimators and composites; accuracy, size and the pilot are what they are measured against."""
    known = all_estimators()
    return judged.verdict.name not in known or known[judged.verdict.name].kind == "estimator"


def _say_controls(found: Suitability) -> list[Claim]:
    worst = max(found.verdicts, key=lambda j: abs(j.verdict.null))
    claims = [Claim("control_permuted", {"null": worst.facts["null"], "name": tell_title(worst)})]
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


def say_families(found: Suitability) -> list[Claim]:
    """Each family against the reference; scopes without an answer are named."""
    claims = [_say_family(family) for family in found.families]
    scopes = tuple(_scope(scope) for scope in found.unanswered)
    return [*claims, Claim("family_no_answer", {"listing": scopes}, "tie")] if scopes else claims


def _say_family(family: Family) -> Claim:
    clear = family.effect.low * family.effect.high > 0
    key = ("family_more" if family.effect.effect > 0 else "family_less") if clear else "family_tie"
    tone = {"family_more": "gain", "family_less": "loss", "family_tie": "tie"}[key]
    allowed = tuple(Words(COVARIATES[name]) for name in family.covariates) or (Words(COVARIATES[""]),)
    blanks: dict[str, Blank] = {"family": family.effect.family, "reference": family.reference, "gain": family.gain}
    return Claim(key, {**blanks, "scope": _scope(family.scope), "teachers": family.teachers, "allowed": allowed}, tone)


def _scope(scope: str) -> Words:
    return Words(SCOPES[scope]) if scope in SCOPES else Words({"en": scope, "fr": scope})


def _promised(found: Suitability) -> list[tuple[str, list[Advice]]]:
    students = sorted({card.student for card in found.cards})
    return [(student, advise([card for card in found.cards if card.student == student])) for student in students]


def _say_promises(found: Suitability) -> list[Claim]:
    claims = []
    for student, pool in _promised(found):
        if len(pool) >= FEWEST and not math.isnan(pool[0].composite):
            claims.append(Claim("promised", {"student": student, "teacher": pool[0].card.teacher}))
    return claims


def _draw_verdicts(found: Suitability, lang: Lang, texts: Texts) -> Markup:
    rows = []
    for judged in found.verdicts[:MOST]:
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
        row = [
            Entry(tell_title(judged).by_lang[lang]),
            *(fact_entry(judged.facts.get(name), lang, noun=False) for name in shown),
        ]
        table.rows.append([*row, bar])
    return table


def _tabulate_families(found: Suitability, lang: Lang, texts: Texts) -> Table:
    names = ("scope", "family", "against", "gain_column", "teachers_count", "allowed")
    table = Table(tuple((texts[name], "", name in ("gain_column", "teachers_count")) for name in names))
    for one in found.families:
        allowed = ", ".join(COVARIATES[name][lang] for name in one.covariates) or COVARIATES[""][lang]
        first = [Entry(_scope(one.scope).by_lang[lang]), Entry(one.effect.family), Entry(one.reference)]
        last = [fact_entry(one.gain, lang, noun=False), fact_entry(one.teachers, lang, noun=False), Entry(allowed)]
        table.rows.append([*first, *last])
    return table


def _tabulate_promises(found: Suitability, lang: Lang, texts: Texts) -> Table:
    """One row a student and teacher, best first: what was known before any distillation."""
    names = ("student", "teacher", "family", "provenance", "accuracy", "composite", "pilot", "temperature")
    numeric = ("accuracy", "composite", "pilot", "temperature")
    table = Table(tuple((texts[name], "", name in numeric) for name in (*names, "suits")))
    for student, pool in _promised(found):
        for advice in pool:
            card = advice.card
            first = [Entry(item) for item in (student, card.teacher, card.family, card.provenance)]
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
