"""What the estimators said of one teacher for one student: a scorecard, kept as JSON so that it is computed once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from alambic.errors import AlambicError, Skip
from alambic.files import write_atomic
from alambic.suitability.base import all_estimators, create_estimator
from alambic.suitability.evidence import Evidence
from alambic.treatments.calibrated_temperature import fit_temperature

Array = np.ndarray[Any, Any]
VERSION = 1
# room -> files that a number depends on, beside the estimators' own; those of training make warm-ups and pilots
CODE = {
    "suitability": "collect evidence inputs measures onlooker pilot sketch",
    "data": "geometry hashing mixes photometry views",
    "functional": "prob relation",
    "methods": "base kd none",
    "models": "discover feature grouped onnx_net student_blocks student_table students taps",
    "training": "feed hooks layout loop objective recipe resident setup task",
    "treatments": "calibrated_temperature",
}


@dataclass(frozen=True)
class Scorecard:
    """Raw values of every estimator that could be computed.

    Attributes:
        teacher, hash, family, provenance, parameters: of the teacher.
        student, data, split_hash: what it is for.
        values: estimator, or ``estimator.variant``, -> number as its formula gives it, not oriented.
        refused: estimator -> why it has none.
        temperature: that calibrates the teacher; None where its classes are not the task's.
        images: held-out images. key: hash of everything that the values depend on.
    """

    teacher: str
    hash: str
    family: str
    provenance: str
    parameters: int
    student: str
    data: str
    split_hash: str
    values: dict[str, float]
    refused: dict[str, str] = field(default_factory=dict)
    temperature: float | None = None
    images: int = 0
    key: str = ""


def score_evidence(evidence: Evidence, data: str, split_hash: str, key: str = "") -> Scorecard:
    """Asks every estimator; a refusal is kept with its reason."""
    values: dict[str, float] = {}
    refused: dict[str, str] = {}
    for name in all_estimators():
        estimator = create_estimator(name)
        try:
            values[name] = estimator.measure(evidence)
        except Skip as reason:
            refused[name] = str(reason)
        if evidence.classes >= estimator.min_classes:
            found = estimator.measure_variants(evidence)
            values |= {f"{name}.{variant}": value for variant, value in found.items() if np.isfinite(value)}
    teacher, known = evidence.teacher, evidence.known
    temperature = None
    if not evidence.lacks("scores"):
        temperature = fit_temperature(teacher.logits[known], evidence.labels[known])
    return Scorecard(
        teacher.name,
        teacher.hash,
        teacher.family,
        teacher.provenance,
        teacher.parameters,
        evidence.student.name,
        data,
        split_hash,
        values,
        refused,
        temperature,
        len(evidence.labels),
        key,
    )


def gather_values(cards: Sequence[Scorecard]) -> dict[str, Array]:
    """Name -> T raw values in the order of the cards, NaN where one has none."""
    names = dict.fromkeys(name for card in cards for name in card.values)
    return {name: np.array([card.values.get(name, np.nan) for card in cards], dtype=float) for name in names}


def pool_cards(cards: Iterable[Scorecard], names: Mapping[str, str]) -> dict[tuple[str, str, str], list[Scorecard]]:
    """(student, images, split) -> one scorecard for each teacher's weights.

    A file keeps every card ever made. Of several for one teacher: one of its name in the ledger, then the one with
    the most numbers, then the latest.

    Args:
        names: teacher hash -> its name in a ledger, where it has one.
    """

    def rank(card: Scorecard) -> tuple[bool, int]:
        return card.teacher == names.get(card.hash), len(card.values)

    found: dict[tuple[str, str, str], dict[str, Scorecard]] = {}
    for card in cards:
        pool = found.setdefault((card.student, card.data, card.split_hash), {})
        if rank(card) >= rank(pool.get(card.hash, card)):
            pool[card.hash] = card
    return {place: list(pool.values()) for place, pool in found.items()}


def save_scorecards(path: Path, cards: Iterable[Scorecard]) -> None:
    """Writes the cards whole or not at all."""
    text = json.dumps({"version": VERSION, "cards": [asdict(card) for card in cards]}, indent=1)
    write_atomic(path, lambda part: part.write_text(text))


def load_scorecards(path: Path) -> list[Scorecard]:
    """Reads cards back. Raises AlambicError for a missing or foreign file."""
    if not path.is_file():
        raise AlambicError(f"expected scorecards at {path}, found none; try `alambic teachers rank` first")
    try:
        given = json.loads(path.read_text())
        if given["version"] != VERSION:
            raise AlambicError(f"{path}: expected scorecards of version {VERSION}, got {given['version']}; rank again")
        return [Scorecard(**card) for card in given["cards"]]
    except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise AlambicError(f"expected scorecards at {path}, got something else ({error}); try ranking again") from error


def code_version() -> str:
    """Hash of the files that decide an estimator's number: a changed formula makes old scorecards worthless."""
    package = Path(__file__).parents[1]
    rooms = [sorted((package / "suitability" / "estimators").glob("*.py"))]
    rooms += [[package / room / f"{name}.py" for name in names.split()] for room, names in CODE.items()]
    digest = hashlib.sha256()
    for path in (path for files in rooms for path in files):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def make_key(**parts: Any) -> str:
    """Hash of everything that a scorecard depends on, the code among it."""
    text = json.dumps({**parts, "code": code_version()}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
