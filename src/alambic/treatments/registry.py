"""Finds the modifiers and the treatments of this folder: one file = one of them, there is no list to edit."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from alambic.errors import AlambicError, nearest
from alambic.methods.modifier import Modifier
from alambic.treatments.base import Treatment

Item = TypeVar("Item")


def _find(base: type[Item], kind: str) -> dict[str, type[Item]]:
    """File name -> the class of ``base`` that it defines; files without one are passed over."""
    found: dict[str, type[Item]] = {}
    package = importlib.import_module("alambic.treatments")
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"alambic.treatments.{info.name}")
        classes = [
            item
            for item in vars(module).values()
            if isinstance(item, type) and issubclass(item, base) and item.__module__ == module.__name__
        ]
        classes = [item for item in classes if item is not base]
        if len(classes) > 1:
            raise AlambicError(
                f"treatments/{info.name}.py: expected at most one {kind} class, got {len(classes)}, because the file's "
                f"name is the {kind}'s name; try one file each"
            )
        if classes:
            found[info.name] = classes[0]
    return found


@cache
def all_modifiers() -> Mapping[str, type[Modifier]]:
    """Every modifier by name."""
    return _find(Modifier, "modifier")


@cache
def all_treatments() -> Mapping[str, type[Treatment]]:
    """Every treatment by name, the controls among them (kind ``control``)."""
    return _find(Treatment, "treatment")


def create_modifier(name: str, /, **hyper: Any) -> Modifier:
    """A modifier by name with its settings; unknown names are answered with the nearest ones."""
    known = all_modifiers()
    if name not in known:
        raise AlambicError(f"unknown modifier {name!r}: {nearest(name, known)}")
    return known[name](**hyper)


def create_treatment(name: str, /, **hyper: Any) -> Treatment:
    """A treatment by name with its settings; unknown names are answered with the nearest ones."""
    known = all_treatments()
    if name not in known:
        raise AlambicError(f"unknown treatment {name!r}: {nearest(name, known)}")
    return known[name](**hyper)
