"""What a method or treatment computes, as a hash of its file without what only tells of it: a cell's id holds it."""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import tomllib
from pathlib import Path

PROSE = frozenset({"paper", "formula", "fidelity", "differences", "evidence"})  # attributes that nothing computes with
TABLE = Path(__file__).with_name("versions.toml")


def file_version(kind: type) -> str:
    """Version of the file of a class, such as a treatment: changed code gives new cells, corrected prose does not."""
    return source_version(inspect.getsource(inspect.getmodule(kind)))  # type: ignore[arg-type]


def source_version(source: str) -> str:
    """12 hex digits of sha256 over the lines of Python ``source`` that are neither docstring nor in ``PROSE``.

    Files that cells were trained by before prose was left out keep the hash that these hold (``versions.toml``, by
    scripts/write_versions.py).
    """
    left_out: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            continue
        told = [item for item in node.body if isinstance(node, ast.ClassDef) and _name(item) in PROSE]
        for item in [*(node.body[:1] if ast.get_docstring(node, clean=False) is not None else []), *told]:
            left_out |= set(range(item.lineno, (item.end_lineno or item.lineno) + 1))
    lines = source.splitlines()
    code = [line.rstrip() for number, line in enumerate(lines, start=1) if number not in left_out and line.strip()]
    digest = hashlib.sha256("\n".join(code).encode()).hexdigest()[:12]
    return _read_table().get(digest, digest)


def _name(item: ast.stmt) -> str:
    target = item.targets[0] if isinstance(item, ast.Assign) else None
    return target.id if isinstance(target, ast.Name) else ""


@functools.cache
def _read_table() -> dict[str, str]:
    return tomllib.loads(TABLE.read_text())["version"]
