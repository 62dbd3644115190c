"""Control: a teacher of the student's own architecture."""

from __future__ import annotations

from dataclasses import replace

import torch

from alambic.errors import AlambicError
from alambic.methods.base import Paper
from alambic.models.teacher import Teacher, TeacherSpec
from alambic.training.teach import train_teacher
from alambic.treatments.base import Scene, Treatment, new_teacher_path
from alambic.treatments.teaching import load_made


class SelfDistillation(Treatment):
    """The student, trained on labels first, teaches another of its kind: what a bigger teacher adds beyond this.

    The teacher gets the student's own recipe. It is also the first half of SQAKD: a full-precision student teaches its
    quantised twin, by ``funmatch`` together with ``qat``.
    """

    paper = Paper("none", "", "", 0)
    formula = "teacher = the student trained on labels"
    fidelity = "A"
    kind = "control"
    needs_teacher = True

    epochs_of_teacher: int = 0  # 0 takes those of the student's recipe

    def prepare_teacher(self, teacher: Teacher, scene: Scene) -> Teacher:
        if ".py:" in scene.student:
            raise AlambicError(
                f"treatment 'self_distillation' expected a student of the zoo, got {scene.student!r}, because a "
                "teacher is rebuilt from its name; try naming the file as a teacher of the study"
            )
        channels, height, width = scene.image
        spec = TeacherSpec(f"zoo:{scene.student}", channels=channels, size=(height, width))
        recipe = replace(scene.recipe, epochs=self.epochs_of_teacher or scene.recipe.epochs)
        path = new_teacher_path(self, teacher, scene, f"{scene.student} {recipe}")
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            training = replace(scene.training, recipe=recipe, method="none", settings=(), seed=scene.training.seed + 1)
            name, at = f"{scene.student}-teacher", (scene.source, scene.task, path, scene.base)
            with torch.random.fork_rng(devices=[]):
                train_teacher(name, spec, training, *at, ids=scene.ids)
        return load_made(teacher, scene, path)
