"""What a report recommends: one decision a student, from its contrasts and the purpose of the study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from alambic.report.facts.contrasts import Contrast, compare_groups, share_seeds
from alambic.report.facts.declared import Declared, find_confirmed
from alambic.report.facts.findings import Findings, StudentFindings
from alambic.report.facts.gather import Group

Confidence = Literal["confirmed", "lead", "unproved"]


@dataclass(frozen=True)
class Decision:
    """For one student.

    Attributes:
        take: the arm with the largest gain among those told apart from the student alone, confirmed ones first; None
            where there is none.
        confirmed: the contrast, declared beforehand, that confirms it; of the same arm against ``none`` or against
            another arm without a teacher.
        avoid: arms that were shown to harm it, worst first.
        unseen: where there is nothing to take, the largest gain whose own interval leaves out zero, but which the
            design is too small to show; None where there is none.
        rivals: the other arms that gain too and that ``take`` was not shown to be better than, highest first.
        simpler: the simplest of them, where it is simpler than ``take``: then it is what to take. sure: whether a
            declared contrast confirms that one.
    """

    found: StudentFindings
    take: Contrast | None
    confirmed: Contrast | None
    avoid: tuple[Contrast, ...]
    unseen: Contrast | None = None
    rivals: tuple[Contrast, ...] = ()
    simpler: Contrast | None = None
    sure: bool = False

    @property
    def confidence(self) -> Confidence:
        if self.take is None:
            return "unproved"
        return "lead" if self.confirmed is None else "confirmed"


def decide(findings: Findings) -> list[Decision]:
    """A decision for each student that has a baseline and contrasts."""
    made = []
    for found in findings.students:
        if found.baseline is None or not found.contrasts:
            continue
        gains = sorted((c for c in found.contrasts if c.verdict == "gain"), key=lambda c: (-c.gain.value, c.group.key))
        losses = sorted((c for c in found.contrasts if c.verdict == "loss"), key=lambda c: (c.gain.value, c.group.key))
        known = {c.group.key: find_confirmed(findings.declared, c) for c in gains}
        take = next((c for c in gains if known[c.group.key] is not None), gains[0] if gains else None)
        tested = take is not None and findings.scored.split == "test"
        hoped = [c for c in found.contrasts if c.paired.interval.low > 0] if take is None else []
        unseen = max(hoped, key=lambda c: (c.gain.value, c.group.key), default=None)
        rivals = tuple(c for c in gains if take is not None and c is not take and not _is_better(take, c, findings))
        simplest = min(rivals, key=lambda c: _measure_complexity(c.group), default=None)
        if take is None or simplest is None or _measure_complexity(simplest.group) >= _measure_complexity(take.group):
            simplest = None
        confirmed = known[take.group.key] if take is not None and tested else None
        sure = simplest is not None and tested and known[simplest.group.key] is not None
        made.append(Decision(found, take, confirmed, tuple(losses), unseen, rivals, simplest, sure))
    return made


def _is_better(first: Contrast, second: Contrast, findings: Findings) -> bool:
    """Whether one arm was shown to be better than another: by the declared contrast of both, else by its interval."""
    told = _find_declared(findings.declared, first.group, second.group)
    if told is not None:
        return told
    if not share_seeds(first.group, second.group, findings.scored):
        return False
    _, paired = compare_groups(first.group, second.group, findings.scored)
    return len(paired.seeds) > 1 and paired.interval.low > 0


def _find_declared(declared: Declared | None, first: Group, second: Group) -> bool | None:
    """Whether the declared contrast of two arms shows the first one to be better; None where none was declared."""
    if declared is None:
        return None
    for contrast in declared.contrasts:
        pair = contrast.group.key, contrast.other.key
        if pair in ((first.key, second.key), (second.key, first.key)):
            better = "gain" if pair[0] == first.key else "loss"
            return contrast.verdict == better and not declared.is_small(contrast)
    return None


def _measure_complexity(group: Group) -> tuple[int, bool]:
    """What an arm adds to its method: treatments and modifiers, then a teacher."""
    arm = group.rows[0].content["arm"]
    return len(arm.get("treatments") or ()) + len(arm.get("modifiers") or ()), group.teacher is not None
