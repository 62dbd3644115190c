"""``alambic doctor``: every optional package and program, what it is for, how to get it; broken ones are told."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from alambic import cli_doctor
from alambic.cli import main

ROOT = Path(__file__).parents[2]


def test_each_optional_package_of_the_project_is_listed() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = {re.split(r"[\[<>=!]", item)[0] for extra, items in extras.items() if extra != "dev" for item in items}
    assert names <= set(cli_doctor.PACKAGES)
    for extra in ("deploy", "chip", "report", "ray"):
        for item in extras[extra]:
            assert f"alambic[{extra}]" in cli_doctor.PACKAGES[re.split(r"[\[<>=!]", item)[0]][1]


def test_what_is_missing_is_named_with_its_use_and_its_cure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def no_version(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(cli_doctor, "version", no_version)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("ALAMBIC_STEDGEAI", raising=False)
    assert main(["doctor"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert 'missing; needed for C sources: pip install "alambic[chip]"' in lines["bakenn"]
    assert "apt-get install --no-install-recommends gcc-arm-none-eabi" in lines["arm-none-eabi-gcc"]
    assert "qemu-system-arm" in lines["qemu-system-arm"]
    assert "st.com" in lines["stedgeai"]


def test_programs_are_asked_for_their_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for name, script in (
        ("arm-none-eabi-gcc", "echo gcc 12.2.1; echo more"),
        ("qemu-system-arm", "exit 3"),
        ("stedgeai", "echo ST Edge AI Core v3.0.0"),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    found = cli_doctor.describe_tools()
    assert found["arm-none-eabi-gcc"] == "gcc 12.2.1"
    assert found["qemu-system-arm"].endswith("is there, but --version ends with 3")
    assert found["stedgeai"] == "ST Edge AI Core v3.0.0"
    (tmp_path / "stedgeai").write_text("no program at all")
    assert "is there but does not run" in cli_doctor.describe_tools()["stedgeai"]
