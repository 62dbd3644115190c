"""What a claim study declared before it looked at the test images, tested apart from all that was found besides."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from alambic.report.facts.contrasts import (
    Contrast,
    Spread,
    comparable,
    compare_groups,
    find_spreads,
    make_contrast,
    share_seeds,
)
from alambic.report.facts.fact import Fact, Facts
from alambic.report.facts.gather import Group, Scored
from alambic.suitability.ranks import adjust_holm


@dataclass(frozen=True)
class Declared:
    """The contrasts of ``confirm.toml``.

    Attributes:
        contrasts: those that the ledger holds, Holm over all that were declared: one that cannot be tested counts as
            p = 1. missing: the others, in words; unclear: those of them of which the ledger holds several versions with
            as many seeds, of which none is picked. hash: of the file.
        smallest: the declared effect (a share) below which a difference would not matter. first_seeds: how many were
            asked for at the first run, where more were asked for later.
    """

    contrasts: tuple[Contrast, ...]
    missing: tuple[str, ...]
    hash: str
    smallest: Fact | None = None
    first_seeds: Fact | None = None
    unclear: tuple[str, ...] = ()

    def is_small(self, contrast: Contrast) -> bool:
        """Whether a difference is known to be too small to matter: its whole interval is."""
        seen = contrast.paired.interval
        return self.smallest is not None and -self.smallest.value < seen.low and seen.high < self.smallest.value

    def is_clear(self, contrast: Contrast) -> bool:
        """Whether a tie is one by its size alone: it surely is not zero, but less than the design shows."""
        seen, p = contrast.paired.interval, contrast.p_holm
        clear = p is not None and p.value <= 0.05 and (seen.low > 0 or seen.high < 0)
        return contrast.verdict == "tie" and clear and not self.is_small(contrast)

    def name_verdict(self, contrast: Contrast) -> str:
        """Key of the word for it in ``texts.TEXTS``."""
        if self.is_small(contrast):
            return "tie"
        return "clear_tie" if self.is_clear(contrast) else contrast.verdict


def judge_declared(
    wanted: list[dict[str, Any]],
    file_hash: str,
    groups: list[Group],
    spreads: dict[tuple[int, str], Spread],
    scored: Scored,
    facts: Facts,
    smallest: float | None = None,
    first_seeds: int | None = None,
) -> Declared:
    """Each declared contrast against what it was declared against: of several versions, that with the most seeds.

    Args:
        wanted: arm, student, teacher ("" for none), against, against_teacher ("" for the same). spreads: as
            ``find_spreads`` takes them.
        smallest: points below which a difference would not matter; None where the ledger does not say. first_seeds: as
            ``Declared`` has it.
    """
    pairs, missing, unclear = [], [], []
    for one in wanted:
        firsts = _find(groups, one["student"], one["arm"], one["teacher"])
        seconds = _find(groups, one["student"], one["against"], one.get("against_teacher") or one["teacher"])
        both = [(a, b) for a in firsts for b in comparable(a, seconds) if share_seeds(a, b, scored)]
        compared = [(a, b, compare_groups(a, b, scored)[1]) for a, b in both]
        most = max((len(paired.seeds) for _, _, paired in compared), default=0)
        fullest = [pair for pair in compared if len(pair[2].seeds) == most]
        if len(fullest) == 1:
            pairs += fullest
        else:
            missing.append(_tell(one))
            unclear += missing[-1:] if fullest else []
    p = [paired.p_t for _, _, paired in pairs]
    counted = adjust_holm([*(1.0 if math.isnan(one) else one for one in p), *(1.0 for _ in missing)])
    holm = [math.nan if math.isnan(one) else adjusted for one, adjusted in zip(p, counted, strict=False)]
    contrasts = tuple(
        make_contrast(*pair, adjusted, spread, scored, facts, "declared contrasts")
        for pair, adjusted, spread in zip(pairs, holm, find_spreads(pairs, spreads), strict=True)
    )
    sql = "SELECT value / 100.0 FROM meta WHERE key = 'smallest_effect'"
    effect = facts.add("smallest effect", smallest / 100, "effect", (), sql) if smallest is not None else None
    sql = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'seeds_first'"
    first = facts.add("seeds asked for first", first_seeds, "seeds", (), sql) if first_seeds is not None else None
    return Declared(contrasts, tuple(missing), file_hash, effect, first, tuple(unclear))


def _tell(one: dict[str, Any]) -> str:
    """A declared contrast in words."""
    taught = f" ({one['teacher']})" if one["teacher"] else ""
    other = f" ({one['against_teacher']})" if one.get("against_teacher") else ""
    return f"{one['student']}: {one['arm']}{taught} – {one['against']}{other}"


def _find(groups: list[Group], student: str, arm: str, teacher: str) -> list[Group]:
    """The groups of an arm: with this teacher, or those that have none, as ``none`` has."""
    own = [group for group in groups if (group.student, group.arm) == (student, arm)]
    return [g for g in own if g.teacher == (teacher or None)] or [g for g in own if g.teacher is None]


def find_confirmed(declared: Declared | None, contrast: Contrast) -> Contrast | None:
    """The declared contrast that confirms a gain over the student alone: that very one, else the same arm's against
    another arm without a teacher; None where none was declared, found, and large enough to matter."""
    found = [c for c in declared.contrasts if not declared.is_small(c)] if declared is not None else []
    gains = [c for c in found if c.verdict == "gain" and c.group.key == contrast.group.key and c.other.teacher is None]
    return min(gains, key=lambda c: c.other.key != contrast.other.key, default=None)
