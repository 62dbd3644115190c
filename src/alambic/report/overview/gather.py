"""All finished studies that a repository keeps, for one document and one talk that answer over all of them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scipy import stats

from alambic.methods import all_methods
from alambic.report.chapters.claims import name_metric
from alambic.report.facts.across import Compared, compare_across, read_units
from alambic.report.facts.contrasts import Contrast
from alambic.report.facts.fact import Fact, Facts
from alambic.report.facts.findings import Findings
from alambic.report.facts.gather import Group
from alambic.report.facts.suited import Family, Suitability
from alambic.report.overview.kept import (
    claim_ledgers,
    count_wanted,
    exported_ledgers,
    find,
    idea_ledgers,
    ideas_finished,
    is_finished,
    is_judged,
    judged_ledgers,
)
from alambic.report.words.document import HEADINGS
from alambic.report.words.wording import Lang
from alambic.study.ledger import Ledger
from alambic.treatments.registry import all_treatments

RANKED = ("accuracy", "pilot_gain")  # of a judged study, beside its estimators


@dataclass(frozen=True)
class Study:
    """One study: its folder below ``studies``, what its report tells, the seeds that it asks for."""

    place: str
    findings: Findings
    seeds: int

    @property
    def name(self) -> str:
        return self.findings.name

    @property
    def contents(self) -> list[dict[str, Any]]:
        """What its finished cells are."""
        return [row.content for row in self.findings.rows if row.state == "done"]

    @property
    def declared(self) -> tuple[Contrast, ...]:
        return self.findings.declared.contrasts if self.findings.declared is not None else ()

    @property
    def suitability(self) -> Suitability:
        assert self.findings.suitability is not None
        return self.findings.suitability

    @property
    def ranked(self) -> list[dict[str, Fact]]:
        """The facts of accuracy and of the pilot; none of one that was not judged."""
        facts = {judged.verdict.name: judged.facts for judged in self.suitability.verdicts}
        return [facts.get(name, {}) for name in RANKED]

    def is_confirmed(self, contrast: Contrast) -> bool:
        """Whether a declared contrast was found, large enough to matter."""
        declared = self.findings.declared
        return declared is not None and contrast.verdict == "gain" and not declared.is_small(contrast)

    def is_clear(self, contrast: Contrast) -> bool:
        """Whether a declared gain is a tie by its size alone: surely above zero, and less than the design shows."""
        declared = self.findings.declared
        return declared is not None and declared.is_clear(contrast) and contrast.gain.value > 0


@dataclass(frozen=True)
class Curved:
    """The same arms at several amounts of one thing.

    Attributes:
        key: ``epochs``, ``images`` or ``labels``. contents: of each amount a cell, with a teacher where there is one.
        alone: the student alone at each. gains: arm and teacher -> points over it at each, None where it was not run.
        steps: what each amount gives the student alone over the one before. step_seeds: on how many seeds each; empty
            where that is not known. number: the score that is compared, as a ledger names it.
    """

    key: str
    contents: tuple[dict[str, Any], ...]
    alone: tuple[Fact, ...]
    gains: dict[tuple[str, str], tuple[Fact | None, ...]]
    steps: tuple[Fact, ...]
    step_seeds: tuple[int, ...] = ()
    number: str = "tune"

    @property
    def longest(self) -> tuple[tuple[str, str], tuple[Fact | None, ...]] | None:
        """The first arm, by its name, that was run at every amount."""
        whole = [(side, facts) for side, facts in sorted(self.gains.items()) if None not in facts]
        return whole[0] if whole else None

    @property
    def taught(self) -> list[int]:
        """The places of the amounts at which any arm was run beside the student alone."""
        return [place for place in range(len(self.alone)) if any(facts[place] for facts in self.gains.values())]

    @property
    def whole(self) -> dict[tuple[str, str], tuple[Fact, ...]]:
        """The arms that were run wherever any was, with what they gained there, by their names."""
        found = {side: [facts[place] for place in self.taught] for side, facts in sorted(self.gains.items())}
        return {side: tuple(fact for fact in facts if fact) for side, facts in found.items() if all(facts)}


def tell_data(study: Study, lang: Lang) -> str:
    """The data's name, what the student sees where it is not the whole image, the metric where it is not accuracy.

    Studies that each ask for another class behind one sensor have the same name: whether a class is there.
    """
    content, metric = study.findings.groups[0].rows[0].content, study.findings.scored.metric
    told = [tell_seen(content, lang)]
    if content.get("input") is not None and len(content.get("class_names", ())) == 2:
        told = [HEADINGS["presence"][lang].format(data=told[0])]
    told += [name_metric(metric, lang)] * (metric != "accuracy")
    return ", ".join(told)


def tell_seen(content: Mapping[str, Any], lang: Lang) -> str:
    """The name of a cell's data, and what the student sees of it."""
    source, shape = str(content["data"]["source"]), content.get("input")
    if shape is None:
        return source
    return f"{source}, {shape[2]} × {shape[1]} {HEADINGS['grey' if shape[0] == 1 else 'colour'][lang]}"


@dataclass(frozen=True)
class Overview:
    """Finished studies by what they are for; ``unfinished`` are named alone.

    Attributes:
        cards: hash of a teacher's weights -> how it was trained. tuned: losses that some study tuned. untold: studies
            that have a file and no ledger here. facts: of this overview, beside those of the studies. across: arms over
            all teachers, students and data.
    """

    studies: tuple[Study, ...]
    claims: tuple[Study, ...]
    judged: tuple[Study, ...]
    ideas: tuple[Study, ...]
    unfinished: tuple[str, ...]
    curves: tuple[Curved, ...]
    cards: dict[str, dict[str, Any]]
    tuned: tuple[str, ...]
    facts: Facts
    across: Compared

    @property
    def groups(self) -> list[Group]:
        return [group for study in self.studies for group in study.findings.groups]

    @property
    def declared(self) -> list[tuple[Study, Contrast]]:
        return [(study, contrast) for study in self.claims for contrast in study.declared]

    @property
    def with_alone(self) -> list[tuple[Study, Contrast]]:
        """Declared contrasts of a taught student with the student alone."""
        return [(s, c) for s, c in self.declared if c.group.teacher is not None and c.other.is_baseline]

    @property
    def between(self) -> list[tuple[Study, Contrast]]:
        """Those of two arms that both have a teacher."""
        return [(s, c) for s, c in self.declared if None not in (c.group.teacher, c.other.teacher)]

    @property
    def of_teachers(self) -> list[tuple[Study, Contrast]]:
        """Those with two teachers, of which none is a control's, such as the student itself."""
        return [(s, c) for s, c in self.between if are_of_teachers(c)]


def are_of_teachers(contrast: Contrast) -> bool:
    """Whether it compares teachers that one could take."""
    known, sides = all_treatments(), (contrast.group, contrast.other)
    used = {name for side in sides for name in side.rows[0].content["arm"].get("treatments") or ()}
    controls = [name for name in used if name in known and known[name].kind == "control"]
    return contrast.group.teacher != contrast.other.teacher and not controls


def gather(root: Path, curves: Sequence[Curved], facts: Facts) -> Overview:
    """Reads each study below ``root/studies`` that has a report and is no demonstration; takes minutes."""
    made: dict[Path, Study] = {}
    for folder in exported_ledgers(root):
        ledger = Ledger(folder, read_only=True)
        if (folder.parent / "report.html").is_file() and ledger.meta("purpose") != "demo":
            place = str(folder.parent.relative_to(root / "studies"))
            made[folder] = Study(place, find(folder), count_wanted(ledger))
    states = {
        "claims": {folder: is_finished(folder) for folder in claim_ledgers(root) if folder in made},
        "judged": {f: is_judged(made[f].findings, f) for f in judged_ledgers(root) if f in made},
        "ideas": {folder: ideas_finished(folder) for folder in idea_ledgers(root) if folder in made},
    }
    late = {made[folder].place for found in states.values() for folder, whole in found.items() if not whole}
    kept = {name: tuple(made[f] for f, whole in found.items() if whole) for name, found in states.items()}
    studies = tuple(study for study in made.values() if study.place not in late)
    found = [study.findings for study in studies]
    nasty = set().union(*(one.nasty for one in found))
    return Overview(
        studies, **kept, unfinished=tuple(sorted(late)), curves=tuple(curves), cards=read_cards(root),
        tuned=read_tuned(root), facts=facts, across=compare_across(read_units(found), facts, nasty),
    )  # fmt: skip


def read_cards(root: Path) -> dict[str, dict[str, Any]]:
    """Hash of weights -> the card beside them, of each teacher below ``studies``."""
    told = [json.loads(path.with_suffix(".json").read_text()) for path in (root / "studies").rglob("*.safetensors")]
    return {card["weights_hash"]: card for card in told}


def read_tuned(root: Path) -> tuple[str, ...]:
    """Losses that some study tuned, in the alphabet's order: methods that have a teacher."""
    files = [tomllib.loads(path.read_text()) for path in (root / "studies").rglob("tuned*.toml")]
    names = {name for file in files for arm in file["arms"] for name in arm["method"]}
    return tuple(sorted(names & set(list_losses())))


def list_losses() -> list[str]:
    """Methods that take a teacher."""
    return [name for name, cls in all_methods().items() if cls.family not in ("baseline", "control")]


def see_families(study: Study, facts: Facts) -> dict[str, Fact]:
    """Family -> the smallest effect of it that four such studies in five would have shown, among all teachers."""
    assert study.suitability.judgement is not None
    seen = {}
    for case in study.suitability.judgement.families:
        if case.scope != "all" or not case.main or case.answer is None:
            continue
        high, power = stats.t.ppf([0.975, 0.8], case.answer.freedom)
        for effect in case.answer.effects:
            least = (effect.high - effect.low) / (2 * high) * (high + power) / 100
            how = f"t test with {case.answer.freedom} degrees of freedom, two-sided 5 %, power 80 %, one family"
            name = f"sight of family {effect.family}/{study.place}"
            seen[effect.family] = facts.add(name, float(least), "effect", (), "", how)
    return seen


def main_families(study: Study, scope: str = "all") -> list[Family]:
    """Each family against the reference, in the scope's main model."""
    return [family for family in study.suitability.families if family.main and family.scope == scope]


def list_facts(overview: Overview) -> list[Fact]:
    """What the document rests on, numbered anew; a name begins with its study."""
    return [replace(fact, number=place, name=name) for place, (name, fact) in enumerate(_name_facts(overview), 1)]


def _name_facts(overview: Overview) -> Iterator[tuple[str, Fact]]:
    for study, contrast in overview.declared:
        for fact in (contrast.gain, contrast.p_holm):
            if fact is not None:
                yield f"{study.place}: {fact.name}", fact
    for study in overview.judged:
        for judged in study.suitability.verdicts:
            for name in ("spearman", "regret"):
                if name in judged.facts:
                    yield f"{study.place}: {judged.facts[name].name}", judged.facts[name]
        for family in study.suitability.families:
            yield f"{study.place}: {family.gain.name}", family.gain
    for study in overview.ideas:
        for idea in study.findings.ideas:
            if idea.hardest is not None:
                yield f"{study.place}: {idea.hardest.gain.name}", idea.hardest.gain
    for fact in overview.facts.all:
        yield fact.name, fact
