"""The judge's whole answer, kept beside the scorecards that it judged, so that a report needs no computing."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alambic.errors import AlambicError, nearest
from alambic.files import write_atomic
from alambic.suitability.ask_families import FamilyCase, ask_families
from alambic.suitability.families import FamilyAnswer, FamilyEffect
from alambic.suitability.fitted import judge_all
from alambic.suitability.gains import Gains, compare_rankings, find_taught_by, make_blocks
from alambic.suitability.scorecard import VERSION, Scorecard
from alambic.suitability.verdict import Verdict

JUDGED = 7  # raise it when a change of this room changes verdicts: what was judged before is then said to be old


@dataclass(frozen=True)
class Judgement:
    """What `alambic teachers judge` found.

    Attributes:
        verdicts: one an estimator. families: one or more a scope. alike: (method, method, Spearman of their gains).
        gains: hash of the measured gains that were judged by. controls, nasty, variants, reference, refits: as asked
            for: with them anyone judges again. version: ``JUDGED`` of the code that judged.
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
    version: int = JUDGED


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

    Raises AlambicError where no student, data and method has four teachers with gains and scores, and for a teacher or
    a family that nobody knows.
    """
    teachers = {card.teacher for card in cards} | {name for given in measured for name in given.names.values()}
    _check_names("nasty", nasty, teachers, "teachers with a scorecard or a measured gain")
    _check_names("controls", controls, teachers, "teachers with a scorecard or a measured gain")
    _check_names(
        "reference", [reference] if reference else [], {card.family for card in cards}, "families of scorecards"
    )
    blocks = make_blocks(cards, measured, {*controls, *nasty})
    taught = {name for name, (_, least) in find_taught_by(measured, nasty, controls).items() if not least}
    held = [name for name in nasty if name not in taught]  # one that taught is right to stand among the others
    verdicts = judge_all(blocks, [*controls, *sorted(taught)], held, variants, refits=refits)
    families = ask_families(cards, measured, {*controls, *nasty}, reference)
    alike = tuple((first, second, rho) for (first, second), rho in compare_rankings(blocks).items())
    kept = (tuple(controls), tuple(nasty), variants, reference, refits)
    return Judgement(tuple(verdicts), tuple(families), alike, hash_gains(measured), *kept)


def _check_names(option: str, names: Sequence[str], known: Collection[str], what: str) -> None:
    """A mistyped control would be ranked among the honest ones, without a word."""
    for name in names:
        if name not in known:
            raise AlambicError(
                f"--{option}: expected names of {what}, got {name!r}, which is none of them; {nearest(name, known)}"
            )


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
    old = {"regret_others": math.nan, "surely_above": math.nan}  # what a judgement of an older version lacks; so below
    verdicts = [Verdict(**{**old, **one, **{name: tuple(one[name]) for name in pairs}}) for one in told["verdicts"]]
    families = []
    for case in told["families"]:
        answer = case["answer"]
        if answer is not None:
            answer = FamilyAnswer(
                **{**answer, "effects": tuple(FamilyEffect(**{"p_holm": math.nan, **e}) for e in answer["effects"])}
            )
        told_main = bool(case.get("main", True))
        families.append(FamilyCase(case["scope"], tuple(case["covariates"]), answer, case["reason"], told_main))
    alike = tuple((first, second, float(rho)) for first, second, rho in told["alike"])
    kept = (
        tuple(told["controls"]),
        tuple(told["nasty"]),
        bool(told["variants"]),
        str(told["reference"]),
        told["refits"],
        told.get("version", 1),
    )
    return Judgement(tuple(verdicts), tuple(families), alike, str(told["gains"]), *kept)
