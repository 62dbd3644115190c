"""``alambic doctor``: what is installed here, and what is missing for what."""

from __future__ import annotations

import argparse
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from alambic.errors import AlambicError

CORE, DEPLOY, CHIP = "pip install alambic", 'pip install "alambic[deploy]"', 'pip install "alambic[chip]"'
REPORT = 'pip install "alambic[report]"'
# package: what needs it, how to get it
PACKAGES = {
    "torch": ("everything", CORE),
    "torchvision": ("everything", CORE),
    "timm": ("teachers by name", CORE),
    "onnx": ("export and int8", DEPLOY),
    "onnxruntime": ("int8, ONNX teachers", DEPLOY),
    "onnxscript": ("export of operators outside our own table", DEPLOY),
    "ai-edge-litert": (".tflite files and the device's reference kernels", CHIP),
    "tflite-micro": ("the device's own kernels and their arena", CHIP),
    "ethos-u-vela": ("Arm Ethos-U: SRAM, flash, cycles", CHIP),
    "bakenn": ("C sources", CHIP),
    "typst": ("reports as PDF", REPORT),
    "python-pptx": ("slides", REPORT),
    "ray": ("studies over several machines", 'pip install "alambic[ray]"'),
}
WIDE = 18


def add_commands(commands: Any) -> None:
    """Adds ``doctor`` to the parser's commands."""
    doctor = commands.add_parser("doctor", help="what is installed here, and what is missing for what")
    doctor.set_defaults(run=show_doctor)


def show_doctor(options: argparse.Namespace) -> int:
    for package, (use, how) in PACKAGES.items():
        try:
            said = version(package)
        except PackageNotFoundError:
            said = f"missing; needed for {use}: {how}"
        print(f"{package:{WIDE}}{said}")
    for tool, said in describe_tools().items():
        print(f"{tool:{WIDE}}{said}")
    import torch

    from alambic.data import DataSpec, load_source

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "none, the CPU trains"
    print(f"{'GPU':{WIDE}}{device}\n{'CPU threads':{WIDE}}{torch.get_num_threads()}")
    try:
        source = load_source(DataSpec("fashion-mnist"))
        print(f"{'Fashion-MNIST':{WIDE}}{len(source.images):,} images")
    except AlambicError as error:
        print(f"{'Fashion-MNIST':{WIDE}}{error}")
    return 0


def describe_tools() -> dict[str, str]:
    """Programs that deployment calls where they are there: what each says of its version, or how to get it."""
    from alambic.deploy.targets.cortex_m import COMPILER, DEBIAN, EMULATOR
    from alambic.deploy.targets.stedgeai import TOOL, find_stedgeai

    found = {}
    for tool, use in ((COMPILER, "a Cortex-M program: flash, RAM"), (EMULATOR, "running it")):
        path = shutil.which(tool)
        found[tool] = ask_version(path) if path else f"missing; needed for {use}: on Debian {DEBIAN}"
    try:
        found[TOOL] = ask_version(str(find_stedgeai()))
    except AlambicError as error:
        found[TOOL] = f"missing; needed for ST's own figures: {error}"
    return found


def ask_version(path: str) -> str:
    """The first line that ``path --version`` prints; what went wrong where it prints none."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{path} is there but does not run: {error}"
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0] if lines and not done.returncode else f"{path} is there, but --version ends with {done.returncode}"
