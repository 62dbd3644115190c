"""Hyper-parameters as annotated class attributes: found, typed, and refused by name."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

from alambic.errors import AlambicError, nearest


def declared_settings(cls: type, base: type) -> dict[str, Any]:
    """Annotated class attributes (but ClassVar) with their defaults, base class first."""
    found: dict[str, Any] = {}
    for klass in reversed(cls.__mro__):
        if not issubclass(klass, base):
            continue
        for name, annotation in inspect.get_annotations(klass).items():
            if "ClassVar" not in str(annotation) and hasattr(cls, name):
                found[name] = getattr(cls, name)
    return found


def apply_settings(item: object, kind: str, label: str, base: type, given: Mapping[str, Any]) -> None:
    """Sets hyper-parameters on an instance. Raises AlambicError for an unknown name (with the nearest) or type."""
    defaults = declared_settings(type(item), base)
    for name, value in given.items():
        if name not in defaults:
            raise AlambicError(f"{kind} {label!r} has no setting {name!r}; {nearest(name, defaults)}")
        setattr(item, name, _coerce(f"{kind} {label!r}", name, value, defaults[name]))


def _coerce(owner: str, name: str, value: Any, default: Any) -> Any:
    """A setting in the type of its default; int is accepted for float, a list for a tuple."""
    if isinstance(default, bool) or isinstance(value, bool):
        accepted = isinstance(default, bool) and isinstance(value, bool)
    elif isinstance(default, float):
        accepted = isinstance(value, (int, float))
        value = float(value) if accepted else value
    elif isinstance(default, tuple):
        accepted = isinstance(value, (list, tuple))
        value = tuple(value) if accepted else value
    else:
        accepted = isinstance(value, type(default))
    if not accepted:
        raise AlambicError(
            f"{owner}: expected {name} of type {type(default).__name__}, got {value!r}; the default is {default!r}"
        )
    numbers = [item for item in (value if isinstance(value, tuple) else (value,)) if isinstance(item, int | float)]
    if not all(map(math.isfinite, numbers)):
        raise AlambicError(f"{owner}: expected finite {name}, got {value!r}; the default is {default!r}")
    if "temperature" in name and not all(number > 0 for number in numbers):
        raise AlambicError(f"{owner}: expected {name} above 0, got {value!r}; the default is {default!r}")
    return value
