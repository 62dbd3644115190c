"""What a ledger says: groups, paired comparisons, what the design could see, what cannot be told apart."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from alambic.errors import AlambicError
from alambic.report.facts.across import Compared, compare_across, read_units
from alambic.report.facts.classes import ClassFindings, measure_classes
from alambic.report.facts.contrasts import (
    GOAL,
    Contrast,
    Sight,
    Spread,
    compare_groups,
    find_spreads,
    make_contrast,
    measure_sight,
    share_seeds,
)
from alambic.report.facts.declared import Declared, judge_declared
from alambic.report.facts.examined import Examination, measure_two_classes, read_examination
from alambic.report.facts.expect import read_rows
from alambic.report.facts.fact import Fact, Facts, count_query, sum_query
from alambic.report.facts.gather import Group, Scored, choose_cost, choose_score, group_rows
from alambic.report.facts.ideas import Idea, judge_ideas
from alambic.report.facts.sensors import measure_conditions
from alambic.report.facts.suited import Suitability, read_suitability
from alambic.study.ledger import Ledger, Row
from alambic.study.stats import Paired
from alambic.suitability.gains import find_better
from alambic.suitability.ranks import adjust_holm


@dataclass(frozen=True)
class StudentFindings:
    """One student in one setting.

    Attributes:
        baseline: the student alone; of several the one that ``find_better`` names; None where the study has none.
        contrasts: each other group against the baseline. best: the highest mean; rivals: the best against each other
            group, baseline included. classes: the gain of the highest contrast, class by class. between: without
            contrasts, what the declared ones and those of ideas could show.
    """

    student: str
    setting: int
    groups: tuple[Group, ...]
    baseline: Group | None
    sight: Sight | None
    contrasts: tuple[Contrast, ...]
    best: Group
    rivals: tuple[Contrast, ...]
    classes: ClassFindings | None = None
    between: Sight | None = None

    @property
    def seen(self) -> Sight | None:
        """What could be seen: over the student alone, else between the arms that the study names."""
        return self.sight or self.between

    @property
    def not_told_apart(self) -> list[Group]:
        """The groups that the best does not surely beat, those among them that share no seed with it."""
        beaten = {rival.other.key for rival in self.rivals if rival.verdict == "gain"}
        return [group for group in self.groups if group.key not in {self.best.key, *beaten}]


@dataclass
class Findings:
    """All that a report tells, with the facts behind it.

    Attributes:
        declared: of a claim study. suitability, examination: of the files beside the ledger, None without them.
        two_classes: group's key -> calibration from the ledger's own margins, where there are two classes.
        conditions: group's key -> number -> what it scores behind other sensors and by other metrics.
        across: pairs of arms over all teachers and students.
        ideas: beside the controls that the study file declared; ``ideas_changed`` since the ledger's first run.
    """

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
    declared: Declared | None = None
    suitability: Suitability | None = None
    examination: Examination | None = None
    two_classes: dict[str, dict[str, Fact]] = field(default_factory=dict)
    conditions: dict[str, dict[str, Fact]] = field(default_factory=dict)
    ideas: tuple[Idea, ...] = ()
    ideas_changed: bool = False
    across: Compared = field(default_factory=Compared)

    @property
    def settings(self) -> int:
        return max(found.setting for found in self.students)

    @property
    def groups(self) -> list[Group]:
        return [group for found in self.students for group in found.groups]

    @property
    def judged(self) -> bool:
        """Whether estimates of its teachers were judged by the gains."""
        return self.suitability is not None and self.suitability.judgement is not None

    @property
    def nasty(self) -> set[str]:
        """Hashes of teachers made to teach nothing."""
        if self.suitability is None or self.suitability.judgement is None:
            return set()
        nasty = self.suitability.judgement.nasty
        return {key for key, name in self.suitability.names.items() if name in nasty}

    @property
    def named(self) -> tuple[Contrast, ...]:
        """The contrasts that the study names: those declared beforehand and those of ideas."""
        declared = self.declared.contrasts if self.declared is not None else ()
        return (*declared, *(contrast for idea in self.ideas for contrast in idea.contrasts))


META = ("study_name", "study_text", "purpose", "started", "finished", "seconds", "environment")


def find(path: Path) -> Findings:
    """Reads a ledger and computes all that its report tells. Raises AlambicError where no cell has finished."""
    ledger = Ledger(path, read_only=True)
    try:
        rows = read_rows(ledger)
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
        students = [
            replace(found, classes=measure_classes(ledger, found.contrasts, scored, facts))
            for found in _by_student(group_rows(done, scored, facts), scored, facts, _read_smallest(ledger))
        ]
        groups = [group for found in students for group in found.groups]
        wanted = json.loads(ledger.meta("falsifiers") or "[]")
        cost = choose_cost(ledger, done, scored) if any(one.get("measure") for one in wanted) else None
        found = Findings(
            meta.get("study_name", path.stem),
            meta.get("purpose") or str(done[0].content.get("purpose", "explore")),
            scored,
            facts,
            students,
            rows,
            counts,
            _image_fact(facts, scored),
            meta,
            ledger.banks(),
            facts.add("seconds/all", spent, "seconds", ids, sum_query("seconds", ids)) if timed else None,
            {row.id: ledger.curve(row.id) for row in done},
            _declared(ledger, students, scored, facts),
            read_suitability(path.parent, done, facts),
            read_examination(path.parent, groups, facts),
            measure_two_classes(ledger, groups, scored, facts),
            measure_conditions(groups, facts),
            judge_ideas(wanted, groups, _spreads(students), scored, cost, facts),
            ledger.meta("falsifiers_first") not in (None, ledger.meta("falsifiers")),
        )
        found.students = [_see_between(one, found, _read_smallest(ledger)) for one in students]
        found.across = compare_across(read_units([found]), facts, found.nasty)
        return found
    finally:
        ledger.close()


def _see_between(found: StudentFindings, findings: Findings, smallest: float | None) -> StudentFindings:
    """A student without the student alone, with what the contrasts that the study names could show."""
    place = found.setting, found.student
    own = [c for c in findings.named if (c.group.setting, c.group.student) == place]
    if found.contrasts or not own:
        return found
    members = list({group.key: group for c in own for group in (c.group, c.other)}.values())
    pairs, goal = [c.paired for c in own], _read_goal(smallest)
    return replace(found, between=measure_sight(pairs, members, findings.scored, findings.facts, goal))


def _read_goal(smallest: float | None) -> float:
    return GOAL if smallest is None else smallest / 100


def _declared(ledger: Ledger, students: list[StudentFindings], scored: Scored, facts: Facts) -> Declared | None:
    text = ledger.meta("confirm")
    if text is None:
        return None
    groups = [group for found in students for group in found.groups]
    smallest = _read_smallest(ledger)
    asked = int(ledger.meta("seeds_first") or 0)
    first = asked if 0 < asked < int(ledger.meta("seeds") or 0) else None
    digest = ledger.meta("confirm_hash") or ""
    return judge_declared(json.loads(text), digest, groups, _spreads(students), scored, facts, smallest, first)


def _read_smallest(ledger: Ledger) -> float | None:
    """Points below which the study declared that a difference would not matter; None where it did not."""
    told = ledger.meta("smallest_effect")
    return float(told) if told is not None else None


def _spreads(students: list[StudentFindings]) -> dict[tuple[int, str], Spread]:
    """Setting and student -> the spread of its paired differences."""
    return {(f.setting, f.student): f.sight.spread for f in students if f.sight is not None}


def _image_fact(facts: Facts, scored: Scored) -> Fact | None:
    if not scored.images:
        return None
    sql = (
        f"SELECT count(*) FROM meta, json_each(meta.value) e WHERE meta.key = 'labels_{scored.split}' AND e.value >= 0"
    )
    return facts.add("images", scored.images, "images", (), sql)


def _by_student(groups: list[Group], scored: Scored, facts: Facts, smallest: float | None) -> list[StudentFindings]:
    parts: dict[tuple[int, str], list[Group]] = {}
    for group in groups:
        parts.setdefault((group.setting, group.student), []).append(group)
    plain = []
    for unsorted in parts.values():
        members = sorted(unsorted, key=lambda g: (not g.is_baseline, g.teacher or "", g.arm, g.key))
        baselines = [group for group in members if group.is_baseline]
        place = find_better([group.values(scored.number) for group in baselines]) if baselines else None
        baseline = None if place is None else baselines[place]
        others = [group for group in members if group is not baseline and share_seeds(group, baseline, scored)]
        plain.append(
            (members, baseline, [compare_groups(group, baseline, scored) for group in others] if baseline else [])
        )
    # one correction over all contrasts of the report: whoever reads it picks among all of them
    holm = adjust_holm([paired.p_t for _, _, found in plain for _, paired in found])
    made, start = [], 0
    for members, baseline, found in plain:
        adjusted = holm[start : start + len(found)]
        start += len(found)
        made.append(_student(members, baseline, found, adjusted, scored, facts, smallest))
    return made


def _student(
    members: list[Group],
    baseline: Group | None,
    found: list[tuple[Group, Paired]],
    holm: list[float],
    scored: Scored,
    facts: Facts,
    smallest: float | None,
) -> StudentFindings:
    pairs = [paired for _, paired in found]
    sight = measure_sight(pairs, members, scored, facts, _read_goal(smallest)) if found else None
    spread = sight.spread if sight is not None else Spread(math.nan, math.nan)
    contrasts = []
    if baseline is not None:
        for (group, paired), adjusted in zip(found, holm, strict=True):
            contrasts.append(make_contrast(group, baseline, paired, adjusted, spread, scored, facts, "baseline"))
    best = max(members, key=lambda group: (group.score.value, group.key))
    rivals = _rivals(best, members, spread, scored, facts)
    return StudentFindings(
        members[0].student, members[0].setting, tuple(members), baseline, sight, tuple(contrasts), best, rivals
    )


def _rivals(best: Group, members: list[Group], spread: Spread, scored: Scored, facts: Facts) -> tuple[Contrast, ...]:
    """The best against each other one, corrected over themselves: which of them can be told apart from it."""
    others = [group for group in members if group is not best and share_seeds(best, group, scored)]
    found = [(best, group, compare_groups(best, group, scored)[1]) for group in others]
    holm = adjust_holm([paired.p_t for _, _, paired in found])
    typical = find_spreads(found, {(best.setting, best.student): spread})
    return tuple(
        make_contrast(*pair, adjusted, each, scored, facts, "best")
        for pair, adjusted, each in zip(found, holm, typical, strict=True)
    )
