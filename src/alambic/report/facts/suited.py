"""What ``alambic teachers rank`` and ``judge`` left beside a ledger, as facts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from alambic.report.facts.fact import Fact, Facts, Unit
from alambic.study.ledger import Row
from alambic.suitability.families import FamilyEffect
from alambic.suitability.gains import Gains, choose_number, find_taught_by, measure_gains
from alambic.suitability.judgement import JUDGED, Judgement, hash_gains, load_judgement
from alambic.suitability.scorecard import Scorecard, load_scorecards
from alambic.suitability.verdict import Verdict

NAME = "suitability.json"
# of a verdict: number -> unit; regrets are points there, shares here
NUMBERS: dict[str, Unit] = {
    "spearman": "correlation",
    "null": "correlation",
    "visible": "decimal",
    "ceiling": "decimal",
    "partial": "correlation",
    "regret": "effect",
    "regret_accuracy": "effect",
    "regret_pilot": "effect",
    "regret_others": "effect",
    "top3": "share",
    "nasty_last": "share",
    "p": "p",
    "p_holm": "p",
    "teachers": "teachers",
    "blocks": "blocks",
}


@dataclass(frozen=True)
class Judged:
    """One estimator's verdict and its facts by name; what it has no number for is not there."""

    verdict: Verdict
    facts: dict[str, Fact]


@dataclass(frozen=True)
class Family:
    """One family against the reference among the teachers of a scope; ``main`` as in ``FamilyCase``."""

    scope: str
    reference: str
    covariates: tuple[str, ...]
    effect: FamilyEffect
    gain: Fact
    teachers: Fact
    main: bool


@dataclass
class Suitability:
    """Scorecards, and the judgement where there is one.

    Attributes:
        verdicts: best rank correlation first. families: one an effect and model; unanswered: scopes without an answer.
        metric: of the task, which accuracy stands for. stale: whether the judge saw other gains than this ledger
            holds. void: teachers made to teach nothing that gave more than an honest one, with what they gave. names:
            teacher hash -> name in the ledger. outdated: whether another version of the judge made a judgement, which
            is then left out.
    """

    cards: list[Scorecard]
    judgement: Judgement | None = None
    verdicts: list[Judged] = field(default_factory=list)
    families: list[Family] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    metric: str = "accuracy"
    stale: bool = False
    void: dict[str, Fact] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    outdated: bool = False

    @property
    def held(self) -> list[str]:
        """Teachers made to teach nothing that taught nothing: controls."""
        return [name for name in (self.judgement.nasty if self.judgement else ()) if name not in self.void]


def read_suitability(folder: Path, rows: list[Row], facts: Facts) -> Suitability | None:
    """Reads suitability.json of a folder; None without one. ``rows`` are the ledger's finished cells."""
    path = folder / NAME
    if not path.is_file():
        return None
    measured, judged_by = measure_rows(rows), load_judgement(path)
    names = {key: name for given in measured for key, name in given.names.items()}
    if judged_by is None or judged_by.version != JUDGED:
        return Suitability(load_scorecards(path), names=names, outdated=judged_by is not None)
    found = Suitability(load_scorecards(path), judged_by, names=names)
    metrics = (row.content.get("task", {}).get("metric") for row in rows)  # old cells have no task
    found.metric = next((metric for metric in metrics if metric is not None), found.metric)
    found.stale = hash_gains(measured) != judged_by.gains
    for name, (taught, least) in find_taught_by(measured, judged_by.nasty, judged_by.controls).items():
        if not least:
            how = "mean over students, methods and seeds; alambic.suitability.gains.find_taught_by"
            found.void[name] = facts.add(f"gain of nasty {name}", taught / 100, "points", (), "", how)
    judged = [_judged(verdict, facts) for verdict in judged_by.verdicts]
    found.verdicts = sorted(judged, key=lambda j: (-j.verdict.spearman, j.verdict.name))
    for case in judged_by.families:
        if case.answer is None:
            found.unanswered.append(case.scope)
            continue
        for effect in case.answer.effects:
            allowed = "+".join(case.covariates) or "nothing"
            key = f"family {effect.family}/{case.scope}/{allowed}"
            how = f"{NAME}, judgement.families[{case.scope}, {allowed}], effect of {effect.family}"
            how += "; alambic.suitability.families"
            bounds = (effect.low / 100, effect.high / 100)
            gain = facts.add(f"gain of {key}", effect.effect / 100, "points", (), "", how, bounds)
            count = facts.add(f"teachers of {case.scope}/{allowed}", case.answer.teachers, "teachers", (), "", how)
            told = (case.scope, case.answer.reference, case.covariates, effect, gain, count, case.main)
            found.families.append(Family(*told))
    return found


def measure_rows(rows: list[Row]) -> list[Gains]:
    """Measured gains of a ledger's finished cells, as ``alambic teachers judge`` reads them."""
    number = choose_number(rows)
    return measure_gains(rows, number) if number is not None else []


def _judged(verdict: Verdict, facts: Facts) -> Judged:
    found = {}
    for name, unit in NUMBERS.items():
        value = getattr(verdict, name)
        if value is None or math.isnan(value):
            continue
        bounds = (verdict.low, verdict.high) if name == "spearman" else None
        how = f"{NAME}, judgement.verdicts[{verdict.name}].{name}; alambic.suitability.judge"
        scaled = value / 100 if unit == "effect" else abs(value) if unit == "decimal" else value
        found[name] = facts.add(f"judge/{verdict.name}/{name}", scaled, unit, (), "", how, bounds)
    return Judged(verdict, found)
