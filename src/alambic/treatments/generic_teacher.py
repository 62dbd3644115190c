"""One generic teacher for a pool of students."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from alambic.errors import AlambicError
from alambic.methods.base import Paper
from alambic.models.students import create_student
from alambic.models.teacher import Teacher
from alambic.training.setup import teacher_spec
from alambic.treatments.base import Scene, Treatment, new_teacher_path, refuse_black_box
from alambic.treatments.branches import BranchTraining, make_branches
from alambic.treatments.teaching import fresh_net, teach


class GenericTeacher(Treatment):
    """Generalizing Teacher Networks for Effective KD Across Student Architectures, Binici et al., 2024.

    Like SFTN, but the branches at each step are those of a student drawn from a pool: the teacher is conditioned once
    and serves them all, whatever accelerators they are for.
    """

    paper = Paper(
        "Generalizing Teacher Networks for Effective Knowledge Distillation Across Student Architectures",
        "Binici, Wu, Mitra",
        "arXiv",
        2024,
        "2407.16040",
    )
    formula = "teacher <- argmin CE + E_pool mean_i (CE(branch_i) + 3 KL[teacher, branch_i])"
    fidelity = "C"
    differences = (
        "from the abstract and summaries; the pool's students share no weights, are drawn evenly; SFTN's weights"
    )
    components = (
        ("branches of reference students on the teacher", True),
        ("a pool of students, drawn at each step", True),
        ("weight-sharing supernet of the pool", False),
        ("learned distribution over architectures", False),
    )
    evidence = "CIFAR-100 and ImageNet-200: better than single teachers at the cost of a few specialised ones [A]"
    kind = "teacher"
    needs_teacher = True

    students: tuple[str, ...] = ()
    ce_weight: float = 1.0
    kl_weight: float = 3.0
    temperature: float = 1.0

    def prepare_teacher(self, teacher: Teacher, scene: Scene) -> Teacher:
        refuse_black_box(self, teacher)
        if not self.students or scene.task.classes < 2:
            raise AlambicError(
                f"treatment 'generic_teacher' expected a pool of students and at least 2 classes, got {self.students} "
                f'and {scene.task.classes}; try students = ["resnet8_w8", "dscnn_24x3"]'
            )
        image, seed = scene.image, scene.training.seed
        shapes = teacher_spec(teacher)
        pools = [
            make_branches(partial(_make, name, image, scene.task.classes), shapes, image, f"student {name!r}", seed)
            for name in self.students
        ]
        return teach(
            teacher,
            scene,
            new_teacher_path(self, teacher, scene),
            fresh_net(teacher, scene),
            scene.training.recipe,
            lambda run: BranchTraining(run, pools, self.ce_weight, self.kl_weight, self.temperature),
            {"generic_teacher": {**self.hyper(), "students": list(self.students)}},
        )


def _make(name: str, image: tuple[int, int, int], classes: int, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return create_student(name, image[0], image[1:], classes)
