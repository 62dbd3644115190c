"""ST's compiler is the user's own: a stand-in that replays a report of the documented form plays its part here."""

from __future__ import annotations

import json
import shlex
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from deploy_nets import make_stripes, train_stripes

from alambic.deploy import pack
from alambic.deploy.chips import find_chip, load_chips
from alambic.deploy.targets.stedgeai import StReport, analyze_st, find_stedgeai, read_report
from alambic.errors import AlambicError

RECORDED = (Path(__file__).parent / "recorded" / "stedgeai_analyze.txt").read_text()
REPORT = RECORDED[RECORDED.index("ST Edge AI Core v") :]
EXPECTED = StReport("ST Edge AI Core v3.0.0-20426", "stm32h7", 12_640_106, 78_752, 64_008, 57_805, 7_383)


@pytest.fixture(autouse=True)
def _no_tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No real one on PATH, whatever stands on this machine."""
    monkeypatch.delenv("ALAMBIC_STEDGEAI", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


def write_tool(
    folder: Path, report: str = REPORT, code: int = 0, as_file: bool = False, name: str = "stedgeai"
) -> Path:
    """A ``stedgeai`` that keeps its arguments and prints a report, or writes it where the real one does."""
    (folder / "report").write_text(report)
    target = 'mkdir -p "$output"; cat {0} > "$output/network_analyze_report.txt"' if as_file else "cat {0}"
    lines = [
        "#!/bin/sh",
        f'printf "%s\\n" "$@" > {shlex.quote(str(folder / "arguments"))}',
        'while [ $# -gt 0 ]; do [ "$1" = --output ] && output="$2"; shift; done',
        target.format(shlex.quote(str(folder / "report"))),
        f"exit {code}",
    ]
    tool = folder / name
    tool.write_text("\n".join(lines) + "\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    return tool


def test_the_recorded_report_is_read() -> None:
    report = read_report(REPORT)
    assert report == EXPECTED
    assert (report.flash_bytes, report.ram_bytes) == (136_557, 71_391)  # the report's own totals


def test_without_a_compiler_the_library_is_not_counted() -> None:
    short = REPORT[: REPORT.index("Summary -")]
    report = read_report(short)
    assert (report.runtime_flash, report.runtime_ram) == (None, None)
    assert (report.flash_bytes, report.ram_bytes) == (78_752, 64_008)


def test_inputs_outside_the_activations_count() -> None:
    report = read_report(
        REPORT.replace("64,008 B (62.51 KiB) = 64,008 + 0 + 0", "76,336 B (74.55 KiB) = 64,008 + 12,288 + 40")
    )
    assert report.activation_bytes == 76_336


@pytest.mark.parametrize("line", ["macc     ", "weights (ro)", "activations (rw)"])
def test_a_missing_figure_is_no_zero(line: str) -> None:
    """The complexity report's own ``macc=`` must not stand in for the figure either."""
    kept = [text for text in REPORT.splitlines() if not text.startswith(line)]
    assert len(kept) == len(REPORT.splitlines()) - 1
    with pytest.raises(AlambicError, match=r"try ST Edge AI Core 2\.2 to 4\.0"):
        read_report("\n".join(kept))


@pytest.mark.parametrize("as_file", [False, True])
def test_the_users_tool_is_called(tmp_path: Path, as_file: bool) -> None:
    write_tool(tmp_path, as_file=as_file)
    (tmp_path / "a.onnx").write_bytes(b"x")
    assert analyze_st(tmp_path / "a.onnx", "--target stm32n6 --st-neural-art") == EXPECTED
    given = (tmp_path / "arguments").read_text().splitlines()
    assert given[:6] == ["analyze", "--model", str(tmp_path / "a.onnx"), "--target", "stm32n6", "--st-neural-art"]


def test_a_setting_names_the_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = write_tool(tmp_path, name="another")
    with pytest.raises(AlambicError, match="ALAMBIC_STEDGEAI"):
        find_stedgeai()
    monkeypatch.setenv("ALAMBIC_STEDGEAI", str(tool))
    assert find_stedgeai() == tool


def test_a_refusal_is_in_its_own_words(tmp_path: Path) -> None:
    write_tool(tmp_path, "NOT IMPLEMENTED: Unsupported layer type: Einsum", code=1)
    with pytest.raises(AlambicError, match=r"a\.onnx: expected a network that .*stm32h7 takes.* layer type: Einsum"):
        analyze_st(tmp_path / "a.onnx")


def deploy(out: Path, chip: str, **changes: object) -> dict:
    entry = replace(find_chip(chip), **changes)  # type: ignore[arg-type]
    return pack.deploy_student(train_stripes(), "dscnn_24x3", make_stripes(16, 2)[0], entry, out, emulate=False)


def test_deploy_asks_it_for_st_chips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ai_edge_litert")
    missing = deploy(tmp_path / "a", "stm32h747i-disco")
    assert "install ST Edge AI Core from st.com" in missing["needs"]["stedgeai"]["missing"]
    assert missing["stedgeai"] == missing["needs"]["stedgeai"]
    assert missing["verdict"]["fits"] is True  # the rest goes on
    assert "install ST Edge AI Core" in (tmp_path / "a" / "index.html").read_text()

    write_tool(tmp_path)
    facts = deploy(tmp_path / "b", "stm32h747i-disco")
    need = facts["needs"]["stedgeai"]
    assert (need["flash_bytes"], need["ram_bytes"]) == (136_557, 71_391)
    assert json.loads((tmp_path / "b" / "fit.json").read_text())["stedgeai"]["macs"] == 12_640_106
    assert "12,640,106 multiply-accumulates" in (tmp_path / "b" / "index.html").read_text()
    given = (tmp_path / "arguments").read_text().splitlines()
    assert given[2].endswith("student_int8.onnx")
    assert given[3:5] == ["--target", "stm32h7"]


def test_other_chips_are_not_asked_for(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    write_tool(tmp_path, code=1)
    facts = deploy(tmp_path / "a", "acc-32")
    assert "stedgeai" not in facts["needs"]
    assert not (tmp_path / "arguments").exists()
    assert {name for name, chip in load_chips().items() if chip.stedgeai} >= {"stm32h747i-disco", "stm32n6570-dk"}
