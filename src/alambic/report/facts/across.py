"""Two arms over all teachers, students and data that both were tried with: what others of their kind would give."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Protocol

import numpy as np

from alambic.report.facts.fact import Fact, Facts
from alambic.report.facts.gather import Group, Scored, find_fullest
from alambic.study.crossed import Array, Crossed, Ranks, fit_crossed, rank_arms
from alambic.suitability.gains import describe_setting
from alambic.suitability.ranks import adjust_holm

SEEDS, UNITS = 3, 5  # that a unit must have; units that a comparison must have
FREEDOM = 1.2  # degrees of freedom under which an interval says next to nothing: with one it takes 12.7 errors
ALONE = "none"
FACTORS = ("data", "teacher", "student", "pair", "seed")  # a pair is a teacher with a student
HOW = "alambic.study.crossed.fit_crossed: a value for each teacher, student, data and seed; "


@dataclass(frozen=True)
class Unit:
    """One student on its data with one teacher: the arms that go by their method's name.

    Attributes:
        metric: of the task. scores: arm -> seed -> score; ``none`` is the student alone. draws: arm -> seed -> scores
            on resampled images, where predictions are kept. ids: arm -> cells.
    """

    metric: str
    teacher: str
    student: str
    data: str
    scores: dict[str, dict[int, float]]
    draws: dict[str, dict[int, Array]]
    ids: dict[str, tuple[str, ...]]

    def seeds(self, *arms: str) -> list[int]:
        """Common to arms; none where one of them is missing."""
        return sorted(set.intersection(*(set(self.scores.get(arm, {})) for arm in arms)))

    def differ(self, first: str, second: str) -> list[float]:
        """Of each seed common to both."""
        return [self.scores[first][seed] - self.scores[second][seed] for seed in self.seeds(first, second)]

    def redraw(self, first: str, second: str) -> list[Array]:
        """The same on resampled images; none where a cell keeps no predictions."""
        one, other = self.draws.get(first, {}), self.draws.get(second, {})
        seeds = self.seeds(first, second)
        return [one[s] - other[s] for s in seeds] if set(seeds) <= one.keys() & other.keys() else []


@dataclass(frozen=True)
class Across:
    """One arm against another over units.

    Attributes:
        gain: the mean with its interval. spreads: factor of ``FACTORS`` -> deviation between its levels, of those
            that repeat; "rest". levels: how many of each. units: teachers with a student and data. freedom: of the
            interval.
    """

    metric: str
    arm: str
    other: str
    gain: Fact
    p_holm: Fact
    spreads: dict[str, Fact]
    levels: dict[str, int]
    units: int
    freedom: float = math.inf

    @property
    def scarce(self) -> str | None:
        """The factor that has too few levels for the interval to tell anything; None where it tells something."""
        several = [name for name in FACTORS if self.levels.get(name, 1) > 1]
        return min(several, key=lambda name: self.levels[name]) if several and self.freedom < FREEDOM else None

    @property
    def is_clear(self) -> bool:
        """Whether it differs beyond chance, all comparisons of the table counted."""
        return self.p_holm.value < 0.05


@dataclass(frozen=True)
class Compared:
    """All comparisons over units, and the arms' mean ranks where three or more share five units."""

    pairs: tuple[Across, ...] = ()
    ranks: Ranks | None = None
    facts: tuple[Fact, ...] = field(default=())


class Studied(Protocol):
    """What is read of a study's findings (``findings.Findings`` is one; it calls this)."""

    @property
    def scored(self) -> Scored: ...

    @property
    def students(self) -> Sequence[Student]: ...


class Student(Protocol):
    """Of one student in one setting: the student alone, and all groups."""

    @property
    def baseline(self) -> Group | None: ...

    @property
    def groups(self) -> Sequence[Group]: ...


def read_units(studies: Iterable[Studied]) -> list[Unit]:
    """Of the students of studies; where several speak of one student, data and teacher, that with most trainings."""
    kept: dict[tuple[str, str, str, str], Unit] = {}
    for study in studies:
        for unit in (unit for student in study.students for unit in _read(study.scored, student)):
            key = unit.metric, unit.teacher, unit.student, unit.data
            if key not in kept or _count(unit) > _count(kept[key]):
                kept[key] = unit
    return [kept[key] for key in sorted(kept)]


def _count(unit: Unit) -> int:
    return sum(len(scores) for scores in unit.scores.values())


def _read(scored: Scored, student: Student) -> Iterator[Unit]:
    baseline, taught = student.baseline, dict[str, dict[str, list[Group]]]()
    if baseline is None:
        return
    for group in student.groups:
        content = group.rows[0].content
        arm = content["arm"]
        plain = not (arm.get("treatments") or arm.get("modifiers")) and arm["methods"] == [arm["name"]]
        if content.get("teacher_hash") and plain:
            taught.setdefault(content["teacher_hash"], {}).setdefault(arm["name"], []).append(group)
    content = baseline.rows[0].content
    data = _name_data(content)
    for teacher, arms in taught.items():
        fullest = {name: find_fullest(versions) for name, versions in arms.items()}
        own = {ALONE: baseline, **{name: group for name, group in fullest.items() if group is not None}}
        scores = {name: group.values(scored.number) for name, group in own.items()}
        several = {name: values for name, values in scores.items() if len(values) >= SEEDS}
        if ALONE in several and len(several) > 1:
            draws = {name: _draws(own[name], scored) for name in several}
            ids = {name: own[name].ids for name in several}
            yield Unit(scored.metric, teacher, content["student"], data, several, draws, ids)


def _draws(group: Group, scored: Scored) -> dict[int, Array]:
    return {row.content["seed"]: scored.draws[row.id] for row in group.rows if row.id in scored.draws}


def _name_data(content: dict[str, Any]) -> str:
    """Alike for studies of one task: the images, how many and how many with a label, what of them is seen, classes."""
    data = describe_setting(content)["data"]
    names = content.get("class_names", ())
    told = [data.get("source"), data.get("train_images"), data.get("unlabelled", 0), content.get("input"), len(names)]
    return repr([*told, *(names if len(names) == 2 else ())])


def compare_across(units: Sequence[Unit], facts: Facts, nasty: Collection[str] = ()) -> Compared:
    """Each pair of arms, each metric by itself, that at least five units hold.

    Args:
        nasty: hashes of teachers made to teach nothing, which are left out.
    """
    units = [unit for unit in units if unit.teacher not in nasty]
    fitted = []
    for metric in sorted({unit.metric for unit in units}):
        own = [unit for unit in units if unit.metric == metric]
        for first, second in combinations(_order(own), 2):
            both = [unit for unit in own if len(unit.differ(first, second)) >= SEEDS]
            if len(both) >= UNITS:
                fitted.append((metric, first, second, both, _fit(both, first, second)))
    holm = adjust_holm([one.p for *_, one in fitted])
    pairs = []
    for (metric, first, second, both, one), adjusted in zip(fitted, holm, strict=True):
        key = f"across/{metric}/{first}-{second}"
        ids = [cell for unit in both for arm in (first, second) for cell in unit.ids[arm]]
        told = HOW + f"{one.count} values, {one.freedom:.1f} degrees of freedom"
        gain = facts.add(key, one.mean, "points", ids, "", told, (one.low, one.high))
        p = facts.add(f"holm/{key}", adjusted, "p", ids, "", f"t test, Holm over {len(fitted)}; {told}")
        spreads = {
            name: facts.add(f"spread of {name}/{key}", value, "effect", ids, "", f"standard deviation; {told}")
            for name, value in {**one.spreads, "rest": one.rest}.items()
        }
        pairs.append(Across(metric, first, second, gain, p, spreads, one.levels, len(both), one.freedom))
    ranks, ranked = _rank(units, facts)
    return Compared(tuple(pairs), ranks, ranked)


def _fit(units: Sequence[Unit], first: str, second: str) -> Crossed:
    """A value a seed. Of one student and data, all teachers share a seed's student alone, hence its luck."""
    each = [(unit, seed) for unit in units for seed in unit.seeds(first, second)]
    labels = {
        "data": [unit.data for unit, _ in each],
        "teacher": [unit.teacher for unit, _ in each],
        "student": [unit.student for unit, _ in each],
        "pair": [f"{unit.data} {unit.teacher} {unit.student}" for unit, _ in each],
        "seed": [f"{unit.data} {unit.student} {seed}" for unit, seed in each],
    }
    values = [value for unit in units for value in unit.differ(first, second)]
    draws = [drawn for unit in units for drawn in unit.redraw(first, second)]
    return fit_crossed(values, {name: labels[name] for name in FACTORS}, draws if len(draws) == len(values) else None)


def _order(units: Sequence[Unit]) -> list[str]:
    """Arms by how many units hold them, the student alone last."""
    counts: dict[str, int] = {}
    for unit in units:
        for name in unit.scores:
            counts[name] = counts.get(name, 0) + (name != ALONE)
    return sorted(counts, key=lambda name: (name == ALONE, -counts[name], name))


def _rank(units: Sequence[Unit], facts: Facts) -> tuple[Ranks | None, tuple[Fact, ...]]:
    """Mean ranks of the student alone and of the most tried arms that five units hold together, on common seeds."""
    arms, whole = [ALONE], list[Unit]()
    for name in _order(units):
        both = [unit for unit in units if len(unit.seeds(*arms, name)) >= SEEDS]
        if name != ALONE and len(both) >= max(UNITS, len(units) // 4):
            arms.append(name)
            whole = both
    if len(arms) < 3:
        return None, ()
    table = {
        name: [float(np.mean([unit.scores[name][seed] for seed in unit.seeds(*arms)])) for unit in whole]
        for name in arms
    }
    ranks = rank_arms(table)
    how = f"alambic.study.crossed.rank_arms over {ranks.blocks} units"
    ids = [cell for unit in whole for name in arms for cell in unit.ids[name]]
    told = [facts.add(f"mean rank/{name}", rank, "decimal", ids, "", how) for name, rank in ranks.means.items()]
    told.append(facts.add("mean rank/critical difference", ranks.critical, "decimal", ids, "", f"Nemenyi; {how}"))
    return ranks, tuple(told)
