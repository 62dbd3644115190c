"""What accuracy tells of teachers: how it ranks them, also the good among themselves, what the first of them gave."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from alambic.report.chapters.claims import Blank, Claim, Words
from alambic.report.chapters.suitability import list_survey
from alambic.report.facts.fact import Fact, Unit
from alambic.report.facts.suited import measure_rows
from alambic.report.overview.gather import Overview, Study, tell_data
from alambic.report.words.wording import LANGS
from alambic.suitability.gains import make_blocks
from alambic.suitability.judge import FEWEST, Array, Block, bounds, draw_teachers, resample
from alambic.suitability.ranks import spearman

ACCURACY, DRAWS = "accuracy", 2000
OF = Words({"en": "of", "fr": "sur"})
TO = Words({"en": "to", "fr": "à"})
BEST_IN = Words({"en": "and was the best in", "fr": "et était le meilleur dans"})
JUDGED_ON = (
    "the judge’s blocks of student, data and method (alambic.suitability.gains.make_blocks), controls left out; "
)


@dataclass(frozen=True)
class Accurate:
    """Of one judged study, means over its blocks.

    Attributes:
        half: rank correlation of accuracy with gain among the more accurate half of a block's teachers.
        gain: points that the most accurate teacher gave. best: blocks in which none gave more; blocks: all of them.
        least, most: teachers whose mean gain is over zero, in the block with fewest and with most; teachers: of all.
    """

    half: Fact
    gain: Fact
    best: Fact
    blocks: Fact
    least: Fact
    most: Fact
    teachers: Fact


def measure_accurate(study: Study, overview: Overview) -> Accurate | None:
    """None where accuracy was not judged."""
    blocks = _read_blocks(study)
    if not blocks:
        return None

    def add(name: str, value: float, told: str, unit: Unit = "number", ends: tuple[float, float] | None = None) -> Fact:
        return overview.facts.add(f"accurate {name}/{study.place}", value, unit, (), "", JUDGED_ON + told, ends)

    halves = [keep_better(block) for block in blocks]
    names = sorted({name for block in halves for name in block.teachers})
    drawn = resample(halves, ACCURACY, names, draw_teachers(len(names), DRAWS))
    rho = float(np.mean([spearman(block.scores[ACCURACY], block.gain) for block in halves]))
    firsts = [int(np.argmax(block.scores[ACCURACY])) for block in blocks]
    gains = [float(block.gain[first]) for block, first in zip(blocks, firsts, strict=True)]
    best = sum(gain >= block.gain.max() for block, gain in zip(blocks, gains, strict=True))
    counts = [int((block.gain > 0).sum()) for block in blocks]
    told = "alambic.suitability.ranks.spearman among the more accurate half of each block, mean over blocks; 95 % "
    half = add("half", rho, told + "interval by bootstrap over its teachers", "correlation", bounds(drawn))
    return Accurate(
        half,
        add("gain", float(np.mean(gains)) / 100, "gain of the most accurate, mean over blocks and seeds", "points"),
        add("best", best, "blocks in which no teacher gave more than the most accurate", "blocks"),
        add("blocks", len(blocks), "their number"),
        add("least", min(counts), "teachers with a mean gain over zero, least over blocks"),
        add("most", max(counts), "teachers with a mean gain over zero, most over blocks", "teachers"),
        add("teachers", max(len(b.teachers) for b in blocks), "teachers of the largest block"),
    )


def _read_blocks(study: Study) -> list[Block]:
    """What the judge judged accuracy on: without controls, the teachers whose accuracy is known."""
    judgement = study.suitability.judgement
    assert judgement is not None
    outside = {*judgement.controls, *judgement.nasty}
    rows = [row for row in study.findings.rows if row.state == "done"]
    found = []
    for block in make_blocks(study.suitability.cards, measure_rows(rows), outside):
        inside = block.leave_out(outside)
        known: Array = ~np.isnan(inside.scores.get(ACCURACY, np.full(len(inside.teachers), np.nan)))
        own = inside.keep(itertools.compress(inside.teachers, known))
        found += [own] if len(own.teachers) >= FEWEST else []
    return found


def keep_better(block: Block) -> Block:
    """The block with the more accurate half of its teachers, the middle one among them."""
    order = np.argsort(-block.scores[ACCURACY], kind="stable")[: (len(block.teachers) + 1) // 2]
    return block.keep(block.teachers[place] for place in order)


def say_accuracy(overview: Overview) -> list[Claim]:
    """How accuracy ranks teachers in the judged studies and among the better half, what the first gave, how many gave
    anything, a pilot, the estimators."""
    ranked = [(study, study.ranked) for study in overview.judged]
    titles = name_studies(overview)
    known = tuple((study.place, facts["spearman"]) for study, (facts, _) in ranked if "spearman" in facts)
    measured = {study.place: found for study in overview.judged if (found := measure_accurate(study, overview))}
    claims = []
    if known:
        clear = all(rho.low is not None and rho.low > 0 for _, rho in known) and len(known) == len(ranked)
        less = all(place in measured and measured[place].half.value < rho.value for place, rho in known)
        half = tuple((titles[place], found.half) for place, found in measured.items())
        key = "all_accuracy_first" if less else "all_accuracy_ranks"
        told: dict[str, Blank] = {"listing": tuple((titles[place], rho) for place, rho in known)}
        told |= {"half": half} if less and clear else {}
        claims.append(Claim(key if clear else "all_accuracy_some", told, "lead"))
    claims += _say_accurate([(titles[place], found) for place, found in measured.items()])
    piloted = tuple((titles[study.place], facts["spearman"]) for study, (_, facts) in ranked if "spearman" in facts)
    claims += [Claim("all_pilot", {"listing": piloted})] if piloted else []
    survey = [judged.verdict for study in overview.judged for judged in list_survey(study.suitability)]
    none = bool(survey) and not any(verdict.beats_accuracy for verdict in survey)
    return [*claims, *([Claim("all_estimators", {})] if none else [])]


def name_studies(overview: Overview) -> dict[str, Words]:
    """Place of each judged study -> its data; its own name where two have the same."""
    told = {study.place: tell_data(study, "en") for study in overview.judged}
    return {
        study.place: Words(
            {lang: tell_data(study, lang) for lang in LANGS}
            if list(told.values()).count(told[study.place]) == 1
            else dict.fromkeys(LANGS, study.name)
        )
        for study in overview.judged
    }


def _say_accurate(measured: list[tuple[Words, Accurate]]) -> list[Claim]:
    """What the most accurate gave, how many teachers gave more than nothing, where most gave nothing."""
    if not measured:
        return []
    gave = tuple((name, one.gain, BEST_IN, one.best, OF, one.blocks) for name, one in measured)
    counts = tuple((name, *_count(one), OF, one.teachers) for name, one in measured)
    claims = [Claim("all_accurate_gave", {"listing": gave}), Claim("all_teachers_gain", {"listing": counts})]
    poor = tuple(name for name, one in measured if 2 * one.most.value < one.teachers.value)
    return [*claims, *([Claim("all_teachers_few", {"listing": poor}, "warning")] if poor else [])]


def _count(one: Accurate) -> tuple[Blank, ...]:
    """Least and most over blocks, once where they are the same."""
    return (one.least,) if one.least.value == one.most.value else (one.least, TO, one.most)


def see_data(study: Study) -> set[str]:
    """What the teachers of a study had learnt from, beside what their students were given."""
    return {str(content["teacher_data"]) for content in study.contents if content.get("teacher_data") is not None}


def say_superset(overview: Overview) -> list[Claim]:
    """In how many of the studies with a teacher it had learnt from more labelled images than its student was given."""
    seen = [see_data(study) for study in overview.studies]
    told: dict[str, Blank] = {"count": sum("superset" in data for data in seen), "studies": sum(map(bool, seen))}
    return [Claim("all_superset", told, "warning")] if told["count"] else []
