"""A user's own network by ``"file.py:function"``."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from alambic.errors import AlambicError, nearest

_BESIDE: set[str] = set()  # modules that the last file imported from its own folder


def is_own_code(name: str) -> bool:
    """Whether a name reads ``file.py:function``."""
    return ".py:" in name


def locate(name: str, folder: Path) -> str:
    """The same name with the file's absolute path, for use from another folder."""
    file, function = name.rsplit(":", 1)
    return f"{(folder / file).resolve()}:{function}"


def list_files(file: Path) -> list[Path]:
    """The file and those beside it that it imports by name, theirs too; the file itself first, the others by name."""
    found, waiting = {file}, [file]
    while waiting:
        try:
            tree = ast.parse(waiting.pop().read_bytes())
        except (SyntaxError, ValueError, OSError):  # running it tells what is wrong
            continue
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
        beside = {file.parent / f"{name.partition('.')[0]}.py" for name in names}
        new = {path for path in beside if path.is_file()} - found
        found |= new
        waiting += new
    return [file, *sorted(found - {file})]


def create_own(
    name: str, folder: Path | None = None, offered: Mapping[str, Any] | None = None, **kwargs: Any
) -> nn.Module:
    """Runs ``function(**kwargs)`` of ``file.py`` (relative to ``folder``); it must return a ``torch.nn.Module``.

    ``offered``: what the function is given too where it asks for it by a parameter of that name without a default.

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
    with _importing(path.absolute().parent):
        return _create(name, path, function, offered or {}, kwargs)


def _create(name: str, path: Path, function: str, offered: Mapping[str, Any], kwargs: dict[str, Any]) -> nn.Module:
    module = _load(path)
    if not hasattr(module, function):
        known = [
            item
            for item, value in vars(module).items()
            if callable(value) and getattr(value, "__module__", None) == module.__name__ and not item.startswith("_")
        ]
        raise AlambicError(f"{path} has no function {function!r}; {nearest(function, known)}")
    kwargs = {**_take(getattr(module, function), offered), **kwargs}
    try:
        net = getattr(module, function)(**kwargs)
    except AlambicError:
        raise
    except (Exception, SystemExit) as error:  # the user's own code may raise anything
        call = f"{function}({', '.join(f'{key}={value!r}' for key, value in kwargs.items())})"
        wants = "; try kwargs = { NAME = VALUE } in the table that names it" * ("required" in str(error) and not kwargs)
        raise AlambicError(
            f"expected {call} of {path} to return a torch.nn.Module, but it {_tell(error, path)}{wants}"
        ) from error
    if not isinstance(net, nn.Module):
        raise AlambicError(f"expected {name!r} to return a torch.nn.Module, got {type(net).__name__}")
    return net


def _take(function: Any, offered: Mapping[str, Any]) -> dict[str, Any]:
    """What a function asks for among what is offered: parameters without a default."""
    try:
        asked = inspect.signature(function).parameters
    except (TypeError, ValueError):  # not callable, or without a signature: calling it tells what is wrong
        return {}
    return {name: offered[name] for name, one in asked.items() if name in offered and one.default is one.empty}


def _load(path: Path) -> ModuleType:
    """Runs the file as a module of its own name in ``sys.modules``, where dataclasses and ``torch.compile`` look."""
    title = f"alambic_user_{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(title, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(title)
    sys.modules[title] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:  # the user's own code may raise anything
        sys.modules.pop(title)
        if before is not None:
            sys.modules[title] = before
        if not isinstance(error, Exception | SystemExit):
            raise
        raise AlambicError(f"expected {path} to run, but it {_tell(error, path)}") from error
    return module


@contextmanager
def _importing(folder: Path) -> Iterator[None]:
    """Lets files of a folder be imported by their names, each time anew: another folder may have the same names."""
    if str(folder) in sys.path:  # they are everyone's
        yield
        return
    while _BESIDE:
        sys.modules.pop(_BESIDE.pop(), None)
    known = set(sys.modules)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        with suppress(ValueError):  # the user's own code may have done so
            sys.path.remove(str(folder))
        for title in set(sys.modules) - known:
            file = getattr(sys.modules[title], "__file__", None) or ""
            if Path(file).parent == folder or Path(file).is_relative_to(folder / title.partition(".")[0]):
                _BESIDE.add(title)


def _tell(error: BaseException, path: Path) -> str:
    """``failed in line 3: ValueError: ...``, the line being the last one of the user's own file."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).absolute() == path.absolute()]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    where = f" in line {line}" if line else ""
    if isinstance(error, SystemExit):
        return (
            f"ended the program{where} (exit {error.code or 0}), because a file that alambic imports must only define "
            "things; try to put what it runs under if __name__ == '__main__'"
        )
    return f"failed{where}: {type(error).__name__}: {error}"
