"""The family model on simulated truths: it finds an effect that is there, and covers one that is not as it says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from alambic.errors import AlambicError
from alambic.suitability.ask_families import COVARIATES, ENOUGH, ask_families
from alambic.suitability.families import Taught, fit_families, match_accuracy
from alambic.suitability.gains import Gains
from alambic.suitability.scorecard import Scorecard


def simulate(
    seed: int, effect: float = 0.0, teachers: int = 16, cells: int = 12, spread: float = 0.8, slope: float = 0.0
) -> list[Taught]:
    """Half CNN, half ViT; each teacher has a shift of its own, each cell noise; accuracy acts by ``slope``."""
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(teachers):
        family = "vit" if index % 2 else "cnn"
        accuracy = rng.normal(0.8, 0.03) + 0.03 * (family == "vit")
        own = effect * (family == "vit") + rng.normal(0, spread) + slope * (accuracy - 0.8)
        for cell in range(cells):
            gain = 1.0 + 0.5 * (cell % 3) + own + rng.normal(0, 0.4)
            rows.append(Taught(gain, f"block {cell % 3}", f"t{index}", family, "labels", (accuracy,)))
    return rows


def test_it_finds_what_was_put_in() -> None:
    found = [fit_families(simulate(seed, effect=2.0)) for seed in range(60)]
    values = [answer.effects[0].effect for answer in found]
    assert np.mean(values) == pytest.approx(2.0, abs=0.25)
    assert np.mean([answer.effects[0].p < 0.05 for answer in found]) > 0.9
    assert np.mean([answer.teacher_spread for answer in found]) == pytest.approx(0.8, abs=0.15)
    assert np.mean([answer.cell_spread for answer in found]) == pytest.approx(0.4, abs=0.03)
    assert found[0].reference == "cnn"
    assert found[0].freedom == 16 - 3


def test_intervals_cover_as_often_as_they_say() -> None:
    covered = [e.low <= 0 <= e.high for seed in range(300) for e in fit_families(simulate(seed)).effects]
    assert 0.91 <= np.mean(covered) <= 0.985


def test_cells_are_not_mistaken_for_teachers() -> None:
    """Ordinary regression on the same cells cries wolf most of the time: the fault that (1|teacher) rules out."""
    wrong = 0
    for seed in range(60):
        rows = simulate(seed)
        x = np.array(
            [[row.family == "vit", *(row.block == f"block {b}" for b in range(3)), row.covariates[0]] for row in rows]
        )
        x, y = x.astype(float), np.array([row.gain for row in rows])
        inverse = np.linalg.inv(x.T @ x)
        beta = inverse @ x.T @ y
        error = np.sqrt(inverse[0, 0] * ((y - x @ beta) ** 2).sum() / (len(y) - 5))
        wrong += abs(beta[0] / error) > 1.97
    assert wrong / 60 > 0.4


def test_accuracy_is_not_taken_for_family() -> None:
    """ViTs that are more accurate and gain by that alone: no family effect; without the covariate there is one."""
    rows = [simulate(seed, slope=60.0, spread=0.2) for seed in range(40)]
    with_it = [fit_families(one).effects[0].effect for one in rows]
    bare = [[Taught(r.gain, r.block, r.teacher, r.family, r.provenance, ()) for r in one] for one in rows]
    without = [fit_families(one).effects[0].effect for one in bare]
    assert abs(np.mean(with_it)) < 0.2
    assert np.mean(without) > 1.0


def test_without_teacher_spread_it_is_ordinary_regression() -> None:
    rows = simulate(3, effect=1.0, spread=0.0)
    answer = fit_families(rows)
    x = np.array(
        [[*(row.block == f"block {b}" for b in range(3)), row.family == "vit", row.covariates[0]] for row in rows]
    )
    beta = np.linalg.lstsq(x.astype(float), np.array([row.gain for row in rows]), rcond=None)[0]
    assert answer.effects[0].effect == pytest.approx(beta[3], abs=0.05)


def test_what_cannot_be_told_apart_is_refused() -> None:
    rows = simulate(0)
    with pytest.raises(AlambicError, match="two families"):
        fit_families([row for row in rows if row.family == "cnn"])
    mixed = [Taught(r.gain, r.block, r.teacher, r.family, f"as {r.family}", r.covariates) for r in rows]
    with pytest.raises(AlambicError, match="one provenance"):
        fit_families(mixed)
    with pytest.raises(AlambicError, match="under two degrees"):
        fit_families([row for row in rows if row.teacher in ("t0", "t1", "t2")])
    with pytest.raises(AlambicError, match="reference"):
        fit_families(rows, "swin")


def test_matched_teachers_are_equally_accurate() -> None:
    kept = match_accuracy(simulate(1), within=0.02)
    accuracies = {row.teacher: row.covariates[0] for row in kept}
    assert 2 <= len(accuracies) < 16
    assert max(accuracies.values()) - min(accuracies.values()) <= 0.02 + 1e-9


def cards_and_gains(effect: float, distilled: bool = False) -> tuple[list[Scorecard], list[Gains]]:
    """Sixteen teachers of two families on two students; ViTs give ``effect`` points more."""
    rng = np.random.default_rng(7)
    cards, gains = [], []
    own = {f"t{i}": rng.normal(0, 0.3) + effect * (i % 2) for i in range(16)}
    accuracy = {name: float(rng.uniform(0.8, 0.9)) for name in own}
    for student in ("s", "u"):
        for index, name in enumerate(own):
            family = "vit" if index % 2 else "cnn"
            values = {
                "accuracy": accuracy[name],
                "calibration_error": 0.01 * (index % 5),
                "size": 5 + 0.1 * (index % 7),
            }
            taught = "distilled from t0" if distilled and index % 4 > 1 else "labels"
            cards.append(Scorecard(name, f"hash {name}", family, taught, 9, student, "toy", "split", values))
        measured = {f"hash {n}": {s: v + 1 + rng.normal(0, 0.1) for s in range(3)} for n, v in own.items()}
        gains.append(Gains(student, "toy", "split", "kd", measured, {f"hash {n}": n for n in own}))
    return cards, gains


def test_scorecards_and_gains_answer_the_family_question() -> None:
    cards, gains = cards_and_gains(1.5)
    cases = ask_families(cards, gains, outside={"t15"})
    assert [(case.scope, case.covariates) for case in cases if case.scope == "all"] == [
        ("all", covariates) for covariates in COVARIATES
    ]
    all_of_them, matched = (next(c for c in cases if c.scope == scope and c.main) for scope in ("all", "matched"))
    assert all_of_them.covariates == ("accuracy", "calibration_error", "size")
    assert all_of_them.answer is not None
    assert all_of_them.answer.teachers == 15
    (effect,) = all_of_them.answer.effects
    assert effect.low < 1.5 < effect.high
    assert effect.low > 0.5
    assert matched.answer is None or matched.answer.teachers < 15


def test_families_are_compared_within_one_provenance_too() -> None:
    cards, gains = cards_and_gains(1.5, distilled=True)
    scopes = {case.scope: case for case in ask_families(cards, gains, reference="vit") if case.main}
    assert set(scopes) == {"all", "labels", "distilled", "matched"}
    inside = scopes["distilled"].answer
    assert inside is not None
    assert inside.teachers == 8
    assert inside.reference == "vit"
    assert inside.effects[0].family == "cnn"


def test_few_teachers_are_asked_less_or_told_why_not() -> None:
    cards, gains = cards_and_gains(1.5)
    few = {f"t{i}" for i in range(5, 16)}
    first, bare = (case for case in ask_families(cards, gains, few) if case.scope == "all")
    assert first.answer is not None
    assert (first.covariates, bare.covariates) == (("accuracy",), ())  # five teachers bear no more
    assert first.main
    assert not bare.main  # it has a degree of freedom more, but allows for nothing
    more = {f"t{i}" for i in range(8, 16)}
    full, first, bare = (case for case in ask_families(cards, gains, more) if case.scope == "all")
    assert full.answer is not None
    assert first.answer is not None
    assert full.answer.freedom < ENOUGH <= first.answer.freedom
    assert [case.main for case in (full, first, bare)] == [False, True, False]
    case = ask_families(cards, gains, {f"t{i}" for i in range(2, 16)})[0]
    assert case.answer is None
    assert "under two degrees" in case.reason


def test_a_teacher_that_shares_neither_family_nor_provenance_leaves_the_answer_to_the_others() -> None:
    cards, gains = cards_and_gains(1.5, distilled=True)
    alone = ("t0", "hash t0")
    cards = [
        dataclasses.replace(c, family="net", provenance="pretrained") if c.teacher == alone[0] else c for c in cards
    ]
    scopes = {case.scope: case for case in ask_families(cards, gains) if case.main}
    whole = scopes["all"].answer
    assert whole is not None
    assert whole.teachers == 15
    assert {effect.family for effect in whole.effects} | {whole.reference} == {"vit", "cnn"}
    assert scopes["pretrained"].answer is None
