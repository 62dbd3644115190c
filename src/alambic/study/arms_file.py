"""The arms of a study file: ``[[arms]]`` tables, plain method names, and files of arms that tuning wrote."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

from alambic.config import Document, build, read_document
from alambic.errors import AlambicError, nearest
from alambic.functional.schedule import SCHEDULES
from alambic.methods.base import all_methods
from alambic.study.cell import Arm
from alambic.training.teacher_file import TeacherEntry
from alambic.treatments.registry import create_treatment


@dataclasses.dataclass(frozen=True)
class _ArmTable:
    """One ``[[arms]]`` table.

    Attributes:
        method: one name, or several whose losses add up. name: in tables; from method and treatments unless told.
        settings: of the method, or a table for each of several.
        weights: a factor for each method. schedules: its course over the training (constant, rise, fall, cosine_fall,
            first_half, second_half).
        recipe: of this arm, such as a tuned learning rate. modifiers, treatments: names, see `alambic methods`.
        modifier_settings, treatment_settings: name -> settings.
        ce_weight: of cross-entropy; the authors' unless told. teachers: that the arm is run with; empty for every one.
        balance: each method's gradient at the start as a multiple of cross-entropy's.
    """

    method: str | tuple[str, ...]
    name: str = ""
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    weights: tuple[float, ...] = ()
    schedules: tuple[str, ...] = ()
    recipe: dict[str, Any] = dataclasses.field(default_factory=dict)
    modifiers: tuple[str, ...] = ()
    modifier_settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    ce_weight: float | None = None
    teachers: tuple[str, ...] = ()
    treatments: tuple[str, ...] = ()
    treatment_settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    balance: float | None = None


def arms_of(method: str, balances: tuple[float, ...]) -> list[Arm]:
    """A method once as its authors weigh it, or once for each balance against a cross-entropy of weight 1.

    Cross-entropy stays out where the authors leave it out (funmatch).
    """
    known = all_methods().get(method)
    if not balances or known is None or known.family == "baseline":
        return [Arm(method, (method,))]
    weight = 1.0 if known.ce_weight else 0.0
    return [Arm(f"{method} x{balance:g}", (method,), ce_weight=weight, balance=balance) for balance in balances]


def read_arms(path: Path, teachers: dict[str, TeacherEntry], taken: tuple[str, ...] = ()) -> list[Arm]:
    """The ``[[arms]]`` of a file that holds nothing else; those named in ``taken``, where it names any.

    Raises AlambicError for what is not an arm and for a name that is not there.
    """
    if not path.exists():
        raise AlambicError(
            f"arms_from: expected a file of [[arms]] at {path}, found none, because it is looked for from the study "
            "file's folder; try the path that `alambic study tune` printed"
        )
    document = read_document(path)
    given = document.tables.get("arms")
    if not isinstance(given, list) or set(document.tables) != {"arms"}:
        raise AlambicError(
            f"{path}: expected [[arms]] tables alone, got {', '.join(document.tables) or 'nothing'}; try the "
            "tuned.toml of `alambic study tune`, or leave out arms_from"
        )
    arms = {arm.name: arm for arm in (read_arm(table, document, teachers) for table in given)}
    for name in taken:
        if name not in arms:
            raise AlambicError(f"{path}: there is no arm {name!r} to take; {nearest(name, arms)}")
    return [arms[name] for name in taken] if taken else list(arms.values())


def read_arm(table: Any, document: Document, teachers: dict[str, TeacherEntry]) -> Arm:
    arm = build(_ArmTable, table, document, ("arms",))
    methods = (arm.method,) if isinstance(arm.method, str) else arm.method
    for name in arm.teachers:
        if name not in teachers:
            raise AlambicError(f"{document.at(('arms', 'teachers'))}: no teacher {name!r}; {nearest(name, teachers)}")
    _check_settings(arm.treatment_settings, arm.treatments, document, "treatment_settings")
    for name in arm.treatments:
        try:
            create_treatment(name, **arm.treatment_settings.get(name, {}))
        except AlambicError as error:
            raise AlambicError(f"{document.at(('arms', 'treatments'))}: {error}") from error
    if arm.weights and len(arm.weights) != len(methods):
        where = document.at(("arms", "weights"))
        raise AlambicError(f"{where}: expected one weight per method ({len(methods)}), got {len(arm.weights)}")
    _check_factors(arm, document)
    _check_schedules(arm, methods, document)
    single = len(methods) == 1 and not any(isinstance(value, dict) for value in arm.settings.values())
    settings = {methods[0]: arm.settings} if single and arm.settings else arm.settings
    _check_settings(settings, methods, document, "settings")
    _check_settings(arm.modifier_settings, arm.modifiers, document, "modifier_settings")
    name = arm.name or "+".join((*methods, *arm.modifiers, *arm.treatments))
    if not name.isprintable():
        raise AlambicError(f"{document.at(('arms', 'name'))}: expected a printable name, got {name!r}")
    return Arm(
        name,
        methods,
        settings,
        arm.weights,
        arm.modifiers,
        arm.modifier_settings,
        arm.ce_weight,
        arm.teachers,
        arm.treatments,
        arm.treatment_settings,
        arm.balance,
        arm.schedules,
        arm.recipe,
    )


def _check_factors(arm: _ArmTable, document: Document) -> None:
    """Refuses factors of a loss that would train in silence on none, or away from it."""
    for key, values in (("ce_weight", (arm.ce_weight,)), ("weights", arm.weights), ("balance", (arm.balance,))):
        for value in values:
            if value is not None and not 0 <= value < math.inf:
                raise AlambicError(
                    f"{document.at(('arms', key))}: expected {key} finite and >= 0, got {value}, because a loss is "
                    "multiplied by it; try 1.0"
                )


def _check_schedules(arm: _ArmTable, methods: tuple[str, ...], document: Document) -> None:
    where = document.at(("arms", "schedules"))
    for name in arm.schedules:
        if name not in SCHEDULES:
            raise AlambicError(f"{where}: no schedule {name!r}; {nearest(name, SCHEDULES)}")
    if arm.schedules and len(arm.schedules) != len(methods):
        raise AlambicError(f"{where}: expected one schedule per method ({len(methods)}), got {len(arm.schedules)}")


def _check_settings(given: dict[str, Any], names: tuple[str, ...], document: Document, key: str) -> None:
    for name, table in given.items():
        if name not in names or not isinstance(table, dict):
            raise AlambicError(
                f"{document.at(('arms', key))}: expected a table of settings for each of {', '.join(names) or 'none'}, "
                f"got {name} = {table!r}"
            )
