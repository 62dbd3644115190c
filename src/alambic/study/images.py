"""A running study's images in one file that the driver and its workers map: in memory once, decoded once."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alambic.data import DataSpec, Source, load_source
from alambic.data.store import open_store, write_store
from alambic.errors import AlambicError
from alambic.files import make_folder

FOLDER = ".images-shared"
MARKER = "made-by-alambic"  # the file without which the folder is someone else's


@contextmanager
def share_images(spec: DataSpec, out: Path) -> Iterator[tuple[Source, Path | None]]:
    """The source of a spec over a file in ``out``, and the folder for ``open_images``; both go when the block ends.

    A set with a store of its own is such a file already: no folder. Raises AlambicError for a full disk, or where the
    folder holds what alambic did not make.
    """
    if spec.store is not None:
        yield load_source(spec), None
        return
    folder = out / FOLDER
    _refuse_foreign(folder)
    _remove(folder)  # of a driver that was killed; this one holds the ledger
    try:
        make_folder(folder)
        try:
            (folder / MARKER).touch()
            write_store(folder, load_source(spec))
        except OSError as error:
            raise AlambicError(
                f"cannot write the images that the study's processes share into {folder}: {error.strerror or error}; "
                "try freeing disk space, or another --out"
            ) from error
        yield open_images(folder), folder
    finally:
        _remove(folder)


def _refuse_foreign(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        held = "a link or a file"
    elif folder.is_dir() and any(folder.iterdir()) and not (folder / MARKER).exists():
        held = f"a folder without the file {MARKER}"
    else:
        return
    raise AlambicError(
        f"{folder}: expected a folder that alambic made, or none, got {held}, because a study keeps its images there "
        "while it runs and removes them at its end; try to move it, or another --out"
    )


def _remove(folder: Path) -> None:
    """Removes a folder of alambic's, its marker last: what a kill leaves is known as alambic's still."""
    with contextlib.suppress(OSError):
        for path in folder.glob("*"):
            if path.name != MARKER:
                path.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def open_images(folder: Path) -> Source:
    """The source that a driver shares. Raises AlambicError where it is gone."""
    return open_store(folder)
