"""Arms over all teachers: what is one draw, what is shared, and how the chapter tells it."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alambic.report.chapters.across import describe_across, say_across
from alambic.report.chapters.claims import Claim
from alambic.report.chapters.tables import Table
from alambic.report.facts.across import Unit, compare_across, read_units
from alambic.report.facts.fact import Facts
from alambic.report.facts.findings import find
from alambic.report.words.french_names import tell_arm
from alambic.report.words.wording import LANGS, Lang, plain
from alambic.study.ledger import Ledger
from report_ledger import make_ledger

SEEDS = range(3)


def draw_units(
    rng: np.random.Generator,
    gain: float,
    luck: float,
    teachers: int = 12,
    spread: float = 0.005,
    metric: str = "accuracy",
) -> list[Unit]:
    """One student; the student alone of a seed is the same for every teacher, its luck too. Gains are shares."""
    alone = {seed: 0.3 + float(rng.normal(0, luck)) for seed in SEEDS}
    units = []
    for place in range(teachers):
        own = gain + float(rng.normal(0, spread))
        kd = {seed: 0.3 + own + float(rng.normal(0, 0.001)) for seed in SEEDS}
        vkd = {seed: kd[seed] + 0.02 + float(rng.normal(0, 0.001)) for seed in SEEDS}
        ids = {name: (f"{name}{place}",) for name in ("none", "kd", "vkd")}
        units.append(Unit(metric, f"t{place}", "s", "d", {"none": alone, "kd": kd, "vkd": vkd}, {}, ids))
    return units


def test_the_luck_of_the_student_alone_is_no_gain() -> None:
    # twelve teachers measured against the same three trainings of the student alone: without the seeds as a factor each
    # draw of that luck is a gain or a loss of all twelve, shown with certainty
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(40):
        pairs = compare_across(draw_units(rng, 0.0, luck=0.02), Facts()).pairs
        wrong += next(pair for pair in pairs if (pair.arm, pair.other) == ("kd", "none")).is_clear
    assert wrong <= 5


def test_a_gain_is_shown_and_told() -> None:
    facts = Facts()
    compared = compare_across(draw_units(np.random.default_rng(1), 0.03, luck=0.0005), facts)
    told = {(pair.arm, pair.other): pair for pair in compared.pairs}
    assert set(told) == {("kd", "vkd"), ("kd", "none"), ("vkd", "none")}
    assert told["vkd", "none"].gain.value == pytest.approx(0.05, abs=0.006)
    assert all(pair.is_clear and pair.levels["teacher"] == 12 and pair.units == 12 for pair in compared.pairs)
    assert told["kd", "none"].spreads["teacher"].value == pytest.approx(0.005, rel=0.6)
    assert compared.ranks is not None
    assert list(compared.ranks.means) == ["vkd", "kd", "none"]
    for lang in LANGS:
        blocks = describe_across(compared, lang)
        lead = blocks[0]
        assert isinstance(lead, Claim)
        assert "vkd" in plain(lead.render(lang))
        table = next(block for block in blocks if isinstance(block, Table))
        assert [row[0].text for row in table.rows] == ["kd", "kd", "vkd"]
        assert "<svg" in str(getattr(blocks[-1], "drawing"))  # noqa: B009
    assert {fact.name for fact in facts.all} >= {"across/accuracy/kd-none", "mean rank/kd"}


def test_of_two_students_an_interval_that_tells_nothing_is_not_shown() -> None:
    rng = np.random.default_rng(3)
    units = [replace(u, student=f"s{place}") for place in range(2) for u in draw_units(rng, 0.03 + 0.2 * place, 0.0005)]
    compared = compare_across(units, Facts())
    (pair,) = [one for one in compared.pairs if (one.arm, one.other) == ("kd", "none")]
    assert pair.freedom < 1.2
    assert pair.scarce == "student"
    notes: dict[Lang, str] = {"en": "(2 students: too few to say)", "fr": "(2 élèves : trop peu pour le dire)"}
    for lang, told in notes.items():
        table = next(block for block in describe_across(compared, lang) if isinstance(block, Table))
        (row,) = [row for row in table.rows if (row[0].text, row[1].text) == ("kd", tell_arm("none", lang))]
        assert row[2].note == told
        assert not any(head.startswith("p,") for head, _, _ in table.heads)  # of no row: each has two students
    assert replace(pair, freedom=2.0).scarce is None


def test_images_that_all_share_widen_the_interval() -> None:
    rng = np.random.default_rng(2)
    plain_units = draw_units(rng, 0.03, luck=0.0005)
    moved = rng.normal(0, 0.02, 500)  # what another draw of test images does to every taught student alike
    drawn = [
        Unit(
            u.metric, u.teacher, u.student, u.data, u.scores,
            {a: {s: v + moved * (a != "none") for s, v in by.items()} for a, by in u.scores.items()}, u.ids,
        )
        for u in plain_units
    ]  # fmt: skip
    narrow, wide = (
        next(p.gain for p in compare_across(units, Facts()).pairs if (p.arm, p.other) == ("kd", "none"))
        for units in (plain_units, drawn)
    )
    assert narrow.low is not None
    assert wide.low is not None
    assert wide.value == pytest.approx(narrow.value)
    assert wide.low < narrow.low - 0.02


def test_a_unit_whose_arms_share_no_seed_has_no_rank() -> None:
    """It is no tie of all arms at nothing: five units that share seeds rank alike with it and without it."""
    units = draw_units(np.random.default_rng(4), 0.03, luck=0.0005, teachers=9)
    apart = [
        dataclasses.replace(unit, scores=unit.scores | {"kd": {seed + 10: v for seed, v in unit.scores["kd"].items()}})
        for unit in units[5:]
    ]
    alone, beside = (compare_across(some, Facts()).ranks for some in (units[:5], [*units[:5], *apart]))
    assert alone is not None
    assert beside == alone
    assert beside.blocks == 5
    assert compare_across([*units[:4], *apart], Facts()).ranks is None


def test_of_two_versions_of_an_arm_the_fuller_one_is_taken_and_of_equals_none(tmp_path: Path) -> None:
    path = make_ledger(tmp_path / "ledger.sqlite", images=400)
    held = Ledger(path)
    older = [row for row in held.rows("done") if row.content["arm"]["name"] == "kd"]
    for row in older:
        if row.content["seed"]:
            held.record(dataclasses.replace(row, id="v" + row.id[1:], content=row.content | {"methods": {"kd": "2"}}))
    held.close()
    for unit in read_units([find(path)]):
        assert set(unit.ids["kd"]) <= {row.id for row in older}
        assert len(unit.ids["kd"]) == 4
    held = Ledger(path)
    for row in older:
        held.record(dataclasses.replace(row, id="v" + row.id[1:], content=row.content | {"methods": {"kd": "2"}}))
    held.close()
    assert all("kd" not in unit.scores and "rsd" in unit.scores for unit in read_units([find(path)]))


def test_few_teachers_nasty_ones_and_other_metrics() -> None:
    rng = np.random.default_rng(3)
    units = draw_units(rng, 0.03, luck=0.0005, teachers=5)
    assert compare_across(units[:4], Facts()).pairs == ()
    assert compare_across(units, Facts(), nasty={"t0"}).pairs == ()
    assert say_across(compare_across((), Facts())) == []
    mixed = [*units, *draw_units(rng, 0.03, luck=0.0005, teachers=4, metric="average_precision")]
    assert {pair.metric for pair in compare_across(mixed, Facts()).pairs} == {"accuracy"}
    other = compare_across(draw_units(rng, 0.0, 0.02, metric="average_precision"), Facts())
    table = next(block for block in describe_across(other, "fr") if isinstance(block, Table))
    assert all("précision moyenne" in row[0].text for row in table.rows)
