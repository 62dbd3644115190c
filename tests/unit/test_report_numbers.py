"""The report's numbers against queries and against numbers recomputed from the ledger by hand."""

from __future__ import annotations

import itertools
import json
import random
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2

from alambic.errors import AlambicError
from alambic.report.chapters.answers import say_answers, say_caveats, say_sight
from alambic.report.chapters.claims import Claim
from alambic.report.facts.contrasts import judge
from alambic.report.facts.fact import Facts
from alambic.report.facts.findings import Findings, find
from alambic.study.ledger import Ledger, Row
from alambic.study.stats import Interval, Paired, detectable_effect
from report_ledger import EFFECTS, make_content, make_ledger


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_ledger(tmp_path_factory.mktemp("report") / "ledger.sqlite", students=("dscnn_24x3", "resnet8_w8"))


@pytest.fixture(scope="module")
def findings(ledger: Path) -> Findings:
    return find(ledger)


def scores(ledger: Path, number: str, **wanted: str | None) -> dict[int, float]:
    """Seed -> a number of the cells with this student, arm and teacher; read without the code under test."""
    found = {}
    for content, numbers in sqlite3.connect(ledger).execute("SELECT content, numbers FROM cells WHERE state = 'done'"):
        told = json.loads(content)
        name = {"student": told["student"], "arm": told["arm"]["name"], "teacher": told["teacher"]}
        if name == wanted:
            found[told["seed"]] = json.loads(numbers)[number]
    return found


def claims_of(findings: Findings, student: int = 0) -> dict[str, Claim]:
    return {claim.key: claim for claim in say_answers(findings)[student][1]}


def test_every_query_gives_its_fact(ledger: Path, findings: Findings) -> None:
    db = sqlite3.connect(ledger)
    asked = [fact for fact in findings.facts.all if fact.sql]
    assert len(asked) > 100
    for fact in asked:
        (value,) = db.execute(fact.sql).fetchone()
        assert value == pytest.approx(fact.value, abs=1e-9), fact.name
    known = {row for (row,) in db.execute("SELECT id FROM cells")}
    assert all(set(fact.rows) <= known for fact in findings.facts.all)
    assert all(fact.query for fact in findings.facts.all)
    numbers = [fact.number for fact in findings.facts.all]
    assert numbers == list(range(1, len(numbers) + 1))


def test_gains_equal_a_naive_recomputation(ledger: Path, findings: Findings) -> None:
    for found in findings.students:
        alone = scores(ledger, "test_int8", student=found.student, arm="none", teacher=None)
        assert len(found.contrasts) == 7
        for contrast in found.contrasts:
            group = contrast.group
            own = scores(ledger, "test_int8", student=group.student, arm=group.arm, teacher=group.teacher)
            expected = [own[seed] - alone[seed] for seed in sorted(own)]
            assert contrast.paired.differences == pytest.approx(expected)
            assert contrast.gain.value == pytest.approx(np.mean(expected))
            assert contrast.gain.low is not None
            assert contrast.gain.high is not None
            assert contrast.gain.low < contrast.gain.value < contrast.gain.high
            assert set(contrast.gain.rows) == set(group.ids) | set(contrast.other.ids)


def test_verdicts_find_the_effects_that_were_put_in(findings: Findings) -> None:
    verdicts = {(c.group.arm, c.group.teacher): c.verdict for c in findings.students[0].contrasts}
    assert EFFECTS["rsd"] > 0 > EFFECTS["at"]
    assert verdicts["rsd", "vit"] == verdicts["rsd", "convnext"] == "gain"
    assert verdicts["at", "vit"] == verdicts["at", "convnext"] == "loss"
    assert verdicts["kd", "vit"] == verdicts["label_smoothing", None] == "tie"


def test_holm_counts_every_contrast_of_the_report(findings: Findings) -> None:
    every = [contrast for found in findings.students for contrast in found.contrasts]
    smallest = min(every, key=lambda contrast: contrast.paired.p_t)
    assert smallest.p_holm is not None
    assert smallest.p_holm.value == pytest.approx(min(1.0, len(every) * smallest.paired.p_t))


def test_what_the_design_could_see(findings: Findings) -> None:
    found = findings.students[0]
    sight = found.sight
    assert sight is not None
    assert sight.effect is not None
    spread = np.median([np.std(c.paired.differences, ddof=1) for c in found.contrasts]) / np.sqrt(chi2.ppf(0.5, 3) / 3)
    assert sight.from_seeds is not None
    assert sight.from_seeds.value == pytest.approx(detectable_effect(float(spread), 4))
    assert sight.effect.value > sight.from_seeds.value
    (claims, _) = say_sight(findings)
    assert claims[0].key == "sight"
    assert sight.effect in claims[0].facts


@pytest.mark.parametrize(
    ("mean", "low", "p", "verdict"),
    [(0.02, 0.01, 0.01, "gain"), (-0.02, -0.03, 0.01, "loss"), (0.004, 0.001, 0.001, "tie"),
     (0.02, 0.01, 0.2, "open"), (0.02, -0.01, 0.01, "open"), (0.02, 0.01, float("nan"), "open")],
)  # fmt: skip
def test_verdict_rule(mean: float, low: float, p: float, verdict: str) -> None:
    paired = Paired((0, 1), (mean, mean), Interval(mean, low, 2 * mean - low, 0.0), 0.0, p, p)
    assert judge(paired, p, 0.005) == verdict


def test_sentences_say_what_was_found(findings: Findings) -> None:
    said = claims_of(findings)
    assert {"alone", "helps", "hurts", "ties", "best_tied", "falls"} <= set(said)
    assert "rsd from vit" in said["helps"].text("en")
    assert "rsd avec vit" in said["helps"].text("fr")
    gain = next(c.gain for c in findings.students[0].contrasts if c.group.arm == "rsd" and c.group.teacher == "vit")
    assert f"{100 * gain.value:+.2f}" in said["helps"].text("en")
    assert f"{100 * gain.value:+.2f}".replace(".", ",") in said["helps"].text("fr")
    assert f"{100 * gain.low:+.2f}" in said["helps"].text("en")  # type: ignore[operator]
    assert all(claim.facts and claim.rows for claim in said.values() if claim.key != "none_helps")


def test_says_plainly_that_no_method_helps(tmp_path: Path) -> None:
    path = make_ledger(tmp_path / "l.sqlite", effects={"none": 0.0, "kd": 0.0, "at": -0.06})
    said = claims_of(find(path))
    assert "helps" not in said
    assert said["none_helps"].text("en").startswith("No method was shown to help dscnn_24x3")
    assert "at from" in said["hurts"].text("en")
    assert "kd from" in said["ties"].text("en")


def test_a_single_training_that_int8_breaks_is_told_apart_from_its_arm(tmp_path: Path) -> None:
    path = make_ledger(tmp_path / "l.sqlite", seeds=3, images=400)
    assert "int8_breaks" not in claims_of(find(path))
    ledger = Ledger(path)
    row = next(r for r in ledger.rows("done") if r.content["arm"]["name"] == "kd" and r.content["seed"] == 1)
    ledger.record(Row(row.id, row.content, row.state, row.reason, {**row.numbers, "test": 0.8, "test_int8": 0.35}))
    ledger.close()
    claim = claims_of(find(path))["int8_breaks"]
    assert f"kd from {row.content['teacher']}" in claim.text("en")
    assert "45.00" in claim.text("en")
    assert "45,00" in claim.text("fr")
    (fact,) = (fact for fact in claim.facts if fact.name.startswith("broken/"))
    assert fact.rows == (row.id,)
    assert sqlite3.connect(path).execute(fact.sql).fetchone()[0] == pytest.approx(fact.value)


def test_uses_tune_where_the_test_was_not_looked_at(tmp_path: Path) -> None:
    path = make_ledger(tmp_path / "l.sqlite", seeds=2, images=400, test=False, int8=False)
    findings = find(path)
    assert findings.scored.number == "tune"
    assert "tune_score" in {claim.key for claim in say_caveats(findings)}
    assert not any(claim.key == "falls" for claim in say_answers(findings)[0][1])


@pytest.mark.parametrize(("lacking", "expected"), [(1, "test_int8"), (7, "test_int8"), (8, "test")])
def test_falls_back_to_fp32_where_half_of_the_cells_lack_int8(tmp_path: Path, lacking: int, expected: str) -> None:
    """Where fewer do, they are told and left out."""
    path = make_ledger(tmp_path / "l.sqlite", seeds=2, images=400)
    ledger = Ledger(path)
    rows = ledger.rows("done")
    assert len(rows) == 16
    for row in rows[:lacking]:
        kept = {k: v for k, v in row.numbers.items() if k != "test_int8"}
        ledger.record(Row(row.id, row.content, "done", "", kept))
    ledger.close()
    findings = find(path)
    assert findings.scored.number == expected
    assert findings.scored.missing == tuple(row.id for row in rows[:lacking] if expected == "test_int8")
    claims = {claim.key for claim in say_caveats(findings)}
    assert ("score_missing" in claims) == bool(findings.scored.missing)


def test_one_lucky_seed_of_another_version_is_no_baseline(tmp_path: Path) -> None:
    path = make_ledger(tmp_path / "l.sqlite", images=400)
    before = find(path).students[0]
    ledger = Ledger(path)
    row = next(row for row in ledger.rows("done") if row.content["arm"]["name"] == "none")
    lucky = {name: value + 0.1 if name.startswith("test") else value for name, value in row.numbers.items()}
    ledger.record(Row("lucky", row.content | {"methods": {"none": "another file"}}, "done", "", lucky))
    ledger.close()
    found = find(path).students[0]
    assert found.baseline is not None
    assert "lucky" not in found.baseline.ids
    old = {contrast.group.key for contrast in before.contrasts}
    assert {len(contrast.paired.seeds) for contrast in found.contrasts if contrast.group.key in old} == {4}


def test_one_seed_is_told(tmp_path: Path) -> None:
    findings = find(make_ledger(tmp_path / "l.sqlite", seeds=1, images=400))
    assert say_sight(findings)[0][0].key == "one_seed"
    assert {contrast.verdict for contrast in findings.students[0].contrasts} == {"open"}
    assert not {"helps", "ties", "none_helps", "best_apart", "best_tied"} & set(claims_of(findings))


def test_an_arm_that_failed_but_once_blinds_itself_alone(tmp_path: Path) -> None:
    path = make_ledger(tmp_path / "l.sqlite")
    before = find(path).students[0]
    ledger = Ledger(path)
    for row in ledger.rows("done"):
        if (row.content["arm"]["name"], row.content["teacher"]) == ("at", "vit") and row.content["seed"] > 0:
            ledger.record(Row(row.id, row.content, "failed", "it diverged", {}))
    ledger.close()
    findings = find(path)
    found = findings.students[0]
    assert "one_seed" not in {claim.key for claim in say_sight(findings)[0]}
    assert found.sight is not None
    assert found.sight.seeds.value == 4
    verdicts = {(c.group.arm, c.group.teacher): c.verdict for c in found.contrasts}
    assert verdicts.pop(("at", "vit")) == "open"
    assert verdicts == {
        (c.group.arm, c.group.teacher): c.verdict
        for c in before.contrasts
        if (c.group.arm, c.group.teacher) != ("at", "vit")
    }


def test_the_best_is_not_apart_from_what_it_was_never_paired_with(tmp_path: Path) -> None:
    path = make_ledger(tmp_path / "l.sqlite", effects={"none": 0.0, "rsd": 0.06, "at": -0.05})
    ledger = Ledger(path)
    for row in ledger.rows("done"):
        if row.content["teacher"] == "convnext" and row.content["arm"]["name"] == "rsd":
            ledger.record(Row(row.id, row.content, "failed", "", {}))
    ledger.close()
    assert "best_apart" in claims_of(find(path))
    ledger = Ledger(path)
    content = make_content("dscnn_24x3", "kd", "vit", 9)  # a seed that nobody else has
    numbers = {"test": 0.81, "test_int8": 0.80, "tune": 0.81}
    ledger.record(Row("f" * 16, content, "done", "", numbers))
    ledger.close()
    findings = find(path)
    assert [group.arm for group in findings.students[0].not_told_apart] == ["kd"]
    assert "best_tied" in claims_of(findings)


def test_contradicting_predictions_are_told(tmp_path: Path) -> None:
    path = make_ledger(tmp_path / "l.sqlite", seeds=2, images=400)
    assert not find(path).scored.contradicted
    ledger = Ledger(path)
    row = ledger.rows("done")[3]
    ledger.record(Row(row.id, row.content, "done", "", row.numbers | {"test_int8": row.numbers["test_int8"] + 0.01}))
    ledger.close()
    findings = find(path)
    assert findings.scored.contradicted == (row.id,)
    told = {claim.key: claim for claim in say_caveats(findings)}
    assert row.id in told["contradicted"].text("en")


def test_settings_are_never_compared(tmp_path: Path) -> None:
    path = make_ledger(tmp_path / "l.sqlite", seeds=2, images=400)
    ledger = Ledger(path)
    for seed in range(2):  # the same arm on another machine: without its own baseline it has no gain
        content = make_content("dscnn_24x3", "rsd", "vit", seed, environment={"torch": "9", "device": "gpu"})
        ledger.record(Row(f"other{seed}", content, "done", "", {"test": 0.99, "test_int8": 0.99, "tune": 0.99}))
    ledger.close()
    findings = find(path)
    assert findings.settings == 2
    assert len(findings.students) == 2
    lonely = next(found for found in findings.students if len(found.groups) == 1)
    assert lonely.baseline is None
    assert not lonely.contrasts
    assert "settings" in {claim.key for claim in say_caveats(findings)}
    assert any(claim.key == "no_baseline" for claims in say_sight(findings) for claim in claims)


def test_without_predictions_the_interval_is_over_seeds(tmp_path: Path) -> None:
    path = make_ledger(tmp_path / "l.sqlite", seeds=3, images=400)
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM predictions")
    findings = find(path)
    assert not findings.scored.draws
    sight = findings.students[0].sight
    assert sight is not None
    assert sight.from_images is None
    assert findings.students[0].contrasts[0].gain.low is not None


def test_empty_ledger_is_refused(tmp_path: Path) -> None:
    Ledger(tmp_path / "l.sqlite").close()
    with pytest.raises(AlambicError, match="at least one finished cell"):
        find(tmp_path / "l.sqlite")


def test_a_fact_keeps_its_number() -> None:
    facts = Facts()
    first, again = facts.add("a", 1.0, "share", ["x"]), facts.add("a", 2.0, "share", ["y"])
    assert first is again
    assert [facts.add(name, 0.0, "share", []).anchor for name in ("b", "c")] == ["F2", "F3"]


def test_groups_do_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    path = make_ledger(tmp_path / "l.sqlite", seeds=2, images=200)
    before = [(fact.name, fact.value, fact.low) for fact in find(path).facts.all]
    with sqlite3.connect(path) as db:  # rows come in the order of their ids
        ids = [key for (key,) in db.execute("SELECT id FROM cells ORDER BY id")]
        given = random.Random(0).sample(ids, len(ids))
        for table, column in (("cells", "id"), ("predictions", "cell"), ("curves", "cell")):
            pairs = [(f"new {new}", old) for old, new in zip(ids, given, strict=True)]
            db.executemany(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", pairs)
    after = [(fact.name, fact.value, fact.low) for fact in find(path).facts.all]
    assert before == after
    for first, second in itertools.pairwise(find(path).students[0].groups):
        assert (first.teacher or "") <= (second.teacher or "")


def test_the_effect_asked_for_is_the_declared_one(tmp_path: Path) -> None:
    path = make_ledger(tmp_path / "l.sqlite")
    told = [claim.text("en") for claim in say_sight(find(path))[0]]
    assert any("0.30 points" in text for text in told)
    held = Ledger(path)
    held.set_meta("smallest_effect", "2.0")
    held.close()
    findings = find(path)
    sight = findings.students[0].sight
    assert sight is not None
    assert sight.needed is not None
    told = [claim.text("en") for claim in say_sight(findings)[0]]
    assert f"To see 2.00 points one would need {sight.needed.value:.0f} seeds." in told


@pytest.mark.parametrize(
    ("number", "told"),
    [("int8_error", "Without a score in int8"), ("kernels_missing", "Not run on the device’s kernels")],
)
def test_what_a_trained_student_lacks_is_told_once_a_reason(tmp_path: Path, number: str, told: str) -> None:
    path, why = make_ledger(tmp_path / "l.sqlite"), "student_int8.onnx: expected another operator than Gelu"
    assert number not in {claim.key for claim in say_caveats(find(path))}
    with sqlite3.connect(path) as db:
        db.execute(
            "UPDATE cells SET numbers = json_set(numbers, '$.' || ?, ?) WHERE id LIKE '%0' AND state = 'done'",
            (number, why),
        )
        (count,) = db.execute("SELECT count(*) FROM cells WHERE id LIKE '%0' AND state = 'done'").fetchone()
    (found,) = [claim.text("en") for claim in say_caveats(find(path)) if claim.key == number]
    assert found == f"{told}: {count} cells, because: {why}"
