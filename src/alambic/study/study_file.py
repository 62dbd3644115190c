"""A study file: TOML to a ``Study``, with errors that name line and key."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

from alambic.config import Document, build, check_plain, read_document, read_tables
from alambic.data import DataSpec, ViewSpec
from alambic.deploy.chips import Chip, find_chip
from alambic.errors import AlambicError, nearest
from alambic.functional.schedule import SCHEDULES
from alambic.methods.base import all_methods, create_method
from alambic.study.cell import Arm
from alambic.study.confirm import Confirmation, read_confirmation
from alambic.training.recipe import Recipe
from alambic.training.task import Metric
from alambic.training.teacher_file import TeacherEntry, put_in_order, read_entry
from alambic.treatments.registry import create_modifier, create_treatment

Purpose = Literal["demo", "explore", "claim"]


@dataclasses.dataclass(frozen=True)
class TaskSpec:
    """What is learnt: the metric that ranks, weights of classes, one logit instead of two for a two-class task."""

    metric: Metric = "accuracy"
    class_weights: tuple[float, ...] = ()
    one_logit: bool = False


@dataclasses.dataclass(frozen=True)
class Int8Spec:
    """Whether and how each student is quantised: calibration images from train, their method, weights per channel."""

    enabled: bool = True
    calibration_images: int = 256
    calibration: Literal["minmax", "percentile", "entropy"] = "minmax"
    per_channel: bool = True

    def __post_init__(self) -> None:
        if self.calibration_images < 1:
            raise AlambicError(f"int8: expected calibration_images >= 1, got {self.calibration_images}")


@dataclasses.dataclass(frozen=True)
class Finalists:
    """What the best arms of each student get once all cells are done; no cell depends on it.

    Attributes:
        count: arms of each student by tune score, beside the student alone; 0 for none.
        whole_test: the device's kernels run the whole split instead of 500 images.
        qat_epochs: of quantisation-aware training from the trained weights; 0 for none. qat_lr: times the recipe's.
    """

    count: int = 0
    whole_test: bool = True
    qat_epochs: int = 2
    qat_lr: float = 0.1

    def __post_init__(self) -> None:
        if min(self.count, self.qat_epochs) < 0 or self.qat_lr <= 0:
            raise AlambicError(
                "expected count >= 0, qat_epochs >= 0 and qat_lr > 0, got "
                f"{self.count}, {self.qat_epochs} and {self.qat_lr}"
            )


@dataclasses.dataclass(frozen=True)
class Execution:
    """Resources: parallel processes (0 = as many as the cores have room for), threads of each, live teachers only.

    With ``threads = 0`` the study measures which is quicker here, several processes of one thread or one of several
    (``study.processors``), and keeps that choice.
    """

    jobs: int = 0
    threads: int = 1
    live_only: bool = False

    def __post_init__(self) -> None:
        if self.jobs < 0 or self.threads < 0:
            raise AlambicError(f"execution: expected jobs >= 0 and threads >= 0, got {self.jobs} and {self.threads}")


@dataclasses.dataclass(frozen=True)
class Study:
    """A named grid of cells."""

    name: str
    purpose: Purpose
    seeds: int
    students: tuple[str, ...]
    arms: tuple[Arm, ...]
    data: DataSpec
    views: ViewSpec
    recipe: Recipe
    task: TaskSpec
    int8: Int8Spec
    execution: Execution
    teachers: dict[str, TeacherEntry]
    path: Path
    text: str
    confirmation: Confirmation | None = None  # of a claim
    chip: Chip | None = None  # that each row is judged for; measured after training, so no cell depends on it
    finalists: Finalists = Finalists()

    @property
    def folder(self) -> Path:
        """Relative paths of the file start here."""
        return self.path.parent


@dataclasses.dataclass(frozen=True)
class _Head:
    name: str
    purpose: Purpose
    students: tuple[str, ...]
    chip: str = ""
    chips: str = ""  # a file with chips of your own
    seeds: int = 4
    methods: tuple[str, ...] = ()
    balances: tuple[float, ...] = ()  # each method once for each of these multiples of cross-entropy's gradient


@dataclasses.dataclass(frozen=True)
class _ArmTable:
    method: str | tuple[str, ...]
    name: str = ""
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    weights: tuple[float, ...] = ()
    schedules: tuple[str, ...] = ()
    modifiers: tuple[str, ...] = ()
    modifier_settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    ce_weight: float | None = None
    teachers: tuple[str, ...] = ()
    treatments: tuple[str, ...] = ()
    treatment_settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    balance: float | None = None


MOST_SEEDS = 1000
TABLES = ("data", "views", "recipe", "task", "int8", "execution", "finalists", "teachers", "arms")


def read_study(path: Path) -> Study:
    """Reads and checks a study file, the names of its methods, modifiers and treatments included; nothing is loaded.

    Data, students and teachers are asked when the study is planned or run.
    """
    document = read_document(path)
    head_fields = [item.name for item in dataclasses.fields(_Head)]
    for key in document.tables:
        if key not in TABLES and key not in head_fields:
            raise AlambicError(f"{document.at((key,))}: unknown key; {nearest(key, [*TABLES, *head_fields])}")
    head = build(_Head, {k: v for k, v in document.tables.items() if k in head_fields}, document)
    views = build(ViewSpec, document.tables.get("views", {}), document, ("views",))
    recipe = build(Recipe, document.tables.get("recipe", {}), document, ("recipe",))
    tables = read_tables(document, "teachers")
    teachers = put_in_order({name: read_entry(name, tables[name], document) for name in tables}, document)
    arms = [arm for method in head.methods for arm in _arms_of(method, head.balances)]
    given = document.tables.get("arms", [])
    if not isinstance(given, list):
        raise AlambicError(f"{document.at(('arms',))}: expected [[arms]] tables, got {given!r}")
    arms += [_read_arm(table, document, teachers) for table in given]
    _check(head, arms, document)
    return Study(
        head.name,
        head.purpose,
        head.seeds,
        head.students,
        tuple(arms),
        build(DataSpec, document.tables.get("data", {}), document, ("data",)),
        views,
        recipe,
        build(TaskSpec, document.tables.get("task", {}), document, ("task",)),
        build(Int8Spec, document.tables.get("int8", {}), document, ("int8",)),
        build(Execution, document.tables.get("execution", {}), document, ("execution",)),
        teachers,
        Path(path),
        document.text,
        _read_claim(head, arms, teachers, Path(path).parent),
        _read_chip(head, document),
        build(Finalists, document.tables.get("finalists", {}), document, ("finalists",)),
    )


def _read_chip(head: _Head, document: Document) -> Chip | None:
    try:
        return find_chip(head.chip, document.path.parent / head.chips if head.chips else None) if head.chip else None
    except AlambicError as error:
        raise AlambicError(f"{document.at(('chip',))}: {error}") from error


def _arms_of(method: str, balances: tuple[float, ...]) -> list[Arm]:
    """A method once as its authors weigh it, or once for each balance against a cross-entropy of weight 1.

    Cross-entropy stays out where the authors leave it out (funmatch).
    """
    known = all_methods().get(method)
    if not balances or known is None or known.family == "baseline":
        return [Arm(method, (method,))]
    weight = 1.0 if known.ce_weight else 0.0
    return [Arm(f"{method} x{balance:g}", (method,), ce_weight=weight, balance=balance) for balance in balances]


def _read_claim(head: _Head, arms: list[Arm], teachers: dict[str, TeacherEntry], folder: Path) -> Confirmation | None:
    if head.purpose != "claim":
        return None
    return read_confirmation(folder, head.students, {arm.name for arm in arms}, set(teachers))


def _read_arm(table: Any, document: Document, teachers: dict[str, TeacherEntry]) -> Arm:
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


def _check(head: _Head, arms: list[Arm], document: Document) -> None:
    if not 1 <= head.seeds <= MOST_SEEDS or not head.students or not arms:
        raise AlambicError(
            f"{document.path}: expected 1 to {MOST_SEEDS} seeds, at least one student and one method or [[arms]] "
            "table, got "
            f"{head.seeds}, {len(head.students)} and {len(arms)}"
        )
    check_plain(head.name, document, ("name",))
    names = [arm.name for arm in arms]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise AlambicError(f"{document.path}: expected different arm names, got {twice} twice; give each arm a name")
    for arm in arms:
        where = ("methods",) if arm.name in head.methods else ("arms", "method")
        try:
            for method in arm.methods:
                create_method(method, **arm.settings.get(method, {}))
            for modifier in arm.modifiers:
                create_modifier(modifier, **arm.modifier_settings.get(modifier, {}))
        except AlambicError as error:
            raise AlambicError(f"{document.at(where)}: {error}") from error
