"""Runs every benchmark and writes ``benchmarks/RESULTS.md``: what was run, on which machine, what it printed.

``python benchmarks/run_all.py [NAME ...]``: named benchmarks replace their own sections only.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import time

import torch
from common import HERE
from method_costs import describe_machine

PATH = HERE / "RESULTS.md"
NAMES = ("epochs", "methods", "grid", "peers", "floor", "compile", "memory")
HEAD = """# Benchmarks

Made by `python benchmarks/run_all.py`; each section holds the command that made it and what it printed. Ratios compare
steps that were taken in turn within one run. Times are processor times of one thread (`OMP_NUM_THREADS=1`), so that
other work on the machine does not count as time; it still competes for caches and memory, which is why the load during
each run is told. What a goal asks and whether it is met stands beside each number.
"""


def tell_machine() -> str:
    """Processor, cores, memory, versions."""
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    sizes = f"{os.cpu_count()} cores, {pages / 2**30:.0f} GiB, {gpu}"
    return f"{describe_machine()}; {sizes}, Python {platform.python_version()}"


def run(name: str) -> str:
    """One section."""
    command = [sys.executable, str(HERE / f"{name}.py")]
    started, when = time.perf_counter(), time.strftime("%Y-%m-%d %H:%M")
    before = os.getloadavg()[0]
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"benchmarks/{name}.py failed:\n{done.stdout}{done.stderr}")
    load = (before + os.getloadavg()[0]) / 2
    spent = time.perf_counter() - started
    return (
        f"## {name}\n\n`OMP_NUM_THREADS=1 python benchmarks/{name}.py`, {when}, {spent:.0f} s of wall time, "
        f"load {load:.1f} on {os.cpu_count()} cores. {tell_machine()}.\n\n```\n{done.stdout.rstrip()}\n```\n"
    )


def read_sections() -> dict[str, str]:
    """The sections that stand already."""
    text = PATH.read_text() if PATH.exists() else ""
    parts = re.split(r"^## (?=\w+$)", text, flags=re.MULTILINE)[1:]
    return {part.split("\n", 1)[0]: f"## {part.rstrip()}\n" for part in parts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NAMES)}; all by default")
    sections = read_sections()
    for name in parser.parse_args().names or NAMES:
        sections[name] = run(name)
        print(sections[name], flush=True)
        PATH.write_text("\n".join([HEAD, *(sections[key] for key in NAMES if key in sections)]))


if __name__ == "__main__":
    main()
