"""The chapter on what was declared before the test images were looked at, apart from all else."""

from __future__ import annotations

from alambic.report.chapters.blocks import Block
from alambic.report.chapters.claims import Blank, Claim
from alambic.report.chapters.tables import Entry, Table, fact_entry
from alambic.report.facts.declared import Declared
from alambic.report.words.texts import read_texts
from alambic.report.words.wording import Lang, name_group, tell_apart

KEYS = {
    "gain": "declared_gain",
    "loss": "declared_loss",
    "tie": "declared_tie",
    "clear_tie": "declared_clear",
    "open": "declared_open",
}


def describe_declared(declared: Declared | None, lang: Lang) -> list[Block]:
    """Claims and a table; that nothing was declared, where so."""
    if declared is None:
        return [Claim("nothing_declared", {}), Claim("declare_first", {})]
    texts = read_texts(lang)
    blocks: list[Block] = [Claim("declared_before", {"hash": declared.hash[:12]})]
    if declared.smallest is not None:
        blocks.append(Claim("declared_smallest", {"effect": declared.smallest}))
    if declared.first_seeds is not None:
        blocks.append(Claim("declared_extended", {"seeds": declared.first_seeds}, "warning"))
    for contrast in declared.contrasts:
        told: dict[str, Blank] = {"arm": contrast.group, "student": contrast.group.student, "gain": contrast.gain}
        told |= {"other": contrast.other, "p": contrast.p_holm if contrast.p_holm is not None else "–"}
        key = "declared_small" if declared.is_small(contrast) else KEYS[declared.name_verdict(contrast)]
        if key in ("declared_tie", "declared_clear") and contrast.floor is not None:
            told["gain"], told["floor"] = tell_apart(contrast.gain, contrast.floor)
        blocks.append(Claim(key, told, contrast.verdict))
    absent = tuple(name for name in declared.missing if name not in declared.unclear)
    for key, listing in (("declared_missing", absent), ("declared_unclear", declared.unclear)):
        blocks += [Claim(key, {"listing": listing}, "warning")] if listing else []
    if declared.contrasts:
        names = ("student", "arm", "against", "gain_column", "p_holm", "verdict")
        table = Table(tuple((texts[name], "", name in ("gain_column", "p_holm")) for name in names))
        for c in declared.contrasts:
            first = [Entry(c.group.student), Entry(name_group(c.group, lang)), Entry(name_group(c.other, lang))]
            tone = "tie" if declared.is_small(c) else c.verdict
            verdict = Entry(texts[declared.name_verdict(c)], class_=tone)
            table.rows.append([*first, fact_entry(c.gain, lang, noun=False), fact_entry(c.p_holm, lang), verdict])
        blocks.append(table)
    return [*blocks, Claim("rest_explores", {})]
