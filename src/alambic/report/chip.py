"""The report's section on the chip: what the device's kernels score, the bytes, what each arithmetic costs, fits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from alambic.report.answers import name_student
from alambic.report.facts import Fact, Facts, fall_query, mean_query
from alambic.report.figures import Legend, tell
from alambic.report.findings import Findings
from alambic.report.gather import Group
from alambic.report.rows import DotRow, draw_dots
from alambic.report.tables import Entry, Table, fact_entry
from alambic.report.wording import Lang, name_group, show_ticks
from alambic.study.stats import bootstrap_interval

WORDS: dict[str, dict[Lang, str]] = {
    "title": {"en": "On the chip", "fr": "Sur la puce"},
    "caption": {
        "en": "fp32 minus the device on the same images, in points; dots are seeds, the bar the 95% interval over "
        "seeds. The device's own kernels first, then other arithmetics, simulated exactly. Right of zero: worse.",
        "fr": "fp32 moins la puce sur les mêmes images, en points ; les points sont les graines, la barre l’intervalle "
        "à 95 % sur les graines. D’abord les noyaux de la puce, puis d’autres arithmétiques, simulées exactement. À "
        "droite de zéro : moins bon.",
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
    "per_tensor": {"en": "per tensor", "fr": "par tenseur"},
    "power_of_two": {"en": "power-of-two scales", "fr": "échelles puissances de deux"},
    "4bit": {"en": "4-bit weights", "fr": "poids sur 4 bits"},
}
SCORED = ("kernels", "per_tensor", "power_of_two", "4bit")
BYTES = ("weight_bytes", "flash_bytes", "arena_bytes", "ram_bytes")


@dataclass(frozen=True)
class ChipSection:
    """A figure of what int8 costs by arithmetic, and a table of scores, bytes and verdicts."""

    title: str
    caption: str
    figure: Markup | None
    table: Table


def describe_chip(findings: Findings, lang: Lang, legend: Legend) -> ChipSection | None:
    """The section; None where no row was measured on a device."""
    split = findings.scored.split
    groups = [group for group in findings.groups if _known(group, f"{split}_kernels")]
    if not groups:
        return None
    words = {key: texts[lang] for key, texts in WORDS.items()}
    scored = [name for name in SCORED if any(_known(group, f"{split}_{name}") for group in groups)]
    sizes = [name for name in BYTES if any(_known(group, name) for group in groups)]
    heads = [(words["student"], "", False), (words["arm"], "", False)]
    heads += [(words[name], f"{split}_{name}", True) for name in scored]
    heads += [(words[name], name, True) for name in sizes] + [(words["fits"], "fits", False)]
    table, dots = Table(tuple(heads)), list[DotRow]()
    for found in findings.students:
        members = [group for group in found.groups if _known(group, f"{split}_kernels")]
        if members:
            dots.append(DotRow(name_student(found, findings), head=True))
        for group in members:
            entries = [Entry(name_student(found, findings)), Entry(name_group(group, lang))]
            for name in scored:
                entries.append(fact_entry(_mean(group, f"{split}_{name}", findings.facts), lang))
                fall = _fall(group, split, name, findings.facts)
                if fall is not None:
                    dots.append(_draw(group, fall, split, name, words[name], lang, legend))
            entries += [fact_entry(_mean(group, name, findings.facts), lang) for name in sizes]
            table.rows.append([*entries, Entry(_tell_fits(group, words))])
    figure = draw_dots(dots, words["title"], words["axis"], lambda ticks: show_ticks(ticks, "effect", lang))
    return ChipSection(words["title"], words["caption"], figure, table)


def _known(group: Group, name: str) -> bool:
    return all(row.numbers.get(name) is not None for row in group.rows)


def _mean(group: Group, name: str, facts: Facts) -> Fact | None:
    if not _known(group, name):
        return None
    value = float(np.mean([row.numbers[name] for row in group.rows]))
    unit = "bytes" if name in BYTES else "share"
    return facts.add(f"{name}/{group.key}", value, unit, group.ids, mean_query(name, group.ids))  # type: ignore[arg-type]


def _fall(group: Group, split: str, name: str, facts: Facts) -> Fact | None:
    real, device = f"{split}_fp32_same", f"{split}_{name}"
    if not _known(group, real) or not _known(group, device):
        return None
    seen = bootstrap_interval(np.array([row.numbers[real] - row.numbers[device] for row in group.rows]))
    how = "95 % interval: alambic.study.stats.bootstrap_interval over seeds"
    sql = fall_query(real, device, group.ids)
    return facts.add(f"fall {name}/{group.key}", seen.mean, "effect", group.ids, sql, how, (seen.low, seen.high))


def _draw(group: Group, fall: Fact, split: str, name: str, title: str, lang: Lang, legend: Legend) -> DotRow:
    seeds = tuple(row.numbers[f"{split}_fp32_same"] - row.numbers[f"{split}_{name}"] for row in group.rows)
    label = f"{name_group(group, lang)}, {title}"
    return DotRow(label, fall.value, fall.low, fall.high, seeds, tell(fall, lang), legend.colour(group), fall.anchor)


def _tell_fits(group: Group, words: dict[str, str]) -> str:
    said = {True: words["yes"], False: words["no"], None: words["unknown"]}
    found = {(row.numbers["chip"], row.numbers.get("fits")) for row in group.rows if "chip" in row.numbers}
    return ", ".join(f"{chip}: {said[fits]}" for chip, fits in sorted(found, key=str)) or "–"
