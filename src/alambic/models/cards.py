"""The card beside a weights file: a JSON that says how the network is made, what it was trained on, what it scores."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alambic.errors import AlambicError


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, int | float) for item in value)


# what a card says of its network, with how each value must look
CARD_FIELDS: dict[str, Callable[[Any], bool]] = {
    "net": _is_text,
    "kwargs": lambda value: isinstance(value, dict),
    "size": lambda value: value is None or (_are_numbers(value) and len(value) == 2),
    "mean": _are_numbers,
    "std": _are_numbers,
    "channels": lambda value: value is None or isinstance(value, int),
    "family": _is_text,
    "teacher_data": lambda value: value in ("same", "superset", "external"),
    "provenance": _is_text,
    "split_hash": _is_text,
}


def read_card(weights: Path) -> dict[str, Any]:
    """The card beside a weights file, {} where there is none."""
    path = weights.with_suffix(".json")
    if not path.exists():
        return {}
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise AlambicError(f"expected a JSON card at {path}, got: {error}; try removing it") from error
    if not isinstance(card, dict):
        raise AlambicError(f"expected a JSON object at {path}, got {type(card).__name__}")
    spec, classes = card.get("spec", {}), card.get("classes", 1)
    wrong = [] if isinstance(spec, dict) else ["spec"]
    wrong += [] if isinstance(classes, int) else ["classes"]
    if not wrong:
        wrong = [name for name, fits in CARD_FIELDS.items() if name in spec and not fits(spec[name])]
    if wrong:
        raise AlambicError(f"{path}: expected a teacher's card, got a wrong {wrong[0]!r}; try training it again")
    return card
