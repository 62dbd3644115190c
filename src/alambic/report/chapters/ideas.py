"""The chapter on new ideas: each beside what would refute it, and the verdict, also where it fails."""

from __future__ import annotations

from alambic.report.chapters.blocks import Block
from alambic.report.chapters.claims import Blank, Claim, Words
from alambic.report.chapters.tables import Entry, Table, fact_entry
from alambic.report.facts.ideas import Idea
from alambic.report.words.french_names import tell_arm, tell_idea
from alambic.report.words.texts import read_texts
from alambic.report.words.wording import LANGS, Lang, name_group

CLASSES = {"refuted": "loss", "survives": "gain", "undecided": "open"}


def describe_ideas(ideas: tuple[Idea, ...], own: tuple[str, ...], changed: bool, lang: Lang) -> list[Block]:
    """Claims and one table.

    Args:
        own: methods of our own in the study, for a study that declared no falsifier. changed: whether the falsifiers
            are other ones than at the ledger's first run.
    """
    if not ideas:
        return [Claim("own_ideas", {"methods": own}) if own else Claim("no_ideas", {})]
    texts = read_texts(lang)
    blocks: list[Block] = [Claim("ideas_judged", {})]
    costed = tuple(Words({each: tell_idea(idea.name, each) for each in LANGS}) for idea in ideas if idea.by_cost)
    if costed:
        blocks.append(Claim("ideas_by_cost", {"listing": costed}))
    if changed:
        blocks.append(Claim("ideas_changed", {}, "warning"))
    for idea in ideas:
        named = Words({each: tell_idea(idea.name, each) for each in LANGS})
        if not idea.contrasts:
            blocks.append(Claim("idea_not_run", {"idea": named}, "warning"))
            continue
        if (hardest := idea.hardest) is not None:
            told: dict[str, Blank] = {"idea": named, "effect": idea.smallest, "arm": hardest.group}
            told |= {"other": hardest.other, "gain": hardest.gain}
            told |= {"bound": idea.highs[hardest.gain.name]} if idea.is_near else {}
            key = "idea_near" if idea.is_near else f"idea_{idea.fate}"
            blocks.append(Claim(key, told, CLASSES[idea.fate]))
        if idea.missing:
            listing = tuple(Words({each: tell_arm(name, each) for each in LANGS}) for name in idea.missing)
            blocks.append(Claim("idea_unfinished", {"idea": named, "listing": listing}, "warning"))
    names = ("idea", "student", "arm", "against", "gain_column", "p_holm", "verdict")
    table = Table(tuple((texts[name], "", name in ("gain_column", "p_holm")) for name in names))
    for idea in ideas:
        for c in idea.contrasts:
            first = [Entry(tell_idea(idea.name, lang)), Entry(c.group.student), Entry(name_group(c.group, lang))]
            fate = idea.fate_of(c)
            scores = [fact_entry(c.gain, lang, noun=False), fact_entry(c.p_holm, lang)]
            table.rows.append(
                [*first, Entry(name_group(c.other, lang)), *scores, Entry(texts[fate], class_=CLASSES[fate])]
            )
    return [*blocks, table] if table.rows else blocks
