"""The report's section on the chip: what the device's kernels score, the bytes, what each arithmetic costs, fits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alambic.report.chapters.answers import name_student
from alambic.report.chapters.blocks import Block, Figure, Section
from alambic.report.chapters.claims import Blank, Claim
from alambic.report.chapters.figures import Legend, tell
from alambic.report.chapters.plots import draw_against, name_scale
from alambic.report.chapters.rows import DotRow, draw_dots
from alambic.report.chapters.tables import Entry, Table, drop_empty, fact_entry
from alambic.report.chapters.widening import WORDS as WIDENING
from alambic.report.chapters.widening import describe_widening
from alambic.report.facts.fact import Fact, Facts, fall_query, mean_query, paired_query
from alambic.report.facts.findings import Findings
from alambic.report.facts.gather import Group
from alambic.report.words.texts import read_texts
from alambic.report.words.wording import Lang, name_group, show_ticks
from alambic.study.stats import bootstrap_interval, compare
from alambic.suitability.ranks import adjust_holm

WORDS: dict[str, dict[Lang, str]] = {
    "title": {"en": "On the chip", "fr": "Sur la puce"},
    "caption": {
        "en": "fp32 minus the device on the same images, in points; dots are seeds, the bar the 95% interval over "
        "seeds. The device's own kernels on {images} images first, then other arithmetics, simulated exactly; for "
        "finalists these kernels on the whole split, and int8 after quantisation-aware training (QAT), by ONNX Runtime "
        "and by the kernels. Right of zero: worse.",
        "fr": "fp32 moins la puce sur les mêmes images, en points ; les points sont les graines, la barre l’intervalle "
        "à 95 % sur les graines. D’abord les noyaux de la puce sur {images} images, puis d’autres arithmétiques, "
        "simulées exactement ; pour les finalistes ces noyaux sur tout le lot, et int8 après un entraînement qui "
        "arrondit (QAT), par ONNX Runtime et par les noyaux. À droite de zéro : moins bon.",
    },
    "ram_title": {"en": "Score against bytes of RAM", "fr": "Score en fonction des octets de RAM"},
    "ram_caption": {
        "en": "The score of each group against {what}. Bars are 95% intervals.",
        "fr": "Le score de chaque groupe en fonction de {what}. Les barres sont des intervalles à 95 %.",
    },
    "ram_bytes_told": {
        "en": "the RAM that the network takes on {chip}",
        "fr": "la RAM que le réseau prend sur {chip}",
    },
    "arena_bytes_told": {
        "en": "the arena of its activations",
        "fr": "l’arène de ses activations",
    },
    "falls": {
        "en": "Points lost by method and arithmetic",
        "fr": "Points perdus par méthode et arithmétique",
    },
    "excess": {
        "en": "Points lost beyond what the student alone loses, paired by seed; intervals over seeds, one by one",
        "fr": "Points perdus de plus que l’élève seul, appariés par graine ; intervalles sur les graines, un à un",
    },
    "table": {
        "en": "On {images} images of the split, where no column says otherwise: scores, bytes, and whether it fits",
        "fr": "Sur {images} images du lot, sauf colonne contraire : scores, octets, et si cela tient",
    },
    "axis": {"en": "points lost", "fr": "points perdus"},
    "student": {"en": "Student", "fr": "Élève"},
    "arm": {"en": "Arm", "fr": "Bras"},
    "weight_bytes": {"en": "int8 weights", "fr": "Poids int8"},
    "arena_bytes": {"en": "Arena", "fr": "Arène"},
    "flash_bytes": {"en": "Flash", "fr": "Flash"},
    "ram_bytes": {"en": "RAM", "fr": "RAM"},
    "fits": {"en": "Fits", "fr": "Tient"},
    "yes": {"en": "yes", "fr": "oui"},
    "no": {"en": "no", "fr": "non"},
    "unknown": {"en": "unknown", "fr": "inconnu"},
    "kernels": {"en": "device kernels", "fr": "noyaux de la puce"},
    "kernels_whole": {"en": "whole split", "fr": "tout le lot"},
    "qat_int8": {"en": "QAT", "fr": "QAT"},
    "qat_kernels": {"en": "QAT, kernels", "fr": "QAT, noyaux"},
    "per_tensor": {"en": "per tensor", "fr": "par tenseur"},
    "power_of_two": {"en": "power-of-two scales", "fr": "échelles puissances de deux"},
    "4bit": {"en": "4-bit weights", "fr": "poids sur 4 bits"},
}
SCORED = ("kernels", "per_tensor", "power_of_two", "4bit", "kernels_whole", "qat_int8", "qat_kernels")
WHOLE = ("kernels_whole", "qat_int8", "qat_kernels")  # of finalists: all images of the split
BYTES = ("weight_bytes", "flash_bytes", "arena_bytes", "ram_bytes")


@dataclass(frozen=True)
class Excess:
    """What a group loses to an arithmetic beyond what the student alone loses, with its uncorrected p."""

    group: Group
    arithmetic: str
    fact: Fact
    p: float


def describe_chip(findings: Findings, lang: Lang, legend: Legend, hints: bool = True) -> Section | None:
    """What int8 costs by arithmetic, score against RAM, scores with bytes and verdicts, the width-for-bytes control.

    None where no row was measured on a device. ``hints`` name what a study would have to add.
    """
    split = findings.scored.split
    groups = [group for group in findings.groups if _known(group, f"{split}_kernels")]
    if not groups:
        return None
    words = {key: texts[lang] for key, texts in WORDS.items()}
    scored = [name for name in SCORED if any(_known(group, f"{split}_{name}") for group in groups)]
    sizes = [name for name in BYTES if any(_known(group, name) for group in groups)]
    several = len(findings.students) > 1
    heads = [*([(words["student"], "", False)] if several else []), (words["arm"], "", False)]
    heads += [(words[name], f"{split}_{name}", True) for name in scored]
    heads += [(words[name], name, True) for name in sizes] + [(words["fits"], "fits", False)]
    table, dots = Table(tuple(heads)), list[DotRow]()
    lost = Table((*heads[: 1 + several], *((words[name], "", True) for name in scored)))
    beyond, lost_more = Table(lost.heads), list[Excess]()
    for found in findings.students:
        members = [group for group in found.groups if _known(group, f"{split}_kernels")]
        if members:
            dots.append(DotRow(name_student(found, findings), head=True))
        for group in members:
            named = [Entry(name_student(found, findings))] if several else []
            entries = [*named, Entry(name_group(group, lang))]
            falls = list(entries)
            for name in scored:
                entries.append(fact_entry(_mean(group, f"{split}_{name}", findings.facts), lang))
                fall = _fall(group, split, name, findings.facts)
                falls.append(fact_entry(fall, lang, noun=False))
                if fall is not None:
                    dots.append(_draw(group, fall, split, name, words[name], lang, legend))
            entries += [fact_entry(_mean(group, name, findings.facts), lang) for name in sizes]
            lost.rows.append(falls)
            if found.baseline is not None and group is not found.baseline:
                excess = [_excess(group, found.baseline, split, name, findings.facts) for name in scored]
                facts = [one.fact if one is not None else None for one in excess]
                beyond.rows.append([*entries[: 1 + several], *(fact_entry(fact, lang, noun=False) for fact in facts)])
                lost_more += [one for one in excess if one is not None]
            table.rows.append([*entries, Entry(_tell_fits(group, words))])
    figure = draw_dots(dots, words["title"], words["axis"], lambda ticks: show_ticks(ticks, "effect", lang))
    images = max(row.numbers.get("kernel_images", 0) for group in groups for row in group.rows)
    blocks: list[Block] = [Figure(figure, words["caption"].format(images=images)), words["falls"], lost]
    blocks += [words["excess"], beyond, *_tell_excess(lost_more, words, findings.facts)] if beyond.rows else []
    blocks += [*_draw_ram(findings, lang, legend, words), words["table"].format(images=images), drop_empty(table)]
    control = describe_widening(findings, lang, legend, hints)
    if control is not None:
        drawn, told = control
        blocks.append(WIDENING["title"][lang])
        blocks += [Figure(drawn, WIDENING["caption"][lang])] if drawn is not None else []
        blocks.append(told)
    return Section("chip", words["title"], tuple(blocks))


def _draw_ram(findings: Findings, lang: Lang, legend: Legend, words: dict[str, str]) -> list[Block]:
    """Score against the chip's RAM, or against the arena where not every group was judged for one and the same chip."""
    axis = name_scale(findings, lang, read_texts(lang))
    for name in ("ram_bytes", "arena_bytes"):
        chips = {str(row.numbers.get("chip")) for group in findings.groups for row in group.rows}
        if name == "ram_bytes" and len(chips) > 1:
            continue
        facts = {group.key: _mean(group, name, findings.facts) for group in findings.groups}
        sizes = {key: fact.value for key, fact in facts.items() if fact is not None}
        if len(sizes) == len(findings.groups):
            drawn = draw_against(findings.groups, sizes, words["ram_title"], axis, lang, legend)
            told = words["ram_caption"].format(what=words[f"{name}_told"].format(chip="".join(chips)))
            return [Figure(drawn, told)] if drawn is not None else []
    return []


def _known(group: Group, name: str) -> bool:
    return all(row.numbers.get(name) is not None for row in group.rows)


def _mean(group: Group, name: str, facts: Facts) -> Fact | None:
    if not _known(group, name):
        return None
    value = float(np.mean([row.numbers[name] for row in group.rows]))
    unit = "bytes" if name in BYTES else "share"
    return facts.add(f"{name}/{group.key}", value, unit, group.ids, mean_query(name, group.ids))  # type: ignore[arg-type]


def list_falls(group: Group, split: str, name: str) -> list[float]:
    """What each seed loses to an arithmetic of ``SCORED``, of the images that it was run on; none where unknown."""
    real, device = _real(split, name), f"{split}_{name}"
    if not _known(group, real) or not _known(group, device):
        return []
    return [row.numbers[real] - row.numbers[device] for row in group.rows]


def _fall(group: Group, split: str, name: str, facts: Facts) -> Fact | None:
    falls = list_falls(group, split, name)
    if not falls:
        return None
    seen = bootstrap_interval(np.array(falls))
    how = "95 % interval: alambic.study.stats.bootstrap_interval over seeds"
    sql = fall_query(_real(split, name), f"{split}_{name}", group.ids)
    return facts.add(f"fall {name}/{group.key}", seen.mean, "effect", group.ids, sql, how, (seen.low, seen.high))


def _excess(group: Group, alone: Group, split: str, name: str, facts: Facts) -> Excess | None:
    """How much more a group loses to an arithmetic than the student alone, over the seeds that both have."""
    real, device = _real(split, name), f"{split}_{name}"
    first, second = (
        {row.content["seed"]: row.numbers[real] - row.numbers[device] for row in side.rows}
        if _known(side, real) and _known(side, device)
        else {}
        for side in (group, alone)
    )
    if not first.keys() & second.keys():
        return None
    paired = compare(first, second)
    seen, ids, key = paired.interval, group.ids + alone.ids, f"excess {name}/{group.key}-{alone.key}"
    sql = " - ".join(f"({paired_query(number, group.ids, alone.ids)})" for number in (real, device))
    how = "95 % interval: alambic.study.stats.compare over seeds, paired"
    fact = facts.add(key, seen.mean, "points", ids, f"SELECT {sql}", how, (seen.low, seen.high))
    return Excess(group, name, fact, paired.p_t)


def _tell_excess(found: Sequence[Excess], words: dict[str, str], facts: Facts) -> list[Claim]:
    """A sentence for each that is told apart from zero once all of them are counted (Holm)."""
    told: list[Claim] = []
    count = sum(not math.isnan(one.p) for one in found)
    for one, holm in zip(found, adjust_holm([one.p for one in found]), strict=True):
        fact = one.fact
        if holm <= 0.05 and fact.low is not None and fact.high is not None and (fact.low > 0 or fact.high < 0):
            key, tone = ("loses_more", "loss") if fact.value > 0 else ("loses_less", "gain")
            how = f"two-sided paired t test over seeds, Holm over {count}; pairs of {fact.anchor}"
            p = facts.add(f"holm/{fact.name}", holm, "p", fact.rows, "", how)
            blanks: dict[str, Blank] = {"student": one.group.student, "arm": one.group, "where": words[one.arithmetic]}
            told.append(Claim(key, {**blanks, "excess": fact, "p": p}, tone))
    return told


def _real(split: str, name: str) -> str:
    """The fp32 score on the images that a device's score is of."""
    return split if name in WHOLE else f"{split}_fp32_same"


def _draw(group: Group, fall: Fact, split: str, name: str, title: str, lang: Lang, legend: Legend) -> DotRow:
    seeds = tuple(list_falls(group, split, name))
    label = f"{name_group(group, lang)}, {title}"
    return DotRow(label, fall.value, fall.low, fall.high, seeds, tell(fall, lang), legend.colour(group), fall.anchor)


def _tell_fits(group: Group, words: dict[str, str]) -> str:
    said = {True: words["yes"], False: words["no"], None: words["unknown"]}
    found = {(row.numbers["chip"], row.numbers.get("fits")) for row in group.rows if "chip" in row.numbers}
    return ", ".join(f"{chip}: {said[fits]}" for chip, fits in sorted(found, key=str)) or "–"
