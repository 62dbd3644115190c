"""A user's own network by ``"file.py:function"``."""

from __future__ import annotations

import importlib.util
import traceback
from pathlib import Path
from typing import Any

from torch import nn

from alambic.errors import AlambicError, nearest


def is_own_code(name: str) -> bool:
    """Whether a name reads ``file.py:function``."""
    return ".py:" in name


def locate(name: str, folder: Path) -> str:
    """The same name with the file's absolute path, for use from another folder."""
    file, function = name.rsplit(":", 1)
    return f"{(folder / file).resolve()}:{function}"


def create_own(name: str, folder: Path | None = None, **kwargs: Any) -> nn.Module:
    """Runs ``function(**kwargs)`` of ``file.py`` (relative to ``folder``); it must return a ``torch.nn.Module``.

    This runs the user's code, which is why such names are accepted from the user's own study file and command line
    only. Raises AlambicError when the file or function is missing or fails, or the result is not a module.
    """
    file, function = name.rsplit(":", 1)
    path = (folder or Path()) / file
    if not path.exists():
        raise AlambicError(
            f"expected the Python file {path} for the network {name!r}, found none, because such a name is looked for "
            f"from the study file's folder, a card's too; try net = \"FOLDER/{name}\""
        )
    spec = importlib.util.spec_from_file_location(f"alambic_user_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's own code may raise anything
        raise AlambicError(f"expected {path} to run, but it failed{_tell(error, path)}") from error
    if not hasattr(module, function):
        known = [
            item
            for item, value in vars(module).items()
            if callable(value) and getattr(value, "__module__", None) == module.__name__ and not item.startswith("_")
        ]
        raise AlambicError(f"{path} has no function {function!r}; {nearest(function, known)}")
    try:
        net = getattr(module, function)(**kwargs)
    except AlambicError:
        raise
    except Exception as error:  # the user's own code may raise anything
        call = f"{function}({', '.join(f'{key}={value!r}' for key, value in kwargs.items())})"
        wants = "; try kwargs = { NAME = VALUE } in the table that names it" * ("required" in str(error) and not kwargs)
        raise AlambicError(
            f"expected {call} of {path} to return a torch.nn.Module, but it failed{_tell(error, path)}{wants}"
        ) from error
    if not isinstance(net, nn.Module):
        raise AlambicError(f"expected {name!r} to return a torch.nn.Module, got {type(net).__name__}")
    return net


def _tell(error: Exception, path: Path) -> str:
    """`` in line 3: ValueError: ...``, the line being the last one of the user's own file."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    return f"{f' in line {line}' if line else ''}: {type(error).__name__}: {error}"
