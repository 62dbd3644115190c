"""What a report recommends: one decision a student, from its contrasts and the purpose of the study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from alambic.report.contrasts import Contrast
from alambic.report.declared import is_confirmed
from alambic.report.findings import Findings, StudentFindings

Confidence = Literal["confirmed", "lead", "unproved"]


@dataclass(frozen=True)
class Decision:
    """For one student.

    Attributes:
        take: the arm with the largest gain among those told apart from the student alone, confirmed ones first; None
            where there is none.
        confidence: ``confirmed`` where that contrast was declared beforehand, else a ``lead``; ``unproved`` without.
        avoid: arms that were shown to harm it, worst first.
    """

    found: StudentFindings
    take: Contrast | None
    confidence: Confidence
    avoid: tuple[Contrast, ...]


def decide(findings: Findings) -> list[Decision]:
    """A decision for each student that has a baseline and contrasts."""
    made = []
    for found in findings.students:
        if found.baseline is None or not found.contrasts:
            continue
        gains = [contrast for contrast in found.contrasts if contrast.verdict == "gain"]
        losses = sorted((c for c in found.contrasts if c.verdict == "loss"), key=lambda c: (c.gain.value, c.group.key))
        sure = [c for c in gains if is_confirmed(findings.declared, c)] or gains
        take = max(sure, key=lambda c: (c.gain.value, c.group.key)) if sure else None
        confidence: Confidence = "unproved" if take is None else "lead"
        if take is not None and findings.scored.split == "test" and is_confirmed(findings.declared, take):
            confidence = "confirmed"
        made.append(Decision(found, take, confidence, tuple(losses)))
    return made
