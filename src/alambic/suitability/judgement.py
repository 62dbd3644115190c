"""The judge's whole answer, kept beside the scorecards that it judged, so that a report needs no computing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alambic.errors import AlambicError
from alambic.files import write_atomic
from alambic.suitability.ask_families import FamilyCase, ask_families
from alambic.suitability.families import FamilyAnswer, FamilyEffect
from alambic.suitability.fitted import judge_all
from alambic.suitability.gains import Gains, compare_rankings, find_taught_by, make_blocks
from alambic.suitability.judge import Verdict
from alambic.suitability.scorecard import VERSION, Scorecard


@dataclass(frozen=True)
class Judgement:
    """What `alambic teachers judge` found.

    Attributes:
        verdicts: one an estimator. families: one a scope. alike: (method, method, Spearman of their gains).
        gains: hash of the measured gains that were judged by. controls, nasty, variants, reference, refits: as asked
            for: with them anyone judges again.
    """

    verdicts: tuple[Verdict, ...]
    families: tuple[FamilyCase, ...]
    alike: tuple[tuple[str, str, float], ...]
    gains: str
    controls: tuple[str, ...] = ()
    nasty: tuple[str, ...] = ()
    variants: bool = False
    reference: str = ""
    refits: int = 200


def pass_judgement(
    cards: Sequence[Scorecard],
    measured: Sequence[Gains],
    controls: Sequence[str] = (),
    nasty: Sequence[str] = (),
    variants: bool = False,
    reference: str = "",
    refits: int = 200,
) -> Judgement:
    """Judges every estimator and asks for the families. Equal input gives equal output.

    Raises AlambicError where no student, data and method has four teachers with gains and scores.
    """
    blocks = make_blocks(cards, measured)
    taught = {name for name, (_, least) in find_taught_by(measured, nasty, controls).items() if not least}
    held = [name for name in nasty if name not in taught]  # one that taught is right to stand among the others
    verdicts = judge_all(blocks, [*controls, *sorted(taught)], held, variants, refits=refits)
    families = ask_families(cards, measured, {*controls, *nasty}, reference)
    alike = tuple((first, second, rho) for (first, second), rho in compare_rankings(blocks).items())
    kept = (tuple(controls), tuple(nasty), variants, reference, refits)
    return Judgement(tuple(verdicts), tuple(families), alike, hash_gains(measured), *kept)


def hash_gains(measured: Sequence[Gains]) -> str:
    """Hash of measured gains, whatever their order."""
    told = sorted(json.dumps(asdict(given), sort_keys=True) for given in measured)
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def save_judgement(path: Path, cards: Sequence[Scorecard], judgement: Judgement) -> None:
    """Writes the scorecards with their judgement, whole or not at all."""
    content = {"version": VERSION, "cards": [asdict(card) for card in cards], "judgement": asdict(judgement)}
    write_atomic(path, lambda part: part.write_text(json.dumps(content, indent=1)))


def load_judgement(path: Path) -> Judgement | None:
    """Reads it back; None where the scorecards were not judged yet. Raises AlambicError for a foreign file."""
    try:
        given = json.loads(path.read_text())
        return _read(given["judgement"]) if "judgement" in given else None
    except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise AlambicError(
            f"expected a judgement in {path}, got something else ({error}); try `alambic teachers judge` again"
        ) from error


def _read(told: dict[str, Any]) -> Judgement:
    pairs = ("above_accuracy", "without_teacher", "without_student")
    verdicts = [Verdict(**{**one, **{name: tuple(one[name]) for name in pairs}}) for one in told["verdicts"]]
    families = []
    for case in told["families"]:
        answer = case["answer"]
        if answer is not None:
            answer = FamilyAnswer(**{**answer, "effects": tuple(FamilyEffect(**e) for e in answer["effects"])})
        families.append(FamilyCase(case["scope"], tuple(case["covariates"]), answer, case["reason"]))
    alike = tuple((first, second, float(rho)) for first, second, rho in told["alike"])
    kept = (
        tuple(told["controls"]),
        tuple(told["nasty"]),
        bool(told["variants"]),
        str(told["reference"]),
        told["refits"],
    )
    return Judgement(tuple(verdicts), tuple(families), alike, str(told["gains"]), *kept)
