"""What an arithmetic leaves of a confirmed gain: arm and student alone on the same images, both in that arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from alambic.report.chapters.claims import Blank, Claim, Words
from alambic.report.chapters.tables import Entry, Table, drop_empty
from alambic.report.facts.contrasts import Contrast
from alambic.report.facts.fact import Fact
from alambic.report.facts.gather import Group
from alambic.report.overview.chip import ARITHMETICS
from alambic.report.overview.gather import Overview, Study
from alambic.report.words.overview_advice_texts import read_advice_texts
from alambic.report.words.overview_texts import read_overview_texts
from alambic.report.words.texts import read_texts
from alambic.report.words.wording import LANGS, Lang, name_group, show_number

SIMULATED = tuple(name for name in ARITHMETICS if name != "qat_int8")  # each on the images of the device's kernels
OF = Words({"en": "of", "fr": "sur"})


@dataclass(frozen=True)
class Left:
    """A confirmed gain over the student alone; ``gains``: arithmetic -> points over it there, mean over seeds."""

    study: Study
    contrast: Contrast
    gains: dict[str, Fact]


def list_left(overview: Overview) -> list[Left]:
    """Each confirmed gain of which any arithmetic is known."""
    found = [
        Left(study, contrast, {name: fact for name in SIMULATED if (fact := _measure(study, contrast, name, overview))})
        for study, contrast in overview.with_alone
        if study.is_confirmed(contrast)
    ]
    return [one for one in found if one.gains]


def _measure(study: Study, contrast: Contrast, name: str, overview: Overview) -> Fact | None:
    """None where a side was not run in this arithmetic, or not on as many images as the other."""
    number = f"{study.findings.scored.split}_{ARITHMETICS[name]}"
    own, other = (_read(group, number) for group in (contrast.group, contrast.other))
    shared = sorted(own.keys() & other.keys())
    if not shared or {own[seed][1] for seed in shared} != {other[seed][1] for seed in shared}:
        return None
    where = f"{study.place}/{contrast.group.key}-{contrast.other.key}"
    value = fmean(own[seed][0] - other[seed][0] for seed in shared)
    ids = contrast.group.ids + contrast.other.ids
    how = f"mean over the seeds of both of {number}, arm minus student alone"
    return overview.facts.add(f"left {name}/{where}", value, "points", ids, "", how)


def _read(group: Group, number: str) -> dict[int, tuple[float, float]]:
    """Seed -> the number, and on how many images."""
    rows = [row for row in group.rows if number in row.numbers and "kernel_images" in row.numbers]
    return {row.content["seed"]: (row.numbers[number], row.numbers["kernel_images"]) for row in rows}


def say_left(overview: Overview) -> list[Claim]:
    """In how many confirmed gains the arm is behind the student alone once the arithmetic is another."""
    found = list_left(overview)
    listing = tuple(_count(found))
    return [Claim("all_left", {"listing": listing}, "warning")] if listing else []


def _count(found: list[Left]) -> Iterator[tuple[Blank, ...]]:
    for name in SIMULATED:
        known = [one.gains[name] for one in found if name in one.gains]
        if known:
            told = Words({lang: read_advice_texts(lang)[name] for lang in LANGS})
            yield told, sum(fact.value < 0 for fact in known), OF, len(known)


def tabulate_left(overview: Overview, lang: Lang) -> Table:
    """A row a confirmed gain: what the study tells of it, and points over the student alone in each arithmetic."""
    words, texts = read_overview_texts(lang), read_advice_texts(lang)
    heads = [words["study"], read_texts(lang)["arm"], texts["tried_on"], *(texts[name] for name in SIMULATED)]
    table = Table(tuple((head, "", place > 1) for place, head in enumerate(heads)))
    for one in list_left(overview):
        images = max(row.numbers.get("kernel_images", 0) for row in one.contrast.group.rows)
        first = [f"{one.study.name}, {one.contrast.group.student}", name_group(one.contrast.group, lang)]
        shown = [_show(one.gains.get(name), lang) for name in SIMULATED]
        table.rows.append([*map(Entry, first), Entry(show_number(images, "number", lang), images), *shown])
    return drop_empty(table)


def _show(fact: Fact | None, lang: Lang) -> Entry:
    return Entry("–") if fact is None else Entry(show_number(fact.value, fact.unit, lang, noun=False), fact.value)
