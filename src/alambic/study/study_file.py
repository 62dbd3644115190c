"""A study file: TOML to a ``Study``, with errors that name line and key."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Literal

from alambic.config import Document, build, check_plain, read_extended, read_tables
from alambic.data import DataSpec, Sensor, ViewSpec
from alambic.deploy.chips import Chip, find_chip
from alambic.errors import AlambicError, nearest
from alambic.methods.base import create_method
from alambic.study.arms_file import arms_of, read_arm, read_arms
from alambic.study.cell import Arm
from alambic.study.confirm import Confirmation, read_confirmation
from alambic.study.falsifiers import Falsifier, read_falsifiers
from alambic.study.place import Execution
from alambic.training.recipe import Recipe
from alambic.training.task import Metric
from alambic.training.teacher_file import TeacherEntry, put_in_order, read_entry
from alambic.treatments.registry import create_modifier

Purpose = Literal["demo", "explore", "claim"]


@dataclasses.dataclass(frozen=True)
class TaskSpec:
    """What is learnt: the metric that ranks, weights of classes, one logit instead of two for a two-class task.

    ``also``: metrics that each row gets besides; nothing ranks by them.
    """

    metric: Metric = "accuracy"
    class_weights: tuple[float, ...] = ()
    one_logit: bool = False
    also: tuple[Metric, ...] = ()


@dataclasses.dataclass(frozen=True)
class Int8Spec:
    """Whether and how each student is quantised: calibration images from train, their method, weights per channel,
    outlier channels scaled down first (``deploy.equalise``)."""

    enabled: bool = True
    calibration_images: int = 256
    calibration: Literal["minmax", "percentile", "entropy"] = "minmax"
    per_channel: bool = True
    equalise: bool = False

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
class Tuning:
    """What ``alambic study tune`` tries, alike for every arm.

    Attributes:
        trials: settings of each arm, the arm as written among them. rungs: share of the recipe's epochs of each round.
        keep: trials of each arm that go on to the next rung. seed: of the draws.
        lr, weight_decay: (low, high) as multiples of the recipe's; empty leaves it alone. balance: (low, high) of the
            pull at the start as a multiple of cross-entropy's, for arms with a method.
        settings: method -> hyper-parameter -> (low, high). All ranges are drawn on a log scale.
    """

    trials: int = 8
    rungs: tuple[float, ...] = (0.25, 1.0)
    keep: int = 2
    seed: int = 0
    lr: tuple[float, ...] = (0.3, 3.0)
    weight_decay: tuple[float, ...] = ()
    balance: tuple[float, ...] = ()
    settings: dict[str, dict[str, tuple[float, ...]]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.trials < 2 or not 1 <= self.keep <= self.trials:
            raise AlambicError(
                f"expected trials >= 2 and keep from 1 to trials, got {self.trials} and {self.keep}; try 8 and 2"
            )
        if not self.rungs or any(not 0 < share <= 1 for share in self.rungs) or list(self.rungs) != sorted(self.rungs):
            raise AlambicError(
                f"expected rungs as rising shares of the epochs, each in (0, 1], got {self.rungs}; try [0.25, 1.0]"
            )
        own = {f"settings.{m}.{n}": span for m, table in self.settings.items() for n, span in table.items()}
        spans = {"lr": self.lr, "weight_decay": self.weight_decay, "balance": self.balance}
        spans = {**{key: value for key, value in spans.items() if value}, **own}
        if not spans:
            raise AlambicError("expected a range to try, got none; try lr = [0.3, 3.0]")
        for name, span in spans.items():
            if len(span) != 2 or not 0 < span[0] < span[1] < float("inf"):
                raise AlambicError(
                    f"expected {name} as [low, high] with 0 < low < high, got {list(span)}; try [0.3, 3.0]"
                )


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
    tuning: Tuning = dataclasses.field(default_factory=Tuning)
    test_sensors: dict[str, Sensor] = dataclasses.field(default_factory=dict)  # that each student is scored behind too
    falsifiers: tuple[Falsifier, ...] = ()  # that the report judges ideas by
    compiled: tuple[str, ...] = ()  # students that train compiled, as ``study.compiling`` settled it

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
    arms_from: str = ""  # a file with more [[arms]], such as `alambic study tune` writes
    arms_taken: tuple[str, ...] = ()  # the names that are taken from it; empty for all
    balances: tuple[float, ...] = ()  # each method once for each of these multiples of cross-entropy's gradient


MOST_SEEDS = 1000
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


def read_study(path: Path) -> Study:
    """Reads and checks a study file, the names of its methods, modifiers and treatments included; nothing is loaded.

    Data, students and teachers are asked when the study is planned or run.
    """
    document = read_extended(path)
    head_fields = [item.name for item in dataclasses.fields(_Head)]
    for key in document.tables:
        if key not in TABLES and key not in head_fields:
            raise AlambicError(f"{document.at((key,))}: unknown key; {nearest(key, [*TABLES, *head_fields])}")
    head = build(_Head, {k: v for k, v in document.tables.items() if k in head_fields}, document)
    views = build(ViewSpec, document.tables.get("views", {}), document, ("views",))
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
        document.whole,
        _read_claim(head, arms, teachers, Path(path).parent),
        _read_chip(head, document),
        build(Finalists, document.tables.get("finalists", {}), document, ("finalists",)),
        build(Tuning, document.tables.get("tuning", {}), document, ("tuning",)),
        sensors,
        read_falsifiers(document, [arm.name for arm in arms]),
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
    return read_confirmation(folder, head.students, {arm.name for arm in arms}, set(teachers))


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
