"""What the README and docs/answers.md answer is what the committed ledgers hold, by a count of one's own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from alambic.report.overview import kept
from alambic.report.stamp import read_stamp
from alambic.study.archive import write_archive
from alambic.study.ledger import Ledger
from report_ledger import make_ledger
from script_tools import load_script

ROOT = Path(__file__).parent.parent.parent


def every_ledger(test: object) -> object:
    """Marks what reads all committed ledgers, which takes minutes: left out of the fast tier."""
    return pytest.mark.slow(pytest.mark.timeout(1800)(test))


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("write_answers")


@every_ledger
def test_the_readme_says_what_the_ledgers_say(script: ModuleType) -> None:
    assert (ROOT / "README.md").read_text() == script.write_answers(ROOT), "run python scripts/write_answers.py"


FINDINGS = "docs/findings.md"


TABLES = ("answers", "curves", "ideas", "product_row")


@pytest.mark.parametrize(("page", "start", "fewest"), [("README.md", "**In short.**", 5), (FINDINGS, "## Which", 40)])
def test_each_number_of_the_prose_stands_in_a_table(page: str, start: str, fewest: int) -> None:
    """Prose that nobody makes anew goes stale when a ledger grows."""
    told = (ROOT / page).read_text().split(start, 1)[1].split("![")[0].replace("−", "-")
    made = "\n".join((ROOT / "docs" / f"{name}.md").read_text() for name in TABLES).replace("−", "-")
    numbers = re.findall(r"[+-]?\d+\.\d+(?: \[[^]]*\])?", " ".join(told.split()))
    assert len(numbers) > fewest
    assert [number for number in numbers if not re.search(rf"(?<![\d.+-]){re.escape(number)}(?!\d)", made)] == []


@pytest.mark.parametrize("page", ["README.md", FINDINGS])
def test_counts_of_the_prose_are_those_of_the_answer(page: str) -> None:
    """Teachers behind the student alone and ahead of it, and gains that another arithmetic takes: of its own facts."""
    known = {fact.name: fact.value for fact in read_stamp(ROOT / "docs" / "answer" / "report.pdf").facts}
    told = " ".join((ROOT / page).read_text().split())
    assert f"{known['teachers behind_gained']:.0f} of {known['teachers behind']:.0f} " in told
    left = {
        name: [value for key, value in known.items() if key.startswith(f"left {name}/")]
        for name in ("per_channel", "per_tensor", "power_of_two", "4bit")
    }
    lost = {name: sum(value < 0 for value in values) for name, values in left.items()}
    assert lost["per_channel"] == 0
    counts = [lost[name] for name in ("per_tensor", "power_of_two", "4bit")]
    whole = len(left["4bit"])
    said = {
        "README.md": f"{counts[0]}, {counts[1]} and {counts[2]} of {whole} confirmed gains",
        FINDINGS: f"Of {whole} confirmed gains, {counts[0]} end below the student alone with one scale a tensor, "
        f"{counts[1]} with powers of two and {counts[2]} with 4-bit weights",
    }
    assert said[page] in told


@every_ledger
def test_the_page_of_answers_says_what_the_ledgers_say(script: ModuleType) -> None:
    assert (ROOT / script.PAGE).read_text() == script.write_details(ROOT), "run python scripts/write_answers.py"


@every_ledger
def test_the_figure_shows_what_the_ledgers_say(script: ModuleType) -> None:
    figures = script.draw_all(ROOT)
    for name, drawn in figures.items():
        assert (ROOT / name).read_text() == drawn, "run python scripts/write_answers.py"
    drawn = figures[script.FIGURE]
    contrasts = sum(
        len(json.loads(Ledger(folder, read_only=True).meta("confirm") or "[]"))
        for folder in script.claim_ledgers(ROOT)
        if script.is_finished(folder)
    )
    assert drawn.count("<polygon") - len(script.TONES) == contrasts > 0
    assert "…" not in drawn, "a cut name"


@every_ledger
def test_the_page_of_ideas_says_what_the_ledgers_say(script: ModuleType) -> None:
    written = (ROOT / "docs" / "ideas.md").read_text()
    assert written == script.write_fates(ROOT), "run python scripts/write_answers.py"


def test_ideas_are_told_when_all_seeds_are_there(script: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "studies" / "own" / "ledger"
    folder.parent.mkdir(parents=True)
    made = make_ledger(folder.parent / "ledger.sqlite", test=False)
    held = Ledger(made)
    wanted = [{"idea": "I9 relations", "arm": "rsd", "against": ["kd"], "smallest_effect": 0.3}]
    held.set_meta("falsifiers", json.dumps(wanted))
    held.set_meta("study_text", 'extends = "base.toml"\nseeds = 4\n# extended: base.toml\nextends = ""\nseeds = 9\n')
    held.close()
    write_archive(made, folder)
    assert script.idea_ledgers(tmp_path) == [folder]
    told = "\n".join(script.tell_ideas(folder, tmp_path))
    assert "- I9 relations: survives here" in told
    held = Ledger(made)
    held.set_meta("seeds", "5")
    held.close()
    write_archive(made, folder)
    assert "not finished" in "\n".join(script.tell_ideas(folder, tmp_path))
    assert "survives" not in "\n".join(script.tell_ideas(folder, tmp_path))


def test_a_verdict_that_the_correction_changed_is_told_where_it_was_told_before(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old floor is asked again, which here calls each contrast a tie."""
    path = tmp_path / "studies" / "a" / "ledger.sqlite"
    path.parent.mkdir(parents=True)
    make_ledger(path, seeds=6)
    held = Ledger(path)
    told = {"arm": "rsd", "student": "dscnn_24x3", "teacher": "vit"}
    held.set_meta("confirm", json.dumps([{**told, "against": "none"}, {**told, "against": "kd"}]))
    held.set_meta("confirm_hash", "c0ffee")
    monkeypatch.setattr(kept, "judge", lambda paired, p, floor: "tie")
    for started, former in (("2026-11-28 10:00:00", "tie, not zero"), ("2026-12-01 10:00:00", "")):
        held.set_meta("started", started)
        findings = kept.read_findings(path)
        alone, taught = findings.declared.contrasts
        assert alone.verdict == taught.verdict == "gain"
        assert script.find_former(alone, findings) == ""  # measured as before
        assert script.find_former(taught, findings) == former
        assert len(script._tell_former(findings)) == bool(former)
    held.close()


def test_a_study_that_declared_nothing_has_no_answer(script: ModuleType) -> None:
    told = script.claim_ledgers(ROOT)
    assert ROOT / "studies" / "cifar100-explore" / "ledger" not in told
    assert told


def average_precision(margin: np.ndarray, labels: np.ndarray) -> float:
    """Mean over the positives of the share of positives among all that score at least as high."""
    return float(np.mean([labels[margin >= value].mean() for value in margin[labels == 1]]))


def read_table(text: str) -> dict[tuple[str, str, str], float]:
    """Of the page's table: study's folder, what, against -> points gained."""
    found, study = {}, ""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and (number := re.match(r"[+−][0-9.]+", cells[3])):
            link = re.search(r"\]\(\.\./(studies/[^)]+)\)", cells[0])
            study = link[1] if link else study
            found[study, cells[1], cells[2]] = float(number[0].replace("−", "-"))
    return found


def test_each_declared_gain_by_a_plain_count(script: ModuleType) -> None:
    text = (ROOT / script.PAGE).read_text()
    table = read_table(text)
    for folder in script.claim_ledgers(ROOT):
        ledger, study = Ledger(folder, read_only=True), str(folder.relative_to(ROOT).parent)
        if f"[{ledger.meta('study_name')}](../{study}" in text:  # not finished: the test below
            continue
        labels, seeds = np.array(json.loads(ledger.meta("labels_test") or "[]")), script.count_wanted(ledger)
        for contrast in json.loads(ledger.meta("confirm") or "[]"):
            scores: dict[str, dict[int, float]] = {"arm": {}, "against": {}}
            teachers = {"arm": contrast["teacher"], "against": contrast.get("against_teacher") or contrast["teacher"]}
            for row in ledger.rows("done"):
                content = row.content
                if content["student"] != contrast["student"]:
                    continue
                for side in scores:
                    if content["teacher"] not in (None, teachers[side]):
                        continue
                    found = ledger.predictions(row.id, "test", "int8")
                    if content["arm"]["name"] == contrast[side] and found is not None:
                        score = float(np.mean(found.predicted == labels))
                        if content["task"]["metric"] == "average_precision":
                            sign = np.where(found.predicted == 1, 1, -1)
                            score = average_precision(sign * found.margin.astype(float), labels)
                        scores[side][content["seed"]] = score
            assert len(scores["arm"]) == len(scores["against"]) == seeds >= 5
            gain = 100 * np.mean([scores["arm"][seed] - scores["against"][seed] for seed in scores["arm"]])
            taught = {side: f" from {teachers[side]}" if teachers[side] else "" for side in teachers}
            what, against = contrast["arm"] + taught["arm"], contrast["against"]
            named = {"", taught["against"], f" from {contrast['student']} itself"}  # a control's teacher is the student
            keys = {(study, what, against + teacher) for teacher in named}
            (seen,) = {table[key] for key in keys if key in table}
            # margins are kept in half precision, in which some images tie
            assert seen == pytest.approx(gain, abs=0.006 if content["task"]["metric"] == "accuracy" else 0.03)


def test_an_unfinished_study_tells_its_state_alone(script: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "studies" / "a" / "ledger.sqlite"
    path.parent.mkdir(parents=True)
    make_ledger(path, seeds=3)
    held = Ledger(path)
    arms = [row.content["arm"]["name"] for row in held.rows("done") if row.content["teacher"]]
    teacher = next(row.content["teacher"] for row in held.rows("done") if row.content["teacher"])
    student = next(row.content["student"] for row in held.rows("done"))
    contrast = {"arm": arms[0], "student": student, "teacher": teacher, "against": "none"}
    held.set_meta("confirm", json.dumps([contrast]))
    held.set_meta("confirm_hash", "c0ffee")
    held.set_meta("study_text", "seeds = 10")
    unfinished = script.tell_study(path, tmp_path)
    assert "is not finished: 0 of its 1 declared contrasts have all 10 seeds" in unfinished[0]
    assert len(unfinished) == 2
    held.set_meta("study_text", "seeds = 3")
    assert any("onfirmed for" in line for line in script.tell_study(path, tmp_path))
    held.close()
