"""The contract of a treatment: something done around the loss, to the teacher, the recipe, the student or the step.

One file of this folder = one treatment (a subclass of ``Treatment``); the file's name is its name. A treatment is also
the ``Hooks`` of the student's training, so that a step of its own needs no other object.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from alambic.data import DataSpec, Source, ViewSpec
from alambic.errors import AlambicError
from alambic.methods.base import Paper
from alambic.methods.settings import apply_settings, declared_settings
from alambic.models.teacher import Teacher
from alambic.training.hooks import Hooks
from alambic.training.loop import OnEpoch, Run
from alambic.training.recipe import Recipe, drawing, stream_seed
from alambic.training.task import Task
from alambic.training.teach import TeacherTraining
from alambic.version import file_version

Kind = Literal["teacher", "recipe", "student", "step", "control"]


Watch = Callable[[str, int], AbstractContextManager[OnEpoch | None]]  # label, epochs -> what hears of each


def unwatched(label: str, epochs: int) -> AbstractContextManager[OnEpoch | None]:
    """Nobody hears of it."""
    return nullcontext()


@dataclass(frozen=True)
class Scene:
    """What a treatment may use to make a new teacher or a second student.

    Attributes:
        source, task: images and what is learnt. ids: int64, the training images.
        training: recipe and views by which teachers are trained. recipe: of the students.
        make_student: seed -> a student of the pair with fresh weights.
        student: its name. image: C, H, W of its input.
        folder: where new teachers are written. base: where relative paths of teachers start.
        seed: of the training that is treated.
        watch: shows the training of a new teacher while it lasts.
    """

    source: Source
    task: Task
    ids: Tensor
    training: TeacherTraining
    recipe: Recipe
    make_student: Callable[[int], nn.Module]
    student: str
    image: tuple[int, int, int]
    folder: Path
    base: Path = Path()
    seed: int = 0
    watch: Watch = unwatched


class Treatment(Hooks):
    """Base of all treatments: each part of the contract changes nothing unless overridden.

    Class attributes:
        paper, formula, fidelity, differences, evidence, components: as for methods.
        kind: what is treated: teacher, recipe, student, step; control for the sanity controls of a study.
        needs_teacher: True where it means nothing without one.
    Hyper-parameters are annotated class attributes, as for methods.
    """

    paper: ClassVar[Paper]
    formula: ClassVar[str] = ""
    fidelity: ClassVar[Literal["A", "B", "C", "O"]]
    differences: ClassVar[str] = ""
    evidence: ClassVar[str] = ""
    components: ClassVar[tuple[tuple[str, bool], ...]] = ()
    kind: ClassVar[Kind]
    needs_teacher: ClassVar[bool] = False

    def __init__(self, **hyper: Any) -> None:
        super().__init__()
        apply_settings(self, "treatment", self.name, Treatment, hyper)

    @property
    def name(self) -> str:
        return type(self).__module__.rsplit(".", 1)[-1]

    def hyper(self) -> dict[str, Any]:
        """This instance's settings: what its cell's id hashes."""
        return {name: getattr(self, name) for name in declared_settings(type(self), Treatment)}

    @property
    def changes_steps(self) -> bool:
        """Whether it takes part in the student's training, beyond recipe and views."""
        return any(getattr(type(self), part) is not getattr(Hooks, part) for part in STEP_PARTS)

    def prepare_teacher(self, teacher: Teacher, scene: Scene) -> Teacher:
        """The teacher to learn from instead: a new one with a new hash."""
        return teacher

    def data(self, data: DataSpec) -> DataSpec:
        """The images instead: a smaller ``train`` and nothing else, since source, banks and scores are shared."""
        return data

    def recipe(self, recipe: Recipe) -> Recipe:
        """The student's recipe instead."""
        return recipe

    def views(self, views: ViewSpec) -> ViewSpec:
        """The views instead, for student and teacher alike."""
        return views

    def wrap_student(self, student: nn.Module, scene: Scene) -> nn.Module:
        """The network to train instead; called before the run is put together."""
        return student

    def unwrap_student(self, student: nn.Module) -> nn.Module:
        """The network to deploy, from the trained one: no trace of the treatment is left."""
        return student

    def attach(self, run: Run, scene: Scene) -> None:
        """Makes what the training needs (a peer, wide weights); called on the run before it starts.

        Torch's global generator is at the ``treatment`` stream, so that nothing of the student's moves.
        """


STEP_PARTS = ("epochs", "make_optimizer", "start_epoch", "step")


def change_data(data: DataSpec, treatments: Sequence[Treatment]) -> DataSpec:
    """The images after all treatments, in order."""
    for treatment in treatments:
        data = treatment.data(data)
    return data


def change_recipe(recipe: Recipe, treatments: Sequence[Treatment]) -> Recipe:
    """The recipe after all treatments, in order."""
    for treatment in treatments:
        recipe = treatment.recipe(recipe)
    return recipe


def change_views(views: ViewSpec, treatments: Sequence[Treatment]) -> ViewSpec:
    """The views after all treatments, in order."""
    for treatment in treatments:
        views = treatment.views(views)
    return views


def change_teacher(teacher: Teacher, treatments: Sequence[Treatment], scene: Scene) -> Teacher:
    """The teacher after all treatments, in order; each one's hash differs from the last."""
    for treatment in treatments:
        teacher = treatment.prepare_teacher(teacher, scene)
    return teacher


def change_student(student: nn.Module, treatments: Sequence[Treatment], scene: Scene) -> nn.Module:
    """The network to train."""
    for treatment in treatments:
        student = treatment.wrap_student(student, scene)
    return student


def attach_all(run: Run, treatments: Sequence[Treatment], scene: Scene) -> None:
    """Puts the treatments into a run. Raises AlambicError where two of them would each change the step."""
    stepping = [treatment for treatment in treatments if treatment.changes_steps]
    if len(stepping) > 1:
        raise AlambicError(
            f"expected at most one treatment that changes the step, got {', '.join(t.name for t in stepping)}, because "
            "each brings a step of its own; try one of them, or treatments of the teacher, the recipe or the student"
        )
    for treatment in treatments:
        if treatment.needs_teacher and run.feed is None:
            raise AlambicError(
                f"treatment {treatment.name!r} expected a method with a teacher, got "
                f"{', '.join(m.name for m in run.objective.methods)}, because it changes how the teacher's part is "
                "learnt; try kd or rsd"
            )
        with drawing(stream_seed(run.seed, f"treatment {treatment.name}"), run.device):
            treatment.attach(run, scene)
    if stepping:
        run.hooks = stepping[0]


def restore_student(student: nn.Module, treatments: Sequence[Treatment]) -> nn.Module:
    """The network to deploy, treatments taken off in reverse order."""
    for treatment in reversed(treatments):
        student = treatment.unwrap_student(student)
    return student


def new_teacher_path(treatment: Treatment, teacher: Teacher, scene: Scene, extra: str = "") -> Path:
    """Where a treated teacher lies: its name holds everything that it depends on."""
    made_by = (treatment.name, file_version(type(treatment)), treatment.hyper())
    text = repr((made_by, teacher.hash, scene.training, scene.task, scene.source.split_hash, scene.ids.tolist(), extra))
    if scene.image != (scene.source.channels, *scene.source.size):
        text += repr(scene.image)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return scene.folder / f"{teacher.name}-{treatment.name}-{digest}.safetensors"


def refuse_black_box(treatment: Treatment, teacher: Teacher) -> None:
    """Raises AlambicError for a teacher whose weights cannot be trained here."""
    if not any(True for _ in teacher.net.parameters()):
        raise AlambicError(
            f"treatment {treatment.name!r} expected a teacher that can be trained, got {teacher.name!r} "
            f"({teacher.spec.net}), because it is a black box; try a treatment of the student or the step"
        )
