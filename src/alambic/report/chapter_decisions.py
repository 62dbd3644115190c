"""The chapter of recommendations: what to take for each student, with which settings, and what to leave."""

from __future__ import annotations

from alambic.report import tables
from alambic.report.advice import Decision, decide
from alambic.report.answers import name_student
from alambic.report.claims import Blank, Claim
from alambic.report.document_words import HEADINGS
from alambic.report.findings import Findings
from alambic.report.gather import Group
from alambic.report.tables import Entry, Table
from alambic.report.texts import read_texts
from alambic.report.wording import Lang, name_group

MOST_AVOIDED = 4


def say_decisions(findings: Findings) -> list[Claim]:
    """What to take and what to leave, a sentence each."""
    claims = []
    for made in decide(findings):
        claims.append(say_decision(made, name_student(made.found, findings)))
        if made.avoid:
            listing = tuple((c.group, c.gain) for c in made.avoid[:MOST_AVOIDED])
            claims.append(Claim("avoid", {"student": name_student(made.found, findings), "listing": listing}, "loss"))
    return claims


def say_decision(made: Decision, student: str) -> Claim:
    """Take this arm, or none: the title of a slide too."""
    if made.unseen is not None:
        return Claim("take_unseen", {"student": student, "arm": made.unseen.group, "gain": made.unseen.gain}, "tie")
    if made.take is None:
        return Claim("take_none", {"student": student}, "tie")
    told: dict[str, Blank] = {"student": student, "arm": made.take.group, "gain": made.take.gain}
    if made.confirmed is None:
        return Claim("take_lead", told, "gain")
    if made.confirmed.other.key == made.take.other.key:
        return Claim("take_confirmed", told, "gain")
    told |= {"gain": made.confirmed.gain, "other": made.confirmed.other}
    return Claim("take_confirmed_against", told, "gain")


def tabulate_decisions(findings: Findings, lang: Lang) -> Table:
    """One row a student: what to take with which settings, what to expect, how sure that is, what to leave."""
    words = {key: by_lang[lang] for key, by_lang in HEADINGS.items()}
    heads = (read_texts(lang)["student"], words["on_data"], words["best_arm"], words["settings"], words["gain_int8"])
    table = Table(tuple((head, "", False) for head in (*heads, words["confidence"], words["avoid"])))
    for made in decide(findings):
        group = made.take.group if made.take else made.found.baseline or made.found.groups[0]
        data = group.rows[0].content["data"]
        take = Entry(name_group(group, lang) if made.take else words["more_seeds" if made.unseen else "alone"])
        shown = made.confirmed or made.take
        gain = tables.fact_entry(shown.gain if shown else None, lang)
        sure = words[made.confidence]
        if made.confirmed and made.take and made.confirmed.other.key != made.take.other.key:
            sure += f", {read_texts(lang)['against'].lower()} {name_group(made.confirmed.other, lang)}"
        avoid = "; ".join(name_group(contrast.group, lang) for contrast in made.avoid[:MOST_AVOIDED]) or "–"
        first = [Entry(name_student(made.found, findings)), Entry(f"{data['source']} {data['train_images']}"), take]
        last = [Entry(sure), Entry(avoid, class_="wide")]
        table.rows.append([*first, Entry(_settings(group) if made.take else "–", class_="wide mid"), gain, *last])
    return table


def _settings(group: Group) -> str:
    """What an arm was run with beside its methods' defaults; their names where all are defaults."""
    arm = group.rows[0].content["arm"]
    told = [*arm["methods"], *arm.get("modifiers", ()), *arm.get("treatments", ())]
    for settings in (*arm.get("settings", {}).values(), *arm.get("modifier_settings", {}).values()):
        told += [f"{key}={value}" for key, value in settings.items()] if isinstance(settings, dict) else []
    if arm.get("weights"):
        told.append("weights=" + "/".join(f"{weight:g}" for weight in arm["weights"]))
    if arm.get("balance") is not None:
        told.append(f"balance={arm['balance']:g}")
    recipe = group.rows[0].content["recipe"]
    return ", ".join([*told, f"epochs={recipe['epochs']}", f"lr={recipe['lr']:g}"])
