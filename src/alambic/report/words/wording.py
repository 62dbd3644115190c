"""Numbers and names as a reader sees them, in English and French; every piece of text is escaped here."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from markupsafe import Markup

from alambic.report.facts.fact import Fact, Unit
from alambic.report.facts.gather import Group
from alambic.report.words.french_names import tell_arm

Lang = Literal["en", "fr"]
LANGS: tuple[Lang, ...] = ("en", "fr")
THIN = "\u202f"  # no line break between a number and its unit
NO_BREAK = "\u00a0"
# French signs that an identifier or a list brought without the space before them; not inside one, as in 12:30
BARE = re.compile(r"(?<=[^\s;:!?])(?=[;:!?](?:[\s»)\]]|$))|(?<=\d)(?=%)")
# where a line break would part an interval, a number from what follows it, p from its value, a sign from its word
HELD = re.compile(r"\[[^][]*\]|(?<=\d) (?=[\w%×°])|(?<=\bp) (?=[<=≥])|(?<=[<=≥«]) (?=\S)|(?<=\S) (?=[;:!?»])")

NOUNS: dict[str, dict[Lang, tuple[str, str]]] = {
    "points": {"en": ("point", "points"), "fr": ("point", "points")},
    "seeds": {"en": ("seed", "seeds"), "fr": ("graine", "graines")},
    "images": {"en": ("image", "images"), "fr": ("image", "images")},
    "cells": {"en": ("cell", "cells"), "fr": ("cellule", "cellules")},
    "teachers": {"en": ("teacher", "teachers"), "fr": ("enseignant", "enseignants")},
    "blocks": {"en": ("block", "blocks"), "fr": ("bloc", "blocs")},
    "classes": {"en": ("class", "classes"), "fr": ("classe", "classes")},
}
FROM: dict[Lang, str] = {"en": "from", "fr": "avec"}
ITSELF: dict[Lang, str] = {"en": "{name} itself", "fr": "{name} lui-même"}
P_WORD: dict[Lang, str] = {"en": "p", "fr": "p"}


@dataclass(frozen=True)
class Fine(Fact):
    """A fact of points shown with a third digit, beside another one with which it would read alike."""


def tell_apart(first: Fact, second: Fact) -> tuple[Fact, Fact]:
    """Two facts of points as they are; with a third digit where their sizes differ and would not read so."""
    sizes = [abs(100 * fact.value) for fact in (first, second)]
    alike = math.isfinite(sum(sizes)) and sizes[0] != sizes[1] and round(sizes[0], 2) == round(sizes[1], 2)
    if not alike or {first.unit, second.unit} - {"points", "effect"}:
        return first, second
    return Fine(**vars(first)), Fine(**vars(second))


def show_number(value: float, unit: Unit, lang: Lang, noun: bool = True, digits: int = 2) -> str:
    """A number with its unit: 85.12%, +0.52 points, 3,412 B; French: 85,12 %, +0,52 point, 3 412 o.

    Args:
        digits: of points.
    """
    if unit == "share":
        return _decimal(100 * value, 2, lang) + ("%" if lang == "en" else f"{THIN}%")
    if unit in ("points", "effect"):
        text = _decimal(100 * value, digits, lang, signed=unit == "points")
        return f"{text}{THIN}{_noun('points', 100 * value, lang)}" if noun else text
    if unit == "p":
        return _decimal(value, 3, lang) if value >= 0.0005 else f"<{THIN}{_decimal(0.001, 3, lang)}"
    if unit in ("correlation", "decimal"):
        return _decimal(value, 2, lang, signed=unit == "correlation")
    if unit == "nats":
        return _decimal(value, 3, lang)
    if unit == "seconds":
        return _duration(value, lang)
    if unit == "bytes":
        return f"{_decimal(value, 0, lang)}{THIN}{'B' if lang == 'en' else 'o'}"
    text = _decimal(value, 0, lang)
    return f"{text}{THIN}{_noun(unit, value, lang)}" if noun and unit in NOUNS else text


def _decimal(value: float, digits: int, lang: Lang, signed: bool = False) -> str:
    if math.isinf(value) or math.isnan(value):
        return "∞" if math.isinf(value) else "–"
    rounded = round(value, digits) + 0.0
    text = f"{abs(rounded):,.{digits}f}"
    if lang == "fr":
        text = text.replace(",", THIN).replace(".", ",")
    sign = "−" if rounded < 0 else ("+" if signed and rounded > 0 else "")
    return sign + text


def _noun(name: str, value: float, lang: Lang) -> str:
    one = abs(value) < 2 if lang == "fr" else abs(round(value, 2)) == 1
    return NOUNS[name][lang][0 if one else 1]


def _duration(seconds: float, lang: Lang) -> str:
    if seconds < 120:
        return f"{_decimal(seconds, 1, lang)}{THIN}s"
    if seconds < 7200:
        return f"{_decimal(seconds / 60, 1, lang)}{THIN}min"
    return f"{_decimal(seconds / 3600, 1, lang)}{THIN}h"


def show_ticks(values: list[float], unit: Unit, lang: Lang) -> list[str]:
    """Labels of an axis in percent or points: as few digits as tell the ticks apart."""
    digits = next((d for d in range(4) if all(abs(round(100 * v, d) - 100 * v) < 1e-6 for v in values)), 4)
    after = {"share": "%" if lang == "en" else f"{THIN}%"}.get(unit, "")
    return [_decimal(100 * value, digits, lang, signed=unit == "points") + after for value in values]


def show_bounds(fact: Fact, lang: Lang) -> str:
    """The interval of a fact, empty without one; its sign or noun stands once, beside the value: 85.12% [84.90, 85.31].

    An end of a gain has its plus or minus, as the gain itself.
    """
    if fact.low is None or fact.high is None:
        return ""
    ends = [show_number(end, fact.unit, lang, noun=False).rstrip(f"{THIN}%") for end in (fact.low, fact.high)]
    comma = "," if lang == "en" else f"{THIN};"
    return f"[{ends[0]}{comma} {ends[1]}]"


def show_fact(fact: Fact, lang: Lang, noun: bool = True, bounds: bool = True) -> Markup:
    """A fact as a link to its line in the list of facts, with its interval."""
    value = Markup('<a class="fact" href="#{}">{}</a>').format(
        fact.anchor, show_number(fact.value, fact.unit, lang, noun, 3 if isinstance(fact, Fine) else 2)
    )
    interval = show_bounds(fact, lang) if bounds else ""
    return value + (Markup(' <span class="ci">{}</span>').format(interval) if interval else "")


def name_arm(group: Group, lang: Lang) -> str:
    """The arm in words; starred where reconstructed from an abstract."""
    return (
        tell_arm(group.arm, lang)
        + ("*" if group.starred else "")
        + (f" ({group.variant})" if group.variant > 1 else "")
    )


def name_teacher(content: Mapping[str, Any], lang: Lang) -> str:
    """A cell's teacher in words, the student itself where it taught itself; "" without one."""
    if "self_distillation" in (content["arm"].get("treatments") or ()):
        return ITSELF[lang].format(name=content["student"])
    return content.get("teacher") or ""


def name_group(group: Group, lang: Lang) -> str:
    """Arm and teacher in words."""
    teacher = name_teacher(group.rows[0].content, lang)
    return name_arm(group, lang) + (f" {FROM[lang]} {teacher}" if teacher else "")


def plain(text: str) -> str:
    """Text of a rendered sentence without its markup, for slides, PDF and tests."""
    return Markup(text).striptags()


def hold(text: str, lang: Lang | None = None) -> str:
    """Text in which no line break parts what belongs together: office programs break at narrow spaces.

    In French the signs ; : ! ? and % get the space before them that a list or an identifier left out.
    """
    text = BARE.sub(NO_BREAK, text) if lang == "fr" else text
    return HELD.sub(lambda found: found.group().replace(" ", NO_BREAK), text).replace(THIN, NO_BREAK)
