"""SFTN: a teacher that grows up with branches of its student."""

from __future__ import annotations

from alambic.errors import AlambicError
from alambic.methods.base import Paper
from alambic.models.teacher import Teacher
from alambic.training.setup import teacher_spec
from alambic.treatments.base import Scene, Treatment, new_teacher_path, refuse_black_box
from alambic.treatments.branches import BranchTraining, make_branches
from alambic.treatments.teaching import fresh_net, teach


class SFTN(Treatment):
    """Learning Student-Friendly Teacher Networks for Knowledge Distillation, Park et al., NeurIPS 2021.

    The teacher's architecture is trained from new weights; at each stage a copy of the student's later blocks goes on
    from the teacher's map and must reach the labels and the teacher's answer. The student is trained afterwards, by any
    method. A treated teacher belongs to one student.
    """

    paper = Paper(
        "Learning Student-Friendly Teacher Networks for Knowledge Distillation",
        "Park, Cha, Jeong, Kim, Han",
        "NeurIPS",
        2021,
        "2102.07650",
    )
    formula = "teacher <- argmin CE + mean_i (CE(branch_i) + 3 KL[teacher, branch_i])"
    fidelity = "B"
    differences = "no code was read; the weights 1, 1, 3 are from memory; adapters are 1x1 convolutions with BatchNorm"
    evidence = "helps CNN pairs of different architectures, as claimed [A]"
    kind = "teacher"
    needs_teacher = True

    ce_weight: float = 1.0
    kl_weight: float = 3.0
    temperature: float = 1.0

    def prepare_teacher(self, teacher: Teacher, scene: Scene) -> Teacher:
        refuse_black_box(self, teacher)
        if scene.task.classes < 2:
            raise AlambicError(
                "treatment 'sftn' expected at least 2 classes, got 1, because branches follow class probabilities; "
                "try two classes"
            )
        image, seed = scene.image, scene.training.seed
        branches = make_branches(scene.make_student, teacher_spec(teacher), image, f"student {scene.student!r}", seed)
        path = new_teacher_path(self, teacher, scene, scene.student)
        return teach(
            teacher,
            scene,
            path,
            fresh_net(teacher, scene),
            scene.training.recipe,
            lambda run: BranchTraining(run, [branches], self.ce_weight, self.kl_weight, self.temperature),
            {"sftn": self.hyper(), "student": scene.student},
        )
