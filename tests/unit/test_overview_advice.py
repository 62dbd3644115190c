"""The advice, the chip and the limits over all studies: what counts as shown, and what is left out."""

from __future__ import annotations

import json
import re
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alambic.report.chapters.claims import Claim
from alambic.report.chapters.decisions import tabulate_decisions
from alambic.report.facts.across import Across, Compared
from alambic.report.facts.fact import Fact, Facts
from alambic.report.facts.findings import StudentFindings
from alambic.report.overview.advice import advise, is_control, say_time, say_when_not
from alambic.report.overview.blocks import show_arithmetic, show_decisions, show_views
from alambic.report.overview.chip import list_levels, say_arithmetic, say_levels, tabulate_levels
from alambic.report.overview.claims import say_chip
from alambic.report.overview.decisions import (
    gather_advised,
    pick,
    tabulate_all_decisions,
    tabulate_brief,
    tell_all_sure,
    tell_sure,
)
from alambic.report.overview.gather import Overview, are_of_teachers, gather
from alambic.report.overview.limits import RECOVERED, find_controls, say_limits
from alambic.report.overview.views import name_view, say_views, say_views_first
from alambic.report.words.overview_advice_texts import ADVICE_TEXTS
from alambic.report.words.wording import LANGS, Lang
from alambic.study.archive import write_archive
from alambic.study.ledger import Ledger
from report_ledger import make_ledger
from script_tools import load_script

ROOT = Path(__file__).parent.parent.parent
ROOM = ROOT / "src" / "alambic" / "report"
RECALL = "test_recall_at_1_percent_false_alarms_int8"


def contrast(arm: str, against: str, teacher: str = "vit", other: str = "") -> dict[str, str]:
    told = {"arm": arm, "student": "dscnn_24x3", "teacher": teacher, "against": against}
    return told | ({"against_teacher": other} if other else {})


def keep(root: Path, place: str, declared: list[dict[str, str]], changes: dict[str, Any], **meta: str) -> None:
    """A study with a report, as a repository keeps it; what the chip's arithmetic leaves is made up."""
    folder = root / "studies" / place
    folder.mkdir(parents=True)
    made = make_ledger(folder / "ledger.sqlite", seeds=6, images=1000, **changes)
    with sqlite3.connect(made) as db:
        for key, text in db.execute("SELECT id, numbers FROM cells WHERE state = 'done'").fetchall():
            numbers = json.loads(text)
            score = numbers["test"]
            numbers |= {"test_fp32_same": score, "test_kernels": score - 0.01, "kernel_images": 500}
            numbers |= {"test_per_tensor": score - 0.3, "test_power_of_two": score - 0.4, "test_4bit": score - 0.1}
            numbers |= {RECALL: 0.2, "test_on_trained_int8": score, "test_on_dark_int8": score - 0.2}
            db.execute("UPDATE cells SET numbers = ? WHERE id = ?", (json.dumps(numbers), key))
    held = Ledger(made)
    told = {"study_name": place, "seeds": "6", "purpose": "claim", "confirm": json.dumps(declared)}
    for key, value in {**told, "confirm_hash": "c0ffee", **meta}.items():
        held.set_meta(key, value)
    held.close()
    write_archive(made, folder / "ledger")
    (folder / "report.html").touch()


@pytest.fixture(scope="module")
def overview(tmp_path_factory: pytest.TempPathFactory) -> Overview:
    root = tmp_path_factory.mktemp("advised")
    other = {"data": {"source": "toy", "hash": "f" * 64, "split_hash": "e" * 64, "train_images": 900, "unlabelled": 0}}
    keep(root, "plain", [contrast("rsd", "none"), contrast("rsd", "kd", other="convnext")], {})
    keep(root, "looked", [contrast("rsd", "kd", other="convnext"), contrast("rsd", "none")], {}, seeds_first="3")
    rare = {"class_names": ["rest", "person"], **other}
    keep(root, "harm", [contrast("at", "none", "convnext")], rare)
    keep(root, "shown", [contrast("rsd", "none")], {}, purpose="demo")
    return gather(root, (), Facts())


def read(claims: list[Claim], key: str) -> str:
    return " ".join(claim.text("en") for claim in claims if claim.key == key)


def test_each_heading_has_both_languages_and_is_shown() -> None:
    code = "".join(path.read_text() for path in ROOM.rglob("*.py"))
    for key, by_lang in ADVICE_TEXTS.items():
        assert set(by_lang) == set(LANGS)
        assert all(by_lang.values())
        assert len(re.findall(rf'"{key}"', code)) > 1, f"{key} is never shown"
    assert not any("'" in text for by_lang in ADVICE_TEXTS.values() for text in by_lang.values())


def test_a_demonstration_has_no_part(overview: Overview) -> None:
    """It sees the test images of every arm, whatever was declared."""
    assert {study.name for study in overview.studies} == {"plain", "looked", "harm"}


def test_a_teacher_that_won_only_after_a_look_is_not_advised(overview: Overview) -> None:
    claims = advise(overview)
    assert "(plain)" in read(claims, "all_do_made")
    assert "(looked)" not in read(claims, "all_do_made")
    assert "(looked)" in read(claims, "all_not_advised")


@pytest.mark.parametrize(
    ("taught", "treatments", "expected"),
    [("vit", [], False), ("convnext", [], True), ("convnext", ["adapted_teacher"], True)]
    + [("convnext", [control], False) for control in ("self_distillation", "shuffled_teacher", "random_teacher")],
)
def test_a_controls_teacher_is_none_to_take(
    overview: Overview, taught: str, treatments: list[str], expected: bool
) -> None:
    (_, found), *_ = overview.of_teachers
    assert are_of_teachers(found)
    row = found.other.rows[0]
    arm = row.content["arm"] | {"treatments": treatments}
    rows = (replace(row, content=row.content | {"arm": arm}),)
    assert are_of_teachers(replace(found, other=replace(found.other, teacher=taught, rows=rows))) is expected


def test_a_declaration_that_failed_again_undoes_the_first(overview: Overview) -> None:
    """The same contrast of two teachers, confirmed in one study and not in another of its data."""
    plain, looked = (next(s for s in overview.claims if s.name == name) for name in ("plain", "looked"))
    declared = plain.findings.declared
    assert declared is not None
    lost = tuple(replace(c, verdict="tie") for c in declared.contrasts)
    again = replace(plain, place="again", findings=replace(plain.findings, declared=replace(declared, contrasts=lost)))
    claims = advise(replace(overview, claims=(plain, again)))
    assert read(claims, "all_do_made") == ""
    assert "(plain)" in read(claims, "all_not_advised")
    assert looked.findings.declared is not None


def test_only_what_was_declared_is_said_to_harm(overview: Overview) -> None:
    """The arm at harms in all three; one study declared that."""
    told = read(advise(overview), "all_dont_harm")
    assert told.count("(harm)") == 1
    assert "(plain)" not in told


def test_an_arm_that_loses_over_all_its_teachers_is_warned_of(overview: Overview) -> None:
    """Only where the loss is beyond chance, and against no teacher."""
    ci = Fact(1, "gain", -0.0117, "points", (), low=-0.0198, high=-0.0036)
    sure, chance = (Fact(2, "p", value, "p", ()) for value in (0.04, 0.3))
    lost = Across("average_precision", "at", "none", ci, sure, {}, {"data": 1, "teacher": 15, "student": 2}, 15)
    made = Compared((lost, replace(lost, arm="kd", p_holm=chance), replace(lost, arm="rsd", other="kd")))
    told = read(advise(replace(overview, across=made)), "all_dont_any")
    assert "at −1.17 points [−1.98, −0.36] (average precision; data · teachers · students: 1 · 15 · 2)" in told
    assert "kd" not in told
    assert "rsd" not in told
    assert read(advise(replace(overview, across=Compared())), "all_dont_any") == ""


def test_what_was_confirmed_against_another_arm_tells_by_how_much(overview: Overview) -> None:
    """A gain over the student alone that nobody declared does not stand as confirmed."""
    study = next(s for s in overview.claims if s.name == "plain")
    (row,) = [row for row in gather_advised(overview) if study in [s for s, _ in row.kept]]
    made = next(made for s, made in row.kept if s is study)
    taken = pick(made)
    declared = study.findings.declared
    assert taken is not None
    assert declared is not None
    other = next(group for group in study.findings.groups if group.arm == "label_smoothing")
    moved = replace(taken, other=other, verdict="gain")
    only = replace(study, findings=replace(study.findings, declared=replace(declared, contrasts=(moved,))))
    told = tell_sure(only, made, "en")
    assert told.startswith("confirmed, against label_smoothing +")
    assert told.endswith(ADVICE_TEXTS["not_over_alone"]["en"])
    assert tell_all_sure([(study, made), (study, made)], "en") == [tell_sure(study, made, "en")]
    apart = tell_all_sure([(study, made), (only, made)], "en")
    assert [one.endswith(f"({study.name})") for one in apart] == [True, True]


def test_controls_are_not_warned_of(overview: Overview) -> None:
    groups = {group.arm: group for group in overview.claims[0].findings.groups}
    assert is_control(groups["label_smoothing"], overview.claims[0])
    assert not is_control(groups["at"], overview.claims[0])
    explored = replace(overview, claims=())
    assert "label_smoothing" not in read(advise(explored), "all_dont_explored")


@pytest.mark.parametrize("lang", LANGS)
def test_studies_of_one_student_and_data_stand_in_one_row(overview: Overview, lang: Lang) -> None:
    """Another task has a row of its own, on a wall too; seeds added after a look are told and not advised."""
    rows = gather_advised(overview)
    assert sorted(len(row.kept) + len(row.looked) for row in rows) == [1, 2]
    table = tabulate_all_decisions(overview, lang)
    assert len(table.rows) == len(tabulate_brief(overview, lang).rows) == 2
    added = ADVICE_TEXTS["added"][lang]
    (told,) = [row[2].text for row in table.rows if added in row[2].text]
    assert re.search(rf"looked, {added} ?: rsd", told)
    assert "900" in " ".join(row[1].text for row in tabulate_brief(overview, lang).rows)


def test_arithmetics_are_told_with_their_worst_arm(overview: Overview) -> None:
    told = read(say_arithmetic(overview), "all_arithmetic")
    assert "dscnn_24x3 30.00 points" in told
    assert "40.00 points" in told
    assert "the mean of an arm, with one scale per tensor up to 30.00 points" in read(say_chip(overview), "all_int8")
    bare = replace(overview, claims=())
    assert say_arithmetic(bare) == say_chip(bare) == []
    assert "30.00 points were lost" not in read(advise(overview), "all_dont_arithmetic")
    assert "40.00 points were lost" in read(advise(overview), "all_dont_arithmetic")
    heads = [head for head, _, _ in show_arithmetic(overview, "en")[1].heads]  # type: ignore[union-attr]
    assert ADVICE_TEXTS["per_tensor"]["en"] in heads
    assert ADVICE_TEXTS["qat_int8"]["en"] not in heads  # not run


def test_a_rare_class_has_recall_and_levels_in_the_dark(overview: Overview) -> None:
    claims = say_levels(overview)
    assert "harm 20.00%" in read(claims, "all_recall_low")
    assert "plain" not in read(claims, "all_recall_low")  # ten classes: agreement tells there
    assert read(claims, "all_dark").count(" to ") == len(list_levels(overview)) == 3
    assert len(tabulate_levels(overview, "fr").rows) == 3


def _add_version(found: StudentFindings) -> StudentFindings:
    return replace(found, groups=(*found.groups, *(replace(group, variant=2) for group in found.groups)))


def test_gains_stand_against_the_better_student_alone_too(overview: Overview) -> None:
    assert say_views(overview) == say_views_first(overview) == show_views(overview, "en") == []
    known = replace(overview, facts=Facts())
    for base, value in (("bank", 0.04), ("fresh", 0.01)):
        name = name_view("plain", "rsd", "vit", base)  # type: ignore[arg-type]
        known.facts.add(name, value, "points", (), "", "", (value - 0.005, value + 0.005))
    known.facts.add(name_view("plain", "none", None, "fresh"), 0.03, "points", (), "", "", (0.02, 0.04))
    assert "rsd from vit +1.00 point [+0.50, +1.50] instead of +4.00 points" in read(say_views(known), "all_views")
    assert "in 1 of 1 trials" in read(say_views_first(known), "all_do_views")
    assert len(show_views(known, "en")) == 2
    twice = [
        replace(
            study, findings=replace(study.findings, students=[_add_version(found) for found in study.findings.students])
        )
        for study in overview.studies
    ]
    assert show_views(replace(known, studies=tuple(twice)), "en") == []  # of which version the gain is, nothing tells
    helpless = replace(overview, facts=Facts())
    helpless.facts.all += [replace(fact, low=-0.01) for fact in known.facts.all]
    assert say_views(helpless) == say_views_first(helpless) == []


def test_when_not_to_distil_is_counted_from_teachers(overview: Overview) -> None:
    """Teachers of 93 and 94 % stand before a student of 80 %: none is behind, so that no rule is stated."""
    assert say_when_not(replace(overview, judged=overview.claims)) == []


def test_time_is_not_told_from_a_pair_or_two(overview: Overview) -> None:
    assert say_time(overview) == []


def test_limits_count_seeds_controls_and_recovered_declarations(overview: Overview) -> None:
    claims = say_limits(overview)
    assert "label smoothing 3; more epochs 0" in read(claims, "all_controls")
    assert find_controls(overview.claims[0]) == {"label_smoothing"}
    recovered = replace(overview.claims[0], place=RECOVERED[0])
    told = read(say_limits(replace(overview, claims=(recovered,))), "all_recovered")
    assert overview.claims[0].name in told
    assert all((ROOT / "studies" / place / "confirm.toml").is_file() for place in RECOVERED)


@pytest.mark.parametrize("lang", LANGS)
def test_decisions_are_shown_under_their_title(overview: Overview, lang: Lang) -> None:
    assert show_decisions(overview, lang)[0] == ADVICE_TEXTS["decisions_table"][lang]


def test_seeds_added_after_a_look_stand_beside_the_confidence_of_a_study(overview: Overview) -> None:
    looked = {study.name: tabulate_decisions(study.findings, "en").rows[0][5].text for study in overview.claims}
    assert ADVICE_TEXTS["added"]["en"] in looked["looked"]
    assert ADVICE_TEXTS["added"]["en"] not in looked["plain"]


def test_each_curve_over_views_gives_its_two_ledgers() -> None:
    load_script("write_curves")
    pairs = load_script("write_overview").list_views()
    assert len(pairs) >= 4
    for bank, fresh, number in pairs:
        assert (ROOT / bank / "ledger").is_dir()
        assert (ROOT / fresh / "ledger").is_dir()
        assert number == "tune"
