"""Finds the source that a spec names and loads it. One file of this package = one source; nothing to register.

A source file has ``NAME`` or ``NAMES``, ``read(spec, download) -> RawImages``, and, if it can tell its own files
apart, ``accepts(path) -> bool``.
"""

from __future__ import annotations

import functools
import importlib
import os
import pkgutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import alambic.data
from alambic.data.assemble import assemble
from alambic.data.source import Source
from alambic.data.spec import DataSpec
from alambic.data.store import load_stored
from alambic.errors import AlambicError, nearest


@functools.cache
def _modules() -> dict[str, ModuleType]:
    """Registered name -> the file that reads it."""
    found: dict[str, ModuleType] = {}
    for item in pkgutil.iter_modules(alambic.data.__path__):
        module = importlib.import_module(f"alambic.data.{item.name}")
        names = getattr(module, "NAMES", (module.NAME,) if hasattr(module, "NAME") else ())
        for name in names:
            found[name] = module
    return found


def source_names() -> tuple[str, ...]:
    """Every name that ``DataSpec.source`` may take beside a path, sorted."""
    return tuple(sorted(_modules()))


def start_at(spec: DataSpec, folder: Path) -> DataSpec:
    """The spec of a file in ``folder``: source, path and store start there where something is there, else as told."""
    found: dict[str, Any] = {}
    for name in ("source", "path", "store"):
        told = getattr(spec, name)
        if not told or not (folder / Path(told).expanduser()).exists():
            continue
        if name != "source" or told not in _modules():
            found[name] = str(folder / Path(told).expanduser())
    return replace(spec, **found) if found else spec


def load_source(spec: DataSpec, download: bool = False) -> Source:
    """Reads the images that ``spec`` names into memory (or into its store), splits them, and hashes all of it.

    Args:
        spec: what to load.
        download: may fetch a public data set that is not on the disk; so does the environment's ALAMBIC_DOWNLOAD=1.

    Raises: AlambicError for an unknown name, missing or damaged files, or a spec that does not fit the data.
    """
    download = download or os.environ.get("ALAMBIC_DOWNLOAD") == "1"
    if spec.store is not None:
        return load_stored(spec, lambda stored: _load(stored, download))
    return _load(spec, download)


def _load(spec: DataSpec, download: bool) -> Source:
    modules = _modules()
    if spec.source in modules:
        name = spec.source if spec.path is None or ":" in spec.source else _title(spec.path)
        return assemble(name, modules[spec.source].read(spec, download), spec)
    path = Path(spec.source).expanduser()
    if not path.exists():
        raise AlambicError(
            f"source {spec.source!r}: expected a known source or an existing path, got neither; "
            f"{nearest(spec.source, modules)}"
        )
    for module in dict.fromkeys(modules.values()):
        if hasattr(module, "accepts") and module.accepts(path):
            return assemble(_title(spec.source), module.read(replace(spec, path=str(path)), download), spec)
    raise AlambicError(
        f"source {spec.source!r}: expected a folder with one sub-folder per class, .parquet files or an .npz file, "
        "got none of these; try source = 'folder', 'parquet' or 'npz' with path to see what each of them misses"
    )


def _title(path: str) -> str:
    return Path(path).expanduser().resolve().stem
