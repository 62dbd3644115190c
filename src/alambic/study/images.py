"""A running study's images in one file that the driver and its workers map: in memory once, decoded once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alambic.data import DataSpec, Source, load_source
from alambic.data.store import open_store, write_store
from alambic.errors import AlambicError
from alambic.files import make_folder

FOLDER = "images"


@contextmanager
def share_images(spec: DataSpec, out: Path) -> Iterator[tuple[Source, Path | None]]:
    """The source of a spec over a file in ``out``, and the folder for ``open_images``; both go when the block ends.

    A set with a store of its own is such a file already: no folder. Raises AlambicError for a full disk.
    """
    if spec.store is not None:
        yield load_source(spec), None
        return
    folder = out / FOLDER
    shutil.rmtree(folder, ignore_errors=True)  # of a driver that was killed; this one holds the ledger
    try:
        make_folder(folder)
        try:
            write_store(folder, load_source(spec))
        except OSError as error:
            raise AlambicError(
                f"cannot write the images that the study's processes share into {folder}: {error.strerror}; try "
                "freeing disk space, or another --out"
            ) from error
        yield open_images(folder), folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def open_images(folder: Path) -> Source:
    """The source that a driver shares. Raises AlambicError where it is gone."""
    return open_store(folder)
