"""Adapted teacher: a copy of the clean teacher learns to see through the student's sensor, from the teacher itself."""

from __future__ import annotations

from dataclasses import replace

from alambic.data import ViewSpec
from alambic.errors import AlambicError
from alambic.methods.base import Paper
from alambic.models.teacher import Teacher
from alambic.training.teach import train_teacher
from alambic.treatments.base import Scene, Treatment, new_teacher_path, refuse_black_box
from alambic.treatments.same_sensor import SameSensor
from alambic.treatments.teaching import load_made


class AdaptedTeacher(Treatment):
    """A teacher for the sensor, without a label: its copy learns what the clean one says of the same crop.

    The copy begins with the teacher's weights and sees the training images of the arm as the student's sensor gives
    them; it follows the teachers' recipe. Then it teaches in the teacher's place, and sees what the student sees
    (``same_sensor``). Falsifier: the clean teacher teaches as well, or an assistant of the same size that begins with
    no weights does.
    """

    paper = Paper("Adapted teacher (ours, not published)", "The authors of alambic", "alambic", 2026)
    formula = "copy <- argmin T^2 KL[teacher(clean view), copy(sensor's view)]; copy teaches behind the sensor"
    fidelity = "O"
    differences = "neighbours: assistants (arXiv 1902.03393) and distillation across sensors (arXiv 1507.00448)"
    evidence = "not published; what the studies here found stands in docs/ideas.md [M]"
    kind = "teacher"
    needs_teacher = True

    temperature: float = 4.0
    epochs_of_copy: int = 0  # 0 takes those of the teachers' recipe

    def views(self, views: ViewSpec) -> ViewSpec:
        return SameSensor().views(views)

    def prepare_teacher(self, teacher: Teacher, scene: Scene) -> Teacher:
        refuse_black_box(self, teacher)
        SameSensor().views(scene.training.views)  # refuses views without a sensor
        if teacher.spec.groups:
            raise AlambicError(
                f"treatment 'adapted_teacher' expected a network of the task's own classes, got {teacher.name!r}, "
                "whose classes a class map merges, because all that it knows should be copied; try `alambic teachers "
                "train` on all classes, with distil_from and start_from"
            )
        path = new_teacher_path(self, teacher, scene)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            recipe = replace(scene.training.recipe, epochs=self.epochs_of_copy or scene.training.recipe.epochs)
            settings = (("ce_weight", 0.0), ("temperature", self.temperature), ("weight", 1.0))
            training = replace(scene.training, recipe=recipe, method="kd", settings=settings)
            spec = replace(teacher.spec, weights=None, pretrained=False)
            name = f"{teacher.name}-adapted"
            at = (scene.source, scene.task, path, scene.base)
            with scene.watch(name, recipe.epochs) as on_epoch:
                train_teacher(name, spec, training, *at, teacher, teacher, on_epoch, ids=scene.ids)
        return load_made(teacher, scene, path)
