"""A report is checked against its ledger: what was changed by hand, in either of them, is found."""

from __future__ import annotations

import json
import re
import sqlite3
import zlib
from pathlib import Path

import pytest

from alambic.cli import main
from alambic.errors import AlambicError
from alambic.report.check import check_report
from alambic.report.facts.findings import find
from alambic.report.page.page import write_report
from alambic.report.stamp import MARK, _from_pdf, read_stamp
from alambic.report.words.wording import Lang
from alambic.study.archive import write_archive
from report_ledger import make_ledger


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_ledger(tmp_path_factory.mktemp("check") / "ledger.sqlite", seeds=3, images=500)


@pytest.fixture(params=["en", "fr"])
def page(request: pytest.FixtureRequest, ledger: Path, tmp_path: Path) -> Path:
    lang: Lang = request.param
    return write_report(ledger, tmp_path, lang)


def test_an_untouched_report_agrees(page: Path, ledger: Path) -> None:
    checked = check_report(page, ledger)
    assert not checked.differences
    assert not checked.notice
    assert checked.facts > 50
    assert checked.queries > 40
    assert checked.shown > checked.facts


def test_an_exported_ledger_is_asked_as_the_ledger_is(ledger: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    folder = tmp_path / "ledger"
    write_archive(ledger, folder)
    checked = check_report(write_report(folder, tmp_path), folder)
    assert not checked.differences
    assert checked.queries > 40


def change(page: Path, pattern: str, new: str, place: int = 0) -> None:
    text = page.read_text("utf-8")
    found = list(re.finditer(pattern, text))[place]
    page.write_text(text[: found.start(1)] + new + text[found.end(1) :], encoding="utf-8")


def test_a_french_report_leaves_the_english_one(ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folder = tmp_path / "ledger"
    write_archive(ledger, folder)
    assert main(["report", str(folder)]) == 0
    english = (tmp_path / "report.html").read_text("utf-8")
    assert main(["report", str(folder), "--lang", "fr"]) == 0
    assert (tmp_path / "report.html").read_text("utf-8") == english
    assert main(["report", "--check", str(tmp_path / "fr" / "report.html")]) == 0
    assert "no differences" in capsys.readouterr().out


def test_few_seeds_give_no_share_below_nothing(tmp_path: Path) -> None:
    # two seeds whose scores differ: t with one degree of freedom reaches below zero and above one
    findings = find(make_ledger(tmp_path / "ledger.sqlite", seeds=2, images=40))
    shares = [fact for fact in findings.facts.all if fact.name.startswith("score/")]
    assert shares
    assert all(fact.low is not None and fact.high is not None for fact in shares)
    assert all(0 <= (fact.low or 0.0) <= (fact.high or 0.0) <= 1 for fact in shares)
    # images that could not be told from chance are not said to limit the study to nothing
    assert all(
        found.seen is None or found.seen.from_images is None or found.seen.from_images.value > 0
        for found in findings.students
    )


def test_a_number_changed_in_a_sentence_is_found(page: Path, ledger: Path) -> None:
    change(page, r'<a class="fact" href="#F\d+">([^<]*)</a>', "99.99%", place=3)
    (found,) = check_report(page, ledger).differences
    assert "99.99%" in found


def test_an_interval_changed_in_a_sentence_is_found(page: Path, ledger: Path) -> None:
    change(page, r'<span class="ci">\[([^<]*)\]', "+9.00, +9.10", place=2)
    (found,) = check_report(page, ledger).differences
    assert "9.00" in found


def test_a_figure_changed_is_found(page: Path, ledger: Path) -> None:
    change(page, r'<text[^>]*class="told \w+">([^<]*)<', "+7.77")
    (found,) = check_report(page, ledger).differences
    assert "7.77" in found


def test_a_stored_fact_changed_is_found(page: Path, ledger: Path) -> None:
    change(page, r"score/test_int8/[0-9a-f]{12}&#34;, ([0-9.]+)", "0.9876")
    found = check_report(page, ledger).differences
    assert any("0.9876" in line for line in found)


def test_a_report_of_other_code_is_judged_by_its_facts(page: Path, ledger: Path) -> None:
    change(page, r"source&#34;: &#34;([0-9a-f]+)", "0" * 16)
    checked = check_report(page, ledger)
    assert not checked.differences
    assert "another state" in checked.notice
    change(page, r'<a class="fact" href="#F\d+">([^<]*)</a>', "99.99%", place=3)
    assert check_report(page, ledger).differences


def test_other_code_hides_no_interval_and_no_emptied_report(page: Path, ledger: Path) -> None:
    change(page, r"source&#34;: &#34;([0-9a-f]+)", "0" * 16)
    change(page, r'</a> <span class="ci">\[([^<]*)\]', "+9.00, +9.10", place=2)
    assert any("9.10" in line for line in check_report(page, ledger).differences)
    text = re.sub(r"(facts&#34;: )\[\[.*?\]\]", r"\1[]", page.read_text("utf-8"), flags=re.DOTALL)
    page.write_text(re.sub(r'<a class="fact"[^>]*>', "<a>", text), "utf-8")
    assert not read_stamp(page).facts
    assert any("no number at all" in line for line in check_report(page, ledger).differences)


def damage(source: Path, target: Path, statement: str, *values: str) -> Path:
    target.write_bytes(source.read_bytes())
    with sqlite3.connect(target) as db:
        assert db.execute(statement, values).rowcount == 1
    db.close()
    return target


def test_a_score_changed_in_the_ledger_is_found(page: Path, ledger: Path, tmp_path: Path) -> None:
    statement = "UPDATE cells SET numbers = json_set(numbers, '$.test_int8', .95) WHERE id = '0000000000000003'"
    found = check_report(page, damage(ledger, tmp_path / "l.sqlite", statement)).differences
    assert any("predictions of 0000000000000003" in line for line in found)  # also were the report written anew
    assert any(line.startswith("F") and "written" in line for line in found)


def test_a_reason_with_another_system_s_end_of_line_is_compared_as_it_was_written(ledger: Path, tmp_path: Path) -> None:
    statement = "UPDATE cells SET numbers = json_set(numbers, '$.int8_error', 'two' || char(13) || char(10) || 'lines')"
    changed = damage(ledger, tmp_path / "l.sqlite", f"{statement} WHERE id = '0000000000000003'")
    page = write_report(changed, tmp_path, "en")
    assert b"two\r\nlines" in page.read_bytes()
    assert not [line for line in check_report(page, changed).differences if "words or figures" in line]


def test_a_cell_taken_out_of_the_ledger_is_found(page: Path, ledger: Path, tmp_path: Path) -> None:
    statement = "DELETE FROM cells WHERE id = '0000000000000004'"
    found = check_report(page, damage(ledger, tmp_path / "l.sqlite", statement)).differences
    assert any("other rows" in line for line in found)


def test_predictions_changed_in_the_ledger_are_found(page: Path, ledger: Path, tmp_path: Path) -> None:
    statement = "UPDATE predictions SET predicted = zeroblob(1000) WHERE cell = ? AND split = 'test' AND precision = ?"
    found = check_report(page, damage(ledger, tmp_path / "l.sqlite", statement, "0000000000000002", "int8")).differences
    assert any("predictions of 0000000000000002" in line for line in found)


def test_what_is_no_report_is_refused(ledger: Path, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<html></html>")
    for name in ("a.html", "b.html", "c.txt"):
        with pytest.raises(AlambicError, match="no facts are"):
            check_report(tmp_path / name, ledger)


def test_the_command(ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "report.html"
    assert main(["report", str(ledger), "--out", str(page)]) == 0
    assert main(["report", str(ledger), "--check", str(page)]) == 0
    assert "no differences" in capsys.readouterr().out
    change(page, r'<a class="fact" href="#F\d+">([^<]*)</a>', "99.99%")
    (tmp_path / "ledger.sqlite").write_bytes(ledger.read_bytes())
    assert main(["report", "--check", str(page)]) == 1
    assert "99.99%" in capsys.readouterr().out
    assert main(["report"]) == 2
    assert "expected a ledger" in capsys.readouterr().err


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_pdf_whose_packed_facts_end_like_a_line_is_read(end: bytes, tmp_path: Path) -> None:
    """One file in 256: the last byte of the stream is a carriage return of its own."""
    texts = (json.dumps({MARK: 1, "lang": "en", "pad": "a" * pad}, separators=(", ", ": ")) for pad in range(256))
    text = next(text for text in texts if zlib.compress(text.encode()).endswith(b"\r"))
    path = tmp_path / "a.pdf"
    path.write_bytes(b"1 0 obj\nstream\n" + zlib.compress(text.encode()) + end + b"endstream\nendobj\n")
    assert _from_pdf(path) == text
    path.write_bytes(b"1 0 obj\nstream\n" + zlib.compress(text.encode())[:-9] + end + b"endstream\nendobj\n")
    assert _from_pdf(path) is None
