"""Faults of files and disks: what is damaged, full or read-only is named, and never read as whole."""

import contextlib
import json
import os
import random
import shutil
import sqlite3
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import test_faults
import torch

from alambic import files
from alambic.errors import AlambicError
from alambic.training.bank import Bank
from faults_disks import NOT_PERMITTED, in_read_only, in_small_disk
from faults_judge import done, failures, find_differences, note
from faults_tools import Fault, finish, launch, said

SEED, CELLS = test_faults.SEED, test_faults.CELLS
images, study, undisturbed = test_faults.images, test_faults.study, test_faults.undisturbed
pytestmark = pytest.mark.slow


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << (position % 8)
    path.write_bytes(content)


def broken(content, pick, tries):
    """A file's content with one bit turned, or cut short: ``tries`` of each."""
    for _ in range(tries):
        position = pick.randrange(len(content))
        changed = bytes([content[position] ^ (1 << pick.randrange(8))])
        yield content[:position] + changed + content[position + 1 :]
        yield content[: pick.randrange(len(content))]


def means(bank):
    """All that a bank says, as bytes."""
    return {name: np.asarray(array).tobytes() for name, array in bank.arrays.items()} | {
        "rows": bank.rows.numpy().tobytes(),
        "card": repr((bank.views, bank.spec)),
    }


def test_a_changed_or_truncated_bank_is_refused(undisturbed, tmp_path):
    pick, accepted, tries = random.Random(SEED), Counter(), Counter()
    bank = tmp_path / "bank"
    shutil.copytree(next((undisturbed.out / "banks").glob("[!.]*")), bank)
    right = means(Bank(bank))
    for path in sorted(bank.iterdir()):
        content = path.read_bytes()
        for number, wrong in enumerate(broken(content, pick, 100 if path.suffix == ".json" else 20)):
            fault = ("flipped bit in a bank", "truncated bank")[number % 2]
            path.write_bytes(wrong)
            tries[fault] += 1
            # without the guard too, but for ids: a wrong one may ask for more memory than there is
            for check in (True,) if path.stem == "ids" else (True, False):
                with contextlib.suppress(AlambicError if check else Exception):
                    accepted[fault, check] += means(Bank(bank, check_hash=check)) != right
        path.write_bytes(content)
    for fault, count in tries.items():
        without = f"{accepted[fault, False]} wrong banks are read as right"
        note(
            fault, tries=count, lost=accepted[fault, True], guard="checksums, read when a study starts", without=without
        )
    assert accepted["flipped bit in a bank", True] == accepted["truncated bank", True] == 0
    assert accepted["flipped bit in a bank", False] > 30


def test_a_study_with_a_truncated_bank_stops_and_says_what_to_do(study, undisturbed, tmp_path):
    out, trace = tmp_path / "out", tmp_path / "trace"
    shutil.copytree(undisturbed.out, out)
    path = next((out / "banks").glob("*/logits.npy"))
    os.truncate(path, path.stat().st_size - 100)
    assert finish(launch(study, out, trace)) == 0  # nothing is left to train: no bank is read
    with sqlite3.connect(out / "ledger.sqlite") as ledger:
        ledger.execute("DELETE FROM cells")
    ledger.close()
    assert finish(launch(study, out, trace)) == 2
    assert "delete the bank's folder and run again" in " ".join(said(trace).split())
    shutil.rmtree(path.parent)
    assert finish(launch(study, out, trace)) == 0
    assert find_differences(out, undisturbed.out) == []


def test_a_changed_or_truncated_checkpoint_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "x.checkpoint"
    state = {"key": "k", "student": {"w": torch.arange(500.0)}, "history": [{"epoch": 1}]}
    faults = "flipped bit in a checkpoint", "truncated checkpoint"
    accepted, blind = Counter(), SimpleNamespace(hexdigest=lambda: "0" * 64)
    for guarded in (True, False):
        if not guarded:
            monkeypatch.setattr(files, "hashlib", SimpleNamespace(sha256=lambda body: blind))
        files.save_checkpoint(path, state)
        content, pick = path.read_bytes(), random.Random(SEED)
        for number, wrong in enumerate(broken(content, pick, 200)):
            path.write_bytes(wrong)
            with contextlib.suppress(AlambicError):
                got = files.load_checkpoint(path, "k")
                same = got is not None and torch.equal(got["student"]["w"], state["student"]["w"])
                accepted[guarded, faults[number % 2]] += not same or got["history"] != state["history"]
    for fault in faults:
        without = f"{accepted[False, fault]} wrong states are read as right"
        note(fault, tries=200, lost=accepted[True, fault], guard="a checksum at its end", without=without)
    assert accepted[True, faults[0]] == accepted[True, faults[1]] == 0
    assert accepted[False, faults[0]] > 50


def test_a_changed_checkpoint_costs_its_cell_only(study, undisturbed, tmp_path):
    out, trace, one = tmp_path / "out", tmp_path / "trace", study.with_name("one.toml")
    one.write_text(study.read_text().replace("jobs = 2", "jobs = 1"))  # so that the group comes first
    assert finish(launch(one, out, tmp_path / "killed", Fault("watch", (out, "checkpoint", 15)))) == -9
    path, _ = sorted((out / "checkpoints").glob("[!.]*"))
    flip(path, path.stat().st_size // 2)
    assert finish(launch(one, out, trace)) == 1
    (reason,) = failures(out)
    assert "checksum differs" in reason
    assert len(done(out)) == CELLS - 1, "the other cell of its group suffered too"
    path.unlink()
    assert finish(launch(one, out, trace)) == 0
    assert find_differences(out, undisturbed.out) == []


def test_what_a_kill_left_half_made_goes_once_it_is_old(tmp_path):
    made = [tmp_path / f".{name}.part" for name in ("old-file", "new-file", "old-bank", "new-bank")]
    for path in made:
        inside = path
        if "bank" in path.name:
            path.mkdir()
            inside = path / "logits.npy"
        inside.write_text("half")
        if "old" in path.name:
            for old in {inside, path}:
                os.utime(old, (0, 0))
    os.utime(made[3], (0, 0))  # its file is new: somebody is writing it
    files.remove_parts(tmp_path)
    assert [path.exists() for path in made] == [False, True, False, True]


def allowed(process):
    if finish(process) == NOT_PERMITTED:
        pytest.skip("this machine lets nobody mount: expected root or user namespaces (unshare -m)")


def test_full_disk_at_every_size(study, undisturbed, tmp_path):
    trace = tmp_path / "trace"
    allowed(in_small_disk(study, undisturbed.out, tmp_path / "out", trace))
    codes = json.loads((trace / "codes").read_text())
    assert set(codes[:-1]) <= {1, 2}, codes
    assert codes[-1] == 0
    words = " ".join(said(trace).split())
    assert "Traceback" not in words
    assert "cannot write the bank" in words
    lost = find_differences(trace / "kept", undisturbed.out)
    guard = "room is taken before a bank is written; named errors"
    note("full disk", tries=len(codes) - 1, lost=len(lost), guard=guard)
    assert lost == []


def test_without_room_a_full_disk_kills(study, undisturbed, tmp_path):
    allowed(in_small_disk(study, undisturbed.out, tmp_path / "out", tmp_path / "trace", Fault("without_room")))
    assert json.loads((tmp_path / "trace" / "codes").read_text())[-1] == -7
    note("full disk", without="the study dies of SIGBUS in its bank")


def test_read_only_folder(study, undisturbed, tmp_path):
    out, empty, trace = tmp_path / "out", tmp_path / "empty", tmp_path / "trace"
    shutil.copytree(undisturbed.out, out)
    empty.mkdir()
    run, status = (["study", action, str(study), "--out", str(out)] for action in ("run", "status"))
    report = ["report", str(out / "ledger.sqlite"), "--out", str(tmp_path / "report.html")]
    allowed(in_read_only(out, trace, [run, status, report]))
    assert json.loads((trace / "codes").read_text()) == [2, 0, 0], said(trace)
    allowed(in_read_only(empty, tmp_path / "fresh", [[*run[:-1], str(empty)]]))
    assert json.loads((tmp_path / "fresh" / "codes").read_text()) == [2]
    for words in said(trace), said(tmp_path / "fresh"):
        assert "Read-only file system" in words
        assert "try another --out" in " ".join(words.split())
        assert "Traceback" not in words
    lost = find_differences(out, undisturbed.out)
    note("read-only folder", tries=2, lost=len(lost), guard="a named error before anything is trained; it can be read")
    assert lost == []
    allowed(in_read_only(empty, tmp_path / "bare", [[*run[:-1], str(empty)]], Fault("without_words")))
    assert json.loads((tmp_path / "bare" / "codes").read_text()) == [1]
    note("read-only folder", without="a traceback")
