"""The family question asked of scorecards and measured gains: on all teachers, within a provenance, matched."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from alambic.errors import AlambicError
from alambic.suitability.families import FamilyAnswer, Taught, fit_families, match_accuracy
from alambic.suitability.gains import Gains, choose_cards, label_teachers
from alambic.suitability.scorecard import Scorecard

# estimators that say what else differs between teachers, the fullest set first
COVARIATES = (("accuracy", "calibration_error", "size"), ("accuracy",), ())
ENOUGH = 4  # degrees of freedom from which a fuller model is held to say more than a barer one


@dataclass(frozen=True)
class FamilyCase:
    """The model on some of the teachers.

    Attributes:
        scope: ``all``, ``matched`` (equally accurate ones), ``labels``, ``pretrained``, ``distilled``:
            provenances are never pooled without a term of their own.
        covariates: what the model allows for, beside provenance and block.
        answer: None where the teachers cannot tell families apart; then ``reason`` says why.
        main: whether it is the scope's answer; the others, with other covariates, show what hangs on that choice.
    """

    scope: str
    covariates: tuple[str, ...]
    answer: FamilyAnswer | None
    reason: str = ""
    main: bool = True


def ask_families(
    cards: Sequence[Scorecard], measured: Sequence[Gains], outside: Collection[str] = (), reference: str = ""
) -> list[FamilyCase]:
    """Which families give more, all else in the model equal.

    A teacher whose provenance has no other family, and whose family no other provenance, says nothing of families: it
    is left out where provenances are pooled.

    Args:
        outside: names of teachers that are controls. reference: the family that others are compared with.
    """
    controls = {card.hash for card in cards if card.teacher in outside}
    told = {card.hash: (card.family, _provenance(card)) for card in cards if card.hash not in controls}
    kinds = sorted({kind for _, kind in told.values()})
    pairs = set(told.values())
    apart = {
        key
        for key, (family, kind) in told.items()
        if len(kinds) > 1 and not any((family == f) != (kind == k) for f, k in pairs)
    }
    cases = _fit("all", cards, measured, {*controls, *apart}, reference)
    if len(kinds) > 1:
        for kind in kinds:
            others = {key for key, (_, other) in told.items() if other != kind}
            cases += _fit(kind, cards, measured, {*controls, *others}, reference)
    return [*cases, *_fit("matched", cards, measured, {*controls, *apart}, reference, matched=True)]


def gather_taught(
    cards: Sequence[Scorecard], measured: Sequence[Gains], outside: Collection[str], covariates: Sequence[str]
) -> list[Taught]:
    """A row for each teacher, student, data and method: the mean gain over seeds.

    Teachers that lack one of the covariates are left out. Two of one name are two teachers.

    Args:
        outside: hashes of teachers to leave out.
    """
    rows, labels = [], label_teachers(cards, measured)
    for given in measured:
        own = choose_cards(cards, given)
        for teacher, seeds in given.gains.items():
            card = own.get(teacher)
            if card is None or teacher in outside or any(name not in card.values for name in covariates):
                continue
            told = tuple(card.values[name] for name in covariates)
            block = f"{given.student}, {given.data}, {given.method}"
            gain = float(np.mean(list(seeds.values())))
            rows.append(Taught(gain, block, labels[teacher], card.family, _provenance(card), told))
    return rows


def _fit(
    scope: str,
    cards: Sequence[Scorecard],
    measured: Sequence[Gains],
    outside: Collection[str],
    reference: str,
    matched: bool = False,
) -> list[FamilyCase]:
    """A case for each set of covariates that the teachers can bear, the fullest first.

    The main one is the fullest that leaves ENOUGH degrees of freedom, else the barest that allows for accuracy, by a
    covariate or since the teachers are matched; else the barest. Without an answer the reason is that of the barest.
    """
    reason, found = "", []
    for covariates in COVARIATES:
        rows = gather_taught(cards, measured, outside, covariates or (("accuracy",) if matched else ()))
        if matched:
            rows = match_accuracy(rows)
        if not covariates:
            rows = [Taught(r.gain, r.block, r.teacher, r.family, r.provenance, ()) for r in rows]
        try:
            base = reference if any(row.family == reference for row in rows) else ""
            found.append((covariates, fit_families(rows, base)))
        except AlambicError as error:
            reason = str(error)
    if not found:
        return [FamilyCase(scope, (), None, reason)]
    enough = [covariates for covariates, answer in found if answer.freedom >= ENOUGH and (covariates or matched)]
    fair = [covariates for covariates, _ in found if covariates or matched]
    main = enough[0] if enough else (fair or [found[-1][0]])[-1]
    return [FamilyCase(scope, covariates, answer, main=covariates == main) for covariates, answer in found]


def _provenance(card: Scorecard) -> str:
    """``distilled`` for every teacher that another one taught, whoever that was."""
    return "distilled" if card.provenance.startswith("distilled") else card.provenance
