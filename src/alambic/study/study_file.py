"""A study file: TOML to a ``Study``, with errors that name line and key."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path
from typing import Literal

from alambic.config import Document, build, check_plain, read_extended, read_tables
from alambic.data import DataSpec, Sensor, ViewSpec
from alambic.data.load import start_at
from alambic.deploy.chips import Chip, find_chip
from alambic.errors import AlambicError, nearest
from alambic.methods.base import create_method
from alambic.study.arms_file import arms_of, read_arm, read_arms
from alambic.study.cell import Arm
from alambic.study.confirm import Confirmation, read_confirmation
from alambic.study.falsifiers import Falsifier, read_falsifiers
from alambic.study.own_names import check_function
from alambic.study.place import Execution
from alambic.study.specs import DEFAULT_VIEWS, Finalists, Int8Spec, TaskSpec, Tuning
from alambic.training.recipe import Recipe
from alambic.training.teacher_file import TeacherEntry, put_in_order, read_entry
from alambic.treatments.registry import create_modifier

Purpose = Literal["demo", "explore", "claim"]


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
    finalists: Finalists = dataclasses.field(default_factory=Finalists)
    tuning: Tuning = dataclasses.field(default_factory=Tuning)
    test_sensors: dict[str, Sensor] = dataclasses.field(default_factory=dict)  # that each student is scored behind too
    falsifiers: tuple[Falsifier, ...] = ()  # that the report judges ideas by
    first_seed: int = 0
    compiled: tuple[str, ...] = ()  # students that train compiled, as ``study.compiling`` settled it

    @property
    def seed_numbers(self) -> range:
        return range(self.first_seed, self.first_seed + self.seeds)

    @property
    def folder(self) -> Path:
        """Relative paths of the file start here."""
        return self.path.parent


@dataclasses.dataclass(frozen=True)
class _Head:
    """What stands above the first table.

    Attributes:
        name: of the study and its folder under runs/.
        purpose: ``demo`` ranks nothing; ``explore`` scores the tune split alone; ``claim`` needs a confirm.toml beside
            it, which declares what the test split decides.
        students: zoo names (`alambic students`) or ``file.py:function``. seeds: of each arm, paired over arms.
        first_seed: the number of the first, so that a replication takes seeds that no run has seen.
        chip: of `alambic chips` that each row is judged for. chips: a file with chips of your own.
        methods: each once as its authors weigh it; [[arms]] say more.
        arms_from: a file with more [[arms]], such as `alambic study tune` writes. arms_taken: the names taken from it;
            empty for all.
        balances: each method once for each of these multiples of cross-entropy's gradient.
    """

    name: str
    purpose: Purpose
    students: tuple[str, ...]
    chip: str = ""
    chips: str = ""
    seeds: int = 4
    first_seed: int = 0
    methods: tuple[str, ...] = ()
    arms_from: str = ""
    arms_taken: tuple[str, ...] = ()
    balances: tuple[float, ...] = ()


MOST_SEEDS, LARGEST_SEED = 1000, 1_000_000
TABLES = (
    "data",
    "views",
    "recipe",
    "task",
    "test_sensors",
    "int8",
    "execution",
    "finalists",
    "tuning",
    "teachers",
    "arms",
    "falsifiers",
)


def read_study(path: Path, text: str | None = None) -> Study:
    """Reads and checks a study file, the names of its methods, modifiers and treatments included; nothing is loaded.

    A ``text`` is read as if it lay at the path, where it is to be written if it is good.

    Data, students and teachers are asked when the study is planned or run.
    """
    document = read_extended(path, text=text)
    head_fields = [item.name for item in dataclasses.fields(_Head)]
    for key in document.tables:
        if key not in TABLES and key not in head_fields:
            raise AlambicError(f"{document.at((key,))}: unknown key; {nearest(key, [*TABLES, *head_fields])}")
    head = build(_Head, {k: v for k, v in document.tables.items() if k in head_fields}, document)
    asked = document.tables.get("views", {})
    if isinstance(asked, dict):
        asked = {"count": DEFAULT_VIEWS, **asked}
    views = build(ViewSpec, asked, document, ("views",))
    recipe = build(Recipe, document.tables.get("recipe", {}), document, ("recipe",))
    tables = read_tables(document, "teachers")
    teachers = put_in_order({name: read_entry(name, tables[name], document) for name in tables}, document)
    arms = [arm for method in head.methods for arm in arms_of(method, head.balances)]
    given = document.tables.get("arms", [])
    if not isinstance(given, list):
        raise AlambicError(f"{document.at(('arms',))}: expected [[arms]] tables, got {given!r}")
    arms += [read_arm(table, document, teachers) for table in given]
    if head.arms_from:
        arms += read_arms(document.path.parent / head.arms_from, teachers, head.arms_taken)
    sensors = _read_sensors(document)
    for arm in arms:
        build(Recipe, {**document.tables.get("recipe", {}), **arm.recipe}, document, ("arms", "recipe"))
    _check(head, arms, document)
    int8 = build(Int8Spec, document.tables.get("int8", {}), document, ("int8",))
    return Study(
        head.name,
        head.purpose,
        head.seeds,
        head.students,
        tuple(arms),
        start_at(build(DataSpec, document.tables.get("data", {}), document, ("data",)), document.path.parent),
        views,
        recipe,
        build(TaskSpec, document.tables.get("task", {}), document, ("task",)),
        int8,
        build(Execution, document.tables.get("execution", {}), document, ("execution",)),
        teachers,
        Path(path),
        document.whole,
        _read_claim(head, arms, teachers, Path(path).parent),
        _read_chip(head, document),
        build(Finalists, document.tables.get("finalists", {}), document, ("finalists",)),
        build(Tuning, document.tables.get("tuning", {}), document, ("tuning",)),
        sensors,
        read_falsifiers(document, arms, sorted(teachers), int8.enabled),
        head.first_seed,
    )


def _read_sensors(document: Document) -> dict[str, Sensor]:
    tables = read_tables(document, "test_sensors")
    for name in tables:
        if not re.fullmatch("[a-z0-9]+", name):
            raise AlambicError(
                f"{document.at(('test_sensors', name))}: expected a name of small letters and digits, because numbers "
                f"of the ledger are named by it, got {name!r}"
            )
    return {name: build(Sensor, table, document, ("test_sensors", name)) for name, table in tables.items()}


def _read_chip(head: _Head, document: Document) -> Chip | None:
    try:
        return find_chip(head.chip, document.path.parent / head.chips if head.chips else None) if head.chip else None
    except AlambicError as error:
        raise AlambicError(f"{document.at(('chip',))}: {error}") from error


def _read_claim(head: _Head, arms: list[Arm], teachers: dict[str, TeacherEntry], folder: Path) -> Confirmation | None:
    if head.purpose != "claim":
        return None
    return read_confirmation(folder, head.students, arms, set(teachers))


def _check(head: _Head, arms: list[Arm], document: Document) -> None:
    if not 1 <= head.seeds <= MOST_SEEDS or not head.students or not arms:
        raise AlambicError(
            f"{document.path}: expected 1 to {MOST_SEEDS} seeds, at least one student and one method or [[arms]] "
            "table, got "
            f"{head.seeds}, {len(head.students)} and {len(arms)}"
        )
    if not 0 <= head.first_seed <= LARGEST_SEED - head.seeds:
        raise AlambicError(
            f"{document.at(('first_seed',))}: expected 0 to {LARGEST_SEED - head.seeds:,}, got {head.first_seed:,}"
        )
    check_plain(head.name, document, ("name",))
    for student in head.students:
        try:
            check_function(student, document.path.parent, Path())
        except AlambicError as error:
            raise AlambicError(f"{document.at(('students',))}: {error}") from error
    repeated = sorted({name for name in head.students if head.students.count(name) > 1})
    if repeated:
        raise AlambicError(
            f"{document.at(('students',))}: expected each student once, got {', '.join(repeated)} more often, because "
            "its cells would be the same; try leaving one out"
        )
    for balance in head.balances:
        if not 0 <= balance < math.inf:
            raise AlambicError(
                f"{document.at(('balances',))}: expected finite numbers >= 0, got {balance}, because a gradient is "
                "multiplied by it; try balances = [0.5, 1.0, 2.0]"
            )
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
