"""What a report expects of a ledger's rows and meta: checked once, before anything is computed from them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from alambic.errors import AlambicError
from alambic.study.falsifiers import teachers_of
from alambic.study.ledger import Ledger, Row
from alambic.suitability.gains import SCORES

MEASURED = (  # beside the scores, whatever is computed with where a row has it
    *("seconds", "int8_seconds", "parameters", "macs", "weight_bytes", "arena_bytes", "peak_activation_bytes"),
    *("agreement_int8", "agreement_kernels", "agreement_between", "kernel_images"),
)
SPLITS = ("tune", "test")
LONGEST = 80  # of what came, in an error
Test = Callable[[Any], bool]


def read_rows(ledger: Ledger) -> list[Row]:
    """All rows of a ledger. Raises AlambicError that names the row, or the meta entry, and the field that is wrong."""
    _check_meta(ledger)
    rows = ledger.rows()
    for row in rows:
        _check_row(ledger, row)
    return rows


def _check_row(ledger: Ledger, row: Row) -> None:
    def check(field: str, value: Any, expected: str, test: Test) -> None:
        if not test(value):
            raise _refuse(f"ledger {ledger.path}, cell {row.id}", field, value, expected)

    check("content", row.content, "an object", _is_object)
    check("numbers", row.numbers, "an object", _is_object)
    content, arm = row.content, row.content.get("arm")
    check("arm", arm, "an object with a name and a list of methods", _is_arm)
    check("student", content.get("student"), "text", _is_text)
    check("teacher", content.get("teacher"), "text, or null for none", lambda value: value is None or _is_text(value))
    check("seed", content.get("seed"), "a whole number", _is_whole)
    for name, value in (("data", None), ("recipe", None), ("task", {})):  # old cells have no task
        check(name, content.get(name, value), "an object", _is_object)
    for name, value in row.numbers.items():
        if name in SCORES:
            check(name, value, "a score from 0 to 1", lambda given: _is_number(given) and 0 <= given <= 1)
        elif name in MEASURED or name.startswith(SPLITS):
            check(name, value, "a finite number", _is_number)


def _check_meta(ledger: Ledger) -> None:
    for key, (expected, test) in META.items():
        text = ledger.meta(key)
        try:
            whole = text is None or test(json.loads(text))
        except ValueError:  # no JSON
            whole = False
        if not whole:
            raise _refuse(f"ledger {ledger.path}, meta", key, text, f"JSON: {expected}")


def _refuse(where: str, field: str, value: Any, expected: str) -> AlambicError:
    shown = repr(value)
    return AlambicError(
        f"{where}: expected {field} to be {expected}, got {shown if len(shown) <= LONGEST else shown[:LONGEST] + '…'}, "
        "because it was changed or damaged; try a copy of the ledger, or running the study again"
    )


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_arm(value: Any) -> bool:
    return _is_object(value) and _is_text(value.get("name")) and _is_texts(value.get("methods"))


def _is_labels(value: Any) -> bool:
    return isinstance(value, list) and all(_is_whole(item) and item >= -1 for item in value)


def _is_confirm(value: Any) -> bool:
    needed, free = ("student", "arm", "teacher", "against"), ("against_teacher",)
    return isinstance(value, list) and all(
        _is_object(one) and _is_texts([one.get(name) for name in needed] + [one.get(name, "") for name in free])
        for one in value
    )


def _is_falsifiers(value: Any) -> bool:
    return isinstance(value, list) and all(_is_object(one) and _is_falsifier(one) for one in value)


def _is_falsifier(one: dict[str, Any]) -> bool:
    against, teachers = one.get("against"), one.get("against_teacher", "")
    return (
        _is_texts([one.get("idea"), one.get("arm")])
        and _is_texts(against)
        and (_is_text(teachers) or _is_texts(teachers))
        and len(teachers_of(against or (), teachers)) == len(against or ())
        and _is_number(one.get("smallest_effect"))
    )


META: dict[str, tuple[str, Test]] = {
    "labels_tune": ("a list of class numbers, -1 for none", _is_labels),
    "labels_test": ("a list of class numbers, -1 for none", _is_labels),
    "class_names": ("a list of names", lambda value: isinstance(value, list)),
    "confirm": ("a list of contrasts, each with student, arm, teacher and against", _is_confirm),
    "smallest_effect": ("a finite number", _is_number),
    "seeds": ("a whole number", _is_whole),
    "seeds_first": ("a whole number", _is_whole),
    "falsifiers": ("a list of ideas, each with idea, arm, against and smallest_effect", _is_falsifiers),
}
