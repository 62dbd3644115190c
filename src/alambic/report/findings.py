"""What a ledger says: groups, paired comparisons, what the design could see, what cannot be told apart."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from alambic.errors import AlambicError
from alambic.report.facts import Fact, Facts, count_query, paired_query, ratio_query, sum_query
from alambic.report.gather import Group, Scored, choose_score, group_rows
from alambic.study.ledger import Ledger, Row
from alambic.study.stats import Paired, adjust_holm, compare, detectable_effect, pool_spread, seeds_needed

Verdict = Literal["gain", "loss", "tie", "open"]
GOAL = 0.003  # the effect that the project cares for: three tenths of a point


@dataclass(frozen=True)
class Contrast:
    """One group against another, paired by seed.

    Attributes:
        gain: mean difference with its interval. p_holm: of the paired t test, corrected over the report's contrasts
            with a baseline; of the sign-flip test: p_flip.
        verdict: ``tie`` where the effect is below what the design could see; else ``gain`` or ``loss`` where the
            interval leaves out zero and the corrected p is at most .05; else ``open``.
    """

    group: Group
    other: Group
    paired: Paired
    gain: Fact
    p: Fact | None
    p_holm: Fact | None
    p_flip: Fact | None
    verdict: Verdict


@dataclass(frozen=True)
class Sight:
    """The smallest effect that the design could have seen for one student; None where there is one seed only.

    ``needed`` counts the seeds that .3 points would take, None where MOST_SEEDS would not do.
    """

    seeds: Fact
    effect: Fact | None
    from_seeds: Fact | None
    from_images: Fact | None
    needed: Fact | None


@dataclass(frozen=True)
class StudentFindings:
    """One student in one setting.

    Attributes:
        baseline: the student alone; the better one where there are several; None where the study has none.
        contrasts: each other group against the baseline. best: the highest mean; rivals: the best against each other
            group, baseline included. slow: seconds of training of a group over those of the baseline.
    """

    student: str
    setting: int
    groups: tuple[Group, ...]
    baseline: Group | None
    sight: Sight | None
    contrasts: tuple[Contrast, ...]
    best: Group
    rivals: tuple[Contrast, ...]
    slow: dict[str, Fact]


@dataclass
class Findings:
    """All that a report tells, with the facts behind it."""

    name: str
    purpose: str
    scored: Scored
    facts: Facts
    students: list[StudentFindings]
    rows: list[Row]
    counts: dict[str, Fact]
    images: Fact | None
    meta: dict[str, str]
    banks: dict[str, dict[str, Any]]
    total_seconds: Fact | None
    curves: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def settings(self) -> int:
        return max(found.setting for found in self.students)

    @property
    def groups(self) -> list[Group]:
        return [group for found in self.students for group in found.groups]


META = ("study_name", "study_text", "purpose", "started", "finished", "seconds", "environment")


def find(path: Path) -> Findings:
    """Reads a ledger and computes all that its report tells. Raises AlambicError where no cell has finished."""
    ledger = Ledger(path, read_only=True)
    try:
        rows = ledger.rows()
        done = [row for row in rows if row.state == "done"]
        if not done:
            raise AlambicError(
                f"ledger {path}: expected at least one finished cell, got none of {len(rows)}; try alambic study run"
            )
        facts = Facts()
        scored = choose_score(ledger, done)
        meta = {key: value for key in META if (value := ledger.meta(key)) is not None}
        states = {"done": "done", "skipped": "skipped", "failed": "failed"}
        counts = {
            state: facts.add(f"cells/{state}", len(found), "cells", [row.id for row in found], count_query(state))
            for state in states
            for found in [[row for row in rows if row.state == state]]
        }
        timed = [row for row in done if "seconds" in row.numbers]
        ids = [row.id for row in timed]
        spent = sum(row.numbers["seconds"] for row in timed)
        return Findings(
            meta.get("study_name", path.stem),
            meta.get("purpose") or str(done[0].content.get("purpose", "explore")),
            scored,
            facts,
            _by_student(group_rows(done, scored, facts), scored, facts),
            rows,
            counts,
            _image_fact(facts, scored),
            meta,
            ledger.banks(),
            facts.add("seconds/all", spent, "seconds", ids, sum_query("seconds", ids)) if timed else None,
            {row.id: ledger.curve(row.id) for row in done},
        )
    finally:
        ledger.close()


def _image_fact(facts: Facts, scored: Scored) -> Fact | None:
    if not scored.images:
        return None
    sql = (
        f"SELECT count(*) FROM meta, json_each(meta.value) e WHERE meta.key = 'labels_{scored.split}' AND e.value >= 0"
    )
    return facts.add("images", scored.images, "images", (), sql)


def _by_student(groups: list[Group], scored: Scored, facts: Facts) -> list[StudentFindings]:
    parts: dict[tuple[int, str], list[Group]] = {}
    for group in groups:
        parts.setdefault((group.setting, group.student), []).append(group)
    plain = []
    for unsorted in parts.values():
        members = sorted(unsorted, key=lambda g: (not g.is_baseline, g.teacher or "", g.arm, g.key))
        baselines = [group for group in members if group.is_baseline]
        baseline = max(baselines, key=lambda group: group.score.value) if baselines else None
        others = [group for group in members if group is not baseline and _common(group, baseline, scored)]
        plain.append((members, baseline, [_compare(group, baseline, scored) for group in others] if baseline else []))
    # one correction over all contrasts of the report: whoever reads it picks among all of them
    holm = adjust_holm([paired.p_t for _, _, found in plain for _, paired in found])
    made, start = [], 0
    for members, baseline, found in plain:
        adjusted = holm[start : start + len(found)]
        start += len(found)
        made.append(_student(members, baseline, found, adjusted, scored, facts))
    return made


def _common(group: Group, baseline: Group | None, scored: Scored) -> bool:
    return baseline is not None and bool(group.values(scored.number).keys() & baseline.values(scored.number).keys())


def _compare(group: Group, other: Group, scored: Scored) -> tuple[Group, Paired]:
    draws = [{row.content["seed"]: scored.draws.get(row.id) for row in side.rows} for side in (group, other)]
    whole = all(value is not None for side in draws for value in side.values())
    first, second = group.values(scored.number), other.values(scored.number)
    return group, compare(first, second, *draws) if whole else compare(first, second)  # type: ignore[arg-type]


def _student(
    members: list[Group],
    baseline: Group | None,
    found: list[tuple[Group, Paired]],
    holm: list[float],
    scored: Scored,
    facts: Facts,
) -> StudentFindings:
    sight = _sight([paired for _, paired in found], members, scored, facts) if found else None
    floor = sight.effect.value if sight and sight.effect else math.inf
    contrasts = []
    if baseline is not None:
        for (group, paired), adjusted in zip(found, holm, strict=True):
            contrasts.append(_contrast(group, baseline, paired, adjusted, floor, scored, facts, "baseline"))
    best = max(members, key=lambda group: (group.score.value, group.key))
    slow = {}
    for group in members:
        if (
            baseline is not None
            and group is not baseline
            and {"seconds"} <= group.numbers.keys() & baseline.numbers.keys()
        ):
            value = group.numbers["seconds"].value / max(baseline.numbers["seconds"].value, 1e-9)
            sql = ratio_query("seconds", group.ids, baseline.ids)
            slow[group.key] = facts.add(f"slow/{group.key}", value, "ratio", group.ids + baseline.ids, sql)
    rivals = _rivals(best, members, floor, scored, facts)
    return StudentFindings(
        members[0].student, members[0].setting, tuple(members), baseline, sight, tuple(contrasts), best, rivals, slow
    )


def _rivals(best: Group, members: list[Group], floor: float, scored: Scored, facts: Facts) -> tuple[Contrast, ...]:
    """The best against each other one, corrected over themselves: which of them can be told apart from it."""
    others = [group for group in members if group is not best and _common(best, group, scored)]
    found = [(group, _compare(best, group, scored)[1]) for group in others]
    holm = adjust_holm([paired.p_t for _, paired in found])
    return tuple(
        _contrast(best, group, paired, adjusted, floor, scored, facts, "best")
        for (group, paired), adjusted in zip(found, holm, strict=True)
    )


def _contrast(
    group: Group,
    other: Group,
    paired: Paired,
    holm: float,
    floor: float,
    scored: Scored,
    facts: Facts,
    family: str,
) -> Contrast:
    key, ids = f"{group.key}-{other.key}", group.ids + other.ids
    seen = paired.interval
    sql = paired_query(scored.number, group.ids, other.ids)
    how = "95 % interval: alambic.study.stats.compare, 2000 draws over seeds and images, paired"
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
    return Contrast(group, other, paired, gain, p, p_holm, p_flip, judge(paired, holm, floor))


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


def _sight(found: list[Paired], members: list[Group], scored: Scored, facts: Facts) -> Sight:
    """Of one student: the paired spread typical of its contrasts, at the fewest seeds that any of them has."""
    key = f"{members[0].setting}/{members[0].student}"
    ids = [row.id for group in members for row in group.rows]
    seeds = min(len(paired.seeds) for paired in found)
    told = facts.add(f"seeds/{key}", seeds, "seeds", ids, "", "fewest seeds common to both arms of a contrast")
    spread = pool_spread([paired.spread for paired in found], seeds)
    if seeds < 2 or math.isnan(spread):
        return Sight(told, None, None, None, None)
    images = statistics.median(paired.interval.image_error for paired in found)
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
    needed = seeds_needed(GOAL, spread, images)
    count = None
    if needed is not None:
        count = facts.add(f"needed/{key}", needed, "seeds", ids, "", f"fewest seeds that see {GOAL}; {how}")
    return Sight(told, effects[0], effects[1], effects[2] if scored.draws else None, count)
