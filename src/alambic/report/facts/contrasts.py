"""Two groups compared: the contrast, its verdict, and what the design could have seen."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, replace
from typing import Literal

from alambic.report.facts.fact import Fact, Facts, paired_query
from alambic.report.facts.gather import Group, Scored
from alambic.study.stats import LEVEL, Paired, compare, detectable_effect, pool_spread, seeds_needed

Verdict = Literal["gain", "loss", "tie", "open"]
ENOUGH = 10  # degrees of freedom that a pooled spread should have, to be more than a contrast's own
GOAL = 0.003  # where a study declares no smallest effect that matters: three tenths of a point


@dataclass(frozen=True)
class Contrast:
    """One group against another, paired by seed.

    Attributes:
        gain: mean difference with its interval. p_holm: of the paired t test, corrected over the report's contrasts
            with a baseline; of the sign-flip test: p_flip.
        verdict: ``tie`` where the effect is below what the design could see; else ``gain`` or ``loss`` where the
            interval leaves out zero and the corrected p is at most .05; else ``open``.
        floor: what the design could see of it, where that makes it a tie.
    """

    group: Group
    other: Group
    paired: Paired
    gain: Fact
    p: Fact | None
    p_holm: Fact | None
    p_flip: Fact | None
    verdict: Verdict
    floor: Fact | None


@dataclass(frozen=True)
class Spread:
    """What is typical of paired differences: their standard deviation over seeds, and the part that more seeds would
    not lessen, owed to the images; NaN where no contrast has two seeds. ``pooled``: contrasts that it is typical of."""

    seeds: float
    images: float
    pooled: int = 0

    def floor(self, paired: Paired) -> float:
        """The smallest effect that a contrast of so many seeds could show; infinite where none."""
        seeds = len(paired.seeds)
        blind = seeds < 2 or math.isnan(self.seeds)
        return math.inf if blind else detectable_effect(self.seeds, seeds, self.images)


Compared = tuple[Group, Group, Paired]


def pool(found: list[Paired]) -> tuple[Spread, int]:
    """Of several contrasts, those of one seed left out: the typical spread, and the seeds that most of them have."""
    several = [paired for paired in found if len(paired.seeds) > 1]
    if not several:
        return Spread(math.nan, math.nan), 1
    seeds = statistics.median_low(len(paired.seeds) for paired in several)
    images = statistics.median(paired.interval.image_error for paired in several)
    return Spread(pool_spread([paired.spread for paired in several], seeds), images, len(several)), seeds


def find_spreads(compared: list[Compared], alone: dict[tuple[int, str], Spread]) -> list[Spread]:
    """Of each contrast, what is typical of its kind.

    Args:
        alone: of a setting's student, over its contrasts with the student alone; it counts for those. Where there is
            none, that of all such of ``compared``.

    A difference between two arms neither of which is the student alone has another spread, most often a smaller one.
    Of those the seeds' part is pooled over the ones of ``compared`` with the same student and setting, and the images'
    part is each contrast's own. Where they hold under ENOUGH degrees of freedom together, the contrast would be its own
    measure: then that of ``alone`` counts where it is coarser.
    """
    against_alone = [first.is_baseline or second.is_baseline for first, second, _ in compared]
    both = list(zip(compared, against_alone, strict=True))
    fallback, _ = pool([paired for (_, _, paired), is_alone in both if is_alone])
    between: dict[tuple[int, str], list[Paired]] = {}
    for (first, _, paired), is_alone in both:
        if not is_alone:
            between.setdefault((first.setting, first.student), []).append(paired)
    pooled = {place: pool(found)[0] for place, found in between.items()}
    freedom = {place: sum(len(one.seeds) - 1 for one in found) for place, found in between.items()}
    spreads = []
    for (first, _, paired), is_alone in both:
        place = first.setting, first.student
        usual = alone.get(place, fallback)
        if is_alone:
            spreads.append(usual)
            continue
        own = replace(pooled[place], images=paired.interval.image_error)
        few = freedom[place] < ENOUGH
        spreads.append(max(own, usual, key=lambda spread: _coarseness(spread, paired)) if few else own)
    return spreads


def _coarseness(spread: Spread, paired: Paired) -> float:
    floor = spread.floor(paired)
    return -1.0 if math.isinf(floor) else floor


@dataclass(frozen=True)
class Sight:
    """The smallest effect that the design could have seen for one student; None where there is one seed only.

    ``needed`` counts the seeds that ``goal``, the effect that matters, would take, None where MOST_SEEDS would not do.
    """

    spread: Spread
    seeds: Fact
    effect: Fact | None
    from_seeds: Fact | None
    from_images: Fact | None
    needed: Fact | None
    goal: Fact


def share_seeds(group: Group, baseline: Group | None, scored: Scored) -> bool:
    return baseline is not None and bool(group.values(scored.number).keys() & baseline.values(scored.number).keys())


def comparable(first: Group, others: list[Group]) -> list[Group]:
    """Those of ``others`` that a group may be compared with: of its setting; where its setting has none, of another
    recipe or other images by a treatment (qat for twice as long). Never one of another environment."""
    within = [group for group in others if group.setting == first.setting]
    treated = [
        group
        for group in others
        if group.place == first.place and any(side.rows[0].content["arm"].get("treatments") for side in (group, first))
    ]
    return within or treated


def compare_groups(group: Group, other: Group, scored: Scored, level: float = LEVEL) -> tuple[Group, Paired]:
    first, second = group.values(scored.number), other.values(scored.number)
    if not _resamples_images(group, other, scored):
        return group, compare(first, second, level=level)
    one, two = ({row.content["seed"]: scored.draws[row.id] for row in side.rows} for side in (group, other))
    return group, compare(first, second, one, two, level)


def _resamples_images(group: Group, other: Group, scored: Scored) -> bool:
    """Whether every cell of both keeps its predictions."""
    return all(row.id in scored.draws for side in (group, other) for row in side.rows)


def make_contrast(
    group: Group,
    other: Group,
    paired: Paired,
    holm: float,
    spread: Spread,
    scored: Scored,
    facts: Facts,
    family: str,
) -> Contrast:
    key, ids = f"{scored.number}/{group.key}-{other.key}", group.ids + other.ids
    seen = paired.interval
    sql = paired_query(scored.number, group.ids, other.ids)
    drawn = "and images" if _resamples_images(group, other, scored) else "alone (no predictions stored)"
    how = f"95 % interval: alambic.study.stats.compare, 2000 draws over seeds {drawn}, paired"
    bounds = (seen.low, seen.high)
    gain = facts.add(f"gain/{key}", seen.mean, "points", ids, sql, how, bounds)
    tests: list[Fact | None] = []
    for name, value, told in (
        ("p", paired.p_t, "two-sided paired t test over seeds"),
        (f"holm/{family}", holm, f"two-sided paired t test over seeds, Holm over all contrasts with the {family}"),
        ("flip", paired.p_flip, "two-sided sign-flip test over seeds, all sign patterns"),
    ):
        known = not math.isnan(value)
        how = f"{told}; pairs of {gain.anchor}"
        tests.append(facts.add(f"{name}/{key}", value, "p", ids, "", how) if known else None)
    p, p_holm, p_flip = tests
    floor = spread.floor(paired)
    verdict = judge(paired, holm, floor)
    how = (
        f"alambic.study.stats.detectable_effect at {len(paired.seeds)} seeds; spread {spread.seeds:.6f}, over "
        f"{spread.pooled} contrasts, image error {spread.images:.6f}"
    )
    blind = facts.add(f"floor/{family}/{key}", floor, "effect", ids, "", how) if verdict == "tie" else None
    return Contrast(group, other, paired, gain, p, p_holm, p_flip, verdict, blind)


def judge(paired: Paired, p_holm: float, floor: float) -> Verdict:
    """The verdict on a contrast. ``floor`` is what the design could see, infinite where it could see nothing."""
    seen = paired.interval
    if math.isnan(p_holm) or math.isinf(floor):
        return "open"
    if abs(seen.mean) < floor:
        return "tie"
    if p_holm > 0.05 or seen.low <= 0 <= seen.high:
        return "open"
    return "gain" if seen.mean > 0 else "loss"


def measure_sight(found: list[Paired], members: list[Group], scored: Scored, facts: Facts, goal: float = GOAL) -> Sight:
    """Of one student: the paired spread typical of its contrasts, at the seeds that most of them have.

    Args:
        goal: the effect that matters, a share.
    """
    key = f"{scored.number}/{members[0].setting}/{members[0].student}"
    ids = [row.id for group in members for row in group.rows]
    pooled, seeds = pool(found)
    how = "median of the seeds common to both arms of a contrast, those with one seed left out"
    told = facts.add(f"seeds/{key}", seeds, "seeds", ids, "", how)
    spread, images = pooled.seeds, pooled.images
    wanted = facts.add("effect that matters", goal, "effect", (), "", "declared in confirm.toml, else .3 points")
    if math.isnan(spread):
        return Sight(pooled, told, None, None, None, None, wanted)
    how = (
        f"alambic.study.stats.detectable_effect: paired t test, {seeds} seeds, two-sided 5 %, power 80 %; spread of "
        f"a paired difference {spread:.6f} (median over {len(found)} contrasts, corrected), image error {images:.6f}"
    )
    effects: list[Fact] = [
        facts.add(f"{name}/{key}", detectable_effect(*sizes), "effect", ids, "", how + part)
        for name, sizes, part in (
            ("sight", (spread, seeds, images), ""),
            ("sight of seeds", (spread, seeds, 0.0), "; here without the images"),
            ("sight of images", (0.0, seeds, images), "; here without the spread over seeds"),
        )
    ]
    needed = seeds_needed(goal, spread, images)
    count = None
    if needed is not None:
        count = facts.add(f"needed/{key}", needed, "seeds", ids, "", f"fewest seeds that see {goal}; {how}")
    blind = effects[2] if scored.draws and images > 0 else None
    return Sight(pooled, told, effects[0], effects[1], blind, count, wanted)
