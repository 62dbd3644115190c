"""Names of a user's own networks, ``file.py:function``, as they are typed."""

from __future__ import annotations

import ast
from pathlib import Path

from alambic.errors import AlambicError


def check_function(name: str, *folders: Path) -> None:
    """Refuses ``file.py`` without a function; names those of the file where it lies in one of the folders."""
    if not name.endswith(".py"):
        return
    known = next((found for folder in folders if (found := _list_functions(folder / name))), ["FUNCTION"])
    raise AlambicError(
        f"expected a network as file.py:function, got {name!r}, because a file may make several; "
        f"try {' or '.join(f'{name}:{function}' for function in known[:3])}"
    )


def find_own(name: str, *folders: Path) -> Path:
    """The first of the folders where the file of ``file.py:function`` lies.

    What a person types is looked for where they stand, then where the study lies. Raises AlambicError where none has
    it.
    """
    file = name.rpartition(":")[0]
    for folder in folders:
        if (folder / file).is_file():
            return folder
    raise AlambicError(
        f"expected the Python file of the network {name!r}, found none at "
        f"{' or '.join(str((folder / file).absolute()) for folder in folders)}; try FOLDER/{name}"
    )


def _list_functions(path: Path) -> list[str]:
    """Public functions of a file by its text: nothing of it is run."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]
