"""Studies on disks that are full or read-only, in a mount namespace that ends with its process."""

from __future__ import annotations

import contextlib
import ctypes
import json
import multiprocessing
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from faults_tools import SERVER, Fault, finish, run_in_group

NOT_PERMITTED = 77  # exit code where the machine lets nobody mount
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 1 << 14, 1 << 18
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
STEP = 1.2  # by which a full disk grows between two tries


def in_small_disk(study: Path, ready: Path, out: Path, trace: Path, *faults: Fault) -> Any:
    """Starts a study on a disk of 128 KiB, and again on one larger by ``STEP`` until one succeeds or dies of a signal.

    Its teacher is there already, from the folder ``ready``: the checkpoint of its training would be larger than all
    that comes after it. The disk's content is copied to ``trace/kept`` in the end, exit codes are in ``trace/codes``.
    """
    trace.mkdir(parents=True, exist_ok=True)
    process = SERVER.Process(target=_fill_disks, args=(study, ready, out, trace, faults))
    process.start()
    return process


def _fill_disks(study: Path, ready: Path, out: Path, trace: Path, faults: Sequence[Fault]) -> None:
    leave()
    out.mkdir()
    size, codes, flags = 128.0, [0], 0
    while codes[-1] >= 0 and (codes[-1] or len(codes) == 1):
        mount("tmpfs", out, "tmpfs", flags, f"size={int(size)}k")
        if not flags:
            shutil.copytree(ready / "teachers", out / "teachers")
        forked = multiprocessing.get_context("fork").Process(
            target=run_in_group, args=(["study", "run", str(study), "--out", str(out)], trace, faults)
        )
        forked.start()
        codes.append(finish(forked))
        size, flags = size * STEP, MS_REMOUNT
    shutil.copytree(out, trace / "kept")
    (trace / "codes").write_text(json.dumps(codes[1:]))


def in_read_only(out: Path, trace: Path, commands: Sequence[Sequence[str]], *faults: Fault) -> Any:
    """Runs commands of alambic while ``out`` cannot be written; exit codes are in ``trace/codes``."""
    trace.mkdir(parents=True, exist_ok=True)
    process = SERVER.Process(target=_lock_folder, args=(out, trace, commands, faults))
    process.start()
    return process


def _lock_folder(out: Path, trace: Path, commands: Sequence[Sequence[str]], faults: Sequence[Fault]) -> None:
    leave()
    mount(str(out), out, "", MS_BIND)
    mount("", out, "", MS_REMOUNT | MS_BIND | MS_RDONLY)
    codes = []
    for words in commands:
        forked = multiprocessing.get_context("fork").Process(target=run_in_group, args=(words, trace, faults))
        forked.start()
        codes.append(finish(forked))
    (trace / "codes").write_text(json.dumps(codes))


def leave() -> None:
    """A mount namespace of this process's own; exits with NOT_PERMITTED where the machine refuses."""
    libc, user = ctypes.CDLL(None, use_errno=True), os.getuid()
    if libc.unshare(CLONE_NEWNS if user == 0 else CLONE_NEWNS | CLONE_NEWUSER) != 0:
        sys.exit(NOT_PERMITTED)
    if user != 0:
        with contextlib.suppress(OSError):
            Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    try:
        mount("none", Path("/"), "", MS_REC | MS_PRIVATE)
    except OSError:
        sys.exit(NOT_PERMITTED)


def mount(source: str, target: Path, kind: str, flags: int, options: str = "") -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), str(target).encode(), kind.encode(), flags, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(target))
