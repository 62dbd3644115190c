"""Tables with their titles for the chapters on the chip, the advice and the limits; nothing where one has no row."""

from __future__ import annotations

from collections.abc import Callable

from alambic.report.chapters.blocks import Block
from alambic.report.chapters.tables import Table
from alambic.report.overview.chip import tabulate_arithmetic, tabulate_levels
from alambic.report.overview.decisions import tabulate_all_decisions
from alambic.report.overview.gather import Overview
from alambic.report.overview.left import tabulate_left
from alambic.report.overview.views import tabulate_views
from alambic.report.words.overview_advice_texts import read_advice_texts
from alambic.report.words.wording import Lang

Tabulate = Callable[[Overview, Lang], Table]


def _table(title: str, tabulate: Tabulate, overview: Overview, lang: Lang) -> list[Block]:
    table = tabulate(overview, lang)
    return [read_advice_texts(lang)[title], table] if table.rows else []


def show_arithmetic(overview: Overview, lang: Lang) -> list[Block]:
    """For the chapter on the chip: what each arithmetic costs, then what is reached in the end."""
    return [
        *_table("arithmetic_table", tabulate_arithmetic, overview, lang),
        *_table("left_table", tabulate_left, overview, lang),
        *_table("levels_table", tabulate_levels, overview, lang),
    ]


def show_decisions(overview: Overview, lang: Lang) -> list[Block]:
    """For the chapter of advice."""
    return _table("decisions_table", tabulate_all_decisions, overview, lang)


def show_views(overview: Overview, lang: Lang) -> list[Block]:
    """For the limits: gains over either student alone."""
    return _table("views_table", tabulate_views, overview, lang)
