"""Arm's compiler for Ethos-U accelerators: does it take the file, and what it says about memory and cycles."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from alambic.deploy.packages import require
from alambic.errors import AlambicError, nearest

Optimise = Literal["Performance", "Size"]
KIB = 1024
SECONDS = 300  # of patience; a network of this size takes one


@dataclass(frozen=True)
class Ethos:
    """A configuration of Arm's own ``Arm/vela.ini``: accelerator, its clock and memories, where weights live."""

    accelerator: str
    system: str
    memory: str


SMALL, FAST = "Ethos_U55_Deep_Embedded", "Ethos_U55_High_End_Embedded"
# the memory mode is that of a microcontroller: activations in SRAM, weights in flash
ETHOS = {
    "ethos-u55-32": Ethos("ethos-u55-32", SMALL, "Shared_Sram"),
    "ethos-u55-64": Ethos("ethos-u55-64", SMALL, "Shared_Sram"),
    "ethos-u55-128": Ethos("ethos-u55-128", FAST, "Shared_Sram"),
    "ethos-u55-256": Ethos("ethos-u55-256", FAST, "Shared_Sram"),
    "ethos-u65-256": Ethos("ethos-u65-256", "Ethos_U65_Embedded", "Shared_Sram"),
    "ethos-u85-128": Ethos("ethos-u85-128", "Ethos_U85_SYS_Flash_Low", "Shared_Sram"),
}

DEFAULT = "ethos-u55-128"  # that other chips' networks are told for


@dataclass(frozen=True)
class VelaLayer:
    """One operator on the accelerator. ``use`` is the share of its multipliers that work, in [0, 1]."""

    name: str
    kind: str
    sram_bytes: int
    cycles: int
    macs: int
    use: float


@dataclass(frozen=True)
class VelaReport:
    """What Vela says; cycles and milliseconds are its estimates, not measurements.

    Attributes:
        sram_bytes: the arena. flash_bytes: compressed weights and commands (depends on the trained weights).
        host_operators: those that the accelerator does not take, left to the processor beside it.
    """

    ethos: Ethos
    optimise: Optimise
    sram_bytes: int
    flash_bytes: int
    cycles: int
    milliseconds: float
    macs: int
    host_operators: int
    layers: tuple[VelaLayer, ...]


def compile_vela(
    path: Path | str, ethos: str | Ethos = DEFAULT, optimise: Optimise = "Performance", keep: Path | None = None
) -> VelaReport:
    """Compiles a .tflite file.

    Args:
        ethos: a key of ``ETHOS``, or a configuration of your own.
        optimise: ``Size`` trades cycles for SRAM by computing in tiles.
        keep: where the compiled .tflite goes; it is dropped by default.

    Raises AlambicError where Vela is missing, refuses the file, or says something unexpected.
    """
    require("ethosu.vela", "chip")
    if isinstance(ethos, str):
        if ethos not in ETHOS:
            raise AlambicError(f"expected an Ethos-U configuration, got {ethos!r}; {nearest(ethos, ETHOS)}")
        ethos = ETHOS[ethos]
    if optimise not in get_args(Optimise):
        raise AlambicError(f"expected optimise Performance or Size, got {optimise!r}")
    path = Path(path)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "net.tflite").write_bytes(path.read_bytes())
        command = [
            sys.executable, "-m", "ethosu.vela", str(folder / "net.tflite"), "--output-dir", str(folder),
            "--config", "Arm/vela.ini", "--accelerator-config", ethos.accelerator, "--system-config", ethos.system,
            "--memory-mode", ethos.memory, "--optimise", optimise, "--verbose-performance",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        summaries, tables = list(folder.glob("net_summary_*.csv")), list(folder.glob("net_per-layer.csv"))
        if done.returncode or not summaries or not tables:
            said = (done.stderr.strip() or done.stdout.strip())[-600:]
            raise AlambicError(f"{path}: expected a network that Vela takes for {ethos}, but it says: {said}")
        if keep is not None:
            keep.parent.mkdir(parents=True, exist_ok=True)
            keep.write_bytes((folder / "net_vela.tflite").read_bytes())
        return read_report(ethos, optimise, summaries[0].read_text(), tables[0].read_text(), done.stdout)


def survey_vela(path: Path | str, chosen: str = DEFAULT) -> dict[str, VelaReport | str]:
    """Every configuration of ``ETHOS`` by name, and ``chosen`` once more for size; the reason where one is refused.

    Raises AlambicError where Vela is missing.
    """
    require("ethosu.vela", "chip")
    wanted: dict[str, tuple[str, Optimise]] = {name: (name, "Performance") for name in ETHOS}
    wanted[f"{chosen}, for size"] = (chosen, "Size")

    def ask(asked: tuple[str, Optimise]) -> VelaReport | str:
        try:
            return compile_vela(path, *asked)
        except AlambicError as error:
            return str(error)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # each waits for a process of its own
        return dict(zip(wanted, pool.map(ask, wanted.values()), strict=True))


def read_report(ethos: Ethos, optimise: Optimise, summary: str, layers: str, log: str) -> VelaReport:
    """The report in Vela's summary and per-layer tables (CSV) and its log."""
    try:
        on_host = int(re.findall(r"CPU operators = (\d+)", log)[-1])
        row = list(csv.DictReader(summary.splitlines()))[-1]
        flash = float(row["off_chip_flash_memory_used"]) + float(row["on_chip_flash_memory_used"])
        return VelaReport(
            ethos=ethos,
            optimise=optimise,
            sram_bytes=round(float(row["sram_memory_used"]) * KIB),
            flash_bytes=round(flash * KIB),
            cycles=int(float(row["cycles_total"])),
            milliseconds=float(row["inference_time"]) * 1000,
            macs=int(row["nn_macs"]),
            host_operators=on_host,
            layers=tuple(_read_layer(item) for item in csv.DictReader(layers.splitlines())),
        )
    except (KeyError, IndexError, ValueError) as error:
        raise AlambicError(
            f"expected Vela's summary with memory and cycles, got something else ({error!r}); try ethos-u-vela 5.2.0"
        ) from error


def _read_layer(row: dict[str, str]) -> VelaLayer:
    return VelaLayer(
        name=row["Name"],
        kind=row["Original Operator"],
        sram_bytes=int(float(row["Staging Usage"])),
        cycles=int(float(row["Op Cycles"])),
        macs=int(float(row["MAC Count"])),
        use=float(row["Util% (MAC)"]) / 100,
    )
