"""The printed document over all studies: question, answer, studies, teachers, methods, when, ideas, chip, advice."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from alambic.report.chapters.across import describe_across
from alambic.report.chapters.blocks import Block, Figure, Section
from alambic.report.chapters.claims import name_metric
from alambic.report.chapters.rows import DotRow, draw_dots, split_rows
from alambic.report.chapters.tables import Table
from alambic.report.chapters.teachers import draw_parts
from alambic.report.facts.contrasts import Contrast
from alambic.report.overview.alternatives import say_alternatives, tabulate_alternatives
from alambic.report.overview.blocks import show_arithmetic, show_decisions, show_views
from alambic.report.overview.claims import (
    find_declared_ideas,
    say_all_families,
    say_brief,
    say_chip,
    say_ideas,
    say_methods,
    say_methods_between,
    say_question,
    say_teachers_between,
    split_between,
)
from alambic.report.overview.costs import (
    tabulate_all_papers,
    tabulate_costs,
    tabulate_curve,
    tabulate_trained,
)
from alambic.report.overview.gather import Overview, Study, tell_seen
from alambic.report.overview.glossary import describe_words
from alambic.report.overview.limits import say_do, say_limits, say_plateau, say_trained
from alambic.report.overview.methods import say_by_teacher, tabulate_by_teacher
from alambic.report.overview.survey import describe_survey, say_protocol
from alambic.report.overview.tables import (
    tabulate_data,
    tabulate_declared,
    tabulate_estimators,
    tabulate_families,
    tabulate_fates,
    tabulate_judged,
    tabulate_studies,
)
from alambic.report.overview.teachers import say_accuracy
from alambic.report.overview.when import say_when
from alambic.report.words.document import HEADINGS
from alambic.report.words.overview_texts import read_overview_texts
from alambic.report.words.texts import Texts, read_texts
from alambic.report.words.wording import Lang, hold, name_group, show_bounds, show_number, show_ticks


def compose_overview(overview: Overview, lang: Lang) -> list[Section]:
    """All chapters in order; those that would be empty are left out."""
    words = read_overview_texts(lang)
    parts: dict[str, Sequence[Block]] = {
        "question": say_question(overview),
        "short": say_brief(overview),
        "studies": [*_table(tabulate_data(overview, lang)), *_table(tabulate_studies(overview, lang))],
        "survey": describe_survey(overview, lang),
        "protocol": say_protocol(),
        "teacher": _describe_teachers(overview, lang, words),
        "method": _describe_methods(overview, lang, words),
        "when": _describe_when(overview, lang, words),
        "ideas": _describe_ideas(overview, lang, words),
        "chip": _describe_chip(overview, lang, words),
        "do": _describe_advice(overview, lang),
        "limits": [*say_limits(overview), *show_views(overview, lang)],
        "glossary": describe_words(overview, lang),
        "references": [tabulate_all_papers(overview, lang)],
    }
    return [Section(key, words[key], tuple(blocks)) for key, blocks in parts.items() if blocks]


def _table(table: Table, title: str = "") -> list[Block]:
    """A table under its title; nothing where it has no row."""
    return [*([title] if title else []), table] if table.rows else []


def _describe_teachers(overview: Overview, lang: Lang, words: Texts) -> list[Block]:
    blocks: list[Block] = [
        *say_accuracy(overview),
        *_table(tabulate_judged(overview, lang, False), words["accuracy_table"]),
    ]
    blocks += _table(tabulate_estimators(overview, lang), words["judged_table"])
    texts = read_texts(lang)
    told = f"{texts['teachers_caption']} " + words["own_ranges"]
    judged = sorted(overview.judged, key=count_taught, reverse=True)
    drawn = [(study.name, part) for study in judged for part in draw_parts(study.findings, lang, texts)]
    blocks += [Figure(part, f"{name}. {told}" if not place else name) for place, (name, part) in enumerate(drawn)]
    blocks += [*say_all_families(overview), *_table(tabulate_families(overview, lang), words["family_table"])]
    two, _ = split_between(overview)
    return [*blocks, *say_teachers_between(overview), *_table(tabulate_declared(two, lang), words["teacher_table"])]


def count_taught(study: Study) -> int:
    """How many contrasts with the student alone a study of teachers has."""
    return sum(len(found.contrasts) for found in study.findings.students)


def _describe_methods(overview: Overview, lang: Lang, words: Texts) -> list[Block]:
    pairs = overview.with_alone
    blocks: list[Block] = [*say_methods(overview)]
    for own in split_metrics(pairs).values():  # points of one metric are not those of another
        rows = _dot_rows(own, lang)
        blocks += [Figure(_draw_rows(part, rows, lang, words), words["alone_caption"]) for part in split_rows(rows)]
    blocks += _table(tabulate_declared(pairs, lang), words["alone_figure"])
    _, one = split_between(overview)
    rest = [(s, c) for s, c in overview.declared if c.group.teacher is None or c.other.teacher is None]
    rest = [pair for pair in rest if pair not in pairs]
    blocks += [*say_methods_between(overview), *_table(tabulate_declared(one, lang), words["between_table"])]
    blocks += _table(tabulate_declared(rest, lang), words["rest_table"])
    over = [*describe_across(overview.across, lang), *say_by_teacher(overview)]
    over += _table(tabulate_by_teacher(overview, lang), words["by_teacher_table"])
    return [*blocks, *([HEADINGS["across"][lang]] if over else []), *over]


def split_metrics(pairs: Sequence[tuple[Study, Contrast]]) -> dict[str, list[tuple[Study, Contrast]]]:
    """Metric -> the contrasts measured by it."""
    found: dict[str, list[tuple[Study, Contrast]]] = {}
    for study, contrast in pairs:
        found.setdefault(study.findings.scored.metric, []).append((study, contrast))
    return found


def _draw_rows(part: list[DotRow], among: list[DotRow], lang: Lang, words: Texts) -> Markup:
    axis = read_texts(lang)["axis_points"]
    return draw_dots(part, words["alone_figure"], axis, lambda ticks: show_ticks(ticks, "points", lang), among)


def _dot_rows(pairs: Sequence[tuple[Study, Contrast]], lang: Lang) -> list[DotRow]:
    """Under the head of each study its contrasts with the student alone."""
    rows: list[DotRow] = []
    before = ""
    for study, c in pairs:
        if study.place != before:
            scored, seen = study.findings.scored, tell_seen(c.group.rows[0].content, lang)
            told = f"{seen}, {name_metric(scored.metric, lang)}, {c.group.student}, {scored.precision}"
            rows.append(DotRow(hold(f"{study.name}: {told}", lang), head=True))
        before, gain = study.place, c.gain
        told = f"{show_number(gain.value, 'points', lang, noun=False)} {show_bounds(gain, lang)}"
        tone = colour_of(study, c)
        rows.append(DotRow(name_group(c.group, lang), gain.value, gain.low, gain.high, (), told, tone))
    return rows


def colour_of(study: Study, contrast: Contrast) -> str:
    """Of a declared contrast's mark: what is too small to matter is a tie."""
    declared = study.findings.declared
    return "tie" if declared is not None and declared.is_small(contrast) else contrast.verdict


def _describe_when(overview: Overview, lang: Lang, words: Texts) -> list[Block]:
    blocks: list[Block] = [*say_when(overview), *say_trained(overview), *say_plateau(overview)]
    for curve in overview.curves:
        blocks += _table(tabulate_curve(curve, lang), words[f"curve_{curve.key}"])
    blocks += _table(tabulate_trained(overview, lang), words["trained_table"])
    others = _table(tabulate_alternatives(overview, lang), words["alternatives_table"])
    return [*blocks, *say_alternatives(overview), *others]


def _describe_ideas(overview: Overview, lang: Lang, words: Texts) -> list[Block]:
    again = [pair for pairs in find_declared_ideas(overview).values() for pair in pairs]
    blocks: list[Block] = [*say_ideas(overview), *_table(tabulate_fates(overview, lang))]
    return [*blocks, *_table(tabulate_declared(again, lang), words["again_table"])]


def _describe_advice(overview: Overview, lang: Lang) -> list[Block]:
    return [*say_do(overview), *show_decisions(overview, lang)] if overview.claims else []


def _describe_chip(overview: Overview, lang: Lang, words: Texts) -> list[Block]:
    costs = _table(tabulate_costs(overview, lang), words["what_chip"])
    return [*say_chip(overview), *costs, *show_arithmetic(overview, lang)]
