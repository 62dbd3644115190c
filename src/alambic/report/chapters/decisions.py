"""The chapter of recommendations: what to take for each student, with which settings, and what to leave."""

from __future__ import annotations

from statistics import fmean

from alambic.methods import all_methods
from alambic.report.chapters.answers import LONGEST, list_contrasts, name_student
from alambic.report.chapters.claims import Blank, Claim
from alambic.report.chapters.data_told import tell_task
from alambic.report.chapters.tables import Entry, Table, fact_entry
from alambic.report.facts.advice import Decision, decide
from alambic.report.facts.findings import Findings
from alambic.report.facts.gather import Group
from alambic.report.words.document import HEADINGS
from alambic.report.words.french_names import join_settings, tell_setting, tell_treatment
from alambic.report.words.overview_advice_texts import read_advice_texts
from alambic.report.words.texts import read_texts
from alambic.report.words.wording import Lang, name_group, show_number
from alambic.suitability.gains import describe_setting

MOST_AVOIDED = 4


def say_decisions(findings: Findings) -> list[Claim]:
    """What to take, what may do as well, what to leave: a sentence each."""
    claims = []
    for made in decide(findings):
        student = name_student(made.found, findings)
        claims.append(say_decision(made, findings))
        if made.take is not None and made.rivals:
            listing = list_contrasts(made.rivals, LONGEST)
            claims.append(Claim("not_worse", {"arm": made.take.group, "student": student, "listing": listing}, "tie"))
        if made.avoid:
            avoided = tuple((c.group, c.gain) for c in made.avoid[:MOST_AVOIDED])
            claims.append(Claim("avoid", {"student": student, "listing": avoided}, "loss"))
    return claims


def say_decision(made: Decision, findings: Findings) -> Claim:
    """Take this arm, or none: the title of a slide too."""
    told: dict[str, Blank] = {"student": name_student(made.found, findings)}
    if made.unseen is not None:
        return Claim("take_unseen", {**told, "arm": made.unseen.group, "gain": made.unseen.gain}, "tie")
    if made.take is None:
        return _say_nothing(made, findings, told)
    told |= {"arm": made.take.group, "gain": made.take.gain}
    key = "take_lead" if made.confirmed is None else "take_confirmed"
    if made.confirmed is not None and made.confirmed.other.key != made.take.other.key:
        key, told = "take_confirmed_against", {**told, "gain": made.confirmed.gain, "other": made.confirmed.other}
    if made.simpler is None:
        return Claim(key, told, "gain")
    return Claim(f"{key}_simpler", {**told, "simpler": made.simpler.group}, "gain")


def _say_nothing(made: Decision, findings: Findings, told: dict[str, Blank]) -> Claim:
    """Only a claim may advise against distillation: an exploration says what it could have seen."""
    if findings.purpose == "claim":
        return Claim("take_none", told, "tie")
    effect = made.found.sight.effect if made.found.sight is not None else None
    return Claim("shown_none", {**told, "effect": effect}, "tie") if effect else Claim("shown_none_blind", told, "tie")


def tabulate_decisions(findings: Findings, lang: Lang) -> Table:
    """One row a student: what to take with which settings, what to expect, how sure that is, what to leave."""
    words = {key: by_lang[lang] for key, by_lang in HEADINGS.items()}
    heads = (read_texts(lang)["student"], words["on_data"], words["best_arm"], words["settings"], words["gain_int8"])
    table = Table(tuple((head, "", False) for head in (*heads, words["confidence"], words["avoid"])))
    for made in decide(findings):
        chosen = made.simpler or made.take
        group = chosen.group if chosen else made.found.baseline or made.found.groups[0]
        task = Entry(tell_task(group, findings.scored.metric, lang), class_="wide")
        nothing = words["alone" if findings.purpose == "claim" else "nothing"]
        take = Entry(name_group(group, lang) if chosen else words["more_seeds"] if made.unseen else nothing)
        gain, sure = _tell_confidence(made, lang, words)
        declared = findings.declared
        looked = made.confirmed is not None and declared is not None and declared.first_seeds is not None
        sure += f", {read_advice_texts(lang)['added']}" * looked
        avoid = ("; " if lang == "en" else " ; ").join(
            name_group(contrast.group, lang) for contrast in made.avoid[:MOST_AVOIDED]
        ) or "–"
        first = [Entry(name_student(made.found, findings)), task, take]
        last = [Entry(sure), Entry(avoid, class_="wide")]
        table.rows.append(
            [*first, Entry(tell_settings(group, lang) if chosen else "–", class_="wide mid"), gain, *last]
        )
    return table


def _tell_confidence(made: Decision, lang: Lang, words: dict[str, str]) -> tuple[Entry, str]:
    """The gain to expect of what to take, and how sure that is."""
    shown, sure = made.confirmed or made.take, words[made.confidence]
    if made.confirmed and made.take and made.confirmed.other.key != made.take.other.key:
        sure += f", {read_texts(lang)['against'].lower()} {name_group(made.confirmed.other, lang)}"
    gain = fact_entry(shown.gain if shown else None, lang)
    if made.simpler is None or made.take is None:
        return gain, sure
    own = words["confirmed" if made.sure else "lead"]
    arm = f"{name_group(made.take.group, lang)}, {gain.text} {gain.note}, {sure}"
    semicolon = ";" if lang == "en" else " ;"
    return fact_entry(made.simpler.gain, lang), f"{own}{semicolon} {words['not_better'].format(arm=arm)}"


def _tell_factors(group: Group, lang: Lang) -> str:
    """By what a balance came to multiply each loss, on average over seeds: what another trainer would need to know."""
    every = [row.numbers["weights"] for row in group.rows if row.numbers.get("weights")]
    if not every:
        return ""
    shown = " / ".join(show_number(fmean(one), "decimal", lang) for one in zip(*every, strict=True))
    return f" ({HEADINGS['times'][lang]} {shown})"


def tell_settings(group: Group, lang: Lang) -> str:
    """What an arm was run with: its methods, their temperature, what was set, the weights of its losses."""
    arm = group.rows[0].content["arm"]
    told = [*arm["methods"], *arm.get("modifiers", ()), *(tell_treatment(t, lang) for t in arm.get("treatments", ()))]
    given = [*arm.get("settings", {}).values(), *arm.get("modifier_settings", {}).values()]
    chosen = [pair for settings in given if isinstance(settings, dict) for pair in settings.items()]
    known = [all_methods()[name] for name in arm["methods"] if name in all_methods()]
    if "temperature" not in dict(chosen):
        chosen = [*(("temperature", method.temperature) for method in known if hasattr(method, "temperature")), *chosen]
    told += [tell_setting(key, value, lang) for key, value in chosen]
    told += [tell_setting(name, arm[name], lang) for name in ("ce_weight",) if arm.get(name) is not None]
    if arm.get("weights"):
        told.append(tell_setting("weights", arm["weights"], lang))
    if arm.get("balance") is not None:
        told.append(tell_setting("balance", arm["balance"], lang) + _tell_factors(group, lang))
    recipe = group.rows[0].content["recipe"]
    if recipe["epochs"] != describe_setting(group.rows[0].content)["recipe"]["epochs"]:
        told.append(tell_setting("epochs", recipe["epochs"], lang))  # the study's stand beside its data
    return join_settings([*told, tell_setting("lr", recipe["lr"], lang)], lang)
