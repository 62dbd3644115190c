"""Ideas and the controls that would refute them, as the study file declared them.

Any control may refute an idea, so that one with many controls has many chances to fall by bad luck. Of an idea's k
contrasts each is held to be under the effect that matters where its upper bound at 1 - .025 / k is (Bonferroni); one
that is missing counts in k. To survive an idea must beat all of them, corrected over all ideas' contrasts (Holm).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

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
from alambic.study.falsifiers import INT8_COST, teachers_of
from alambic.study.stats import LEVEL
from alambic.suitability.ranks import adjust_holm

Fate = Literal["refuted", "survives", "undecided"]


@dataclass(frozen=True)
class Idea:
    """One idea of the study.

    Attributes:
        contrasts: the idea's arm against each control, for each student, teacher and setting; Holm over all ideas'
            contrasts. missing: controls without finished cells beside some of the idea's.
        smallest: the declared effect, a share. highs: name of a contrast's gain -> its upper bound, corrected over the
            idea's contrasts; of those of several seeds. by_cost: whether it is judged by what int8 costs, where a gain
            is a smaller cost.
    """

    name: str
    contrasts: tuple[Contrast, ...]
    missing: tuple[str, ...]
    smallest: Fact
    highs: dict[str, Fact]
    by_cost: bool = False

    def fate_of(self, contrast: Contrast) -> Fate:
        """``refuted`` where the advantage is surely under the smallest effect, all contrasts counted; ``survives``
        where it is surely one, and its own interval is not under that effect.

        One seed decides nothing: its interval speaks of that training alone.
        """
        p, seen = contrast.p_holm, contrast.paired.interval
        if p is None:
            return "undecided"
        if self.highs[contrast.gain.name].value < self.smallest.value:
            return "refuted"
        is_one = seen.low > 0 and seen.high >= self.smallest.value and p.value <= 0.05
        return "survives" if is_one else "undecided"

    @property
    def is_near(self) -> bool:
        """Whether what keeps it undecided would refute it, were it its only control."""
        if self.fate != "undecided" or self.hardest is None or self.hardest.p_holm is None:
            return False
        return self.hardest.paired.interval.high < self.smallest.value

    @property
    def hardest(self) -> Contrast | None:
        """The contrast that decides: of those whose fate is the idea's, the one with the least to hope for; None where
        only what is missing keeps it undecided."""
        telling = [contrast for contrast in self.contrasts if self.fate_of(contrast) == self.fate]
        return min(telling, key=lambda contrast: contrast.paired.interval.high, default=None)

    @property
    def fate(self) -> Fate:
        """One control that does as well refutes; all must be beaten to survive."""
        fates = [self.fate_of(contrast) for contrast in self.contrasts]
        if "refuted" in fates:
            return "refuted"
        return "survives" if fates and set(fates) == {"survives"} and not self.missing else "undecided"


def judge_ideas(
    wanted: list[dict[str, Any]],
    groups: list[Group],
    spreads: dict[tuple[int, str], Spread],
    scored: Scored,
    cost: Scored | None,
    facts: Facts,
) -> tuple[Idea, ...]:
    """Each declared falsifier with its contrasts.

    Args:
        wanted: what ``Falsifier.told`` gave. cost: what int8 costs, where one of them bets on that.
    """
    measured = [cost if cost is not None and one.get("measure") == INT8_COST else scored for one in wanted]
    pairs: list[tuple[int, Group, Group]] = []
    missing: list[list[str]] = [[] for _ in wanted]
    for index, one in enumerate(wanted):
        own = [group for group in groups if group.arm == one["arm"]]
        for against, told in zip(
            one["against"], teachers_of(one["against"], one.get("against_teacher", "")), strict=True
        ):
            for first in own:
                if told and first.teacher == told:
                    continue  # the idea is about another teacher than the control's
                teacher = told or first.teacher
                controls = find_controls(first, against, teacher, groups)
                found = [second for second in controls if share_seeds(first, second, measured[index])]
                pairs += [(index, first, second) for second in found]
                if not found:
                    taught = f" ({teacher})" if teacher else ""
                    missing[index].append(f"{against}{taught}, {first.student}")
            missing[index] += [] if own else [against]
    compared = [(first, second, compare_groups(first, second, measured[index])[1]) for index, first, second in pairs]
    holm = adjust_holm([paired.p_t for _, _, paired in compared])
    made: list[list[Contrast]] = [[] for _ in wanted]
    highs: list[dict[str, Fact]] = [{} for _ in wanted]
    tests = [sum(owner == index for owner, _, _ in pairs) + len(missing[index]) for index in range(len(wanted))]
    for each in (scored, cost):
        if each is None:
            continue
        alone = spreads if each is scored else {}  # a cost spreads otherwise than a score
        places = [place for place, (index, _, _) in enumerate(pairs) if measured[index] is each]
        typical = find_spreads([compared[place] for place in places], alone)
        for place, spread in zip(places, typical, strict=True):
            contrast = make_contrast(*compared[place], holm[place], spread, each, facts, "falsifiers")
            owner = pairs[place][0]
            made[owner].append(contrast)
            if len(contrast.paired.seeds) > 1:
                highs[owner][contrast.gain.name] = _bound(contrast, tests[owner], each, facts)
    return tuple(
        Idea(
            one["idea"],
            tuple(made[index]),
            tuple(missing[index]),
            _effect(index, one, facts),
            highs[index],
            measured[index] is cost,
        )
        for index, one in enumerate(wanted)
    )


def _bound(contrast: Contrast, tests: int, scored: Scored, facts: Facts) -> Fact:
    """The upper bound of one of so many contrasts of an idea."""
    level = 1 - (1 - LEVEL) / tests
    high = compare_groups(contrast.group, contrast.other, scored, level)[1].interval.high
    how = f"upper bound of the interval at 1 - .05 / {tests}, by Bonferroni; pairs of {contrast.gain.anchor}"
    ids = contrast.group.ids + contrast.other.ids
    return facts.add(f"upper bound of {tests}/{contrast.gain.name}", high, "points", ids, "", how)


def find_controls(first: Group, against: str, teacher: str | None, groups: list[Group]) -> list[Group]:
    """The groups of a control that an idea's group may be compared with: of its student, of ``teacher`` or none, its
    setting; where its setting has none, of another recipe or other images by a treatment (qat for twice as long)."""
    same = [
        group
        for group in groups
        if group.arm == against and group.student == first.student and group.teacher in (teacher, None)
    ]
    return comparable(first, same)


def _effect(index: int, one: dict[str, Any], facts: Facts) -> Fact:
    sql = f"SELECT json_extract(value, '$[{index}].smallest_effect') / 100.0 FROM meta WHERE key = 'falsifiers'"
    return facts.add(f"smallest effect of {one['idea']}", one["smallest_effect"] / 100, "effect", (), sql)
