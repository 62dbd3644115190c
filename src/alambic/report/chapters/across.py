"""The chapter over teachers, students and data: each pair of arms, and the arms' mean ranks."""

from __future__ import annotations

from dataclasses import replace

from markupsafe import Markup

from alambic.report.chapters.blocks import Block, Figure
from alambic.report.chapters.claims import METRIC_NAMES, Blank, Claim, Words
from alambic.report.chapters.rows import WIDTH
from alambic.report.chapters.tables import Entry, Table, drop_empty, fact_entry
from alambic.report.facts.across import FACTORS, Across, Compared
from alambic.report.svg import Scale, drawing, line, mark, text
from alambic.report.words.document import HEADINGS
from alambic.report.words.french_names import tell_arm
from alambic.report.words.texts import read_texts
from alambic.report.words.wording import LANGS, Lang, show_number
from alambic.study.crossed import Ranks

COUNTED = FACTORS[:3]
AGAINST = Words({"en": "against", "fr": "face à"})


def say_across(compared: Compared) -> list[Claim]:
    """What holds beyond the teachers, students and data that were tried."""
    if not compared.pairs:
        return []
    sure = tuple(_tell(pair) for pair in compared.pairs if pair.is_clear)
    told: dict[str, Blank] = {"count": len(compared.pairs)}
    if sure:
        return [Claim("across_clear", {**told, "listing": sure}, "lead")]
    return [Claim("across_none", told, "tie")]


def _tell(pair: Across) -> tuple[Blank, ...]:
    told: tuple[Blank, ...] = (_name(pair.arm), AGAINST, _name(pair.other), pair.gain)
    return told if pair.metric == "accuracy" else (*told, _metric(pair))


def _name(arm: str) -> Words:
    return Words({lang: tell_arm(arm, lang) for lang in LANGS})


def _metric(pair: Across) -> Words:
    """The metric in brackets where it is not accuracy."""
    names = METRIC_NAMES.get(pair.metric)
    bare = pair.metric == "accuracy"
    return Words({lang: "" if bare else f"({names[lang] if names else pair.metric})" for lang in LANGS})


def describe_across(compared: Compared, lang: Lang) -> list[Block]:
    """Claims, a table and a drawing; nothing where no two arms share enough teachers."""
    if not compared.pairs:
        return []
    blocks: list[Block] = [*say_across(compared), Claim("across_what", {}), _tabulate(compared, lang)]
    if compared.ranks is not None:
        drawn = draw_ranks(compared.ranks, HEADINGS["ranks"][lang], lang)
        blocks.append(Figure(drawn, HEADINGS["ranks_caption"][lang]))
    return blocks


def _tabulate(compared: Compared, lang: Lang) -> Table:
    texts = read_texts(lang)
    heads = [texts["arm"], texts["against"], texts["gain_column"], texts["p_holm"], HEADINGS["across_levels"][lang]]
    heads += [HEADINGS[f"across_{name}"][lang] for name in (*FACTORS, "rest")]
    table = Table(tuple((head, "", place in (2, 3) or place > 4) for place, head in enumerate(heads)))
    for pair in compared.pairs:
        name = f"{tell_arm(pair.arm, lang)} {_metric(pair).by_lang[lang]}".strip()
        levels = " · ".join(show_number(pair.levels[factor], "number", lang) for factor in COUNTED)
        spreads = [fact_entry(pair.spreads.get(name), lang, noun=False) for name in (*FACTORS, "rest")]
        tone = ("gain" if pair.gain.value > 0 else "loss") if pair.is_clear else ""
        gain = fact_entry(pair.gain, lang, noun=False, class_=tone)
        if pair.scarce:
            few = HEADINGS[f"across_few_{pair.scarce}"][lang].format(count=pair.levels[pair.scarce])
            gain = replace(gain, note=f"({few})")
        p = Entry("–") if pair.scarce else fact_entry(pair.p_holm, lang)
        table.rows.append([Entry(name), Entry(tell_arm(pair.other, lang)), gain, p, Entry(levels), *spreads])
    return drop_empty(table)


def draw_ranks(ranks: Ranks, label: str, lang: Lang) -> Markup:
    """Mean ranks on a line, the best at the left; bars join arms that are not told apart (Demšar 2006)."""
    names, count = list(ranks.means), len(ranks.means)
    scale, row = Scale(1, count, 130.0, WIDTH - 130.0), 22.0
    bars, axis = ranks.alike, 52.0
    parts = [line(scale(1), axis, scale(count), axis, "zero")]
    for tick in range(1, count + 1):
        parts += [line(scale(tick), axis - 5, scale(tick), axis, "zero")]
        parts += [text(scale(tick), axis - 9, show_number(tick, "number", lang), "middle", "tick")]
    end = scale(1) + (scale(2) - scale(1)) * ranks.critical
    told = f"{HEADINGS['critical'][lang]} {show_number(ranks.critical, 'decimal', lang)}"
    parts += [line(scale(1), 12, end, 12, "whisker tie"), text(end + 6, 16, told, "start", "tick")]
    low = axis + 12 + 9 * len(bars)
    for place, bar in enumerate(bars):
        y = axis + 10 + 9 * place
        ends = [scale(ranks.means[bar[0]]) - 4, scale(ranks.means[bar[-1]]) + 4]
        parts.append(line(ends[0], y, ends[1], y, "whisker tie"))
    half = (count + 1) // 2
    for place, name in enumerate(names):
        left = place < half
        y = low + row * (place + 1 if left else count - place)
        x, end = scale(ranks.means[name]), scale(1) - 12 if left else scale(count) + 12
        told = f"{tell_arm(name, lang)} {show_number(ranks.means[name], 'decimal', lang)}"
        parts += [
            line(x, axis, x, y, "grid"),
            line(x, y, end, y, "grid"),
            mark("circle", x, axis, 3.2, "point s0", told),
        ]
        parts.append(text(end + (-4 if left else 4), y + 4, told, "end" if left else "start", "label"))
    return drawing(WIDTH, low + row * (half + 0.8), label, *parts)
