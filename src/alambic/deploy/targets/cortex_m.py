"""A Cortex-M program of the generated C: its flash and RAM from the linker, its answers from an emulated core."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alambic.deploy.targets.c_source import CSource
from alambic.errors import AlambicError, nearest

COMPILER, EMULATOR = "arm-none-eabi-gcc", "qemu-system-arm"
DEBIAN = "apt-get install --no-install-recommends gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm"
# core: compiler options, QEMU's board (both count SysTick at 25 MHz)
CORES = {
    "cortex-m4": (("-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"), "mps2-an386"),
    "cortex-m7": (("-mcpu=cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"), "mps2-an500"),
}
NANOSECONDS_A_TICK = 40
SECONDS = 400  # of patience
OPTIONS = ("-mthumb", "-O3", "-ffunction-sections", "-fdata-sections", "-ffreestanding", "-std=c11")
LINK = ("-nostartfiles", "-Wl,--gc-sections", "--specs=nano.specs", "--specs=nosys.specs")


@dataclass(frozen=True)
class Program:
    """What the linker and the emulated core say.

    Attributes:
        flash_bytes: code, weights, start-up. arena_bytes, static_bytes: of the arena, and of all other variables.
        input_bytes: of one image, which the arena does not hold: it lies in RAM on a device, here in flash with the
            tests. stack_bytes: deepest seen.
        wrong_bytes: output bytes that differ from the expected ones, of ``tests`` runs.
        instructions: of one inference. It repeats exactly, so it serves to compare builds; it is no latency.
    """

    core: str
    flash_bytes: int
    arena_bytes: int
    static_bytes: int
    input_bytes: int
    stack_bytes: int
    tests: int
    wrong_bytes: int
    instructions: int


def find_toolchain() -> str | None:
    """None where compiler and emulator are there, else what is missing and how to install it."""
    missing = [tool for tool in (COMPILER, EMULATOR) if shutil.which(tool) is None]
    return f"{' and '.join(missing)} not found; on Debian: {DEBIAN}" if missing else None


def run_cortex_m(
    source: CSource, inputs: npt.NDArray[np.int8], expected: npt.NDArray[np.int8], core: str = "cortex-m4"
) -> Program:
    """Compiles, links, measures and runs.

    Args:
        inputs: N x (H W C) int8. expected: N x outputs int8, of another implementation.

    Raises AlambicError where the tools are missing, the program does not link, or the core faults.
    """
    absent = find_toolchain()
    if absent:
        raise AlambicError(f"expected a Cortex-M compiler and emulator: {absent}")
    if core not in CORES:
        raise AlambicError(f"expected a core, got {core!r}; {nearest(core, CORES)}")
    if inputs.nbytes != len(inputs) * source.input_bytes or expected.nbytes != len(inputs) * source.output_bytes:
        raise AlambicError(
            f"expected int8 inputs of {source.input_bytes} bytes and outputs of {source.output_bytes}, "
            f"got {inputs.shape} and {expected.shape}"
        )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tests.c").write_text(_write_tests(inputs, expected))
        program = _build(source, folder, core)
        sizes = _read_sizes(program)
        told = _emulate(program, CORES[core][1])
    return Program(
        core=core,
        flash_bytes=sizes[".text"] + sizes.get(".data", 0) + sizes.get(".ARM.exidx", 0),
        arena_bytes=source.arena_bytes,
        static_bytes=sizes.get(".data", 0) + sizes.get(".bss", 0) - source.arena_bytes,
        input_bytes=source.input_bytes,
        stack_bytes=told["stack_bytes"],
        tests=told["tests"],
        wrong_bytes=told["wrong_bytes"],
        instructions=told["ticks"] * NANOSECONDS_A_TICK // told["tests"],
    )


def _write_tests(inputs: npt.NDArray[np.int8], expected: npt.NDArray[np.int8]) -> str:
    lines = ["#include <stdint.h>", f"const unsigned test_count = {len(inputs)};"]
    for name, values in (("test_inputs", inputs), ("test_outputs", expected)):
        lines.append(f"const int8_t {name}[] = {{{','.join(map(str, values.ravel().tolist()))}}};")
    return "\n".join(lines) + "\n"


def _build(source: CSource, folder: Path, core: str) -> Path:
    options, _ = CORES[core]
    defines = [
        *(f"-D{item}" for item in source.defines),
        f'-DMODEL_HEADER="{source.header}"',
        f"-DARENA_BYTES={max(source.arena_bytes, 16)}",
        f"-DINPUT_BYTES={source.input_bytes}",
        f"-DOUTPUT_BYTES={source.output_bytes}",
        f"-DINFER={source.function}",
    ]
    includes = [f"-I{item}" for item in source.includes]
    program = folder / "program.elf"
    with as_file(files("alambic.deploy.targets").joinpath("harness")) as harness:
        _run([COMPILER, *options, *OPTIONS, "-c", str(folder / "tests.c"), "-o", str(folder / "tests.o")])
        _run([
            COMPILER, *options, *OPTIONS, *defines, *includes, str(harness / "main.c"), *map(str, source.sources),
            str(folder / "tests.o"), "-T", str(harness / "link.ld"), *LINK, "-o", str(program),
        ])  # fmt: skip
    return program


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode:
        raise AlambicError(f"expected {command[0]} to succeed, but it says: {(done.stderr or done.stdout)[-800:]}")
    return done.stdout + done.stderr


def _read_sizes(program: Path) -> dict[str, int]:
    """Bytes by section."""
    text = _run(["arm-none-eabi-size", "-A", str(program)])
    return {name: int(size) for name, size in re.findall(r"^(\.\S+)\s+(\d+)", text, re.MULTILINE)}


def _emulate(program: Path, board: str) -> dict[str, int]:
    text = _run([
        EMULATOR, "-M", board, "-kernel", str(program), "-nographic", "-icount", "shift=0",
        "-semihosting-config", "enable=on,target=native",
    ])  # fmt: skip
    found = {name: int(value) for name, value in re.findall(r"^(\w+) (\d+)$", text, re.MULTILINE)}
    if set(found) != {"tests", "wrong_bytes", "ticks", "stack_bytes"}:
        raise AlambicError(f"expected a report from the emulated core, got {text[-300:]!r}")
    return found
