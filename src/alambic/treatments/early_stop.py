"""Early-stopped teacher: it teaches before it is finished."""

from __future__ import annotations

from alambic.errors import AlambicError
from alambic.methods.base import Paper
from alambic.models.teacher import Teacher
from alambic.training.hooks import Hooks
from alambic.training.recipe import Recipe
from alambic.treatments.base import Scene, Treatment, new_teacher_path, refuse_black_box
from alambic.treatments.teaching import fresh_net, teach


class StopAfter(Hooks):
    """Runs a share of the recipe's epochs; the learning rate follows the whole schedule."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def epochs(self, recipe: Recipe) -> int:
        return max(1, round(self.share * recipe.epochs))


class EarlyStop(Treatment):
    """On the Efficacy of Knowledge Distillation, Cho and Hariharan, ICCV 2019.

    The teacher's architecture is trained again, from new weights, for a share of its recipe. A teacher that stopped
    early is less sure, and a small student can follow it further.
    """

    paper = Paper("On the Efficacy of Knowledge Distillation", "Cho, Hariharan", "ICCV", 2019, "1910.01348")
    formula = "teacher = its own training stopped after a share of the epochs"
    fidelity = "B"
    differences = "no code was read; the share .5 is ours, the learning rate follows the unshortened schedule"
    evidence = "early stopping helps small students where sequences of distillations do not [A]"
    kind = "teacher"
    needs_teacher = True

    share: float = 0.5

    def prepare_teacher(self, teacher: Teacher, scene: Scene) -> Teacher:
        if not 0 < self.share < 1:
            raise AlambicError(f"treatment 'early_stop' expected a share between 0 and 1, got {self.share}; try 0.5")
        refuse_black_box(self, teacher)
        if teacher.spec.pretrained or teacher.spec.teacher_data == "external":
            raise AlambicError(
                f"treatment 'early_stop' expected a teacher trained on this study's data, got {teacher.name!r}, "
                "because it is trained again from new weights and would lose what it knows from elsewhere; try mcmi, "
                "which fine-tunes"
            )
        recipe = scene.training.recipe
        path = new_teacher_path(self, teacher, scene)
        note = {"early_stop": self.hyper()}
        return teach(teacher, scene, path, fresh_net(teacher, scene), recipe, lambda run: StopAfter(self.share), note)
