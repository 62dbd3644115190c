"""Peak memory of a whole study of 50,000 images at 32 x 32: bank of V = 4 views, int8 measurements, two workers.

The images are random; each side trains for one epoch, since memory does not depend on how many there are. Counted is
the whole process tree, driver and workers, each fifth of a second. The goal of 2.5 GB is held against the sum of
proportional sets (PSS), in which a page that several processes map counts once: that is the memory which a machine
must have. The sum of resident sets, in which torch's libraries, the images and the bank count once a process, is
printed beside it, and so is what ``import torch`` alone takes. Both contain the bank's mapped pages, which the system
may drop whenever it needs room.

Reading a process takes milliseconds in which another may end and hand its share of pages over, so that they would
count twice: each sum is the smaller one of two looks in a row.
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
[execution]
jobs = 2
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


def look(root: int) -> tuple[int, int, int]:
    """Of a process and everything below it: resident and proportional bytes, and how many processes."""
    sizes = [resident(process) for process in family(root)]
    return sum(r for r, _ in sizes), sum(p for _, p in sizes), len(sizes)


def measure_import() -> tuple[int, int]:
    """(resident, proportional) bytes of a process that has imported torch."""
    code = "import sys, torch; print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        found = resident(process.pid)
        process.stdin.close()
    return found


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
                one, two = look(study.pid), look(study.pid)
                peak, shared = max(peak, min(one[0], two[0])), max(shared, min(one[1], two[1]))
                most = max(most, one[2])
                time.sleep(0.2)
        if study.returncode:
            print(log.read_text())
            return 1
    print(f"study of {TRAIN:,} images at {SIDE} x {SIDE}, V = 4, four cells, up to {most} processes")
    alone, once = measure_import()
    print(f"peak {shared / 1e9:.2f} GB, shared pages counted once (PSS): goal {GOAL / 1e9} GB, ", end="")
    print("met" if shared <= GOAL else "missed")
    print(f"     {peak / 1e9:.2f} GB, counted once a process (RSS)")
    print(f"import torch alone: {once / 1e9:.2f} GB (PSS), {alone / 1e9:.2f} GB (RSS) a process")
    return 0


if __name__ == "__main__":
    sys.exit(main())
