"""Peak memory of a whole study of 50,000 images at 32 x 32, with a bank of V = 4 views and int8 measurements.

The images are random; each side trains for one epoch, since memory does not depend on how many there are. Counted is
the whole process tree, driver and workers, each fifth of a second: the sum of resident sets (pages that two processes
share count twice) and of proportional sets (shared pages count once). Goal: at most 2.5 GB.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from alambic.models.students import create_student
from alambic.models.teachers import save_teacher

TRAIN, TUNE, TEST, CLASSES, SIDE = 50_000, 1_000, 10_000, 10, 32
GOAL = 2.5e9
STUDY = f"""
name = "memory"
purpose = "demo"
seeds = 1
students = ["dscnn_8x2"]
methods = ["none", "kd", "rsd", "at"]
[data]
source = "images.npz"
tune = {TUNE}
[views]
count = 4
flip = true
shift = 4
[recipe]
epochs = 1
[teachers.small]
net = "zoo:dscnn_8x2"
weights = "teacher.safetensors"
"""


def write_study(folder: Path) -> None:
    draw = np.random.default_rng(0)

    def images(count: int) -> np.ndarray:
        return draw.integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)

    def labels(count: int) -> np.ndarray:
        return draw.integers(0, CLASSES, count)

    whole = TRAIN + TUNE
    np.savez(
        folder / "images.npz", x_train=images(whole), y_train=labels(whole), x_test=images(TEST), y_test=labels(TEST)
    )
    torch.manual_seed(0)
    net = create_student("dscnn_8x2", 3, SIDE, CLASSES)
    save_teacher(folder / "teacher.safetensors", net, {"spec": {"net": "zoo:dscnn_8x2", "teacher_data": "external"}})
    (folder / "study.toml").write_text(STUDY)


def family(root: int) -> list[int]:
    """A process and everything below it."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has just ended
            parents[int(entry.name)] = int(fields[1])
    found = [root]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process]
    return found


def resident(process: int) -> tuple[int, int]:
    """(resident, proportional) bytes; zeros for a process that has just ended."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0, 0
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith("kB")}
    return sizes.get("Rss", 0), sizes.get("Pss", 0)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        write_study(Path(folder))
        command = [sys.executable, "-m", "alambic.cli", "study", "run", "study.toml", "--out", "out"]
        log = Path(folder) / "log"
        peak = shared = most = 0
        with (
            log.open("w") as told,
            subprocess.Popen(command, cwd=folder, stdout=told, stderr=subprocess.STDOUT) as study,
        ):
            while study.poll() is None:
                sizes = [resident(process) for process in family(study.pid)]
                peak, most = max(peak, sum(r for r, _ in sizes)), max(most, len(sizes))
                shared = max(shared, sum(p for _, p in sizes))
                time.sleep(0.2)
        if study.returncode:
            print(log.read_text())
            return 1
    print(f"study of {TRAIN:,} images at {SIDE} x {SIDE}, V = 4, four cells, up to {most} processes")
    print(f"peak {peak / 1e9:.2f} GB resident, {shared / 1e9:.2f} GB with shared pages counted once")
    print(f"goal {GOAL / 1e9} GB: {'met' if peak <= GOAL else 'missed'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
