"""Finds the modifiers of this folder: one file = one modifier, there is no list to edit."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any

from alambic.errors import AlambicError, nearest
from alambic.methods.modifier import Modifier


@cache
def all_modifiers() -> Mapping[str, type[Modifier]]:
    """Every modifier by name; files of this folder that hold treatments are passed over."""
    found: dict[str, type[Modifier]] = {}
    package = importlib.import_module("alambic.treatments")
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"alambic.treatments.{info.name}")
        classes = [
            item
            for item in vars(module).values()
            if isinstance(item, type) and issubclass(item, Modifier) and item.__module__ == module.__name__
        ]
        if len(classes) > 1:
            raise AlambicError(
                f"treatments/{info.name}.py: expected at most one Modifier class, got {len(classes)}, because the "
                "file's name is the modifier's name; try one file each"
            )
        if classes:
            found[info.name] = classes[0]
    return found


def create_modifier(name: str, **hyper: Any) -> Modifier:
    """A modifier by name with its settings; unknown names are answered with the nearest ones."""
    known = all_modifiers()
    if name not in known:
        raise AlambicError(f"unknown modifier {name!r}: {nearest(name, known)}")
    return known[name](**hyper)
