"""A long study of tiny cells: memory and open files do not grow. ``ALAMBIC_SOAK_CELLS`` sets how many (500 by hand)."""

import contextlib
import os
import sqlite3
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import test_study

from faults_judge import note
from faults_tools import Fault, launch, said

CELLS = int(os.environ.get("ALAMBIC_SOAK_CELLS", "60"))
MAY_GROW = 0.1  # of the memory after the first 50 cells (a third of a shorter study)
images = test_study.folder
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300 + 20 * CELLS)]


def write_study(images, cells):
    """A folder with a study: a quarter of its cells alone, a quarter from a bank, half in live groups."""
    text = (images / "study.toml").read_text().replace("epochs = 4", "epochs = 1").replace("jobs = 2", "jobs = 1")
    text = text.replace("seeds = 2", f"seeds = {cells // 4}").replace(', "at"', "").replace(', "dist"', "")
    if cells <= 60:  # a quantised network costs as much as ten such trainings
        text = text.replace("[int8]", "[int8]\nenabled = false")
    folder = images / f"soak{cells}"
    folder.mkdir()
    (folder / "study.toml").write_text(text)
    return folder


def family(pid):
    """A process and its children."""
    with contextlib.suppress(OSError):
        told = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [pid, *map(int, told.split())]
    return [pid]


def measure(pid):
    """Resident MB and open files of a process; None once it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6, len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return None


def count_rows(out):
    try:
        with contextlib.closing(sqlite3.connect(f"{(out / 'ledger.sqlite').as_uri()}?mode=ro", uri=True)) as db:
            return db.execute("SELECT count(*) FROM cells WHERE state != 'skipped'").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def follow(pid, out, cells, alive):
    """Process to its (finished cells, MB, open files), looked at while its study runs."""
    seen = defaultdict(list)
    while alive() and (rows := count_rows(out)) < cells:
        for member in family(pid):
            if rows and (found := measure(member)) is not None:
                seen[member].append((rows, *found))
        time.sleep(0.02)
    return seen


def growth(seen, cells):
    """The worst of all processes: memory at the end over memory after the first cells, and open files more.

    Cells end faster than one can look: a process counts from where it is first seen after the first cells to where it
    is last seen, if two fifths of the study lie between.
    """
    early, worst = min(50, cells // 3), []
    for samples in seen.values():
        later = [sample for sample in samples if sample[0] >= early]
        if later and later[-1][0] - later[0][0] >= 0.4 * cells:
            first, last = ([sample for sample in later if sample[0] == end[0]] for end in (later[0], later[-1]))
            mb = [sorted(sample[1] for sample in part)[len(part) // 2] for part in (first, last)]
            files = [min(sample[2] for sample in part) for part in (first, last)]
            worst.append((mb[1] / mb[0], files[1] - files[0], *mb))
    assert len(worst) >= 2, f"expected to see the driver and its worker from the first cells to the last, got {seen}"
    return max(row[0] for row in worst), max(row[1] for row in worst), worst


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_memory_and_files_do_not_grow(images, tmp_path):
    process = test_study.start(write_study(images, CELLS), tmp_path)
    with ThreadPoolExecutor(1) as pool:  # beside it, this thread reads what the study says
        watcher = pool.submit(follow, process.pid, tmp_path, CELLS, lambda: process.poll() is None)
        told, _ = process.communicate()
    assert process.returncode == 0, told.decode()
    ratio, files, worst = growth(watcher.result(), CELLS)
    files -= sum(
        path.name != "ids.npy" for path in tmp_path.glob("banks/*/*.npy")
    )  # mapped once, after the first cells
    lost = int(ratio > 1 + MAY_GROW) + int(files > 0)
    memory = ", ".join(f"{first:.0f} MB then {last:.0f} MB" for _, _, first, last in worst if first > 50)
    note(
        f"a study of {CELLS} cells",
        tries=CELLS,
        lost=lost,
        guard=f"memory: {memory}; {max(files, 0)} more open files, but for the bank's",
    )
    assert ratio <= 1 + MAY_GROW, worst
    assert files <= 0, worst


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_a_leak_would_be_seen(images, tmp_path):
    cells = 24
    process = launch(write_study(images, cells) / "study.toml", tmp_path / "out", tmp_path / "trace", Fault("leak"))
    seen = follow(process.pid, tmp_path / "out", cells, process.is_alive)
    process.join(280)
    assert process.exitcode == 0, said(tmp_path / "trace")
    ratio, files, worst = growth(seen, cells)
    assert ratio > 1 + MAY_GROW, worst
    assert files > 0, worst
    note(f"a study of {CELLS} cells", without="a planted leak of 16 MB and a file a group is seen")
