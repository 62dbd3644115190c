"""The judge on simulated truths: what it must find, what it must not, and that its intervals mean what they say."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from scipy import stats

from alambic.errors import AlambicError
from alambic.suitability.base import all_estimators
from alambic.suitability.composite import combine, orient, score_pool, standardise
from alambic.suitability.fitted import add_fitted, fit_ridge, judge_all, permute_fitted, predict_left_out
from alambic.suitability.judge import LEVEL, Block, bounds, draw_teachers, judge, permute, resample
from alambic.suitability.others import add_others
from alambic.suitability.ranks import (
    adjust_holm,
    kendall,
    noise_ceiling,
    partial_spearman,
    rank_middle,
    regret,
    spearman,
    spearman_brown,
    spearman_weighted,
    step_over,
    top_hit,
)


def simulate(truth, teachers=12, blocks=6, seed=0, seeds=4, noise=0.3, more=0):
    """Blocks that share their teachers' quality; score ``e`` correlates by ``truth`` with it, ``x0`` ... not at all."""
    draw = np.random.default_rng(seed)
    quality = draw.normal(size=teachers)
    score = truth * quality + math.sqrt(1 - truth**2) * draw.normal(size=teachers)
    extra = {f"x{k}": draw.normal(size=teachers) for k in range(more)}
    names = tuple(f"t{i:02d}" for i in range(teachers))
    return [
        Block(
            f"s{index % 3}",
            "data",
            f"m{index}",
            names,
            quality[:, None] + noise * draw.normal(size=(teachers, seeds)),
            {"e": score, **extra},
        )
        for index in range(blocks)
    ]


# -- ranks -----------------------------------------------------------------------------------------------------------


def test_correlations_with_ties_are_scipy_s():
    draw = np.random.default_rng(0)
    for _ in range(20):
        x, y = draw.integers(0, 4, 9), draw.integers(0, 4, 9)
        assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
        assert kendall(x, y) == pytest.approx(stats.kendalltau(x, y).statistic)
    assert spearman(np.ones(5), np.arange(5)) == kendall(np.ones(5), np.arange(5)) == 0


def test_weights_count_as_repeats():
    draw = np.random.default_rng(1)
    x, y = draw.integers(0, 4, 8).astype(float), draw.normal(size=8)
    weights = draw.multinomial(8, np.full(8, 1 / 8), size=30)
    found = spearman_weighted(x, y, weights)
    for row, value in zip(weights, found, strict=True):
        again = np.repeat(np.arange(8), row)
        assert value == pytest.approx(stats.spearmanr(x[again], y[again]).statistic)
        assert rank_middle(x, row[None])[0][row > 0] == pytest.approx(
            [stats.rankdata(x[again])[list(again).index(i)] for i in np.flatnonzero(row)]
        )
    assert math.isnan(spearman_weighted(x, y, np.array([[4, 4, 0, 0, 0, 0, 0, 0]]))[0])


def test_partial_is_that_of_the_textbook():
    draw = np.random.default_rng(2)
    x, y, z = draw.normal(size=(3, 30))
    x, y = x + 2 * z, y + 2 * z
    xy, xz, yz = (stats.spearmanr(*pair).statistic for pair in ((x, y), (x, z), (y, z)))
    expected = (xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2))
    assert partial_spearman(x, y, [z]) == pytest.approx(expected)
    assert abs(expected) < 0.4 < xy
    assert math.isnan(partial_spearman(x[:4], y[:4], [z[:4]]))


def test_regret_and_hits_share_ties():
    gain = np.array([1.0, 3.0, 2.0, 0.0])
    assert regret(np.array([0, 9, 1, 2]), gain) == 0
    assert regret(np.array([0, 1, 9, 2]), gain) == 1
    assert regret(np.zeros(4), gain) == pytest.approx(3 - 1.5)
    assert top_hit(np.array([4, 1, 3, 2]), gain) == 0
    assert top_hit(np.array([4, 2, 3, 1]), gain) == 1
    assert top_hit(np.zeros(4), gain) == pytest.approx(3 / 4)


def test_holm_by_hand():
    # .01 x 4 = .04; .02 x 3 = .06; .03 x 2 = .06 (not below the one before); .5 x 1
    assert adjust_holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert adjust_holm([0.9, 0.8]) == [1.0, 1.0]
    with_missing = adjust_holm([0.01, math.nan, 0.02])
    assert with_missing[0] == pytest.approx(0.02)
    assert math.isnan(with_missing[1])


def test_ceiling_is_the_root_of_the_reliability():
    draw = np.random.default_rng(3)
    found = []
    for _ in range(20):
        quality = draw.normal(size=60)
        found.append(noise_ceiling(quality[:, None] + 1.5 * draw.normal(size=(60, 6))))
    assert np.mean(found) == pytest.approx(math.sqrt(1 / (1 + 1.5**2 / 6)), abs=0.03)
    assert noise_ceiling(draw.normal(size=(60, 6))) < 0.6
    assert math.isnan(noise_ceiling(draw.normal(size=(8, 1))))
    assert spearman_brown(0.5) == pytest.approx(2 / 3)
    assert spearman_brown(-0.2) == 0


# -- composite -------------------------------------------------------------------------------------------------------


def test_orientation_and_z_scores():
    values = np.array([1.0, 5.0, 2.0, np.nan])
    assert orient(values, "-")[:3].tolist() == [-1, -5, -2]
    assert orient(values, "peak")[:3].tolist() == [-1, -3, 0]
    z = standardise(values)
    assert z[:3] == pytest.approx((values[:3] - 8 / 3) / values[:3].std())
    assert math.isnan(z[3])
    assert standardise(np.full(3, 7.0)).tolist() == [0, 0, 0]


def test_composite_is_the_mean_of_what_there_is():
    raw = {
        "headroom": np.array([0.0, 1.0, 2.0]),
        "calibration": np.array([0.3, 0.1, np.nan]),
        "fidelity_slope": np.array([0.0, 0.0, 3.0]),
        "accuracy": np.array([9.0, 0.0, 0.0]),  # a baseline: not part of it
        "calibration.overconfidence": np.array([9.0, 0.0, 0.0]),  # nor a variant
    }
    scores = score_pool(raw)
    a, b = math.sqrt(1.5), math.sqrt(0.5)
    assert combine(scores, pilot=False) == pytest.approx([(-a - 1) / 2, (0 + 1) / 2, a])
    assert combine(scores) == pytest.approx([(-a - 1 - b) / 3, (0 + 1 - b) / 3, (a + 2 * b) / 2])


# -- the judge -------------------------------------------------------------------------------------------------------


def test_a_perfect_estimator_and_its_opposite():
    blocks = simulate(1.0, noise=0.01)
    for block in blocks:
        block.scores["opposite"] = -block.scores["e"]
    good, bad = judge(blocks, ["e", "opposite"], draws=400)
    assert good.spearman > 0.98
    assert bad.spearman < -0.98
    assert good.regret < 0.05
    assert good.top3 == 1
    assert good.p < 0.01
    assert bad.p < 0.01
    assert bad.regret == pytest.approx(np.mean([b.gain.max() - b.gain.min() for b in blocks]), abs=0.1)
    assert good.ceiling > 0.98
    assert good.without_teacher[0] > 0.95
    assert good.without_student[0] > 0.95
    assert (good.blocks, good.teachers) == (6, 12)


def test_chance_is_found_five_times_in_a_hundred():
    p = [judge(simulate(0.0, teachers=8, blocks=2, seed=seed), ["e"], draws=200, seed=seed)[0].p for seed in range(100)]
    assert 0.005 <= np.mean(np.array(p) <= 0.05) <= 0.12
    assert 0.4 < np.mean(p) < 0.6


def test_intervals_hold_the_truth_and_those_over_cells_do_not():
    """Cells repeat teachers: resampling blocks instead of teachers gives an interval several times too narrow."""
    truth = 6 / math.pi * math.asin(0.6 / math.sqrt(1 + 0.3**2 / 4) / 2)
    ours, cells = [], []
    for seed in range(40):
        blocks = simulate(0.6, seed=seed)
        verdict = judge(blocks, ["e"], draws=200, seed=seed)[0]
        ours.append(verdict.low <= truth <= verdict.high)
        rho = np.array([spearman(block.scores["e"], block.gain) for block in blocks])
        draws = np.random.default_rng(seed).integers(len(rho), size=(200, len(rho)))
        low, high = bounds(rho[draws].mean(1))
        cells.append(low <= truth <= high)
    assert np.mean(ours) >= 0.88
    assert np.mean(cells) < 0.6


def test_one_resample_of_teachers_serves_every_block():
    blocks = simulate(0.5, blocks=2)
    same = [blocks[0], blocks[0]]
    teachers = list(blocks[0].teachers)
    weights = draw_teachers(12, 50)
    assert resample(same, "e", teachers, weights) == pytest.approx(resample(same[:1], "e", teachers, weights))
    assert permute(same, "e", teachers, 50) == pytest.approx(permute(same[:1], "e", teachers, 50))


def test_permuted_teachers_give_zero():
    for truth in (0.0, 0.95):
        verdict = judge(simulate(truth), ["e"], draws=3000)[0]
        assert abs(verdict.null) < 0.02
    critical = np.quantile(
        [abs(spearman(np.arange(8), np.random.default_rng(k).permutation(8))) for k in range(4000)], 0.95
    )
    one = judge(simulate(0.5, teachers=8, blocks=1), ["e"], draws=4000)[0]
    assert one.visible == pytest.approx(critical, abs=0.04)  # .71 with eight teachers


def test_a_nasty_teacher_must_come_last_and_is_not_counted():
    blocks = simulate(0.9)
    with_nasty = []
    for block in blocks:
        names = (*block.teachers, "nasty")
        scores = {"e": np.append(block.scores["e"], -9.0), "blind": np.append(block.scores["e"], 9.0)}
        with_nasty.append(
            Block(block.student, block.data, block.method, names, np.vstack([block.gains, np.full(4, -20.0)]), scores)
        )
    seeing, blind = judge(with_nasty, ["e", "blind"], nasty=["nasty"], draws=100)
    assert seeing.nasty_last == 1
    assert blind.nasty_last == 0
    plain = judge(blocks, ["e"], draws=100)[0]
    assert seeing.spearman == pytest.approx(plain.spearman)  # one bad teacher would make anything look good
    assert math.isnan(plain.nasty_last)
    counted = judge(with_nasty, ["e"], draws=100)[0]
    assert counted.spearman > plain.spearman


def test_the_bar_is_half_the_regret_of_accuracy_and_no_more_than_a_pilot_s():
    names = tuple("abcdef")
    gain = np.arange(6.0)

    def verdict(first, accuracy, pilot):
        def pick(teacher):
            score = np.zeros(6)
            score[teacher] = 1
            return score

        scores = {"e": pick(first), "accuracy": pick(accuracy), "pilot_gain": pick(pilot)}
        return judge([Block("s", "d", "m", names, gain[:, None], scores)], ["e"], draws=50)[0]

    assert verdict(4, 3, 3).passes  # regret 1 against 2 and 2
    assert not verdict(3, 3, 3).passes
    assert not verdict(4, 3, 5).passes  # the pilot has none
    assert not verdict(5, 5, 5).passes  # accuracy has none: there is nothing to halve
    assert not verdict(0, 0, 0).passes


def test_regrets_are_compared_on_the_same_teachers():
    """Accuracy and the pilot cost much where they are hard to follow; a block without them must not hide that."""
    names = tuple("abcdef")
    gain = np.arange(6.0)

    def pick(teacher, *absent):
        score = np.zeros(6)
        score[teacher] = 1
        score[list(absent)] = np.nan
        return score

    def block(method, **scores):
        return Block("s", "d", method, names, gain[:, None], scores)

    whole = block("m", e=pick(4), accuracy=pick(3), pilot_gain=pick(3))  # regret 1 against 2 and 2
    bare = block("n", e=pick(0))  # regret 5, against nothing
    assert judge([whole], ["e"], draws=50)[0].passes
    both = judge([whole, bare], ["e"], draws=50)[0]
    assert (both.regret, both.regret_accuracy, both.regret_pilot, both.blocks) == (1, 2, 2, 2)
    assert both.passes
    alone = judge([bare], ["e"], draws=50)[0]
    assert alone.regret == 5
    assert math.isnan(alone.regret_accuracy)
    assert not alone.passes
    # f has other classes, so no accuracy: the best of the others is e, one point over d
    part = judge([block("m", e=pick(4), accuracy=pick(3, 5))], ["e"], draws=50)[0]
    assert (part.regret, part.regret_accuracy) == (0, 1)
    assert math.isnan(part.regret_pilot)
    assert part.passes


def test_beats_accuracy_only_beyond_doubt():
    blocks = simulate(0.95, teachers=16)
    draw = np.random.default_rng(9)
    junk = draw.normal(size=16)
    for block in blocks:
        block.scores["accuracy"] = junk
        block.scores["same"] = junk
    good, same = judge(blocks, ["e", "same"], draws=400)
    assert good.beats_accuracy
    assert good.surely_above < good.above_accuracy[0]  # whoever names the best has picked it among all
    weights = draw_teachers(16, 400)
    names = blocks[0].teachers
    ahead = resample(blocks, "e", names, weights) - resample(blocks, "accuracy", names, weights)
    count = sum(cls.kind == "estimator" for cls in all_estimators().values())
    assert count == 12
    assert good.surely_above == bounds(ahead, LEVEL / count)[0]  # Bonferroni over all that could have been named
    assert not same.beats_accuracy
    assert same.above_accuracy == (0, 0)


def test_a_score_that_only_repeats_accuracy_is_shown_as_such():
    blocks = simulate(0.0, teachers=30, noise=0.5)
    draw = np.random.default_rng(4)
    for block in blocks:
        block.scores["accuracy"] = block.gain + 0.3 * draw.normal(size=30)
        block.scores["e"] = block.scores["accuracy"] + 0.3 * draw.normal(size=30)
        block.scores["size"] = draw.normal(size=30)
    verdict = judge(blocks, ["e"], draws=50)[0]
    assert verdict.spearman > 0.7
    assert abs(verdict.partial) < verdict.spearman / 2  # ranks are not linear in each other: not 0 exactly


def test_refused_scores_leave_their_teachers_out_and_holm_counts_the_survey_alone():
    blocks = simulate(0.8)
    for block in blocks:
        block.scores["headroom"] = block.scores["e"].copy()
        block.scores["headroom"][:3] = np.nan
        block.scores["cka"] = np.full(12, np.nan)
        block.scores["margin"] = np.random.default_rng(5).normal(size=12)
    found = {v.name: v for v in judge(blocks, ["headroom", "cka", "margin", "e"], draws=300)}
    assert set(found) == {"headroom", "margin", "e"}
    assert found["headroom"].teachers == 9
    assert found["e"].p_holm is None
    assert found["headroom"].p_holm == pytest.approx(min(1, 2 * found["headroom"].p))


def test_too_few_teachers_are_refused():
    with pytest.raises(AlambicError, match="at least 4 teachers"):
        judge(simulate(0.5, teachers=3), ["e"])


# -- the fitted composite --------------------------------------------------------------------------------------------


def test_ridge_is_that_of_a_loop():
    draw = np.random.default_rng(6)
    x = draw.normal(size=(20, 3))
    y = x @ np.array([1.0, -1, 0.5]) + draw.normal(size=20)

    def solve(rows, target, penalty):
        stacked = np.vstack([rows, math.sqrt(penalty * 20) * np.eye(3)])
        return np.linalg.lstsq(stacked, np.append(target, np.zeros(3)), rcond=None)[0]

    errors = {}
    for penalty in (0.1, 0.3, 1.0, 3.0, 10.0, 30.0):
        kept = [np.arange(20) != i for i in range(20)]
        errors[penalty] = np.mean([(y[i] - x[i] @ solve(x[k], y[k], penalty)) ** 2 for i, k in enumerate(kept)])
    assert fit_ridge(x, y) == pytest.approx(solve(x, y, min(errors, key=errors.get)))


def test_fitted_finds_what_is_there_and_a_model_never_sees_whom_it_scores():
    blocks = simulate(0.9, teachers=14, more=6)
    names = ["e", *[f"x{k}" for k in range(6)]]
    scored = add_fitted(blocks, names)
    assert judge(scored, ["ridge_new_teacher"], draws=100)[0].spearman > 0.6
    assert judge(scored, ["ridge_new_student"], draws=100)[0].spearman > 0.6
    changed = []
    for block in blocks:
        gains = block.gains.copy()
        gains[5] += 100
        changed.append(Block(block.student, block.data, block.method, block.teachers, gains, block.scores))
    before, after = predict_left_out(blocks, names, "teacher"), predict_left_out(changed, names, "teacher")
    assert all(a[5] == pytest.approx(b[5]) for a, b in zip(before, after, strict=True))
    assert any(a[4] != pytest.approx(b[4]) for a, b in zip(before, after, strict=True))


def test_fitting_noise_gives_nothing_where_seeing_the_answers_would():
    leaky, honest = [], []
    for seed in range(12):
        blocks = simulate(0.0, teachers=10, blocks=2, more=8, seed=seed)
        names = ["e", *[f"x{k}" for k in range(8)]]
        for block, scores in zip(blocks, predict_left_out(blocks, names, "teacher"), strict=True):
            honest.append(spearman(scores, block.gain))
            x = np.column_stack([standardise(block.scores[name]) for name in names])
            leaky.append(spearman(x @ fit_ridge(x, standardise(block.gain)), block.gain))
    assert np.mean(leaky) > 0.5
    assert abs(np.mean(honest)) < 0.3


def test_chance_of_the_fitted_is_measured_by_fitting_again():
    p = [
        permute_fitted(simulate(0.0, teachers=8, blocks=2, more=2, seed=s), ["e", "x0", "x1"], "teacher", 30).p
        for s in range(12)
    ]
    assert np.mean(np.array(p) <= 0.05) <= 0.2
    sure = permute_fitted(simulate(0.95, blocks=3, more=2), ["e", "x0", "x1"], "teacher", 60)
    assert sure.rho > 0.6
    assert sure.p < 0.05


def test_a_model_for_a_new_student_remembers_teachers_by_estimators_that_say_nothing():
    """Its chance level lies above zero where teachers give the same to every student, and only there."""
    names = ["e", *[f"x{k}" for k in range(8)]]
    alike = simulate(0.0, teachers=14, blocks=3, more=8)
    chance = permute_fitted(alike, names, "student", 60)
    assert chance.null > 0.3
    assert chance.visible > 1.2 * judge(alike, ["e"], draws=400)[0].visible
    nulls = []
    for seed in range(8):
        foreign = [
            dataclasses.replace(block, gains=simulate(0.0, teachers=14, blocks=1, seed=50 + 3 * seed + k)[0].gains)
            for k, block in enumerate(alike)
        ]
        nulls.append(permute_fitted(foreign, names, "student", 20).null)
    assert abs(np.mean(nulls)) < 0.1


def test_the_verdict_on_a_fitted_score_has_the_chance_of_its_own_refits():
    names = ("headroom", "cka", "margin", "kernel", "logme", "locality", "absorbable", "calibration")
    blocks = []
    for block in simulate(0.0, teachers=14, blocks=3, more=8):
        scores = {name: block.scores[f"x{k}"] for k, name in enumerate(names)}
        blocks.append(dataclasses.replace(block, scores=scores))
    found = {verdict.name: verdict for verdict in judge_all(blocks, draws=200, refits=40)}
    chance = permute_fitted(blocks, [name for name in found if name in names], "student", 40)
    fitted = found["ridge_new_student"]
    assert (fitted.null, fitted.visible, fitted.p) == (chance.null, chance.visible, chance.p)
    assert not fitted.centred
    assert all(found[name].centred for name in names)


def test_gains_with_other_students_are_means_over_their_blocks_of_the_same_data():
    def block(student, data, method, **gains):
        return Block(student, data, method, tuple(gains), np.array(list(gains.values()))[:, None] * np.ones(2), {})

    blocks = [
        block("s", "d", "kd", a=1.0, b=2.0, c=3.0),
        block("u", "d", "kd", a=4.0, b=6.0),
        block("u", "d", "vkd", a=0.0, b=2.0),
        block("u", "else", "kd", a=99.0, b=99.0, c=99.0),
    ]
    first, second, third, alone = add_others(blocks)
    assert first.scores["other_students"].tolist()[:2] == [2, 4]
    assert first.scores["other_students_method"].tolist()[:2] == [4, 6]
    assert math.isnan(first.scores["other_students"][2])
    assert second.scores["other_students"].tolist() == [1, 2]
    assert third.scores["other_students_method"].tolist() == [1, 2]  # nobody else had vkd
    assert np.isnan(alone.scores["other_students"]).all()
    assert set(add_others([blocks[0], blocks[1]])[0].scores) == {"other_students"}  # one method: they are the same
    assert add_others([blocks[0]])[0].scores == {}


def test_a_fitted_score_that_loses_as_much_as_memory_misses_the_bar():
    names, gain = tuple("abcdef"), np.arange(6.0)

    def verdict(first, other, others=("other_students",)):
        def pick(teacher):
            return np.eye(6)[teacher]

        scores = {"f": pick(first), "accuracy": pick(1), "other_students": pick(other)}
        return judge([Block("s", "d", "m", names, gain[:, None], scores)], ["f"], draws=50, others=others)[0]

    assert verdict(4, 3).passes  # regret 1 against 2 and, for accuracy, 4
    assert not verdict(4, 4).passes
    assert not verdict(4, 5).passes
    assert verdict(4, 4).regret_others == 1
    assert math.isnan(verdict(4, 4, ()).regret_others)  # what was not fitted has no such rival
    assert verdict(4, 4, ()).passes


def test_blocks_that_lack_teachers_still_share_one_permutation():
    orders = np.random.default_rng(0).random((50, 7)).argsort(1)
    assert (step_over(orders, range(7)) == orders).all()
    kept = [0, 2, 3, 6]
    for order, found in zip(orders, step_over(orders, kept), strict=True):
        assert sorted(found) == [0, 1, 2, 3]
        for place, target in zip(kept, found, strict=True):
            if order[place] in kept:
                assert kept[target] == order[place]


def test_students_left_out_need_another_student():
    blocks = [b for b in simulate(0.9) if b.student == "s0"]
    assert all(np.isnan(scores).all() for scores in predict_left_out(blocks, ["e"], "student"))


def test_every_pair_of_blocks_shares_its_teachers_order():
    """A permutation of teachers is one of all blocks, also where a block lacks some."""
    blocks = simulate(0.5, blocks=2)
    half = blocks[1].keep(blocks[1].teachers[:6])
    teachers = list(blocks[0].teachers)
    values = permute([half], "e", teachers, 2000)
    exact = [spearman(half.scores["e"][list(order)], half.gain) for order in itertools.permutations(range(6))]
    assert np.std(values) == pytest.approx(np.std(exact), rel=0.06)
