"""A bank while it is filled: a part under a name that its key decides, so that a stopped filling goes on.

The part is a hidden folder beside the banks with the arrays in their full size and, for each process at work, a mark:
how many of its blocks are written, with their checksum. Filling goes on behind the marked blocks where these are still
what they were; a part that is damaged, or of other shapes, is thrown away. Nothing but this module reads a part.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from alambic.errors import AlambicError
from alambic.files import make_folder, write_atomic
from alambic.models.feature import Outputs
from alambic.training import stop, together
from alambic.training.feed import LiveFeed

BLOCK = 250  # images a pass; fixed, since the teacher's numbers may depend on the batch size in the last bits
MARK_EVERY = 5.0  # seconds between marks: what a kill costs
ABANDONED = 7 * 24 * 3600.0  # seconds after which a part of some other bank is no longer waited for
ENDING = ".filling"  # not ``.part``: what a killed process left half made is removed after an hour, this is kept
NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL)  # a file system without locks: trust the caller
WAIT = 0.5  # seconds between two looks at a lock

Progress = Callable[[int, int], None]  # images done, images in all
Arrays = dict[str, "np.memmap[Any, Any]"]


def name_part(target: Path) -> Path:
    """Where the bank ``target`` is filled."""
    return target.parent / f".{target.name}{ENDING}"


@contextlib.contextmanager
def owning(target: Path, say: Callable[[str], None] | None = None) -> Iterator[Path]:
    """Holds the part of a bank, made where there is none, as the only process that fills it; waits for another one.

    Yields the part; by then the bank may stand: another process may have finished it.
    """
    part, told = name_part(target), False
    while True:
        make_folder(part)
        try:
            handle = os.open(part, os.O_RDONLY)
        except FileNotFoundError:  # its owner has just ended
            continue
        try:
            free = _lock(handle)
            if free and _is(part, handle):  # else its owner has renamed or removed it between the two lines
                yield part
                return
        finally:
            os.close(handle)
        if not free and not told and say is not None:
            say(f"another process fills the bank {target}: waiting for it")
            told = True
        stop.check()
        time.sleep(0 if free else WAIT)


def _lock(handle: int) -> bool:
    """Whether this process has the folder alone now; the lock ends with the process, however that ends."""
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    return True


def _is(part: Path, handle: int) -> bool:
    try:
        return os.path.samestat(part.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def open_part(part: Path, feed: LiveFeed, ids: Tensor, views: int) -> None:
    """Makes the arrays, in shapes that two images tell, unless they stand there from a filling that was stopped.

    Raises OSError where the disk is too full for the whole bank.
    """
    rows = ids[:2]
    shapes = {
        name: (_kind(name), (views, len(ids), *value.shape[1:]))
        for name, value in quantities(feed(rows, torch.zeros_like(rows))).items()
    }
    (part / "ids.npy").unlink(missing_ok=True)  # both are written once more when all is filled
    (part / "bank.json").unlink(missing_ok=True)
    if any(part.glob("*.json")) and _shapes(part) == shapes:
        return
    empty(part)
    for name, (kind, shape) in shapes.items():
        _make_array(part / f"{name}.npy", kind, shape)


def empty(part: Path) -> None:
    """Throws away what is in a part; the folder stays, since it is the lock."""
    for path in part.iterdir():
        path.unlink()


def remove_abandoned(folder: Path, but: Path) -> None:
    """Removes parts of other banks that nobody has gone on with for a week: their studies have changed since."""
    for part in folder.glob(f".*{ENDING}"):
        with contextlib.suppress(OSError):
            last = max(path.stat().st_mtime for path in [part, *part.iterdir()])
            if part != but and time.time() - last > ABANDONED:
                shutil.rmtree(part, ignore_errors=True)


def _shapes(part: Path) -> dict[str, tuple[type, tuple[int, ...]]] | None:
    """Kind and shape of each array; None where a file is not whole."""
    try:
        arrays = {path.stem: np.load(path, mmap_mode="r") for path in part.glob("*.npy")}
    except (OSError, ValueError, EOFError):
        return None
    return {name: (array.dtype.type, array.shape) for name, array in arrays.items()}


def _kind(name: str) -> type[np.floating[Any]]:
    return np.float32 if name.startswith("energy") else np.float16


def _make_array(path: Path, kind: type[np.floating[Any]], shape: tuple[int, ...]) -> None:
    """An array on disk whose room is taken at once: writing a memory map into a full disk would kill the process."""
    np.lib.format.open_memmap(path, "w+", kind, shape)
    if hasattr(os, "posix_fallocate"):  # everywhere but on macOS
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def quantities(outputs: Outputs) -> dict[str, Tensor]:
    """What a bank stores of a teacher's outputs, by the names of its arrays."""
    found = {"logits": outputs.logits, "embedding": outputs.embedding}
    named = {name: value for name, value in found.items() if value is not None}
    return {**named, **{f"energy{i}": value for i, value in enumerate(outputs.energy)}}


class Filling:
    """This process's share of the blocks of a part, and how far it is written.

    Args:
        part: opened by the first process. views: V. Blocks are dealt out in turn to the processes that are joined.

    Attributes:
        images: of its share, each view counted. seconds: that it took to write what stands there, all runs together.
    """

    def __init__(self, part: Path, ids: Tensor, views: int) -> None:
        number, count = together.place()
        blocks = [(view, start) for view in range(views) for start in range(0, len(ids), BLOCK)]
        self.ids, self.blocks = ids, blocks[number::count]
        self.images = sum(self._images(block) for block in range(len(self.blocks)))
        self.mark = part / f"mark-{number}-of-{count}.json"
        self.arrays: Arrays = {path.stem: np.load(path, mmap_mode="r+") for path in sorted(part.glob("*.npy"))}
        self.seconds = 0.0
        self._written = 0, hashlib.sha256()  # blocks, and the checksum of what they hold
        self._resume()

    @property
    def missing(self) -> int:
        """Images, each view counted, that this process has still to fill in."""
        return sum(self._images(number) for number in range(self._written[0], len(self.blocks)))

    def _images(self, number: int) -> int:
        return min(BLOCK, len(self.ids) - self.blocks[number][1])

    def fill(self, feed: LiveFeed, progress: Progress | None) -> None:
        """Runs the teacher on the blocks that are missing. Raises AlambicError for values that do not fit.

        However it ends, what was written until then is marked.
        """
        started = marked = time.monotonic()
        todo, done = self.missing, 0
        try:
            for number in range(self._written[0], len(self.blocks)):
                self._write(number, feed)
                done += self._images(number)
                stop.check()
                if time.monotonic() - marked > MARK_EVERY:
                    self._mark(started)
                    marked = time.monotonic()
                if progress is not None:
                    progress(done, todo)
        finally:
            self._mark(started)
            self.seconds += time.monotonic() - started

    def _write(self, number: int, feed: LiveFeed) -> None:
        view, start = self.blocks[number]
        rows = self.ids[start : start + BLOCK]
        for name, value in quantities(feed(rows, torch.full_like(rows, view))).items():
            kind = _kind(name)
            with np.errstate(over="ignore"):
                stored = value.float().cpu().numpy().astype(kind)
            if not np.isfinite(stored).all():
                raise AlambicError(
                    f"expected teacher {name} that are finite in {np.dtype(kind).name}, got larger or NaN values "
                    f"for images {rows[:3].tolist()} ...; try a teacher without overflow, or live views"
                )
            self.arrays[name][view, start : start + len(rows)] = stored
        self._written = number + 1, self._add(self._written[1], number)

    def _add(self, checksum: Any, number: int) -> Any:
        """The checksum of all blocks up to this one, which the arrays hold."""
        view, start = self.blocks[number]
        longer = checksum.copy()
        for array in self.arrays.values():
            longer.update(array[view, start : start + BLOCK].tobytes())
        return longer

    def _mark(self, started: float) -> None:
        """Writes down how far the arrays are filled, after these: a mark never tells more than the disk holds."""
        blocks, checksum = self._written
        for array in self.arrays.values():
            array.flush()
        told = {"blocks": blocks, "sha256": checksum.hexdigest(), "seconds": self.seconds + time.monotonic() - started}
        with contextlib.suppress(AlambicError):  # a disk too full for it costs the going on, not the bank
            write_atomic(self.mark, lambda path: path.write_text(json.dumps(told) + "\n"))

    def _resume(self) -> None:
        """Takes over what the mark tells of, where the arrays still hold just that."""
        try:
            told = json.loads(self.mark.read_text())
            blocks, expected, seconds = int(told["blocks"]), told["sha256"], float(told["seconds"])
        except (OSError, ValueError, KeyError, TypeError):
            return
        if not 0 <= blocks <= len(self.blocks):
            return
        checksum = hashlib.sha256()
        for number in range(blocks):
            checksum = self._add(checksum, number)
            stop.check()
        if checksum.hexdigest() == expected:
            self._written, self.seconds = (blocks, checksum), seconds
