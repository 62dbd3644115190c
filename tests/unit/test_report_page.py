"""The page: both languages, inert text, size, determinism, anchors, wording of numbers."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from alambic.errors import AlambicError
from alambic.report.chapters.claims import METRIC_NAMES, SCORE_NAMES, SENTENCES, blanks_of
from alambic.report.facts.fact import Fact
from alambic.report.facts.findings import find
from alambic.report.page.page import list_settings, render_report, write_report
from alambic.report.svg import Scale, round_ticks, tag
from alambic.report.words.texts import TEXTS
from alambic.report.words.wording import LANGS, NOUNS, show_bounds, show_number, show_ticks
from alambic.study.ledger import Ledger, Row
from report_ledger import make_content, make_ledger

EVIL = '<script>alert(1)</script><img src=x onerror="alert(2)">&"\'{student}'


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_ledger(tmp_path_factory.mktemp("page") / "ledger.sqlite")


class Reader(HTMLParser):
    """Tags, ids and links of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def named(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.tags if found == name]


def test_every_text_exists_in_every_language() -> None:
    for table in (SENTENCES, TEXTS, SCORE_NAMES, METRIC_NAMES, NOUNS):
        for key, by_lang in table.items():
            assert set(by_lang) == set(LANGS), key
            assert all(by_lang.values()), key
    for key, by_lang in SENTENCES.items():
        assert blanks_of(by_lang["en"]) == blanks_of(by_lang["fr"]), key
        assert by_lang["en"] != by_lang["fr"], key


@pytest.mark.parametrize("lang", LANGS)
def test_page_is_whole_offline_and_small(ledger: Path, tmp_path: Path, lang: str) -> None:
    path = write_report(ledger, tmp_path, lang)  # type: ignore[arg-type]
    assert path == tmp_path / "report.html"
    text = path.read_text("utf-8")
    assert len(text.encode()) < 3_000_000
    assert f'<html lang="{lang}">' in text
    page = Reader(text)
    assert not page.named("script")[0].get("src")
    assert [link.get("href") for link in page.named("link")] == ["data:,"]
    assert not re.search(r"(https?:)?//[a-z]", re.sub(r"//.*", "", text.split("<script>")[0].split("</style>")[1]))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [link["href"] or "" for link in page.named("a") if "href" in link]
    assert len(links) > 100
    broken = {link for link in links if not link.startswith("#") or link[1:] not in ids}
    assert not broken


def test_the_smallest_effect_comes_first_and_a_demo_is_no_ranking(ledger: Path) -> None:
    text = render_report(find(ledger), "en")
    order = re.findall(r'data-claim="(\w+)"', text)
    assert order[0] == "sight"
    assert "Results, not a ranking" in text
    assert order.index("demo") < order.index("alone")
    assert "Des résultats, pas un classement" in render_report(find(ledger), "fr")


def test_no_english_sentence_in_the_french_page(ledger: Path) -> None:
    text = render_report(find(ledger), "fr")
    body = re.sub(r"<(details|script|style).*?</\1>", "", text, flags=re.S)
    words = re.sub(r"<[^>]+>", " ", body)
    for word in (" alone", "Gain over", "seeds", "smaller", "better", "points over", "training"):
        assert word not in words


def test_names_that_hold_html_come_out_inert(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    ledger = Ledger(path)
    for seed in range(2):
        for arm, teacher in (("none", None), (EVIL, "vit")):
            content = make_content(EVIL, arm, teacher, seed, teacher_provenance=EVIL, class_names=[EVIL])
            content["arm"]["methods"] = ["none"] if arm == "none" else ["kd"]
            content["data"]["source"] = EVIL
            content["teacher"] = EVIL if teacher else None
            numbers = {"test": 0.8, "test_int8": 0.8 + 0.01 * seed, "tune": 0.8, "weight_bytes": 10, "seconds": 1.0}
            ledger.record(Row(f"{arm[:4]}{seed}", content, "done", "", numbers), [{"epoch": 1, "tune": 0.5}])
    ledger.record(Row("bad", make_content("s", EVIL, None, 0), "failed", EVIL, {}))
    for key in ("study_name", "study_text", "started"):
        ledger.set_meta(key, EVIL)
    ledger.record_bank(EVIL, {"quantities": [EVIL], "views": EVIL})
    ledger.close()
    for lang in LANGS:
        text = render_report(find(path), lang)
        page = Reader(text)
        assert len(page.named("script")) == 1
        assert not page.named("img")
        assert not [key for _, attributes in page.tags for key in attributes if key.startswith("on")]
        assert "alert(1)" in text  # shown, as text
        assert "<script>alert" not in text


def test_equal_ledgers_give_equal_bytes(tmp_path: Path) -> None:
    pages = []
    for name in ("a", "b"):
        path = make_ledger(tmp_path / name / "ledger.sqlite", seeds=2, images=300)
        pages.append(write_report(path, tmp_path / f"{name}.html").read_bytes())
    assert pages[0] == pages[1]


@pytest.mark.slow
def test_a_large_study_stays_under_the_size(tmp_path: Path) -> None:
    path, ledger = tmp_path / "l.sqlite", Ledger(tmp_path / "l.sqlite")
    for arm in ["none", *(f"arm{index}" for index in range(40))]:
        for seed in range(20):
            content = make_content("dscnn_24x3", arm, None, seed)
            numbers = {"test": 0.8 + 0.001 * seed, "test_int8": 0.8, "tune": 0.8, "seconds": 1.0, "weight_bytes": 3000}
            curve = [{"epoch": epoch, "tune": 0.5} for epoch in range(1, 4)]
            ledger.record(Row(f"{arm}-{seed:02}".rjust(16, "0"), content, "done", "", numbers), curve)
    ledger.close()
    assert write_report(path, tmp_path).stat().st_size < 3_000_000


def test_the_table_of_settings_tells_what_arms_share(tmp_path: Path) -> None:
    """Not what the first of them has for itself: fewer images by a treatment, a tuned recipe, its teacher's view."""
    views = {"count": 4, "student": {"flip": True}, "teacher": {"sensor": "same"}}
    own = {"data": {"train_images": 500}, "recipe": {"lr": 0.7}, "views": views}
    shared = {"shared_data": {"train_images": 5000}, "shared_recipe": {"lr": 0.1}}
    path = make_ledger(tmp_path / "ledger.sqlite", seeds=1, images=50, effects={"none": 0.0}, **own, **shared)
    (setting,) = list_settings(find(path))
    told = {f"{part}.{name}": value for part, values in setting[1] for name, value in values}
    assert told["data.train_images"] == "5000"
    assert told["recipe.lr"] == "0.1"
    assert told["views.student.flip"] == "true"
    assert not any(name.startswith("views.teacher") for name in told)


def test_unknown_language_is_refused(ledger: Path, tmp_path: Path) -> None:
    with pytest.raises(AlambicError, match="language"):
        write_report(ledger, tmp_path, "de")  # type: ignore[arg-type]
    with pytest.raises(AlambicError, match="found none"):
        write_report(tmp_path / "nothing.sqlite", tmp_path)


def test_numbers_in_words() -> None:
    assert show_number(0.85123, "share", "en") == "85.12%"
    assert show_number(0.85123, "share", "fr") == "85,12\u202f%"
    assert show_number(0.0052, "points", "en") == "+0.52\u202fpoints"
    assert show_number(-0.015, "points", "fr") == "−1,50\u202fpoint"
    assert show_number(0.02, "points", "fr") == "+2,00\u202fpoints"
    assert show_number(0.00001, "points", "en") == "0.00\u202fpoints"
    assert show_number(0.01, "effect", "en") == "1.00\u202fpoint"
    assert show_number(0.0001, "p", "en") == "<\u202f0.001"
    assert show_number(12345, "bytes", "fr") == "12\u202f345\u202fo"
    assert show_number(90, "seconds", "en") == "90.0\u202fs"
    assert show_number(5400, "seconds", "en") == "90.0\u202fmin"
    assert show_number(1, "seeds", "en") == "1\u202fseed"
    assert show_number(float("nan"), "share", "en") == "–%"
    assert show_ticks([-0.005, 0.0, 0.005], "points", "en") == ["−0.5", "0.0", "+0.5"]
    assert show_ticks([0.8, 0.85], "share", "fr") == ["80\u202f%", "85\u202f%"]
    fact = Fact(1, "x", 0.8, "share", (), low=0.7, high=0.9)
    assert show_bounds(fact, "en") == "[70.00, 90.00]"
    assert show_bounds(Fact(1, "x", 0.8, "share", ()), "en") == ""


def test_ticks_and_scale() -> None:
    assert round_ticks(-0.061, 0.052, 6) == [-0.05, -0.025, 0.0, 0.025, 0.05]
    assert round_ticks(1.0, 1.0) == [1.0]
    assert all(len(round_ticks(0, 10.0**power * 3.7)) <= 7 for power in range(-6, 6))
    assert Scale(0, 10, 100, 200)(5) == 150
    assert Scale(1, 100, 0, 10, log=True)(10) == pytest.approx(5)
    assert str(tag("text", "<b>", class_='"x')) == '<text class="&#34;x">&lt;b&gt;</text>'
