"""Studies that a repository keeps: their exported ledgers, what each found, and whether it is finished."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from pathlib import Path
from statistics import fmean

from alambic.report.facts.contrasts import Contrast, judge
from alambic.report.facts.findings import Findings
from alambic.report.facts.findings import find as read_findings
from alambic.report.facts.suited import NAME
from alambic.report.words.texts import read_texts
from alambic.report.words.wording import Lang
from alambic.study.ledger import Ledger
from alambic.study.study_file import _Head
from alambic.suitability.judgement import load_judgement

# until then a difference between two arms beside the student alone was measured by the floor of differences to it
CORRECTED, CORRECTED_AT = "29 November 2026", "2026-11-29 11:44:00"


def find(folder: Path) -> Findings:
    """What a ledger's report tells; one that did not change, nor what lies beside it, is read once."""
    read = [path for path in (*folder.parent.iterdir(), *folder.glob("*.parquet")) if path.is_file()]
    return _find(folder, max(path.stat().st_mtime_ns for path in read))


@functools.lru_cache(maxsize=64)
def _find(folder: Path, _changed: int) -> Findings:
    return read_findings(folder)


def exported_ledgers(root: Path) -> list[Path]:
    """Each folder named ``ledger`` below ``studies``, in order of their paths."""
    return sorted(path.parent for path in (root / "studies").rglob("ledger/cells.parquet"))


def claim_ledgers(root: Path) -> list[Path]:
    """Exported ledgers of studies that declared what they tested."""
    return [folder for folder in exported_ledgers(root) if Ledger(folder, read_only=True).meta("confirm") is not None]


def judged_ledgers(root: Path) -> list[Path]:
    """Exported ledgers beside which a judgement on estimators and families lies."""
    return [
        f for f in exported_ledgers(root) if (f.parent / NAME).is_file() and load_judgement(f.parent / NAME) is not None
    ]


def idea_ledgers(root: Path) -> list[Path]:
    """Exported ledgers of studies that declared falsifiers."""
    return [
        folder
        for folder in exported_ledgers(root)
        if json.loads(Ledger(folder, read_only=True).meta("falsifiers") or "[]")
    ]


def count_seeds(folder: Path) -> list[int]:
    """For each declared contrast the seeds on which the report compares it; 0 where it is missing."""
    declared = find(folder).declared
    assert declared is not None
    return [len(one.paired.seeds) for one in declared.contrasts] + [0] * len(declared.missing)


def count_wanted(ledger: Ledger) -> int:
    """Seeds that the study asks for; of older ledgers its file's first word on it (an extended file comes after)."""
    told = ledger.meta("seeds")
    if told is None:
        found = re.search(r"^seeds = (\d+)", ledger.meta("study_text") or "", re.MULTILINE)
        told = found[1] if found else str(_Head.seeds)
    return int(told)


def is_finished(folder: Path) -> bool:
    """Whether every declared contrast has all of its seeds."""
    return min(count_seeds(folder), default=0) >= count_wanted(Ledger(folder, read_only=True))


def ideas_finished(folder: Path) -> bool:
    """Whether each idea and each of its controls have all of their seeds."""
    findings = find(folder)
    seeds = [len(contrast.paired.seeds) for idea in findings.ideas for contrast in idea.contrasts]
    wanted = count_wanted(Ledger(folder, read_only=True))
    return min(seeds, default=0) >= wanted and not any(idea.missing for idea in findings.ideas)


def count_compared(findings: Findings) -> list[int]:
    """For each contrast the seeds on which it is compared."""
    return [len(contrast.paired.seeds) for found in findings.students for contrast in found.contrasts]


def is_judged(findings: Findings, folder: Path) -> bool:
    """Whether a study of teachers has all of its seeds and was judged since."""
    assert findings.suitability is not None
    least = min(count_compared(findings), default=0)
    return not findings.suitability.stale and least >= count_wanted(Ledger(folder, read_only=True))


def mean_gains(findings: Findings) -> dict[str, float]:
    """Family -> mean gain over the student alone, of its teachers, each of them over its students and arms."""
    assert findings.suitability is not None
    assert findings.suitability.judgement is not None
    gains: dict[str, dict[str, list[float]]] = {}
    for contrast in (c for found in findings.students for c in found.contrasts):
        teacher, content = contrast.group.teacher, contrast.group.rows[0].content
        if teacher is not None and teacher not in findings.suitability.judgement.nasty:
            gains.setdefault(content["teacher_family"], {}).setdefault(teacher, []).append(contrast.gain.value)
    return {family: fmean(map(fmean, teachers.values())) for family, teachers in sorted(gains.items())}


def find_former(contrast: Contrast, findings: Findings, lang: Lang = "en") -> str:
    """The word for a declared contrast until CORRECTED, where it was another one: then what the design could see of a
    difference between two other arms was taken from differences to the student alone."""
    if str(findings.meta.get("started")) > CORRECTED_AT:
        return ""
    declared, place = findings.declared, (contrast.group.setting, contrast.group.student)
    sights = [found.sight for found in findings.students if (found.setting, found.student) == place]
    if declared is None or contrast.other.is_baseline or contrast.p_holm is None or not sights or sights[0] is None:
        return ""
    floor = sights[0].spread.floor(contrast.paired)
    former = dataclasses.replace(contrast, verdict=judge(contrast.paired, contrast.p_holm.value, floor))
    was, now = (read_texts(lang)[declared.name_verdict(one)] for one in (former, contrast))
    return was if was != now else ""
