"""Distillation in a user's own loop, in three lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alambic.errors import AlambicError
from alambic.methods.base import Batch, Method, Specs, create_method
from alambic.models.feature import Outputs, OutputSpec
from alambic.models.taps import Tapped, evaluating
from alambic.training import together
from alambic.training.given import BatchCheck, Norm, check_pair, make_norm, make_size, probe_side
from alambic.training.given_methods import (
    check_means,
    check_memory,
    check_methods,
    check_start,
    explaining_one_image,
    take_methods,
    warn_borrowed,
)
from alambic.training.objective import Loss, Objective
from alambic.training.recipe import stream
from alambic.training.task import Task
from alambic.training.watch import LoopWatch


class Distiller:
    """Teacher, student and method tied together: ``loss = distiller(images, labels); loss.backward()``.

    Args:
        student: trains; any module that maps images to B x classes. It is never wrapped or changed: when the training
            ends it is clean. teacher: frozen, always in evaluation mode.
        method: a name, a ``Method``, or a list of them.
        example_input: one or more images as the loop will give them, B x C x H x W in [0, 1].
        student_norm, teacher_norm: ((mean per channel), (std per channel)) applied to each side, as numbers, arrays or
            tensors; None applies none.
        teacher_size: (height, width), or one number for both, to which the teacher's images are resized; None keeps
            them.
        settings: of the method, when it is given by name. ce_weight: of cross-entropy, None for the authors' own.
        student_stages, teacher_stages: names of modules to tap instead of the found ones.
        train_size: number of training images, for methods with a memory bank (``ids`` are then below it).
        class_means: classes x D float, the teacher's mean embedding of each class, for methods that read it.
        steps: calls that the whole training makes: methods with a warm-up or stages need them, or each call's
            ``progress``.
        seed: of the projectors' initialisation.

    Give ``distiller.parameters()`` to the optimiser: the student's and the projectors'. Example::

        distiller = alambic.Distiller(student, teacher, method="rsd", example_input=images)
        optimizer = torch.optim.SGD(distiller.parameters(), lr=0.1, momentum=0.9)
        loss = distiller(images, labels)

    The loss is a ``Loss``: divide it, take its ``.backward()``, ``.item()``, ``.detach()`` or ``.parts`` as they are;
    what asks for a tensor, such as ``GradScaler.scale``, takes ``loss.total``. To go on later, save the states of the
    student, the optimiser and ``distiller.state_dict()``, which holds the projectors.

    Of several processes each makes its own Distiller, of equal weights and ``seed``, and calls
    ``distiller.average_gradients()`` between ``loss.backward()`` and ``optimizer.step()``, be the student plain or in
    ``DistributedDataParallel``, which averages the student's gradients alone.
    """

    def __init__(
        self,
        student: nn.Module,
        teacher: nn.Module,
        method: str | Method | Sequence[str | Method] = "kd",
        *,
        example_input: Tensor,
        student_norm: Norm | None = None,
        teacher_norm: Norm | None = None,
        teacher_size: tuple[int, int] | int | None = None,
        settings: dict[str, Any] | None = None,
        ce_weight: float | None = None,
        student_stages: Sequence[str] | None = None,
        teacher_stages: Sequence[str] | None = None,
        train_size: int = 0,
        class_means: Tensor | None = None,
        steps: int | None = None,
        seed: int = 0,
    ) -> None:
        if steps is not None and steps < 1:
            raise AlambicError(f"expected steps of at least 1, got {steps}; try len(loader) * epochs")
        normed = student_norm is not None or teacher_norm is not None
        check_pair(student, teacher, example_input, normed)
        device = example_input.device
        self.student, self.teacher = student, teacher
        self.teacher_size = make_size(teacher_size)
        self.steps = steps
        self._calls, self._step_is_due = 0, False
        self._student_norm = make_norm(student_norm, example_input)
        self._teacher_norm = make_norm(teacher_norm, example_input)
        given = [method] if isinstance(method, (str, Method)) else list(method)
        if not given:
            raise AlambicError('expected a method or several, got an empty list; try method="kd"')
        methods = [create_method(m, **(settings or {})) if isinstance(m, str) else m for m in given]
        check_methods(methods)
        pair = example_input[:2].expand(2, -1, -1, -1)  # each layer's output is kept for a while: two images are enough
        seen, taught = self._see(pair), self._show(pair)
        shapes = probe_side(student, seen, pair, "student")
        taught_shapes = probe_side(teacher, taught, pair, "teacher")
        self.objective = Objective(methods, Task(shapes.classes or 0), ce_weight=ce_weight)
        needs = self.objective.needs
        self._student = Tapped(student, seen, needs.student | {"logits"}, student_stages, "student")
        self._teacher = Tapped(teacher, taught, needs.teacher | {"logits"}, teacher_stages, "teacher")
        specs = Specs(
            _with_stages(shapes, self._student.spec),
            _with_stages(taught_shapes, self._teacher.spec),
            self.objective.task.classes,
            train_size,
            train_size,
            class_means,
        )
        check_means(methods, specs)
        self._shape = tuple(example_input.shape[1:])
        self._check_batch = BatchCheck(example_input, normed, self.objective.task.classes, train_size)
        self.objective.build(specs, stream(seed, "method"))
        self.objective.to(device)
        if together.is_synchronised(student):
            check_memory(methods)
        warn_borrowed(self.objective)
        self._watch, self._same_start = LoopWatch(student, self.objective), False
        take_methods(methods)
        teacher.eval().requires_grad_(False)  # the last step: a pair that is refused leaves the teacher as it was

    def parameters(self) -> Iterator[nn.Parameter]:
        """What the optimiser trains: the student, the projectors and learned scalars; never the teacher."""
        yield from self.student.parameters()
        yield from self.objective.parameters()

    def average_gradients(self) -> None:
        """Makes one training of several processes: between ``loss.backward()`` and ``optimizer.step()``, in each.

        Gradients of the student and the projectors become their mean over the processes of ``torch.distributed``; those
        of a student in ``DistributedDataParallel`` are that already. Running numbers of normalisations stay each
        process's own. In one process nothing happens.

        Raises AlambicError for a method that keeps a memory (crd), and in the first call for processes that do not
        hold the same weights.
        """
        self._watch.averaged = True
        if together.place()[1] == 1:
            return
        check_memory(self.objective.methods)
        whole = not together.is_synchronised(self.student)
        parameters = [p for p in (self.parameters() if whole else self.objective.parameters()) if p.requires_grad]
        if not self._same_start:
            check_start({str(i): p.detach() for i, p in enumerate(parameters)})
            self._same_start = True
        together.average_gradients(parameters)

    def predict(self, images: Tensor) -> Tensor:
        """Scores B x classes as the method predicts, in evaluation mode and without gradients.

        They are the student's own but for a method that keeps its projector and the teacher's classifier (simkd), which
        knows that one from the first loss on.

        Args:
            images: B x C x H x W, as a call's.
        """
        with torch.no_grad(), evaluating(self.student), evaluating(self.objective):
            outputs = self._run(self._student, self._see(images), images)
            kept: list[Any] = [method for method in self.objective.methods if not method.deployable]
            scores: Tensor = kept[0].predict(outputs) if kept else outputs.need_logits()
        return scores

    def state_dict(self) -> dict[str, Any]:
        """What a loop that is to go on later saves beside the student's and the optimiser's state.

        Projectors, learned scalars, memory banks, and how many steps were made; neither the student nor the teacher.
        Call it after the optimiser's step: memory banks follow that step first.
        """
        self.after_step()
        state = {name: value.detach().clone() for name, value in self.objective.state_dict().items()}
        return {"objective": state, "calls": self._calls}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a ``state_dict``. Raises AlambicError where it is another method's or pair's."""
        try:
            self.objective.load_state_dict(state["objective"])
            self._calls, self._step_is_due = int(state["calls"]), False
        except (KeyError, TypeError, AttributeError, RuntimeError) as error:
            names = ", ".join(method.name for method in self.objective.methods)
            raise AlambicError(
                f"expected the state of a Distiller of this pair and {names}, got another, because of: {error}; try "
                "the arguments that it was made with, and distiller.state_dict()"
            ) from error

    def __call__(
        self,
        images: Tensor,
        labels: Tensor,
        ids: Tensor | None = None,
        progress: float | None = None,
        second: Tensor | None = None,
    ) -> Loss:
        """The loss of one batch.

        Args:
            images: B x C x H x W float in [0, 1], the same view for both networks.
            labels: int64 B, -1 = unlabelled. ids: int64 B, of the images, for memory banks.
            progress: share of the training done, in [0, 1]; None counts the calls with gradients among ``steps``.
            second: another view of the same images, of their shape, for methods that compare two.

        Raises AlambicError where a method needs ids, progress or a second view and gets none, and for a batch unlike
        the example or with values that none has (NaN, 0 to 255): see ``BatchCheck``.
        """
        self._check_batch(images, labels, ids, second)
        self.teacher.eval()
        done = self._find_progress(progress)
        self.after_step()
        if torch.is_grad_enabled():
            self._watch()
            self._calls, self._step_is_due = self._calls + 1, True
        with explaining_one_image(self.objective.methods):
            batch = Batch(labels, ids, second=None if second is None else self._ask(second))
            loss: Loss = self.objective(*self._ask(images), batch, done)
        return loss

    def _ask(self, images: Tensor) -> tuple[Outputs, Outputs]:
        """Outputs of student and teacher."""
        with torch.no_grad():
            taught = self._run(self._teacher, self._show(images), images)
        return self._run(self._student, self._see(images), images), taught

    def _run(self, tapped: Tapped, shown: Tensor, images: Tensor) -> Outputs:
        """A network's outputs. One that fails on images of another size than the example's is told so."""
        try:
            return tapped(shown)
        except torch.OutOfMemoryError:
            raise
        except (AssertionError, RuntimeError) as error:
            if tuple(images.shape[1:]) == self._shape:
                raise
            raise AlambicError(
                f"{tapped.label}: expected images of {' x '.join(map(str, self._shape))} as example_input has, got "
                f"{' x '.join(map(str, images.shape[1:]))}, on which it fails ({error}); try to resize them, or a "
                "Distiller for each size"
            ) from error

    def after_step(self) -> None:
        """Lets memory banks and moving averages follow the last call with gradients, once.

        Each call does it for the one before, be there several a step or one; a loop that saves them does it itself
        after its last call.
        """
        if self._step_is_due:
            self._step_is_due = False
            self.objective.after_step()

    def _find_progress(self, given: float | None) -> float:
        if given is None and self.steps is not None:
            return min(self._calls / self.steps, 1.0)
        if given is None and self.objective.reads_progress:
            names = ", ".join(method.name for method in self.objective.methods if method.warms_up or method.stages)
            raise AlambicError(
                f"expected to know how far the training is, because {names} has a warm-up or stages; try "
                "Distiller(..., steps=len(loader) * epochs), or progress=step / steps in each call"
            )
        if given is not None and not 0 <= given <= 1:
            raise AlambicError(f"expected progress in [0, 1], got {given}; try step / steps")
        return given or 0.0

    def _see(self, images: Tensor) -> Tensor:
        return images if self._student_norm is None else self._student_norm(images)

    def _show(self, images: Tensor) -> Tensor:
        if self.teacher_size is not None and tuple(images.shape[-2:]) != tuple(self.teacher_size):
            images = F.interpolate(images, self.teacher_size, mode="bilinear", antialias=True, align_corners=False)
        return images if self._teacher_norm is None else self._teacher_norm(images)


def _with_stages(shapes: OutputSpec, tapped: OutputSpec) -> OutputSpec:
    """Probed shapes, with the stages that the user named."""
    return replace(shapes, stages=tapped.stages) if tapped.stages else shapes
