"""Gains from a ledger that has grown: stale versions, several baselines, and old scorecards beside new ones."""

import dataclasses
import itertools
import types

import numpy as np
import pytest

from alambic.suitability.advice import advise
from alambic.suitability.ask_families import ask_families, gather_taught
from alambic.suitability.gains import COMPOSITES, Gains, find_taught_by, make_blocks, measure_gains
from alambic.suitability.judge import judge
from alambic.suitability.scorecard import Scorecard
from alambic.suitability.wording import tell_gains


def row(teacher, seed, score, arm=None, **content):
    """A finished cell: kd from a teacher, or the student alone."""
    name = "none" if teacher is None else "kd"
    whole = {
        "student": "s",
        "teacher": teacher,
        "seed": seed,
        "arm": {"name": name, "methods": [name], "modifiers": [], **(arm or {})},
        "data": {"source": "d", "train_images": 100, "split_hash": "split"},
        "recipe": {"epochs": 3},
        "methods": {name: "file 1"},
        **({} if teacher is None else {"teacher_hash": f"hash of {teacher}"}),
        **content,
    }
    return types.SimpleNamespace(content=whole, numbers={"test": score})


def card(teacher, count=1, **changed):
    values = {name: float(k) for k, name in enumerate(("headroom", "margin", "cka", "accuracy", "size")[:count])}
    return dataclasses.replace(
        Scorecard(teacher, f"hash of {teacher}", "vit", "labels", 10, "s", "d 100", "split", values), **changed
    )


def told(gains):
    return [(g.method, {t: {s: round(v, 6) for s, v in own.items()} for t, own in g.gains.items()}) for g in gains]


ALONE = [row(None, seed, 0.5) for seed in (0, 1)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"arm": {"settings": {"kd": {"temperature": 1.0}}}}, {"arm": {"settings": {"kd": {"temperature": 9.0}}}}),
        ({"methods": {"kd": "file 1"}}, {"methods": {"kd": "file 2"}}),
    ],
    ids=["settings", "file"],
)
def test_versions_of_an_arm_stand_apart_whatever_the_order_of_rows(first, second):
    old = [row(t, seed, 0.6, **first) for t in "ab" for seed in (0, 1)]
    new = [row(t, seed, 0.4, **second) for t in "ab" for seed in (0, 1)]
    both = {t: {0: 10.0, 1: 10.0} for t in ("hash of a", "hash of b")}
    lost = {t: {0: -10.0, 1: -10.0} for t in both}
    for parts in itertools.permutations([ALONE, old, new]):
        assert told(measure_gains(itertools.chain(*parts), "test")) == [("kd", both), ("kd (2)", lost)]


def test_what_only_names_a_cell_makes_no_version():
    """A renamed teacher, its card, the images of its test, an older ledger without newer fields: one arm."""
    rows = [
        *ALONE,
        row("a", 0, 0.6, tested=True, teacher_score=0.9),
        row("b", 0, 0.6, tested=False, teacher_input={"size": 32}, arm={"treatments": [], "balance": None}),
        row("a", 1, 0.7, tested=True, teacher_score=0.8, purpose="claim"),
    ]
    rows[-1].content["teacher"] = "renamed"
    assert told(measure_gains(rows, "test")) == [("kd", {"hash of a": {0: 10.0, 1: 20.0}, "hash of b": {0: 10.0}})]


def test_settings_that_are_fitted_to_each_teacher_make_no_version():
    def taught(teacher, temperature):
        arm = {"modifiers": ["calibrated_temperature"]}
        arm["modifier_settings"] = {"calibrated_temperature": {"temperature": temperature}}
        return row(teacher, 0, 0.6, arm=arm)

    (found,) = measure_gains([*ALONE, taught("a", 2.0), taught("b", 3.0)], "test")
    assert set(found.gains) == {"hash of a", "hash of b"}


def test_one_teacher_at_two_sizes_is_never_one():
    rows = [*ALONE, row("a", 0, 0.6), row("a", 0, 0.7, teacher_input={"size": 224}), row("b", 0, 0.8)]
    rows[-2].content["teacher"] = "a at 224"
    for order in (rows, rows[::-1]):
        first, second = measure_gains(order, "test")
        assert set(first.gains) == {"hash of a", "hash of b"}
        assert {first.names["hash of a"], second.names["hash of a"]} == {"a", "a at 224"}
        assert told([first, second])[first.names["hash of a"] == "a"][1]["hash of a"] == {0: 20.0}
        for given in (first, second):
            cards = [card("a", 3), card("a at 224", 2, hash="hash of a"), card("b")]
            (block,) = make_blocks(cards, [given])
            assert given.names["hash of a"] in block.teachers


def test_the_baseline_is_the_better_plain_arm_whatever_the_order_of_rows():
    """Never a mix of two by seed: `none`, and `none` with a learning rate of its own under the shared recipe."""
    own = {"recipe": {"epochs": 3, "lr": 1}, "shared_recipe": {"epochs": 3}, "arm": {"recipe": {"lr": 1}}}
    better = [row(None, seed, value, **own) for seed, value in ((0, 0.45), (1, 0.57))]
    kd = [row("a", seed, 0.6) for seed in (0, 1)]
    for parts in itertools.permutations([ALONE, better, kd]):
        (found,) = measure_gains(itertools.chain(*parts), "test")
        assert found.gains["hash of a"] == {0: pytest.approx(15), 1: pytest.approx(3)}


def test_one_lucky_seed_is_no_baseline():
    """Of versions with as many seeds the better one is, by the seeds that they share."""
    kd = [row("a", seed, 0.6) for seed in (0, 1, 2)]
    lucky = row(None, 0, 0.9, methods={"none": "file 2"})
    (found,) = measure_gains([*ALONE, lucky, *kd], "test")
    assert found.gains["hash of a"] == {0: pytest.approx(10), 1: pytest.approx(10)}
    (found,) = measure_gains([lucky, *kd], "test")
    assert found.gains["hash of a"] == {0: pytest.approx(-30)}
    other = [row(None, seed, value, methods={"none": "file 2"}) for seed, value in ((1, 0.45), (2, 0.95))]
    (found,) = measure_gains([*ALONE, *other, *kd], "test")  # on seed 1, which both have, it is the worse one
    assert set(found.gains["hash of a"]) == {0, 1}


def test_the_student_alone_may_leave_out_the_images_without_a_label():
    """It stands beside arms that see them: images and epochs of its study are theirs. No other treatment is so."""
    whole = {"source": "d", "train_images": 100, "split_hash": "split"}
    few = whole | {"train_images": 10}
    own = {"data": few, "shared_data": whole, "recipe": {"epochs": 30}, "shared_recipe": {"epochs": 3}}
    kd = row("a", 0, 0.6, data=whole, recipe={"epochs": 3})
    for treatment, gain in (("labelled_only", {0: pytest.approx(20.0)}), ("longer_schedule", None)):
        alone = row(None, 0, 0.4, arm={"treatments": [treatment]}, **own)
        found = [given.gains["hash of a"] for given in measure_gains([alone, kd], "test")]
        assert found == ([gain] if gain else [])


def test_a_student_whose_code_changed_is_another_one():
    rows = [row(None, 0, 0.5, student_code="1"), row(None, 0, 0.2, student_code="2")]
    rows += [row("a", 0, 0.6, student_code="1"), row("a", 0, 0.6, student_code="2")]
    expected = [("kd", {"hash of a": {0: 10.0}}), ("kd (2)", {"hash of a": {0: 40.0}})]
    assert told(measure_gains(rows, "test")) == told(measure_gains(rows[::-1], "test")) == expected


# -- which scorecard is judged ---------------------------------------------------------------------------------------

GIVEN = Gains("s", "d 100", "split", "kd", {"hash of a": {0: 1.0}}, {"hash of a": "a"})


def chosen(*cards):
    """(headroom, number of scores) of the card that a block and the family question see; None without one."""
    blocks = make_blocks(cards, [GIVEN])
    taught = gather_taught(cards, [GIVEN], (), ("headroom",))
    assert len(blocks) == len(taught)
    return (taught[0].covariates[0], len(set(blocks[0].scores) - set(COMPOSITES))) if taught else None


def test_a_poorer_scorecard_never_replaces_a_fuller_one():
    full, poor = card("a", 3), card("a", values={"headroom": 9.0}, refused={"margin": "over the budget"})
    assert chosen(full, poor) == chosen(poor, full) == (0.0, 3)


def test_of_equally_full_scorecards_the_latest_is_taken():
    other = card("a", values={"headroom": 7.0})
    assert chosen(card("a"), other) == (7.0, 1)
    assert chosen(other, card("a")) == (0.0, 1)


def test_scorecards_of_other_images_are_not_joined():
    other = card("a", 5, data="d 50")
    assert chosen(other) is None
    assert chosen(card("a"), other) == (0.0, 1)
    pool = advise([card(t, values={"headroom": float(k), "accuracy": float(k)}) for k, t in enumerate("abcdef")])
    gains = dataclasses.replace(GIVEN, gains={f"hash of {t}": {0: float(k)} for k, t in enumerate("abcdef")})
    few = "the ledgers have under four other teachers"
    assert few not in tell_gains(pool[0], pool, [gains])[0]
    assert few in tell_gains(pool[0], pool, [dataclasses.replace(gains, data="d 50")])[0]


def test_a_nasty_teacher_that_teaches_is_no_control():
    """By hand: it gives least in the first block alone."""
    names = {"h a": "a", "h b": "b", "h n": "n"}
    first = Gains("s", "d", "x", "kd", {"h a": {0: 1.0, 1: 2.0}, "h b": {0: 3.0}, "h n": {0: 1.0}}, names)
    second = dataclasses.replace(first, method="rsd", gains={**first.gains, "h n": {0: 2.0, 1: 4.0}})
    assert find_taught_by([first], ["n", "not measured"]) == {"n": (1.0, True)}
    assert find_taught_by([first, second], ["n"]) == {"n": (2.0, False)}
    assert find_taught_by([first], []) == {}


def test_a_block_has_the_seeds_that_most_of_its_teachers_have():
    seeds = {"a": 10, "b": 10, "c": 5, "d": 5}
    gains = {f"hash of {t}": dict.fromkeys(range(count), 1.0) for t, count in seeds.items()}
    given = dataclasses.replace(GIVEN, gains=gains, names={f"hash of {t}": t for t in seeds})
    (block,) = make_blocks([card(t) for t in seeds], [given])
    assert (block.teachers, block.gains.shape) == (("a", "b", "c", "d"), (4, 5))


def test_a_control_moves_no_honest_teacher_s_score():
    """The pool's mean, spread and median are the honest teachers'; the control is scored beside them, for the judge."""
    names = [*"abcd", "nasty"]
    values = dict(zip(names, (1.0, 2.0, 4.0, 7.0, -90.0), strict=True))
    cards = [card(t, values={"headroom": v, "calibration": v, "accuracy": v}) for t, v in values.items()]
    gains = {f"hash of {t}": {0: 1.0} for t in names}
    given = dataclasses.replace(GIVEN, gains=gains, names={f"hash of {t}": t for t in names})
    fewer = dataclasses.replace(given, gains={k: v for k, v in gains.items() if k != "hash of nasty"})
    (whole,), (alone,) = make_blocks(cards, [given], {"nasty"}), make_blocks(cards, [fewer])
    assert set(whole.scores) == set(alone.scores)
    for name, score in alone.scores.items():
        assert whole.keep("abcd").scores[name] == pytest.approx(score), name
        assert np.isfinite(whole.keep(["nasty"]).scores[name]).all()


def test_two_teachers_of_one_name_are_told_apart():
    """One that was trained again under its old name is another teacher: a bootstrap over names would mix both."""
    names = {"hash of a": "a", "other hash": "a", "hash of b": "b"}
    given = dataclasses.replace(GIVEN, gains={key: {0: 1.0} for key in names}, names=names)
    (block,) = make_blocks([card("a"), card("a", hash="other hash"), card("b")], [given])
    assert sorted(block.teachers) == ["a (hash o)", "a (other )", "b"]


def test_controls_are_left_out_by_name_however_many_weights_bear_it():
    """Trained again under its old name, a nasty teacher is still one: neither is ranked, both must come last."""
    values = {"a": 1.0, "b": 2.0, "c": 4.0, "d": 7.0, "x": -9.0, "y": -8.0}
    cards = [card("nasty" if t in "xy" else t, hash=t, values={"accuracy": v}) for t, v in values.items()]
    gains = {t: {0: v, 1: v + 1} for t, v in values.items()}
    given = dataclasses.replace(GIVEN, gains=gains, names={c.hash: c.teacher for c in cards})
    (block,) = make_blocks(cards, [given], {"nasty"})
    assert block.teachers == ("a", "b", "c", "d", "nasty (x)", "nasty (y)")
    verdict = judge([block], ["accuracy"], nasty=["nasty"], draws=50)[0]
    assert (verdict.teachers, verdict.nasty_last) == (4, 1)
    assert judge([block], ["accuracy"], controls=["nasty"], draws=50)[0].teachers == 4
    first = judge([dataclasses.replace(block, scores={"accuracy": np.arange(6.0)})], ["accuracy"], (), ["nasty"], 50)
    assert first[0].nasty_last == 0
    assert find_taught_by([given], ["nasty"]) == {"nasty": (-8.0, True)}
    better = dataclasses.replace(given, gains={**gains, "x": {0: 99.0}})  # one of both taught: no control
    assert not find_taught_by([better], ["nasty"])["nasty"][1]


def test_two_weights_of_one_name_are_two_teachers_of_the_family_question():
    """Each has its own random intercept, accuracy and provenance, under the same label in every block."""
    cards = [card("a", hash=key, values={"accuracy": v}) for key, v in (("first", 0.9), ("second", 0.1))]
    alone = dataclasses.replace(GIVEN, method="vkd", gains={"first": {0: 2.0}}, names={"first": "a"})
    both = dataclasses.replace(
        GIVEN, gains={"first": {0: 1.0}, "second": {0: -5.0}}, names={c.hash: "a" for c in cards}
    )
    rows = gather_taught(cards, [both, alone], (), ("accuracy",))
    assert [(row.teacher, row.gain, row.covariates) for row in rows] == [
        ("a (first)", 1.0, (0.9,)),
        ("a (second)", -5.0, (0.1,)),
        ("a (first)", 2.0, (0.9,)),
    ]
    assert [block.teachers for block in make_blocks(cards, [both, alone])] == [
        ("a (first)", "a (second)"),
        ("a (first)",),
    ]
    assert [row.gain for row in gather_taught(cards, [both], {"second"}, ())] == [1.0]


def test_the_family_question_leaves_out_a_control_of_two_weights():
    families = {
        "a": "vit",
        "b": "vit",
        "c": "vit",
        "d": "resnet",
        "e": "resnet",
        "f": "resnet",
        "x": "mixer",
        "y": "mixer",
    }
    cards = [
        card("nasty" if key in "xy" else key, hash=key, family=family, values={"accuracy": ord(key) / 200})
        for key, family in families.items()
    ]
    gains = {c.hash: {0: float(ord(c.hash) % 5)} for c in cards}
    given = dataclasses.replace(GIVEN, gains=gains, names={c.hash: c.teacher for c in cards})
    case = next(case for case in ask_families(cards, [given], {"nasty"}) if case.main)
    assert case.answer is not None
    assert case.answer.teachers == 6
