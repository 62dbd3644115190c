"""The report in headless Chromium: it opens, says nothing on the console, sorts, and can be photographed."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from alambic.report.page.page import write_report
from report_ledger import make_ledger

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="no chromium here: apt-get install chromium"),
    pytest.mark.slow,
]
# presses headings and links as a reader would, and writes what the page then shows where --dump-dom sees it
PROBE = """{
const table = document.querySelector("#differences table");
const show = (cell) => cell.dataset.v ?? cell.textContent.trim();
const read = (column) => [...table.tBodies[0].rows].map((row) => show(row.cells[column]));
const press = (column) => table.tHead.rows[0].cells[column].querySelector("button").click();
const found = {};
press(4); found.up = read(4); press(4); found.down = read(4);
found.sorted = table.tHead.rows[0].cells[4].getAttribute("aria-sort");
press(0); found.names = read(0);
document.querySelector("#answer a.fact").dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
const tip = document.getElementById("tip");
found.tip = tip.hidden ? "" : tip.textContent;
const before = getComputedStyle(document.body).backgroundColor;
document.getElementById("theme").click();
found.themed = getComputedStyle(document.body).backgroundColor !== before;
found.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
location.hash = "#F1";
setTimeout(() => {
  found.opened = document.getElementById("F1").closest("details").open;
  const out = document.createElement("pre");
  out.id = "probe";
  out.textContent = JSON.stringify(found);
  document.body.append(out);
}, 200);
}"""


def browse(*arguments: str) -> subprocess.CompletedProcess[str]:
    base = [BROWSER or "", "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"]
    return subprocess.run([*base, *arguments], capture_output=True, text=True, timeout=120, check=False)


def console(log: str) -> list[str]:
    return [line for line in log.splitlines() if "CONSOLE" in line]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    return write_report(make_ledger(folder / "ledger.sqlite"), folder)


def test_opens_without_a_word_on_the_console_and_is_photographed(report: Path) -> None:
    picture = report.with_suffix(".png")
    done = browse("--hide-scrollbars", "--window-size=1000,3000", f"--screenshot={picture}", report.as_uri())
    assert console(done.stderr) == []
    from PIL import Image

    with Image.open(picture) as image:
        assert image.size == (1000, 3000)
        assert len(image.convert("RGB").resize((250, 750)).getcolors(200_000) or ()) > 100


def test_sorts_shows_queries_opens_facts_and_changes_theme(report: Path) -> None:
    text = report.read_text("utf-8")
    probed = report.with_name("probed.html")
    # the page's policy lets no script run but its own: the probe needs it away
    open_text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    probed.write_text(open_text.replace("</body>", f"<script>{PROBE}</script></body>"), "utf-8")
    done = browse("--virtual-time-budget=3000", "--window-size=500,900", "--dump-dom", probed.as_uri())
    assert console(done.stderr) == []
    told = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.S)
    assert told is not None
    found = json.loads(html.unescape(told.group(1)))
    numbers = [float(value) for value in found["up"] if value != "–"]
    assert len(numbers) == 7
    assert numbers == sorted(numbers)
    assert found["up"][-1] == found["down"][-1] == "–"
    assert [float(value) for value in found["down"][:-1]] == sorted(numbers, reverse=True)
    assert found["sorted"] == "descending"
    assert found["names"] == sorted(found["names"])
    assert found["tip"].startswith("SELECT avg(json_extract(numbers")
    assert found["themed"] is True
    assert found["opened"] is True
    assert found["overflow"] <= 0


def test_a_script_slipped_into_the_page_does_not_run(report: Path) -> None:
    text = report.read_text("utf-8").replace("</body>", "<script>document.title = 'broken into'</script></body>")
    page = report.with_name("broken.html")
    page.write_text(text, "utf-8")
    done = browse("--virtual-time-budget=1000", "--dump-dom", page.as_uri())
    assert "<title>quickstart" in done.stdout
    assert any("Content Security Policy" in line for line in console(done.stderr))
