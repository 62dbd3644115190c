"""The contract of a distillation method, and the registry that finds the files of this folder.

A method says what it needs and computes named loss parts; it never touches a model, a loader or a device.
Cross-entropy belongs to the engine: a method only declares the weight of it that its authors used.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from alambic.errors import AlambicError, nearest
from alambic.methods.settings import apply_settings, declared_settings
from alambic.models.feature import Outputs, OutputSpec

QUANTITIES = ("logits", "embedding", "stages", "energy", "head")
Parts = dict[str, Tensor]


@dataclass(frozen=True)
class Needs:
    """What a method reads. The engine supplies exactly this, from a bank, a sketch or a live teacher.

    Attributes:
        student, teacher: names out of logits, embedding, stages, energy, head.
            ``energy`` (channel mean of squared stage maps) fits a bank; ``stages`` need a live teacher.
        labels: reads ``batch.labels``; what is compared with a label is 0 for an unlabelled image, -1.
        ids: reads ``batch.ids`` (memory banks).
        views: 2 where the method compares two views of an image (``batch.second``).
        train_stats: reads statistics over the train split (``Specs.class_means``).
    """

    student: frozenset[str] = frozenset()
    teacher: frozenset[str] = frozenset()
    labels: bool = False
    ids: bool = False
    views: int = 1
    train_stats: bool = False

    @classmethod
    def of(cls, student: str = "", teacher: str = "", **flags: Any) -> Needs:
        """``Needs.of("logits", "logits embedding", labels=True)``: names separated by blanks."""
        names = frozenset(student.split()), frozenset(teacher.split())
        for name in names[0] | names[1]:
            if name not in QUANTITIES:
                raise AlambicError(f"unknown quantity {name!r}: {nearest(name, QUANTITIES)}")
        return cls(*names, **flags)

    def __or__(self, other: Needs) -> Needs:
        return Needs(
            self.student | other.student,
            self.teacher | other.teacher,
            self.labels or other.labels,
            self.ids or other.ids,
            max(self.views, other.views),
            self.train_stats or other.train_stats,
        )


@dataclass(frozen=True)
class Batch:
    """What a method may know of a batch beside the two networks' outputs.

    Attributes:
        labels: int64 B, -1 = unlabelled (float B in {0, 1} or -1 for a one-logit task).
        ids: int64 B, the images' ids; None where the caller gave none.
        partner: int64 B, rows of this batch are not meant: the *labels* of the mixing partners; None without mixing.
        lam: float B, share of the image itself in the mix; None without mixing.
        views: int64 B, view ids; None outside the engine.
        second: (student, teacher) outputs of a second view, where ``needs.views`` is 2.
    """

    labels: Tensor
    ids: Tensor | None = None
    partner: Tensor | None = None
    lam: Tensor | None = None
    views: Tensor | None = None
    second: tuple[Outputs, Outputs] | None = None


@dataclass(frozen=True)
class Specs:
    """Probed shapes of the pair, for building projectors and banks.

    Attributes:
        student, teacher: output shapes.
        classes: of the task (1 for a one-logit task).
        train_size: number of training images; ids lie in [0, ``id_count``).
        class_means: classes x D_teacher, mean teacher embedding per class, where ``needs.train_stats``.
    """

    student: OutputSpec
    teacher: OutputSpec
    classes: int
    train_size: int = 0
    id_count: int = 0
    class_means: Tensor | None = None


@dataclass(frozen=True)
class Paper:
    """Where a method comes from."""

    title: str
    authors: str
    venue: str
    year: int
    arxiv: str = ""
    code: str = ""


PureInput = Literal["logits", "embedding", "map", "energy", "none"]


class Method(nn.Module):
    """Base of all methods. Subclass in a file of this folder; the file's name is the method's name.

    Class attributes to declare:
        paper: a ``Paper``. formula: one line of plain text. needs: a ``Needs``.
        family: logit, embedding, map, relation, baseline or control.
        fidelity: "A" equal to the authors' code, "B" from the paper's formula, "C" reconstructed from an abstract,
            "O" our own, not published: never counted among the published.
        differences: from the authors' released code, "" if none is known.
        evidence: one line of published numbers, across architectures where there are any, each with its mark: [C] read
            in code, [R] in a repository's table, [A] in an abstract, [N] in a third party's note, [M] from memory.
        components: (name, present) of each component of the paper; empty means that all are there. A method with an
            absent one has a name that ends in ``_lite``.
        stochastic: True where ``loss`` draws random numbers (from torch's global generator).
        order_dependent: why the loss depends on the order of the batch, "" where it does not.
        stages: (name, share of the training) of pre-training stages, in order; while ``stage_at(progress)`` names
            one, ``loss`` gives only that stage's parts. warms_up: True where ``loss`` reads ``progress`` otherwise.
        min_classes: fewest classes with which the loss means something; ``degenerate``: why fewer are refused.
        pure: the formula as a function ``(student, teacher, labels=None, *, **hyper)``, None where there is none.
        pure_input: what ``pure`` compares: logits or embedding (B x D), map (B x C x H x W), energy (B x H x W).
        at_equal: the value of ``pure`` when student equals teacher: a number, "formula: ..." together with
            ``pure_at_equal(teacher, **hyper)``, or "none, because ...".
        ce_weight: the authors' weight of cross-entropy.
        batch_parts: names of parts that belong to the batch (0-d); all other parts are B values.
    Hyper-parameters are annotated class attributes with the authors' defaults (bool, int, float, str or tuples).
    """

    paper: ClassVar[Paper]
    formula: ClassVar[str] = ""
    family: ClassVar[Literal["logit", "embedding", "map", "relation", "baseline", "control"]]
    needs: ClassVar[Needs]
    fidelity: ClassVar[Literal["A", "B", "C", "O"]]
    differences: ClassVar[str] = ""
    evidence: ClassVar[str] = ""
    components: ClassVar[tuple[tuple[str, bool], ...]] = ()
    stochastic: ClassVar[bool] = False
    order_dependent: ClassVar[str] = ""
    stages: ClassVar[tuple[tuple[str, float], ...]] = ()
    warms_up: ClassVar[bool] = False
    min_classes: ClassVar[int] = 2
    degenerate: ClassVar[str] = ""
    pure: ClassVar[Callable[..., Tensor] | None]
    pure_input: ClassVar[PureInput]
    at_equal: ClassVar[float | str] = 0.0
    pure_at_equal: ClassVar[Callable[..., Tensor] | None] = None
    batch_parts: ClassVar[frozenset[str]] = frozenset()

    deployable: ClassVar[bool] = True  # False where the projector stays at inference: studies skip it with a reason

    ce_weight: float = 1.0

    def __init__(self, **hyper: Any) -> None:
        super().__init__()
        apply_settings(self, "method", self.name, Method, hyper)

    @property
    def name(self) -> str:
        return type(self).__module__.rsplit(".", 1)[-1]

    @property
    def largest_weight(self) -> float:
        """Weight beside a cross-entropy of weight 1 from which on the sum rewards wrong classes; most losses have none.

        Such a weight is refused, whether given or found by a balance, and ``alambic study tune`` does not scale such a
        loss: its own settings are its strength.
        """
        return math.inf

    @classmethod
    def hyper_defaults(cls) -> dict[str, Any]:
        """Hyper-parameters and the authors' defaults, in declaration order (``ce_weight`` last)."""
        found = declared_settings(cls, Method)
        weight = found.pop("ce_weight")
        return {**found, "ce_weight": weight}

    def hyper(self) -> dict[str, Any]:
        """This instance's hyper-parameters: what its cell's id hashes."""
        return {name: getattr(self, name) for name in self.hyper_defaults()}

    def check(self, specs: Specs) -> None:
        """Refuses a task on which the loss degenerates, or a network that lacks a quantity.

        Subclasses add checks of shapes here, before any training; the base has made sure that embeddings and stages
        that the method needs exist, and that stages with an energy have a grid.
        """
        if specs.classes < self.min_classes:
            raise AlambicError(
                f"method {self.name!r} expected at least {self.min_classes} classes, got {specs.classes}, "
                f"because {self.degenerate or 'the loss is constant below'}; try rsd, which works on embeddings"
            )
        wanted = self.teacher_classes(specs.classes)
        if "logits" in self.needs.teacher and specs.teacher.classes != wanted:
            raise AlambicError(
                f"method {self.name!r} compares logits: expected a teacher with {wanted} logits, got "
                f"{specs.teacher.classes}; try a method on embeddings (rsd), or fit a head for the teacher"
            )
        for side, spec, names in (
            ("student", specs.student, self.needs.student),
            ("teacher", specs.teacher, self.needs.teacher),
        ):
            missing = missing_quantity(spec, names)
            if missing:
                raise AlambicError(
                    f"method {self.name!r} expected a {side} with {missing}, got one without, because the method "
                    f"compares it; try a method on logits (kd), or Distiller(..., {side}_stages=[module names])"
                )

    def teacher_classes(self, classes: int) -> int:
        """How many logits a teacher must have for a task: its classes, but for methods whose teacher has subclasses."""
        return classes

    def build(self, specs: Specs, generator: torch.Generator) -> None:
        """Creates projectors, learned scalars and memory banks for a pair; random draws come from ``generator`` only.

        The base has nothing to build. Register modules and parameters on ``self``: the engine optimises them and
        throws them away at the end.
        """

    def loss(self, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Parts:
        """Named parts: each B values whose mean is the authors' loss, or 0-d if named in ``batch_parts``.

        Args:
            s, t: outputs of student and teacher, fp32, teacher detached.
            batch: labels, ids and the rest.
            progress: share of the training done, in [0, 1].
        """
        raise TypeError(f"method {self.name!r} defines no loss")

    def stage_at(self, progress: float) -> str:
        """The pre-training stage in which ``progress`` in [0, 1] lies; "" in the main stage."""
        end = 0.0
        for name, share in self.stages:
            end += share
            if progress < end:
                return name
        return ""

    def after_step(self) -> None:
        """Called after each optimiser step; for momentum banks and the like."""


def missing_quantity(spec: OutputSpec, names: frozenset[str]) -> str:
    """What a network lacks of the named quantities, in words; "" where it has them all."""
    if "embedding" in names and spec.embedding is None:
        return "an embedding (a vector before its classifier)"
    if names & {"stages", "energy"} and not spec.stages:
        return "intermediate maps or tokens"
    if "energy" in names and any(stage.size is None for stage in spec.stages):
        return "a spatial grid at each stage"
    return ""


@cache
def all_methods() -> Mapping[str, type[Method]]:
    """Every method of this folder by name: the files are scanned, there is no list to edit."""
    found: dict[str, type[Method]] = {}
    package = importlib.import_module("alambic.methods")
    for info in pkgutil.iter_modules(package.__path__):
        if info.name in ("base", "modifier", "settings"):
            continue
        module = importlib.import_module(f"alambic.methods.{info.name}")
        classes = [
            item
            for item in vars(module).values()
            if isinstance(item, type) and issubclass(item, Method) and item.__module__ == module.__name__
        ]
        if len(classes) != 1:
            raise AlambicError(f"methods/{info.name}.py: expected exactly one Method class, got {len(classes)}")
        found[info.name] = classes[0]
    return found


def create_method(name: str, /, **hyper: Any) -> Method:
    """A method by name with its settings; unknown names are answered with the nearest ones."""
    known = all_methods()
    if name not in known:
        raise AlambicError(f"unknown method {name!r}: {nearest(name, known)}")
    return known[name](**hyper)
