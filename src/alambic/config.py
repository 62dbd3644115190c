"""TOML files into dataclasses, with errors that name the file, the line and the key."""

from __future__ import annotations

import dataclasses
import re
import tomllib
import types
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from alambic.errors import AlambicError, nearest

T = TypeVar("T")
LARGEST_FILE = 1_000_000  # bytes: a study file is a page, not a data set


@dataclasses.dataclass(frozen=True)
class Document:
    """A TOML file: its text, for line numbers, and its tables, those of the file that it extends among them."""

    path: Path
    text: str
    tables: dict[str, Any]
    base: Document | None = None

    @property
    def whole(self) -> str:
        """The text, and that of what it extends."""
        return self.text if self.base is None else f"{self.text}\n# extended: {self.base.path.name}\n{self.base.whole}"

    def at(self, keys: tuple[str, ...]) -> str:
        """``file:line (key a.b.c)`` of a key, the file alone where the line cannot be told."""
        dotted = ".".join(keys)
        if self.base is not None and not _holds(tomllib.loads(self.text), keys) and _holds(self.base.tables, keys):
            return self.base.at(keys)
        line = find_line(self.text, keys)
        return f"{self.path}{f':{line}' if line else ''} (key {dotted})" if keys else str(self.path)


def read_document(path: Path, text: str | None = None) -> Document:
    """Reads a TOML file, or a ``text`` that is to be written there.

    Raises AlambicError for a missing, huge, non-UTF-8 or malformed one.
    """
    path = Path(path)
    if text is None:
        text = _read_text(path)
    try:
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise AlambicError(f"{path}: expected TOML, got: {error}") from error
    return Document(path, text, tables)


def _read_text(path: Path) -> str:
    if not path.is_file():
        raise AlambicError(f"expected a TOML file at {path}, found none; try `alambic study new`")
    if path.stat().st_size > LARGEST_FILE:
        raise AlambicError(f"expected a TOML file under {LARGEST_FILE:,} bytes, got {path.stat().st_size:,} at {path}")
    try:
        return path.read_text(encoding="utf-8-sig")  # some editors mark UTF-8 by a first character that TOML forbids
    except UnicodeDecodeError as error:
        raise AlambicError(f"{path}: expected TOML, got: {error}") from error


def read_extended(path: Path, seen: tuple[Path, ...] = (), text: str | None = None) -> Document:
    """Reads a TOML file that may say ``extends = "other.toml"``: what it does not say stands there.

    A ``text`` is read as if it lay at the path, where it is to be written if it is good. Tables of the two are merged
    key by key; a key that both have, a list or a table within a table too, is this file's. Relative paths of both start
    at this file's folder. Raises AlambicError for files that extend in a circle.
    """
    document = read_document(path, text)
    tables = dict(document.tables)
    base = tables.pop("extends", None)
    if base is None:
        return document
    place = (document.path.parent / str(base)).resolve()
    if not isinstance(base, str):
        raise AlambicError(f"{document.at(('extends',))}: expected another file's path, got {base!r}; try a text")
    if place in (*seen, document.path.resolve()):
        raise AlambicError(
            f"{document.at(('extends',))}: expected a file that does not come back to this one, got {base!r}, because "
            "files that extend each other in a circle say nothing; take the line out of one of them"
        )
    under = read_extended(place, (*seen, document.path.resolve()))
    both = {**under.tables, **tables}
    for name, table in tables.items():
        if isinstance(table, dict) and isinstance(under.tables.get(name), dict):
            both[name] = {**under.tables[name], **table}
    return dataclasses.replace(document, tables=both, base=under)


def read_tables(document: Document, key: str) -> dict[str, dict[str, Any]]:
    """The tables ``[key.NAME]`` of a file; their names become file names, so they must be plain."""
    value = document.tables.get(key, {})
    if not isinstance(value, dict) or not all(isinstance(item, dict) for item in value.values()):
        raise AlambicError(f"{document.at((key,))}: expected tables [{key}.NAME], got {value!r}")
    for name in value:
        check_plain(name, document, (key, name))
    return value


def check_plain(name: str, document: Document, keys: tuple[str, ...]) -> None:
    """Refuses a name that could leave its folder, hide, or move a terminal's cursor."""
    if not name or name.startswith(".") or not name.isprintable() or set(name) & set("/\\"):
        raise AlambicError(
            f"{document.at(keys)}: expected a plain name, printable and without path separators, got {name!r}"
        )


def _holds(value: Any, keys: tuple[str, ...]) -> bool:
    """Whether a TOML value has a dotted key, in any table of a list."""
    if not keys:
        return True
    if isinstance(value, list):
        return any(_holds(item, keys) for item in value)
    return isinstance(value, dict) and keys[0] in value and _holds(value[keys[0]], keys[1:])


def find_line(text: str, keys: tuple[str, ...]) -> int | None:
    """The 1-based line where a dotted key is written, None where it cannot be found."""
    section: tuple[str, ...] = ()
    best = None
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line)
        if header:
            section = tuple(part.strip().strip("\"'") for part in header.group(1).split("."))
            if keys[: len(section)] == section:
                best = number
            continue
        assigned = re.match(r"\s*([A-Za-z0-9_.\"'-]+)\s*=", line)
        if assigned:
            written = (*section, *(part.strip("\"'") for part in assigned.group(1).split(".")))
            if keys[: len(written)] == written:
                return number
    return best


def build(cls: type[T], table: Any, document: Document, keys: tuple[str, ...] = ()) -> T:
    """A dataclass from a TOML table; unknown keys and wrong types are refused with line and key."""
    if not isinstance(table, dict):
        raise AlambicError(f"{document.at(keys)}: expected a table, got {table!r}")
    hints = get_type_hints(cls)
    fields = {item.name: item for item in dataclasses.fields(cls)}  # type: ignore[arg-type]
    values = {}
    for name, value in table.items():
        if name not in fields:
            raise AlambicError(f"{document.at((*keys, name))}: unknown key; {nearest(name, fields)}")
        values[name] = convert(value, hints[name], document, (*keys, name))
    missing = [
        name
        for name, item in fields.items()
        if name not in values and item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise AlambicError(f"{document.at(keys)}: expected the key {missing[0]!r}, which is missing")
    try:
        return cls(**values)
    except AlambicError as error:
        raise AlambicError(f"{document.at(keys)}: {error}") from error


def convert(value: Any, wanted: Any, document: Document, keys: tuple[str, ...]) -> Any:
    """A TOML value as the annotated type; an int is taken for a float, a list for a tuple."""
    origin, args = get_origin(wanted), get_args(wanted)
    if wanted is Any:
        return value
    if origin in (Union, types.UnionType):
        return _convert_union(value, args, document, keys)
    if origin is Literal:
        if value in args:
            return value
        raise AlambicError(f"{document.at(keys)}: expected one of {', '.join(map(repr, args))}, got {value!r}")
    if dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
        return build(wanted, value, document, keys)
    if origin in (tuple, list) and isinstance(value, list):
        return _convert_list(value, origin, args, document, keys)
    if origin is dict and isinstance(value, dict):
        return {name: convert(item, args[1], document, (*keys, name)) for name, item in value.items()}
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(wanted, type) and isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool)):
        return value
    raise AlambicError(f"{document.at(keys)}: expected {_describe(wanted)}, got {value!r}")


def _convert_list(value: list[Any], origin: Any, args: Any, document: Document, keys: tuple[str, ...]) -> Any:
    if origin is tuple and args and args[-1] is not Ellipsis:
        if len(value) != len(args):
            raise AlambicError(f"{document.at(keys)}: expected a list of {len(args)}, got {value!r}")
        return tuple(convert(item, kind, document, keys) for item, kind in zip(value, args, strict=True))
    return origin(convert(item, args[0], document, keys) for item in value)


def _convert_union(value: Any, args: Any, document: Document, keys: tuple[str, ...]) -> Any:
    failures = []
    for kind in args:
        if kind is type(None):
            continue
        try:
            return convert(value, kind, document, keys)
        except AlambicError as error:
            failures.append(error)
    kinds = " or ".join(_describe(kind) for kind in args if kind is not type(None))
    if len(failures) == 1:
        raise failures[0]
    raise AlambicError(f"{document.at(keys)}: expected {kinds}, got {value!r}")


def _describe(kind: Any) -> str:
    names = {str: "text", int: "a whole number", float: "a number", bool: "true or false", dict: "a table"}
    names |= {tuple: "a list", list: "a list"}
    known = names.get(kind) or names.get(get_origin(kind))
    return known if known is not None else str(getattr(kind, "__name__", kind))
