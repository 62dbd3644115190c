"""The family model on simulated truths: it finds an effect that is there, and covers one that is not as it says."""

from __future__ import annotations

import numpy as np
import pytest

from alambic.errors import AlambicError
from alambic.suitability.families import Taught, fit_families, match_accuracy


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
