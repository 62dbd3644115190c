"""The width-for-bytes control: does distillation gain more than a wider student that costs more bytes?

A distilled student costs the bytes of the plain one. The rival that a chip's owner has is the next width, undistilled:
it is compared where the study trained a wider plain student of the same family in the same setting.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from alambic.deploy.widths import list_widths
from alambic.errors import AlambicError
from alambic.report.chapters.answers import name_student
from alambic.report.chapters.figures import Legend, tell
from alambic.report.chapters.rows import DotRow, draw_dots
from alambic.report.chapters.tables import Entry, Table, fact_entry
from alambic.report.facts.contrasts import compare_groups, share_seeds
from alambic.report.facts.fact import Fact, Facts, paired_query
from alambic.report.facts.findings import Findings, StudentFindings
from alambic.report.facts.gather import Group, Scored
from alambic.report.words.wording import Lang, name_group, show_number, show_ticks

HOW = "95 % interval: alambic.study.stats.compare, paired by seed"
WORDS: dict[str, dict[Lang, str]] = {
    "title": {"en": "Width for bytes", "fr": "La largeur au prix des octets"},
    "caption": {
        "en": "What each arm gains over the student alone at no byte more, and under each student what the next width "
        "of its family gains undistilled, for more bytes. Dots are seeds, the bar the 95% interval.",
        "fr": "Ce que chaque bras gagne sur l’élève seul sans un octet de plus et, pour chaque élève, ce que gagne la "
        "largeur suivante de sa famille sans distillation, pour plus d’octets. Les points sont les graines, la barre "
        "l’intervalle à 95 %.",
    },
    "axis": {"en": "points over the student alone", "fr": "points de plus que l’élève seul"},
    "student": {"en": "Student", "fr": "Élève"},
    "arm": {"en": "Arm", "fr": "Bras"},
    "gain": {"en": "Gain", "fr": "Gain"},
    "wider": {"en": "Next width, undistilled", "fr": "Largeur suivante, sans distillation"},
    "bytes": {"en": "Bytes", "fr": "Octets"},
    "widening": {"en": "Its gain", "fr": "Son gain"},
    "difference": {"en": "Distilled minus wider", "fr": "Distillé moins plus large"},
    "worth": {"en": "Bytes of equal score by width", "fr": "Octets de score égal par la largeur"},
    "beyond": {"en": "beyond the widths here", "fr": "au-delà des largeurs d’ici"},
    "missing": {"en": "none in this study", "fr": "aucune dans cette étude"},
    "try": {"en": ": add {name}", "fr": " : ajouter {name}"},
}


@dataclass(frozen=True)
class Widened:
    """A student alone and the next width of its family alone: ``gain`` of the second over the first, bytes of both."""

    plain: Group
    wider: Group
    gain: Fact
    seeds: tuple[float, ...]
    bytes: tuple[Fact, Fact]


def find_wider(found: StudentFindings, findings: Findings) -> Widened | None:
    """The narrowest wider plain student that shares setting, family and seeds; None where there is none."""
    plain = found.baseline
    if plain is None or "weight_bytes" not in plain.numbers:
        return None
    size = plain.numbers["weight_bytes"]
    rivals = [
        (other.baseline.numbers["weight_bytes"], other.baseline)
        for other in findings.students
        if other.baseline is not None
        and (other.setting, other.student) != (found.setting, found.student)
        and other.setting == found.setting
        and other.student in _list_family(found.student)
        and "weight_bytes" in other.baseline.numbers
        and share_seeds(other.baseline, plain, findings.scored)
    ]
    wider = sorted((item for item in rivals if item[0].value > size.value), key=lambda item: item[0].value)
    if not wider:
        return None
    cost, rival = wider[0]
    _, paired = compare_groups(rival, plain, findings.scored)
    gain = _pair_fact("widening", rival, plain, findings.scored, findings.facts)
    return Widened(plain, rival, gain, paired.differences, (size, cost))


def describe_widening(
    findings: Findings, lang: Lang, legend: Legend, hints: bool = True
) -> tuple[Markup | None, Table] | None:
    """Figure and table; None where nothing was distilled.

    Args:
        hints: whether a student without a wider one has a row that names it.
    """
    words = {key: texts[lang] for key, texts in WORDS.items()}
    names = ("student", "arm", "gain", "wider", "bytes", "widening", "difference", "worth")
    table = Table(tuple((words[name], "", name not in ("student", "arm", "wider")) for name in names))
    rows: list[DotRow] = []
    for found in findings.students:
        if not found.contrasts:
            continue
        label, widened = name_student(found, findings), find_wider(found, findings)
        if widened is None:
            missing = [Entry(label), *[Entry("–")] * 2, Entry(_miss(found, words)), *[Entry("–")] * 4]
            table.rows.extend([missing] if hints else [])
            continue
        small, large = widened.bytes
        more = f"+{100 * (large.value / small.value - 1):.0f} %"
        rows.append(DotRow(label, head=True))
        rows.append(_draw(widened.gain, widened.seeds, f"{widened.wider.student}, {more}", "base", lang))
        for contrast in found.contrasts:
            group = contrast.group
            colour = legend.colour(group)
            rows.append(_draw(contrast.gain, contrast.paired.differences, name_group(group, lang), colour, lang))
            rival = None
            if share_seeds(group, widened.wider, findings.scored):
                rival = _pair_fact("against width", group, widened.wider, findings.scored, findings.facts)
            table.rows.append([
                Entry(label),
                Entry(name_group(group, lang)),
                fact_entry(contrast.gain, lang, noun=False),
                Entry(widened.wider.student),
                Entry(f"{show_number(large.value, 'bytes', lang)} ({more})", large.value, f"#{large.anchor}"),
                fact_entry(widened.gain, lang, noun=False),
                fact_entry(rival, lang, noun=False),
                _tell_worth(group, found, findings, lang, words),
            ])  # fmt: skip
    if not table.rows:
        return None
    if not rows:
        return None, table
    return draw_dots(rows, words["title"], words["axis"], lambda ticks: show_ticks(ticks, "points", lang)), table


def _pair_fact(name: str, first: Group, second: Group, scored: Scored, facts: Facts) -> Fact:
    _, paired = compare_groups(first, second, scored)
    ids, seen = first.ids + second.ids, paired.interval
    sql = paired_query(scored.number, first.ids, second.ids)
    key = f"{name}/{scored.number}/{first.key}-{second.key}"
    return facts.add(key, seen.mean, "points", ids, sql, HOW, (seen.low, seen.high))


def _draw(fact: Fact, seeds: tuple[float, ...], label: str, colour: str, lang: Lang) -> DotRow:
    return DotRow(label, fact.value, fact.low, fact.high, seeds, tell(fact, lang), colour, fact.anchor)


def _list_family(student: str) -> list[str]:
    try:
        return list_widths(student)
    except AlambicError:  # a network of one's own, or of no width
        return []


def _miss(found: StudentFindings, words: dict[str, str]) -> str:
    """Why there is no control, and the student that would be one."""
    names = _list_family(found.student)
    place = names.index(found.student) + 1 if found.student in names else len(names)
    return words["missing"] + (words["try"].format(name=names[place]) if place < len(names) else "")


def equal_bytes(score: float, bytes_: list[float], scores: list[float]) -> float | None:
    """Where a plain student of some width has a score: linear in log bytes between widths in rising order.

    None beyond the widest, and at the narrowest or below.
    """
    for index in range(1, len(bytes_)):
        low, high = scores[index - 1], scores[index]
        if low <= score <= high and high > low:
            share = (score - low) / (high - low)
            return float(np.exp((1 - share) * np.log(bytes_[index - 1]) + share * np.log(bytes_[index])))
    return None


def _tell_worth(group: Group, found: StudentFindings, findings: Findings, lang: Lang, words: dict[str, str]) -> Entry:
    family = _list_family(found.student)
    plain = [
        (other.baseline.numbers["weight_bytes"].value, other.baseline)
        for other in findings.students
        if other.baseline is not None
        and other.setting == found.setting
        and other.student in family
        and "weight_bytes" in other.baseline.numbers
    ]
    plain.sort(key=lambda item: item[0])
    sizes, groups = [item[0] for item in plain], [item[1] for item in plain]
    scores = [item.score.value for item in groups]
    value = equal_bytes(group.score.value, sizes, scores)
    if value is None:
        return Entry(words["beyond"] if group.score.value > max(scores) else "–")
    ids = (*group.ids, *(key for item in groups for key in item.ids))
    how = f"linear in log bytes between {', '.join(item.student for item in groups)} alone; score {group.score.anchor}"
    fact = findings.facts.add(f"worth/{findings.scored.number}/{group.key}", value, "bytes", ids, "", how)
    return fact_entry(fact, lang)
