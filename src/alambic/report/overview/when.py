"""When a teacher pays: what all arms of a curve gain at its least and at its most amount, said of all of them."""

from __future__ import annotations

from collections.abc import Callable

from alambic.report.chapters.claims import Blank, Claim, Words
from alambic.report.facts.fact import Fact
from alambic.report.overview.costs import name_amounts, tell_side
from alambic.report.overview.gather import Curved, Overview
from alambic.report.words.wording import LANGS, Lang
from alambic.suitability.gains import describe_setting

BY: dict[str, dict[Lang, str]] = {
    "epochs": {"en": "epochs", "fr": "les époques"},
    "images": {"en": "images", "fr": "les images"},
    "labels": {"en": "labels", "fr": "les étiquettes"},
}
Sides = dict[tuple[str, str], tuple[Fact, ...]]
ORDER = ("all_fading", "all_unlabelled", "all_shrinking", "all_lasting", "all_amounts")  # most telling first


def is_sure(fact: Fact) -> bool:
    """Whether a gain's interval lies above zero."""
    return fact.low is not None and fact.low > 0


def has_shrunk(facts: tuple[Fact, ...]) -> bool:
    """Whether the interval at the most amount lies below that at the least."""
    first, last = facts[0], facts[-1]
    return first.low is not None and last.high is not None and first.low > last.high


def is_seen_less(curve: Curved) -> bool:
    """Whether what is more is seen less often: fewer epochs at the most amount than at the least."""
    first, last = (describe_setting(content)["recipe"]["epochs"] for content in (curve.contents[0], curve.contents[-1]))
    return bool(last < first)


def is_fading(curve: Curved) -> bool:
    """Whether each arm surely gains at the least amount and none does at the most: one that still gains shows that a
    teacher still pays."""
    whole = curve.whole
    return bool(whole) and all(is_sure(facts[0]) and not is_sure(facts[-1]) for facts in whole.values())


def split_labelled(curve: Curved) -> tuple[Sides, Sides]:
    """Arms that take the teacher's word on all images, and those on images with a label alone, told by their name: a
    curve holds no cells."""
    alone = {side: facts for side, facts in curve.whole.items() if "labelled only" in side[0]}
    return {side: facts for side, facts in curve.whole.items() if side not in alone}, alone


def say_curve(curve: Curved) -> list[Claim]:
    """What the arms that were run at all amounts gain at the least and at the most of them."""
    whole, (every, alone) = curve.whole, split_labelled(curve)
    if not whole:
        return []
    amounts = {lang: name_amounts(curve, lang) for lang in LANGS}
    places = (("least", curve.taught[0]), ("most", curve.taught[-1]))
    told: dict[str, Blank] = {"by": Words(BY[curve.key])}
    told |= {name: Words({lang: amounts[lang][place] for lang in LANGS}) for name, place in places}
    if _pays_unlabelled(curve, every, alone):
        told |= {"first": _list(every, 0), "last": _list(every, -1)}
        told |= {"alone_first": _list(alone, 0), "alone_last": _list(alone, -1)}
        return [Claim("all_unlabelled", told, "lead")]
    told |= {"first": _list(whole, 0), "last": _list(whole, -1)}
    return [Claim(_choose(curve), told, "lead")]


def _pays_unlabelled(curve: Curved, every: Sides, alone: Sides) -> bool:
    """Whether, as labels grow, what shrinks is the teacher's word on images without one, and not that on the others."""
    if curve.key != "labels" or is_fading(curve) or not (every and alone):
        return False
    shrunk = all(is_sure(facts[0]) and has_shrunk(facts) for facts in every.values())
    return shrunk and not any(map(has_shrunk, alone.values()))


def _choose(curve: Curved) -> str:
    facts = curve.whole.values()
    if is_fading(curve):
        return "all_fading"
    if all(is_sure(own[0]) and has_shrunk(own) for own in facts):
        return "all_shrinking"
    return "all_lasting" if all(is_sure(own[0]) and is_sure(own[-1]) for own in facts) else "all_amounts"


def _list(sides: Sides, place: int) -> tuple[Blank, ...]:
    return tuple((Words({lang: _tell(side)(lang) for lang in LANGS}), facts[place]) for side, facts in sides.items())


def _tell(side: tuple[str, str]) -> Callable[[Lang], str]:
    return lambda lang: tell_side(side, lang)


def say_longer_first(overview: Overview) -> list[Claim]:
    """What to do before one looks for a teacher: what more epochs surely give the student alone, and what an arm still
    gains at the most epochs that it was run for."""
    claims = []
    for curve in overview.curves:
        sure = [place for place, step in enumerate(curve.steps) if is_sure(step)]
        if curve.key != "epochs" or not sure or not curve.taught:
            continue
        amounts = {lang: name_amounts(curve, lang) for lang in LANGS}
        places = {"less": sure[0], "more": sure[0] + 1, "longest": curve.taught[-1]}
        told: dict[str, Blank] = {"gain": curve.steps[sure[0]]}
        told |= {name: Words({lang: amounts[lang][place] for lang in LANGS}) for name, place in places.items()}
        last = ((side, facts[curve.taught[-1]]) for side, facts in sorted(curve.gains.items()))
        told["listing"] = tuple(
            (Words({lang: tell_side(side, lang) for lang in LANGS}), fact) for side, fact in last if fact
        )
        claims.append(Claim("all_do_longer", told, "gain"))
    return claims


def say_when(overview: Overview) -> list[Claim]:
    """Each curve in a sentence, most telling first, epochs last."""
    said = [(curve.key == "epochs", claim) for curve in overview.curves for claim in say_curve(curve)]
    return [claim for _, claim in sorted(said, key=lambda pair: (pair[0], ORDER.index(pair[1].key)))]
