"""The answer over all studies: its words, what it says of small ledgers, what lies in docs/answer."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from pptx import Presentation

from alambic.report.chapters.claims import check_sentences
from alambic.report.facts.fact import Facts
from alambic.report.overview.document import compose_overview
from alambic.report.overview.gather import Overview, gather, list_facts
from alambic.report.overview.talk import compose_talk
from alambic.report.stamp import read_stamp
from alambic.report.talk.slides import read_words
from alambic.report.words.overview import OVERVIEW_SENTENCES
from alambic.report.words.overview_texts import OVERVIEW_TEXTS
from alambic.report.words.wording import LANGS, Lang, show_number
from alambic.study.archive import write_archive
from alambic.study.ledger import Ledger
from report_ledger import make_ledger
from script_tools import load_script

ROOT = Path(__file__).parent.parent.parent
ANSWER = ROOT / "docs" / "answer"
FOLDERS = {"en": ANSWER, "fr": ANSWER / "fr"}
ROOM = ROOT / "src" / "alambic" / "report"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    load_script("write_curves")
    return load_script("write_overview")


def keep(root: Path, place: str, **meta: str) -> None:
    """A study with a report, as a repository keeps it."""
    folder = root / "studies" / place
    folder.mkdir(parents=True)
    made = make_ledger(folder / "ledger.sqlite", seeds=6, images=1000)
    held = Ledger(made)
    for key, value in {"study_name": place, "seeds": "6", **meta}.items():
        held.set_meta(key, value)
    held.close()
    write_archive(made, folder / "ledger")
    (folder / "report.html").touch()


@pytest.fixture(scope="module")
def overview(tmp_path_factory: pytest.TempPathFactory) -> Overview:
    root = tmp_path_factory.mktemp("kept")
    arm = {"arm": "rsd", "student": "dscnn_24x3", "teacher": "vit"}
    wanted = [{**arm, "against": "none"}, {**arm, "against": "kd"}, {**arm, "arm": "kd", "against": "none"}]
    keep(root, "claim", confirm=json.dumps(wanted), confirm_hash="c0ffee", purpose="claim")
    idea = {"idea": "I9 relations", "arm": "rsd", "against": ["kd"], "smallest_effect": 0.3}
    keep(root, "ideas", falsifiers=json.dumps([idea]), purpose="explore")
    keep(root, "late", confirm=json.dumps(wanted), confirm_hash="c0ffee", purpose="claim", seeds="9")
    return gather(root, (), Facts())


def test_each_sentence_has_both_languages_and_is_said() -> None:
    check_sentences(OVERVIEW_SENTENCES)
    assert all(set(by_lang) == set(LANGS) and all(by_lang.values()) for by_lang in OVERVIEW_TEXTS.values())
    code = "".join(path.read_text() for path in ROOM.rglob("*.py") if "overview" in str(path.relative_to(ROOM)))
    for key in (*OVERVIEW_SENTENCES, *OVERVIEW_TEXTS):
        assert key.startswith("curve_") or len(re.findall(rf'"{key}"', code)) > 1, f"{key} is never said"


@pytest.mark.parametrize("lang", LANGS)
def test_small_ledgers_pass_through(overview: Overview, script: ModuleType, tmp_path: Path, lang: Lang) -> None:
    script.write_answer(overview, tmp_path, lang)
    told = read_stamp(tmp_path / "report.pdf")
    assert told.lang == lang
    assert len(told.facts) == len(list_facts(overview)) > 3
    words = read_words((tmp_path / "slides.pptx").read_bytes())
    gain = next(contrast.gain for _, contrast in overview.with_alone)
    assert show_number(gain.value, "points", lang, noun=False) in words.replace("\u00a0", "\u202f")
    assert "{" not in words
    for name in ("report.pdf", "slides.pptx"):
        assert script.check_answer(overview, tmp_path, name, lang).differences == []
    # a number that a later ledger changes is found
    moved = replace(overview, facts=Facts())
    moved.facts.add(overview.facts.all[0].name, 0.5, overview.facts.all[0].unit, ())
    assert script.check_answer(moved, tmp_path, "report.pdf", lang).differences


def test_what_is_not_finished_is_named_and_not_told(overview: Overview) -> None:
    assert overview.unfinished == ("late",)
    assert [study.place for study in overview.claims] == ["claim"]
    sections = compose_overview(overview, "en")
    said = "\n".join(claim.text("en") for section in sections for claim in section.claims)
    assert "Not finished, hence not told: late." in said
    assert said.count("late") == 1


def test_a_sentence_whose_condition_does_not_hold_is_not_said(overview: Overview) -> None:
    """No judged study, no curve, no confirmed teacher: nothing of them."""
    sections = compose_overview(overview, "en")
    keys = {claim.key for section in sections for claim in section.claims}
    assert keys.isdisjoint({"all_accuracy_first", "all_families_none", "all_do_teacher", "all_plateau", "all_again"})
    assert {"all_methods", "all_ideas", "all_survivor", "all_no_winner"} <= keys
    assert [slide.title for slide in compose_talk(overview, sections, "en") if not (slide.lines or slide.shown)] == []


@pytest.mark.parametrize("lang", LANGS)
def test_the_committed_talk_has_a_length_that_one_can_give(lang: Lang) -> None:
    content = (FOLDERS[lang] / "slides.pptx").read_bytes()
    assert 12 <= len(Presentation(io.BytesIO(content)).slides) <= 15


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("name", ["report.pdf", "slides.pptx"])
def test_each_declared_gain_and_rank_is_that_of_the_page_of_answers(lang: Lang, name: str) -> None:
    page = (ROOT / "docs" / "answers.md").read_text().replace("\u202f", " ")
    told = [
        fact for fact in read_stamp(FOLDERS[lang] / name).facts if re.search(r": (gain/|gain of family)", fact.name)
    ]
    assert len(told) > 20
    for fact in told:
        numbers = [show_number(value or 0.0, "points", "en", noun=False) for value in (fact.value, fact.low, fact.high)]
        assert numbers[0] in page, f"{fact.name}: run python scripts/write_overview.py"
        assert f"[{numbers[1]}, {numbers[2]}]" in page, f"{fact.name}: run python scripts/write_overview.py"
