"""Gains against the better of two students alone: on the bank's views, and on fresh views each epoch.

A student alone needs no bank, so that it may see other views each epoch; the honest gain is over whichever is better.
A script that reads both ledgers adds the facts by ``name_view``; here they are found again by that name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from alambic.report.chapters.claims import Blank, Claim, Words
from alambic.report.chapters.tables import Entry, Table, fact_entry
from alambic.report.facts.fact import Fact
from alambic.report.facts.gather import Group
from alambic.report.overview.gather import Overview, Study
from alambic.report.words.overview_advice_texts import read_advice_texts
from alambic.report.words.overview_texts import read_overview_texts
from alambic.report.words.texts import read_texts
from alambic.report.words.wording import Lang, name_group

Base = Literal["bank", "fresh"]


def name_view(place: str, arm: str, teacher: str | None, base: Base) -> str:
    """Name of the fact that an arm gains so much over the student alone on views from a bank, or on fresh ones; of the
    student alone (no ``teacher``) what fresh views give it."""
    return f"views/{place}/{arm}/{teacher or 'alone'}/{base}"


@dataclass(frozen=True)
class Viewed:
    """An arm of a study: points over the student alone on the bank's views, and over it on fresh views."""

    study: Study
    group: Group
    bank: Fact
    fresh: Fact

    @property
    def is_less(self) -> bool:
        """Whether fresh views make the student alone the better one."""
        return self.fresh.value < self.bank.value


def list_viewed(overview: Overview) -> list[Viewed]:
    """Each taught arm of which both gains are known, in the order of studies; one of several versions is left out, as
    the facts do not tell them apart."""
    known = {fact.name: fact for fact in overview.facts.all}
    found = []
    for study in overview.studies:
        groups = study.findings.groups
        several = {_name_arm(group) for group in groups if group.variant > 1}
        for group in groups:
            if group.teacher is None or _name_arm(group) in several:
                continue
            names = [name_view(study.place, group.arm, group.teacher, base) for base in ("bank", "fresh")]
            if all(name in known for name in names):
                found.append(Viewed(study, group, *(known[name] for name in names)))
    return found


def _name_arm(group: Group) -> tuple[int, str, str, str | None]:
    """Alike for the versions of an arm."""
    return group.setting, group.student, group.arm, group.teacher


def _list_less(overview: Overview) -> list[Viewed]:
    """Arms that gain less over the student alone on fresh views, where fresh views surely help it."""
    helped = {fact.name for fact in _list_helps(overview) if (fact.low or 0.0) > 0}
    return [one for one in list_viewed(overview) if _name_help(one.study.place) in helped and one.is_less]


def _name_help(place: str) -> str:
    return name_view(place, "none", None, "fresh")


def _list_helps(overview: Overview) -> list[Fact]:
    """What fresh views give the student alone, wherever that was tried."""
    before, after = _name_help("\n").split("\n")
    return [fact for fact in overview.facts.all if fact.name.startswith(before) and fact.name.endswith(after)]


def say_views(overview: Overview) -> list[Claim]:
    """Which gains shrink against the student alone on fresh views, for the limits."""
    less = [one for one in _list_less(overview) if (one.bank.low or 0.0) > 0]
    if not less:
        return []
    instead = Words({"en": "instead of", "fr": "au lieu de"})
    listing = tuple((one.group, one.fresh, instead, one.bank, f"({one.study.name})") for one in less)
    places = len({one.study.place for one in less})
    told: dict[str, Blank] = {"listing": listing, "places": places, "tried": len(_list_helps(overview))}
    return [Claim("all_views", told, "warning")]


def say_views_first(overview: Overview) -> list[Claim]:
    """What to do before one looks for a teacher: what fresh views give the student alone where they surely help."""
    known = {fact.name: fact for fact in overview.facts.all}
    less = {one.study.place: one.study for one in _list_less(overview)}
    listing = tuple((known[_name_help(place)], f"({study.name})") for place, study in less.items())
    told: dict[str, Blank] = {"listing": listing, "places": len(listing), "tried": len(_list_helps(overview))}
    return [Claim("all_do_views", told, "gain")] if listing else []


def tabulate_views(overview: Overview, lang: Lang) -> Table:
    """A row an arm: its points over the student alone on the bank's views and on fresh ones."""
    words, texts = read_overview_texts(lang), read_advice_texts(lang)
    heads = [words["study"], read_texts(lang)["arm"], texts["over_bank"], texts["over_fresh"]]
    table = Table(tuple((head, "", place > 1) for place, head in enumerate(heads)))
    before = ""
    for one in list_viewed(overview):
        named = [Entry("" if one.study.place == before else one.study.name), Entry(name_group(one.group, lang))]
        table.rows.append([*named, *(fact_entry(fact, lang, noun=False) for fact in (one.bank, one.fresh))])
        before = one.study.place
    return table
