"""What was tried out of what is published, and how all studies measure: two chapters of the document over all."""

from __future__ import annotations

from collections.abc import Sequence

from alambic.catalogue import CONTROLS, count_methods
from alambic.methods import all_methods
from alambic.report.chapters.blocks import Block
from alambic.report.chapters.claims import Blank, Claim
from alambic.report.chapters.document import used_methods
from alambic.report.chapters.tables import Entry, Table
from alambic.report.overview.gather import Overview
from alambic.report.words.document import FIDELITIES, HEADINGS
from alambic.report.words.overview_texts import read_overview_texts
from alambic.report.words.wording import Lang


def describe_survey(overview: Overview, lang: Lang) -> list[Block]:
    """How many losses are there, were tried, had tuning, were declared; a row each of those declared."""
    known = all_methods()
    counts = count_methods(known)
    declared = list(used_methods([group for study in overview.claims for group in study.findings.groups]))
    lists = (used_methods(overview.groups), declared)
    tried, stand = (sum(known[name].family not in CONTROLS for name in names) for names in lists)
    told: dict[str, Blank] = {"published": counts["A"] + counts["B"] + counts["C"], "own": counts["O"]}
    said = Claim("all_survey", {**told, "tried": tried, "tuned": len(overview.tuned), "declared": stand})
    return [said, _tabulate(declared, lang)] if declared else [said]


def _tabulate(names: Sequence[str], lang: Lang) -> Table:
    """A row a method: its paper, where and when it was published, what the code was checked against."""
    words = read_overview_texts(lang)
    heads = (words["method_name"], words["paper_title"], words["published"], HEADINGS["fidelity"][lang])
    table = Table(tuple((head, "", False) for head in heads))
    for name in names:
        method = all_methods()[name]
        title = Entry(method.paper.title, class_="wide", quoted=True)
        where = Entry(f"{method.paper.venue} {method.paper.year}")
        table.rows.append([Entry(name), title, where, Entry(FIDELITIES[method.fidelity][lang])])
    return table


def say_protocol() -> list[Claim]:
    """What holds in each study alike."""
    return [Claim(key, {}) for key in ("all_paired", "all_last_epoch", "all_equal_trials", "intervals")]
