"""``alambic teachers rank`` and ``judge`` as a person types them; prices, advice, gains, scorecards."""

import argparse
import contextlib
import dataclasses
import io
import json
import math
import re
import shutil
import types

import numpy as np
import pytest

from alambic.cli_suitability import add_commands, read_gains
from alambic.errors import AlambicError
from alambic.methods import all_methods
from alambic.study import pilot
from alambic.study.ledger import Ledger, Row
from alambic.study.study_file import read_study
from alambic.suitability import all_estimators, evidence, ranking
from alambic.suitability.advice import LOSSES, advise, choose_order, expect_gain, suggest_loss
from alambic.suitability.fitted import judge_all
from alambic.suitability.gains import choose_number, compare_rankings, make_blocks, measure_gains
from alambic.suitability.judge import Block
from alambic.suitability.judgement import JUDGED, Judgement, load_judgement, pass_judgement, save_judgement
from alambic.suitability.pilot import Trial
from alambic.suitability.prices import quote, spend
from alambic.suitability.scorecard import Scorecard, load_scorecards, make_key, save_scorecards
from alambic.suitability.verdict import Verdict
from alambic.training.task import evaluate_metric
from report_ledger import make_ledger

STUDY = """
name = "small"
purpose = "explore"
students = ["dscnn_8x2"]
methods = ["none", "kd"]

[data]
source = "images.npz"
tune = 80

[views]
count = 2
flip = true

[recipe]
epochs = 4
batch = 32
lr = 0.05

[teachers.small]
net = "zoo:resnet8_w4"
[teachers.small.recipe]
epochs = 1
[teachers.wide]
net = "zoo:dscnn_12x2"
[teachers.wide.recipe]
epochs = 1
[teachers.patches]
net = "timm:vit_tiny_patch16_224"
kwargs = { img_size = 16, patch_size = 4, embed_dim = 24, depth = 2, num_heads = 2 }
[teachers.patches.recipe]
epochs = 1
"""


def command(*arguments):
    parser = argparse.ArgumentParser()
    add_commands(parser.add_subparsers(required=True))
    options = parser.parse_args([str(argument) for argument in arguments])
    return options.run(options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("rank")
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 3, 400)
    images = draw.integers(0, 60, (400, 16, 16)).astype(np.uint8)
    for label, step in ((1, (slice(None, None, 2), slice(None))), (2, (slice(None), slice(None, None, 2)))):
        rows = images[labels == label]
        rows[(slice(None), *step)] += 120
        images[labels == label] = rows
    np.savez(place / "images.npz", x_train=images[:340], y_train=labels[:340], x_test=images[340:], y_test=labels[340:])
    (place / "study.toml").write_text(STUDY.replace("images.npz", str(place / "images.npz")))
    return place


@pytest.fixture(scope="module")
def ranked(folder):
    """The first run: its output, and where the scorecards are."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        assert command("rank", folder / "study.toml", "--out", folder / "out", "--images", 60, "--warm-up", 1) == 0
    return told.getvalue(), folder / "out" / "suitability.json"


def test_prices_come_before_anything_is_collected(ranked):
    text, _ = ranked
    assert (
        text.index("prices before anything is collected, 3 teachers x 1 students")
        < text.index("warmed up")
        < text.index("by accuracy, highest first")
    )
    assert "the test split is not read" in text
    assert "warning: 2,000 are wanted" in text


def test_every_teacher_is_told_in_full(ranked):
    text, path = ranked
    for name in ("small", "wide", "patches"):
        assert f"  {name} (" in text
    assert len(re.findall(r"expected gain: kd [+-]\d+\.\d \[.*\] points, by what teachers .*; no ledger", text)) == 3
    assert text.count("calibrated temperature: ") == text.count("class of loss: ") == text.count("     for: ") == 3
    cards = load_scorecards(path)
    assert {card.teacher for card in cards} == {"small", "wide", "patches"}
    for card in cards:
        assert set(card.values) | set(card.refused) >= set(all_estimators())
        assert not card.refused, card.refused
        assert card.images == 60


def test_what_is_there_is_not_computed_again_unless_the_question_changes(ranked, folder, monkeypatch, capsys):
    def fail(*args, **kwargs):
        raise AssertionError("computed again")

    monkeypatch.setattr(ranking, "collect_teacher", fail)
    monkeypatch.setattr(ranking, "collect_student", fail)
    arguments = ("rank", folder / "study.toml", "--out", folder / "out", "--images", 60)
    assert command(*arguments, "--warm-up", 1) == 0
    assert "nobody has judged it here" in capsys.readouterr().out
    with pytest.raises(AssertionError, match="computed again"):
        command(*arguments, "--warm-up", 2)


def test_one_estimator_is_measured_anew_and_the_others_are_taken_over(ranked, folder, tmp_path, capsys):
    """What was forged in the file comes back true for the named estimator and its variants, and for no other."""
    whole = load_scorecards(ranked[1])
    path = tmp_path / "suitability.json"
    arguments = ("rank", folder / "study.toml", "--out", tmp_path, "--images", 60, "--warm-up", 1, "--renew")
    forged = {"spectral_gap": 9.0, "spectral_gap.energy": 9.0, "spectral_gap.gone": 9.0, "cka": 9.0}
    save_scorecards(
        path, [dataclasses.replace(c, values={**c.values, **forged}, refused={"spectral_gap": "x"}) for c in whole]
    )
    assert command(*arguments, "spectral_gap.energy") == 0
    for old, new in zip(whole, load_scorecards(path), strict=True):
        assert new.values["spectral_gap.energy"] == pytest.approx(old.values["spectral_gap.energy"])
        assert (new.values["spectral_gap"], new.refused) == (9.0, {"spectral_gap": "x"})
    assert command(*arguments, "spectral_gap") == 0
    for old, new in zip(whole, load_scorecards(path), strict=True):
        assert new == dataclasses.replace(old, values=pytest.approx({**old.values, "cka": 9.0}))
    capsys.readouterr()
    with pytest.raises(AlambicError, match="need no pilot, got fidelity_slope"):
        command(*arguments, "fidelity_slope")
    save_scorecards(path, whole[1:])
    with pytest.raises(AlambicError, match=r"scorecard of teacher 'small' for student .*, got none"):
        command(*arguments, "spectral_gap")
    save_scorecards(path, [dataclasses.replace(card, values={**card.values, "headroom": 0.9}) for card in whole])
    with pytest.raises(AlambicError, match=r"expected headroom 0\.9000 of teacher 'small'"):
        command(*arguments, "spectral_gap")


def test_a_check_tries_each_teacher_as_a_ranking_does(ranked, folder, tmp_path, monkeypatch):
    out, tried = tmp_path / "out", []
    shutil.copytree(folder / "out" / "teachers", out / "teachers")  # they are trained

    def record(found):
        def run(student, teacher, target, source, views, recipe, task, train_ids, ids):
            found.append((teacher and teacher.name, recipe, train_ids.tolist()))
            return Trial((0.5, 0.4), 0.75 if teacher else 0.5)

        return run

    monkeypatch.setattr(pilot, "run_trial", record(tried))
    promises = pilot.pilot(read_study(folder / "study.toml"), out, print)
    assert {p.teacher: p.gain for p in promises} == dict.fromkeys(("small", "wide", "patches"), 25.0)
    assert [p.accuracy for p in promises] == sorted((p.accuracy for p in promises), reverse=True)
    assert {p.student for p in promises} == {read_study(folder / "study.toml").students[0]}
    asked = []
    monkeypatch.setattr(ranking, "run_trial", record(asked))
    command("rank", folder / "study.toml", "--out", out, "--images", 50, "--warm-up", 1)
    assert asked == tried
    assert [name for name, *_ in tried] == [None, "small", "wide", "patches"]


def test_teachers_are_ordered_by_accuracy_and_a_refuted_composite_is_said_to_be_one(ranked, folder, capsys):
    _, path = ranked
    cards = load_scorecards(path)
    wrong = Verdict("composite", 3, 14, -0.66, -0.88, -0.33, *[0.0] * 11, *[(0.0, 0.0)] * 3)
    save_judgement(path, cards, Judgement((wrong,), (), (), "gains"))
    assert command("rank", folder / "study.toml", "--out", folder / "out", "--images", 60, "--warm-up", 1) == 0
    text = capsys.readouterr().out
    assert "correlates with measured gains by -0.66 [-0.88, -0.33]; it ranks teachers the wrong way round" in text
    told = re.findall(r"^ +\d  (\w+) \(", text, re.MULTILINE)
    teaching = [card for card in cards if card.values["headroom"] > 0]
    accuracy = {card.teacher: card.values["accuracy"] for card in teaching}
    assert [accuracy[name] for name in told[: len(teaching)]] == sorted(accuracy.values(), reverse=True)
    save_scorecards(path, cards)


def test_where_one_class_is_rare_teachers_are_ranked_by_the_tasks_metric(folder, tmp_path, capsys, monkeypatch):
    asked = set()

    def measure(metric, *given):
        asked.add(metric)
        return evaluate_metric(metric, *given)

    monkeypatch.setattr(evidence, "evaluate_metric", measure)
    text = (folder / "study.toml").read_text().replace('["none", "kd"]', '["kd"]')
    task = 'classes = { rest = "*", hit = ["1"] }\n\n[task]\nmetric = "average_precision"\n\n[views]'
    text = re.sub(r"\[teachers.wide\].*", "", text.replace("[views]", task), flags=re.DOTALL)
    (tmp_path / "study.toml").write_text(text)
    assert command("rank", tmp_path / "study.toml", "--out", tmp_path / "out", "--images", 60, "--warm-up", 1) == 0
    assert "accuracy stands for the task's metric, average_precision" in capsys.readouterr().out
    assert asked == {"average_precision"}


def test_a_budget_leaves_out_the_dearest_with_a_reason(folder, capsys):
    arguments = ("--out", folder / "poor", "--images", 60, "--warm-up", 1, "--budget", 0)
    assert command("rank", folder / "study.toml", *arguments) == 0
    text = capsys.readouterr().out
    assert "left out: over the budget" in text
    assert re.search(r"without .*E12 pilot_gain: its price of", text)
    assert "E10 kernel alignment" not in text
    assert "E3 centred top-2 margin" in text


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (("dscnn_8x2", "dscnn_8x2"), ("--student", "resnet8_w8"), "expected students out of"),
        (('methods = ["none", "kd"]', 'methods = ["none"]'), ("--warm-up", 0), "at least 1"),
        (("[teachers", "[[arms]]\nmethod = 'none'\nname = 'x'\n[unknown"), (), "unknown key"),
    ],
)
def test_refusals(folder, tmp_path, change, options, said):
    (tmp_path / "study.toml").write_text((folder / "study.toml").read_text().replace(*change))
    with pytest.raises(AlambicError, match=said):
        command("rank", tmp_path / "study.toml", *options)


# -- gains and the judge's command -----------------------------------------------------------------------------------


def row(student, teacher, seed, score, arm="kd", **content):
    methods = ["none"] if teacher is None else [arm]
    data = {"source": "d", "train_images": 100, "split_hash": "split"}
    whole = {
        "student": student,
        "teacher": teacher,
        "teacher_hash": f"hash of {teacher}",
        "seed": seed,
        "arm": {"name": arm if teacher else "none", "methods": methods, "modifiers": []},
        "data": data,
        "recipe": {"epochs": 3},
        **content,
    }
    return types.SimpleNamespace(content=whole, numbers={"test": score})


def card(teacher, student="s", **values):
    return Scorecard(teacher, f"hash of {teacher}", "vit", "labels", 10, student, "d 100", "split", values)


def test_gains_are_paired_by_seed_and_setting():
    rows = [row("s", None, seed, 0.50 + 0.01 * seed) for seed in (0, 1, 2)]
    rows += [row("s", "a", seed, 0.53 + 0.02 * seed) for seed in (0, 1)]
    rows += [
        row("s", "a", 7, 0.99),
        row("s", "a", 0, 0.9, recipe={"epochs": 9}),
    ]  # no twin: another seed, another recipe
    (found,) = measure_gains(rows, "test")
    assert (found.student, found.data, found.method) == ("s", "d 100", "kd")
    assert found.gains == {"hash of a": {0: pytest.approx(3), 1: pytest.approx(4)}}


def test_a_treated_student_alone_is_not_the_baseline():
    treated = row("s", None, 0, 0.9)
    treated.content["arm"]["treatments"] = ["qat"]
    assert measure_gains([treated, row("s", "a", 0, 0.6)], "test") == []


def test_the_score_is_one_that_most_cells_have():
    rows = [types.SimpleNamespace(numbers={"tune": 1, "test": 1}), types.SimpleNamespace(numbers={"tune": 1})]
    assert choose_number(rows) == "tune"
    assert choose_number([types.SimpleNamespace(numbers={"tune": 1, "test": 1, "test_int8": 1})]) == "test_int8"
    assert choose_number([]) is None
    both = types.SimpleNamespace(numbers={"test": 1, "test_int8": 1})
    assert choose_number([both, types.SimpleNamespace(numbers={"test": 1}), both]) == "test_int8"
    assert choose_number([types.SimpleNamespace(numbers={name: 1}) for name in ("test", "tune")]) is None


def test_cells_without_the_score_are_told_to_who_judges(tmp_path, capsys):
    path = make_ledger(tmp_path / "ledger.sqlite", seeds=2, images=100)
    assert read_gains([path])
    assert not capsys.readouterr().out
    held = Ledger(path)
    first = held.rows("done")[0]
    held.record(dataclasses.replace(first, numbers={"test": first.numbers["test"]}))
    held.close()
    assert read_gains([path])
    assert "1 of 16 finished cells have no test_int8 and are left out" in capsys.readouterr().out


def test_blocks_join_by_weights_and_leave_out_who_lacks_seeds():
    rows = [row("s", None, seed, 0.5) for seed in (0, 1)]
    for teacher, score in (("a", 0.6), ("b", 0.55), ("c", 0.52)):
        rows += [row("s", teacher, seed, score) for seed in (0, 1)]
    rows.append(row("s", "d", 0, 0.9))
    cards = [
        card(t, headroom=h, calibration=c)
        for t, h, c in (("a", 3.0, 0.1), ("b", 2.0, 0.2), ("c", 1.0, 0.3), ("d", 9.0, 0.0))
    ]
    (block,) = make_blocks(cards, measure_gains(rows, "test"))
    assert block.teachers == ("a", "b", "c")
    assert block.gains == pytest.approx(np.array([[10, 10], [5, 5], [2, 2]]))
    z = math.sqrt(1.5)
    assert block.scores["headroom"] == pytest.approx([z, 0, -z])
    assert block.scores["calibration"] == pytest.approx([z, 0, -z])  # less error is better
    assert block.scores["composite"] == pytest.approx([z, 0, -z])
    other = [dataclasses.replace(c, hash=c.hash + " trained again") for c in cards]
    assert make_blocks(other, measure_gains(rows, "test")) == []


def test_methods_that_rank_teachers_differently_are_seen():
    draw = np.random.default_rng(0)
    gains = draw.normal(size=(6, 2))
    names = tuple("abcdef")
    blocks = [
        Block("s", "d", "kd", names, gains, {}),
        Block("s", "d", "rsd", names, -gains, {}),
        Block("t", "d", "rsd", names, gains, {}),
    ]
    assert compare_rankings(blocks) == {("kd", "rsd"): pytest.approx(-1)}


@pytest.fixture
def judged(tmp_path):
    """Scores and a ledger of ten teachers whose gain is their absorbable variance; cka is noise; one is nasty."""
    draw = np.random.default_rng(1)
    names = [f"t{i}" for i in range(10)]
    quality = dict(zip(names, draw.normal(size=10), strict=True)) | {"nasty": -5.0}
    cards, ledger = [], Ledger(tmp_path / "ledger.sqlite")
    for student in ("s", "u"):
        for name, value in quality.items():
            values = {"absorbable": value, "cka": draw.normal(), "accuracy": 0.8 + 0.01 * draw.normal()}
            cards.append(card(name, student, headroom=0.1, **values))
            for seed in range(4):
                given = row(student, name, seed, 0.6 + 0.01 * (value + 0.2 * draw.normal()))
                ledger.record(Row(f"{student}{name}{seed}", given.content, "done", "", given.numbers))
        for seed in range(4):
            given = row(student, None, seed, 0.6)
            ledger.record(Row(f"{student}{seed}", given.content, "done", "", given.numbers))
    ledger.close()
    save_scorecards(tmp_path / "suitability.json", cards)
    return tmp_path, cards


def test_judge_command(judged, capsys):
    folder, _ = judged
    ledger = folder / "ledger.sqlite"
    assert (
        command(
            "judge", folder / "suitability.json", "--ledger", ledger, "--nasty", "nasty", "--out", folder / "v.json"
        )
        == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("10 teachers, 2 blocks")
    by_name = {line.split("  ")[0].strip(): line for line in lines}
    assert "meets the bar; " in by_name["E9 absorbable"]
    assert "does not beat accuracy" in by_name["E8 cka"]
    assert "what has to be beaten" in by_name["accuracy"]
    assert any(line.startswith("ridge_new_teacher") for line in lines)
    judgement = load_judgement(folder / "v.json")
    found = {v.name: v for v in judgement.verdicts}
    assert found["absorbable"].spearman > 0.9
    assert found["absorbable"].nasty_last == 1
    assert found["absorbable"].p_holm < 0.05
    assert found["ridge_new_student"].spearman > 0.5
    assert judgement.nasty == ("nasty",)
    assert "two families" in judgement.families[0].reason  # all these teachers are of one
    assert any(line.startswith("families, all teachers: no answer") for line in lines)
    assert load_scorecards(folder / "v.json") == load_scorecards(folder / "suitability.json")
    assert load_judgement(folder / "suitability.json") is None


def test_a_judgement_comes_back_whole_and_ranking_again_drops_it(judged):
    folder, cards = judged
    path = folder / "suitability.json"
    rows = Ledger(folder / "ledger.sqlite", read_only=True).rows("done")
    made = pass_judgement(cards, measure_gains(rows, "test"), nasty=["nasty"], refits=3)
    save_judgement(path, cards, made)
    assert repr(load_judgement(path)) == repr(made)
    assert made.version == JUDGED
    told = json.loads(path.read_text())
    del told["judgement"]["version"]  # as the first version wrote it
    for verdict in told["judgement"]["verdicts"]:
        del verdict["regret_others"]
    path.write_text(json.dumps(told))
    old = load_judgement(path)
    assert old.version == 1
    assert math.isnan(old.verdicts[0].regret_others)
    save_scorecards(path, cards)
    assert load_judgement(path) is None
    path.write_text('{"judgement": {"verdicts": [{"name": 1}]}}')
    with pytest.raises(AlambicError, match="expected a judgement"):
        load_judgement(path)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--nasty", "nastee"), "--nasty: expected names of teachers .* got 'nastee'.* did you mean 'nasty'"),
        (("--controls", "t0", "bar"), "--controls: .* got 'bar'"),
        (("--reference", "zebra"), "--reference: expected names of families .* got 'zebra'.* known names: vit"),
    ],
)
def test_a_name_that_nobody_knows_is_refused(judged, option, said):
    folder, _ = judged
    with pytest.raises(AlambicError, match=said):
        command("judge", folder / "suitability.json", "--ledger", folder / "ledger.sqlite", *option)


def test_judging_needs_four_teachers(judged):
    _, cards = judged
    rows = [row("s", None, 0, 0.5), *[row("s", f"t{i}", 0, 0.6) for i in range(3)]]
    with pytest.raises(AlambicError, match="at least 4 teachers"):
        judge_all(make_blocks(cards, measure_gains(rows, "test")))


# -- advice ----------------------------------------------------------------------------------------------------------


def test_advice_ranks_and_puts_who_teaches_nothing_last():
    cards = [
        card("good", accuracy=0.8, headroom=0.3, margin=1.0, absorbable=0.5),
        card("easy", accuracy=0.5, headroom=0.0, margin=0.1, absorbable=0.99),
        card("poor", accuracy=0.7, headroom=0.2, margin=3.0, absorbable=0.4),
    ]
    found = advise(cards)
    assert [advice.card.teacher for advice in found] == ["good", "poor", "easy"]
    assert found[-1].composite == max(advice.composite for advice in found)  # it only looks easy
    assert not found[-1].teaches
    poor = found[1]
    assert poor.speak_against[0].estimator == "margin"
    assert poor.speak_against[0].z < -1
    assert poor.speak_against[0].value == 3.0


def test_the_order_is_accuracy_s_where_all_have_one_else_the_pilot_s_never_the_composite_s():
    cards = [
        card("a", accuracy=0.6, headroom=0.1, margin=0.1, pilot_gain=0.02),
        card("b", accuracy=0.7, headroom=0.2, margin=0.5, pilot_gain=-0.01),
        card("c", accuracy=0.8, headroom=0.3, margin=9.0, pilot_gain=0.01),
    ]
    assert choose_order(cards) == "accuracy"
    found = advise(cards)
    assert [advice.card.teacher for advice in found] == ["c", "b", "a"]
    assert found[0].composite < max(advice.composite for advice in found)
    del cards[0].values["accuracy"]
    assert choose_order(cards) == "pilot_gain"
    assert [advice.card.teacher for advice in advise(cards)] == ["a", "c", "b"]
    del cards[1].values["pilot_gain"]
    assert choose_order(cards) == "accuracy"  # of what some lack, accuracy; who lacks it comes late


def test_two_teachers_are_too_few_for_z_scores():
    found = advise([card("a", headroom=0.3), card("b", headroom=0.1)])
    assert all(math.isnan(advice.composite) and not advice.speak_for for advice in found)
    assert "from 3 teachers on" in found[0].why


@pytest.mark.parametrize(
    ("z", "loss"),
    [
        ({"locality": -0.6, "absorbable": 2.0}, "class space or low-pass"),
        ({"spectral_gap": -1.0, "locality": 1.0, "absorbable": 2.0}, "class space or low-pass"),
        ({"locality": 0.3, "absorbable": 0.1, "margin": 2.0}, "embedding"),
        ({"absorbable": -0.5, "margin": 1.0, "calibration": -0.2}, "logit"),
        ({"margin": -1.0}, "logit"),
    ],
)
def test_class_of_loss(z, loss):
    assert suggest_loss(z, 0.6)[0] == loss


def test_an_embedding_that_is_out_of_reach_for_all_suits_none():
    assert suggest_loss({"absorbable": 2.0}, 0.1)[0] == "logit"


def test_recommended_methods_exist():
    assert {name for names in LOSSES.values() for name in names} <= set(all_methods())


def test_expected_gain_never_saw_the_teacher_and_its_interval_holds():
    draw = np.random.default_rng(0)
    held = []
    for _ in range(200):
        x = draw.normal(size=9)
        y = 2 * x + draw.normal(size=9)
        expected = expect_gain(x, y, 4)
        held.append(expected.low <= y[4] <= expected.high)
        changed = y.copy()
        changed[4] = 100
        assert expect_gain(x, changed, 4) == expected
    assert 0.9 <= np.mean(held) <= 0.99
    assert expected.teachers == 8
    slope, intercept = np.polyfit(np.delete(x, 4), np.delete(y, 4), 1)
    assert expected.gain == pytest.approx(slope * x[4] + intercept)
    assert expect_gain(x[:4], y[:4], 0) is None
    assert expect_gain(x, np.where(np.arange(9) < 4, y, np.nan), 0) is None


# -- prices and files ------------------------------------------------------------------------------------------------


def test_prices_by_hand():
    prices = {p.need: p for p in quote([0.01, 0.03], {"s": 1000.0, "u": 500.0}, 100, 5000, 600)}
    assert prices["clean"].seconds == pytest.approx(4)
    assert prices["warm-up"].seconds == pytest.approx(15)
    assert prices["noise"].seconds == pytest.approx(8)
    assert prices["crops"].seconds == pytest.approx(5 * 4 * 2)  # each student has its own window
    assert prices["small"].seconds == 0
    assert prices["pilot"].seconds == pytest.approx(3 * 600 * 0.003 + 0.04 * 600 * 2)
    assert prices["low"].buys == ("spectral_gap",)
    assert "margin" in prices["clean"].buys
    bought = {name for price in prices.values() for name in price.buys}
    assert bought == {name for name, cls in all_estimators().items() if cls.cost != "free"}


def test_a_budget_is_spent_on_the_cheapest_first():
    prices = quote([0.01], {"s": 1000.0}, 100, 1000, 600)
    assert spend(prices, None) == {}
    assert set(spend(prices, 0.0)) == {p.need for p in prices} - {"clean", "warm-up", "small"}
    total = sum(price.seconds for price in prices)
    assert set(spend(prices, total - 0.01)) == {max(prices[2:], key=lambda price: price.seconds).need}
    assert spend(prices, total + 0.01) == {}


def test_scorecards_come_back_and_foreign_files_are_refused(tmp_path):
    cards = [card("a", margin=1.5), card("b")]
    save_scorecards(tmp_path / "s.json", cards)
    assert load_scorecards(tmp_path / "s.json") == cards
    for text in ("not json", "[]", '{"version": 1, "cards": [{"x": 1}]}', '{"version": 99, "cards": []}'):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(AlambicError, match="expected scorecards"):
            load_scorecards(tmp_path / "bad.json")
    with pytest.raises(AlambicError, match="teachers rank"):
        load_scorecards(tmp_path / "none.json")


def test_a_changed_formula_makes_another_key(monkeypatch):
    first = make_key(teacher="a")
    assert first == make_key(teacher="a") != make_key(teacher="b")
    monkeypatch.setattr("alambic.suitability.scorecard.code_version", lambda: "other")
    assert make_key(teacher="a") != first


def test_students_data_and_teachers_can_be_named_without_a_study_file(folder, tmp_path, capsys):
    named = ("--student", "dscnn_8x2", "--data", folder / "images.npz", "--teachers", "zoo:resnet8_w4")
    out = ("--out", tmp_path, "--epochs", 1, "--images", 60, "--warm-up", 1)
    assert command("rank", *named, *out, "--budget", 1) == 0
    assert "  resnet8_w4 (resnet, labels)" in capsys.readouterr().out
    (card,) = load_scorecards(tmp_path / "suitability.json")
    assert (card.teacher, card.student) == ("resnet8_w4", "dscnn_8x2")
    with pytest.raises(AlambicError, match="--student, --data and --teachers"):
        command("rank", *named[:4], *out)
    with pytest.raises(AlambicError, match="got both"):
        command("rank", folder / "study.toml", *named, *out)
