"""Assistant chain: networks of middle size hand the knowledge down."""

from __future__ import annotations

from dataclasses import replace

from alambic.errors import AlambicError
from alambic.methods.base import Paper
from alambic.models.teacher import Teacher, TeacherSpec
from alambic.training.teach import train_teacher
from alambic.treatments.base import Scene, Treatment, new_teacher_path
from alambic.treatments.teaching import load_made


class Assistant(Treatment):
    """Improved Knowledge Distillation via Teacher Assistant, Mirzadeh et al., AAAI 2020.

    Each network of ``nets`` (largest first) learns from the one before it, the first from the teacher; the student
    learns from the last. The paper advises a size whose accuracy lies half-way between teacher and student.
    """

    paper = Paper(
        "Improved Knowledge Distillation via Teacher Assistant",
        "Mirzadeh, Farajtabar, Li, Levine, Matsukawa, Ghasemzadeh",
        "AAAI",
        2020,
        "1902.03393",
    )
    formula = "teacher -> assistant_1 -> ... -> student, each step by KD"
    fidelity = "B"
    differences = (
        "the method of each step can be any of the library; assistants follow the teachers' recipe; the authors' KD "
        "(imirzadeh/Teacher-Assistant-Knowledge-Distillation) averages its divergence over classes too"
    )
    evidence = "CIFAR-100, plain CNN: alone 41.1, KD 44.6, with an assistant 44.9 [M]; sequences do not help [A]"
    kind = "teacher"
    needs_teacher = True

    nets: tuple[str, ...] = ()
    method: str = "kd"

    def prepare_teacher(self, teacher: Teacher, scene: Scene) -> Teacher:
        if not self.nets:
            raise AlambicError(
                "treatment 'assistant' expected the assistants' networks, got none; try nets = [\"zoo:resnet20_w16\"]"
            )
        for i, net in enumerate(self.nets):
            path = new_teacher_path(self, teacher, scene, f"{i} {net}")
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                training = replace(scene.training, method=self.method, settings=())
                spec = TeacherSpec(net, teacher_data=teacher.spec.teacher_data)
                name = f"{teacher.name}-assistant{i + 1}"
                at = (scene.source, scene.task, path, scene.base)
                with scene.watch(name, training.recipe.epochs) as on_epoch:
                    train_teacher(name, spec, training, *at, teacher, on_epoch=on_epoch, ids=scene.ids)
            teacher = load_made(teacher, scene, path)
        return teacher
