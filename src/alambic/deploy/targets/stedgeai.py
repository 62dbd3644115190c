"""ST Edge AI Core: what the user's own ``stedgeai analyze`` says of flash, RAM and multiply-accumulates.

ST's compiler comes from st.com under ST's licence and from no package registry, so it is called where it is installed
and never shipped. The report's form follows ST's documentation of the command line (ST Edge AI Core 2.2 to 4.0).
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from alambic.errors import AlambicError

TOOL, SETTING = "stedgeai", "ALAMBIC_STEDGEAI"
WHERE = (
    f"install ST Edge AI Core from st.com (free account) and put its {TOOL} on PATH, or set {SETTING} to the full path"
)
NAME = "network"  # of the C network, hence of the report's file
SECONDS = 300  # of patience; an analysis takes about twenty
COUNT = r"([\d,]+)"
FIGURE = r"^\s*{name}\s*:\s*" + COUNT  # the lines below "Complexity report" have an equals sign instead


@dataclass(frozen=True)
class StReport:
    """What ST's compiler says.

    Attributes:
        tool: name and version. target: as the report has it, such as stm32h7.
        macs: its own count ("macc"): activations and pooling are counted too; 0 where Neural-ART computes all.
        weight_bytes, activation_bytes: of the network alone; activations with inputs and outputs that lie outside.
        runtime_flash, runtime_ram: of ST's library; None where no compiler for the target was on PATH to size it by.
    """

    tool: str
    target: str
    macs: int
    weight_bytes: int
    activation_bytes: int
    runtime_flash: int | None
    runtime_ram: int | None

    @property
    def flash_bytes(self) -> int:
        return self.weight_bytes + (self.runtime_flash or 0)

    @property
    def ram_bytes(self) -> int:
        return self.activation_bytes + (self.runtime_ram or 0)


def find_stedgeai() -> Path:
    """The user's tool. Raises AlambicError that says how to get it where there is none."""
    asked = os.environ.get(SETTING)
    found = shutil.which(asked or TOOL)
    if found is None:
        raise AlambicError(f"expected ST's compiler as {asked or TOOL!r}, found none; try: {WHERE}")
    return Path(found)


def analyze_st(path: Path | str, options: str = "--target stm32h7") -> StReport:
    """Analyses an int8 network, QDQ ONNX or .tflite.

    Args:
        options: of the tool, such as ``--target stm32n6 --st-neural-art``.

    Raises AlambicError where the tool is missing, refuses the file, or says something unexpected.
    """
    tool = find_stedgeai()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [
            str(tool), "analyze", "--model", str(Path(path).resolve()), *shlex.split(options), "--name", NAME,
            "--workspace", str(folder / "workspace"), "--output", str(folder / "output"),
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, cwd=folder)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise AlambicError(
                f"expected {tool} to analyse {path}, but it did not run: {error}; try: {WHERE}"
            ) from error
        if done.returncode:
            said = (done.stdout + done.stderr).strip()[-600:]
            raise AlambicError(f"{path}: expected a network that {TOOL} {options} takes, but it says: {said}")
        report = folder / "output" / f"{NAME}_analyze_report.txt"
        return read_report(report.read_text() if report.exists() else done.stdout)


def read_report(text: str) -> StReport:
    """The report of ``analyze``, as it is printed or as ``network_analyze_report.txt`` has it.

    Raises AlambicError where a figure is missing: a version with another form must not be read as zeros.
    """
    figures = {}
    for key, name in (("macs", "macc"), ("weights", "weights (ro)"), ("activations", "activations (rw)")):
        found = re.search(FIGURE.format(name=re.escape(name)), text, re.MULTILINE)
        if found is None:
            raise AlambicError(
                f"expected a line {name!r} in the report of {TOOL} analyze, got {text[:200]!r}, because its "
                "form changed or it stopped early; try ST Edge AI Core 2.2 to 4.0"
            )
        figures[key] = _read_count(found[1])
    total = re.search(FIGURE.format(name=r"ram \(total\)"), text, re.MULTILINE)
    tool = re.search(r"ST Edge AI Core v\S+", text)
    target = re.search(r"^\s*target/series\s*:\s*(\S+)", text, re.MULTILINE)
    share = r"(?:\s+[\d.]+%)?\s+"
    runtime = re.search(rf"^\s*RT total\s+{COUNT}{share}{COUNT}", text, re.MULTILINE)
    return StReport(
        tool=tool[0] if tool else "ST Edge AI Core",
        target=target[1] if target else "unknown",
        macs=figures["macs"],
        weight_bytes=figures["weights"],
        activation_bytes=_read_count(total[1]) if total else figures["activations"],
        runtime_flash=_read_count(runtime[1]) if runtime else None,
        runtime_ram=_read_count(runtime[2]) if runtime else None,
    )


def _read_count(text: str) -> int:
    return int(text.replace(",", ""))
