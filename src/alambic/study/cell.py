"""A cell: teacher × student × method × modifiers × data × recipe × seed. Its id is the hash of its content."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from alambic.methods.base import all_methods
from alambic.suitability.gains import LABELS, LATER
from alambic.training.lockstep import SHARED_RECIPE
from alambic.version import file_version


@dataclass(frozen=True)
class Arm:
    """What is compared: one or several methods with their settings, weights and modifiers.

    Attributes:
        name: in tables. methods: names. settings: method -> its settings.
        weights: factor per method. modifiers: names, with ``modifier_settings``.
        ce_weight: of cross-entropy; None for the authors'.
        teachers: names that this arm is run with; empty for every one.
        treatments: names, with ``treatment_settings``.
        schedules: name in ``SCHEDULES`` per method, its factor over the progress; empty for constant ones.
        balance: each method's gradient at the start as a multiple of cross-entropy's; None keeps the weights.
        recipe: of its own, such as a tuned learning rate; all else is the study's.
    """

    name: str
    methods: tuple[str, ...]
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    weights: tuple[float, ...] = ()
    modifiers: tuple[str, ...] = ()
    modifier_settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    ce_weight: float | None = None
    teachers: tuple[str, ...] = ()
    treatments: tuple[str, ...] = ()
    treatment_settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    balance: float | None = None
    schedules: tuple[str, ...] = ()
    recipe: dict[str, Any] = field(default_factory=dict)

    @property
    def uses_teacher(self) -> bool:
        return any(all_methods()[name].needs.teacher for name in self.methods if name in all_methods())

    def is_taught_by(self, teacher: str) -> bool:
        """Whether it is run with this teacher of the study."""
        return self.uses_teacher and (not self.teachers or teacher in self.teachers)


@dataclass(frozen=True)
class Cell:
    """One training to be done, with everything that its numbers depend on.

    Attributes:
        student: zoo name or ``file.py:function``. teacher: name in the study, None without one.
        arm: what is compared. seed: of the training. content: data, views, recipe, teacher hash and provenance,
            resolved sources, precision, threads, method file versions.
    """

    student: str
    teacher: str | None
    arm: Arm
    seed: int
    content: dict[str, Any]

    @property
    def full_content(self) -> dict[str, Any]:
        own = {"student": self.student, "teacher": self.teacher, "arm": asdict(self.arm), "seed": self.seed}
        return {**self.content, **own}

    @property
    def id(self) -> str:
        hashed = {key: value for key, value in self.full_content.items() if key not in LABELS}
        arm = {
            key: value
            for key, value in hashed["arm"].items()
            if key not in ("name", "teachers") and (value or key not in LATER)
        }  # what is later is left out where empty, so that older cells keep their ids
        text = json.dumps({**hashed, "arm": arm}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def label(self) -> str:
        taught = f" from {self.teacher}" if self.teacher else ""
        return f"{self.arm.name}{taught} into {self.student}, seed {self.seed}"


def is_live(cell: Cell) -> bool:
    """Whether a cell's teacher runs while it trains."""
    return any(text.startswith("live") for text in cell.content["sources"].values())


def group_cells(cells: list[Cell], most: int) -> list[tuple[Cell, ...]]:
    """Cells that should share a live teacher's passes, or a GPU: equal seed, views, batches; at most ``most``."""
    groups: dict[tuple[Any, ...], list[Cell]] = {}
    alone = []
    for cell in cells:
        on_gpu = "trains_on" in cell.content
        if is_live(cell) or on_gpu:
            batches = [cell.content["recipe"][key] for key in SHARED_RECIPE]
            same = json.dumps([cell.content["views"], cell.content["data"], batches], sort_keys=True)
            shared = taught_by(cell) if is_live(cell) else ""  # side by side, cells may have a teacher each
            groups.setdefault((shared, cell.seed, same), []).append(cell)
        else:
            alone.append((cell,))
    parts = [tuple(group[i : i + most]) for group in groups.values() for i in range(0, len(group), most)]
    return parts + alone


def taught_by(cell: Cell) -> str | None:
    """The prepared teacher of a cell: the named one, or what the arm's treatments made of it."""
    return cell.content.get("taught_by", cell.teacher)


def method_version(name: str) -> str:
    """Version of a method's file: a changed formula gives new cells."""
    return file_version(all_methods()[name])
