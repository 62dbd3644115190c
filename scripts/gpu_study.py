"""A study on a machine that is lent for minutes: each call goes on where the last one stopped.

    python scripts/gpu_study.py make-data CIFAR100_FOLDER DATA
    python scripts/gpu_study.py run --data DATA --out OUT [--state LAST_OUT] [--budget-s 540] [--study FILE]

``make-data`` writes the 10,000 test images and the first 15,000 of train (the file is shuffled), at most 45 MB.
``run`` trains the teachers of the study file that are missing, builds banks, trains cells, and stops in time. OUT then
holds at most 8 files of at most 15 MB: ``ledger.sqlite``, the teachers in fp16, their cards in ``cards.json``, and
``rest.N``, an archive of the checkpoints. Give it as --state to the next call, until one says "complete".

It needs torch, torchvision, timm, numpy, scipy, pyarrow, pillow, safetensors, no network, and nothing else.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import signal
import sqlite3
import sys
import tarfile
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOST_FILES, MOST_BYTES, MOST_DATA = 8, 15_000_000, 45_000_000
TRAIN_IMAGES = 15_000
STARTED = time.monotonic()


def main() -> int:
    parser = argparse.ArgumentParser(description="a study in pieces, for a machine that is lent for minutes")
    actions = parser.add_subparsers(required=True, dest="action")
    make = actions.add_parser("make-data", help="cut the data folder")
    make.add_argument("source", type=Path, help="a folder with train.parquet and test.parquet")
    make.add_argument("target", type=Path)
    run = actions.add_parser("run", help="go on")
    run.add_argument("--data", type=Path, required=True)
    run.add_argument("--out", type=Path, default=os.environ.get("OUT"), required="OUT" not in os.environ)
    run.add_argument("--state", type=Path, help="the last call's --out")
    run.add_argument("--budget-s", type=float, default=540.0, help="seconds, start and packing included")
    run.add_argument("--study", type=Path, default=ROOT / "studies" / "gpu" / "study.toml")
    options = parser.parse_args()
    if options.action == "make-data":
        make_data(options.source, options.target)
        return 0
    return go_on(options.data, options.out, options.state, options.budget_s, options.study)


def make_data(source: Path, target: Path) -> None:
    """The test file as it is, and the first images of the train file; refuses what is larger than allowed."""
    import pyarrow.parquet as pq

    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / "test.parquet", target / "test.parquet")
    table = pq.read_table(source / "train.parquet").slice(0, TRAIN_IMAGES)
    # pictures do not shrink: they are compressed already
    pq.write_table(table, target / "train.parquet", compression="none", row_group_size=1000)
    total = sum(file.stat().st_size for file in target.iterdir())
    print(f"{target}: {len(table):,} training images, {total / 1e6:.1f} MB")
    if total > MOST_DATA:
        raise SystemExit(f"expected at most {MOST_DATA:,} bytes of data, got {total:,}")


def go_on(data: Path, out: Path, state: Path | None, budget: float, study_file: Path) -> int:
    """One call: unpack, run until done or until the time is up, pack. 0, or 1 where cells failed."""
    sys.path.insert(0, str(ROOT / "src"))
    from alambic.study.run import run_study
    from alambic.study.study_file import read_study
    from alambic.training import stop

    stop.listen()
    size = sum(file.stat().st_size for file in data.rglob("*") if file.is_file())
    if size > MOST_DATA:
        raise SystemExit(f"expected at most {MOST_DATA:,} bytes of data, got {size:,} in {data}")
    work = Path(tempfile.mkdtemp(prefix="alambic-gpu-"))
    if state is not None and (state / "ledger.sqlite").exists():
        unpack(state, work)
    study = read_study(study_file)
    study = replace(study, data=replace(study.data, path=str(data.resolve())))
    # to end a step, save, and pack; a bank and a measurement end within seconds
    left = budget - (time.monotonic() - STARTED) - min(45.0, max(3.0, 0.1 * budget))
    timer = threading.Timer(max(0.0, left), os.kill, (os.getpid(), signal.SIGTERM))
    timer.daemon = True
    timer.start()
    failed, told = 0, "not finished: call again with --state"
    try:
        summary = run_study(study, work)
        failed, told = summary.failed, f"complete: {summary.done + summary.kept} cells"
    except stop.Stopped:
        pass
    finally:
        timer.cancel()
        pack(work, out)
        shutil.rmtree(work, ignore_errors=True)
    print(f"{told}; {count_done(out / 'ledger.sqlite')} cells in the ledger, {time.monotonic() - STARTED:.0f} s")
    return 1 if failed else 0


def unpack(state: Path, work: Path) -> None:
    """Lays the files of the last call where a study looks for them."""
    teachers = work / "teachers"
    teachers.mkdir(parents=True)
    shutil.copyfile(state / "ledger.sqlite", work / "ledger.sqlite")
    for name, card in json.loads((state / "cards.json").read_text()).items():
        shutil.copyfile(state / name, teachers / name)
        (teachers / name).with_suffix(".json").write_text(card)
    parts = sorted(state.glob("rest.*"))
    if parts:
        content = b"".join(part.read_bytes() for part in parts)
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(work, filter="data")


def pack(work: Path, out: Path) -> None:
    """Fills the output folder within its limits; says so where a checkpoint is too large to be kept."""
    out.mkdir(parents=True, exist_ok=True)
    for old in out.iterdir():
        old.unlink()
    teachers = sorted((work / "teachers").glob("*.safetensors"))
    cards = {path.name: path.with_suffix(".json").read_text() for path in teachers}
    (out / "cards.json").write_text(json.dumps(cards))
    for path in teachers:
        shutil.copyfile(path, out / path.name)
    database = sqlite3.connect(work / "ledger.sqlite")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.execute("VACUUM INTO ?", (str(out / "ledger.sqlite"),))
    database.close()
    kept = io.BytesIO()
    with tarfile.open(fileobj=kept, mode="w") as archive:
        for path in sorted(work.rglob("*.checkpoint")):
            archive.add(path, path.relative_to(work).as_posix())
    content = kept.getvalue()
    parts = [content[start : start + MOST_BYTES] for start in range(0, len(content), MOST_BYTES)]
    room = MOST_FILES - len(list(out.iterdir()))
    if len(parts) > room:
        print(f"the checkpoints take {len(content):,} bytes, more than {room} files: what is half done starts again")
        parts = []
    for number, part in enumerate(parts):
        (out / f"rest.{number}").write_bytes(part)
    large = [f"{file.name}: {file.stat().st_size:,}" for file in out.iterdir() if file.stat().st_size > MOST_BYTES]
    if large or room < 0:
        raise SystemExit(f"expected at most {MOST_FILES} files of {MOST_BYTES:,} bytes, got {large or 'more files'}")


def count_done(ledger: Path) -> int:
    """Cells of a ledger that are done."""
    database = sqlite3.connect(ledger)
    try:
        return int(database.execute("SELECT count(*) FROM cells WHERE state = 'done'").fetchone()[0])
    finally:
        database.close()


if __name__ == "__main__":
    raise SystemExit(main())
