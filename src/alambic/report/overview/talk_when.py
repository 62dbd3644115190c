"""The slide of when a teacher pays: a chart a curve, each with what it is measured on."""

from __future__ import annotations

from dataclasses import replace

from alambic.report.chapters.claims import SCORE_NAMES, Claim, name_metric
from alambic.report.facts.fact import Fact
from alambic.report.overview.costs import name_amounts, tell_side
from alambic.report.overview.gather import Curved, Overview, tell_seen
from alambic.report.overview.limits import say_trained
from alambic.report.overview.when import has_shrunk, is_seen_less, say_when
from alambic.report.talk.parts import Bars, Slide, colour_gain, make_bars
from alambic.report.words.french_names import tell_arm
from alambic.report.words.texts import Texts, read_texts
from alambic.report.words.wording import FROM, Lang


def tell_curves(overview: Overview, key: str, lang: Lang, words: Texts) -> list[Slide]:
    """Every arm that was run at each amount of images and of labels, over the student alone; a chart a curve.

    ``key`` is what colours and lines mean, told once.
    """
    charts, ends = list[Bars](), list[tuple[Fact, ...]]()
    curves = [curve for curve in overview.curves if curve.key != "epochs" and curve.whole]
    for curve in curves:
        run, names = curve.whole, name_amounts(curve, lang)
        teachers, amounts = {teacher for _, teacher in run}, [names[place] for place in curve.taught]
        named = [
            (f"{tell_arm(side[0], lang) if len(teachers) == 1 else tell_side(side, lang)}, {told}", fact)
            for side, facts in run.items()
            for told, fact in zip(amounts, facts, strict=True)
        ]
        colours = [colour_gain(fact) for _, fact in named]
        bars = make_bars(named, read_texts(lang)["axis_points"], colours, "" if charts else key, lang)
        charts.append(replace(bars, head=_head(curve, teachers, lang, words)))
        ends += run.values()
    if not charts:
        return []
    shrinking = sum(has_shrunk(facts) for facts in ends)
    less = any(map(is_seen_less, curves))
    title = Claim("talk_when_less" if less else "talk_when", {"shrinking": shrinking, "count": len(ends)})
    return [Slide(title, (), charts[0], (*say_when(overview), *say_trained(overview)), below=tuple(charts[1:]))]


def _head(curve: Curved, teachers: set[str], lang: Lang, words: Texts) -> str:
    """What a curve is measured on: data, student, its teacher where there is one, metric and images."""
    content = curve.contents[0]
    student, metric = str(content["student"]), str(content.get("task", {}).get("metric", "accuracy"))
    student += f" {FROM[lang]} {min(teachers)}" if len(teachers) == 1 else ""
    told = {"data": tell_seen(content, lang), "student": student}
    return words["over_curve"].format(
        **told,
        metric=name_metric(metric, lang),
        where=SCORE_NAMES[curve.number][lang],
    )
