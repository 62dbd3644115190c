"""Tables of what it takes and gives: curves, the chip, decisions, papers of all studies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alambic.report.chapters.document import tabulate_papers
from alambic.report.chapters.tables import Entry, Table, drop_empty, fact_entry
from alambic.report.facts.fact import Fact
from alambic.report.facts.findings import StudentFindings
from alambic.report.overview.chip import is_detector
from alambic.report.overview.gather import Curved, Overview, tell_data
from alambic.report.words.french_names import tell_arm
from alambic.report.words.overview_texts import read_overview_texts
from alambic.report.words.texts import read_texts, tell_teacher
from alambic.report.words.wording import FROM, Lang, show_number
from alambic.suitability.gains import describe_setting


def name_amounts(curve: Curved, lang: Lang) -> list[str]:
    """What differs between the ledgers of a curve, in words, each with its amount."""
    words = read_overview_texts(lang)
    settings = [describe_setting(content) for content in curve.contents]
    parts = {
        "images": [show_number(one["data"]["train_images"], "images", lang) for one in settings],
        "labels": [f"{show_number(_count_labels(one), 'number', lang)} {words['labels']}" for one in settings],
        "epochs": [f"{one['recipe']['epochs']} {words['epochs']}" for one in settings],
    }
    shown = [parts[name] for name in parts if len(set(parts[name])) > 1 and (name != "labels" or curve.key == name)]
    return [", ".join(told) for told in zip(*shown, strict=True)]


def _count_labels(setting: dict[str, Any]) -> int:
    return int(setting["data"]["train_images"]) - int(setting["data"].get("unlabelled", 0))


def tabulate_curve(curve: Curved, lang: Lang) -> Table:
    """The student alone and each arm's points over it, a column an amount."""
    words = read_overview_texts(lang)
    table = Table((("", "", False), *((name, "", True) for name in name_amounts(curve, lang))))
    table.rows.append([Entry(words["alone_share"]), *(fact_entry(fact, lang) for fact in curve.alone)])
    for side, facts in curve.gains.items():
        table.rows.append([Entry(tell_side(side, lang)), *(fact_entry(fact, lang, noun=False) for fact in facts)])
    return table


def tell_side(side: tuple[str, str], lang: Lang) -> str:
    return f"{tell_arm(side[0], lang)} {FROM[lang]} {side[1]}"


def tabulate_trained(overview: Overview, lang: Lang) -> Table:
    """The teachers of the curves whose card lies in the repository: family, lessons, images, epochs, own score."""
    words, texts = read_overview_texts(lang), read_texts(lang)
    heads = [texts["teacher"], texts["family"], texts["provenance"], words["images_seen"], words["epochs_seen"]]
    heads += [texts["parameters"], texts["seconds"], words["own_score"]]
    table = Table(tuple((head, "", place > 2) for place, head in enumerate(heads)))
    for name, card in list_trained(overview):
        spec, numbers = card["spec"], [card["train_images"], card["recipe"]["epochs"], card["parameters"]]
        first = [Entry(name), Entry(spec["family"]), Entry(tell_teacher(spec["provenance"], lang))]
        shown = [Entry(show_number(number, "number", lang)) for number in numbers]
        last = [
            Entry(show_number(card["train_seconds"], "seconds", lang)),
            Entry(show_number(card["tune"], "share", lang)),
        ]
        table.rows.append([*first, *shown, *last])
    return table


def list_trained(overview: Overview) -> list[tuple[str, dict[str, Any]]]:
    """Name and card of each teacher of the curves whose card is known, once."""
    found = {
        str(content["teacher"]): overview.cards[content["teacher_hash"]]
        for curve in overview.curves
        for content in curve.contents
        if content.get("teacher_hash") in overview.cards
    }
    return sorted(found.items())


def tabulate_costs(overview: Overview, lang: Lang) -> Table:
    """A row a student and input of the confirmations: parameters, bytes, what int8 loses, how kernels agree, fits.

    Where one of two classes is rare no agreement stands: nearly every answer is the other class.
    """
    words, texts = read_overview_texts(lang), read_texts(lang)
    names = ("parameters", "macs", "weight_bytes", "arena_bytes")
    heads = [texts["student"], words["task"], *(texts[name] for name in names)]
    heads += [words["loses"], words["agrees"], words["kernels"], words["fits"]]
    table = Table(tuple((head, "", 1 < place < 9) for place, head in enumerate(heads)))
    found: dict[tuple[str, str], list[StudentFindings]] = {}
    rare = {g.key for study in overview.claims for g in study.findings.groups if is_detector(g, study.findings)}
    for study in overview.claims:
        for student in study.findings.students:
            found.setdefault((student.student, tell_data(study, lang)), []).append(student)
    for (name, data), students in sorted(found.items()):
        groups = [group for student in students for group in student.groups]
        sizes = [fact_entry(groups[0].numbers.get(number), lang) for number in names]
        falls = [group.numbers["fall"] for group in groups if "fall" in group.numbers]
        rows = [row.numbers for group in groups for row in group.rows]
        telling = [row.numbers for group in groups if group.key not in rare for row in group.rows]
        agree = [_least([n["agreement_int8"] for n in telling if "agreement_int8" in n], lang)]
        agree.append(_least([n["agreement_between"] for n in telling if "agreement_between" in n], lang))
        fits = sorted(
            {f"{n['chip']}: {words['yes' if n['fits'] else 'no']}" for n in rows if n.get("fits") is not None}
        )
        last = [Entry(_range(falls, lang)), *agree, Entry(", ".join(fits) or "–")]
        table.rows.append([Entry(name), Entry(data), *sizes, *last])
    return drop_empty(table)


def _least(values: list[float], lang: Lang) -> Entry:
    return Entry(f"≥ {show_number(min(values), 'share', lang)}") if values else Entry("–")


def _range(facts: Sequence[Fact], lang: Lang) -> str:
    """The least and the most of some facts, as numbers."""
    if not facts:
        return "–"
    ends = [pick(facts, key=lambda fact: fact.value) for pick in (min, max)]
    told = [show_number(fact.value, fact.unit, lang, noun=False) for fact in ends]
    return told[0] if told[0] == told[1] else f"{told[0]} {read_overview_texts(lang)['to']} {told[1]}"


def tabulate_all_papers(overview: Overview, lang: Lang) -> Table:
    """Each paper once."""
    tables = [tabulate_papers(study.findings, lang) for study in overview.studies]
    rows = {(row[0].text, row[1].text): row for table in tables for row in table.rows}
    return Table(tables[0].heads, list(rows.values()))
