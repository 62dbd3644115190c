"""What a report recommends: one decision a student, from its contrasts and the purpose of the study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from alambic.report.contrasts import Contrast
from alambic.report.declared import find_confirmed
from alambic.report.findings import Findings, StudentFindings

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
    """

    found: StudentFindings
    take: Contrast | None
    confirmed: Contrast | None
    avoid: tuple[Contrast, ...]
    unseen: Contrast | None = None

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
        gains = [contrast for contrast in found.contrasts if contrast.verdict == "gain"]
        losses = sorted((c for c in found.contrasts if c.verdict == "loss"), key=lambda c: (c.gain.value, c.group.key))
        known = {c.group.key: find_confirmed(findings.declared, c) for c in gains}
        sure = [c for c in gains if known[c.group.key] is not None] or gains
        take = max(sure, key=lambda c: (c.gain.value, c.group.key)) if sure else None
        tested = take is not None and findings.scored.split == "test"
        hoped = [c for c in found.contrasts if c.paired.interval.low > 0] if take is None else []
        unseen = max(hoped, key=lambda c: (c.gain.value, c.group.key), default=None)
        made.append(Decision(found, take, known[take.group.key] if take and tested else None, tuple(losses), unseen))
    return made
