"""What a user's own loop gives to the ``Distiller`` as methods, and what its processes must have in common."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor

from alambic.errors import AlambicError
from alambic.files import hash_tensors
from alambic.methods.base import Method, Specs
from alambic.training import together
from alambic.training.objective import Objective

_taken: weakref.WeakSet[Method] = weakref.WeakSet()  # methods that a Distiller holds, or held


def check_methods(methods: Sequence[Method]) -> None:
    """Refuses a ``Method`` that another ``Distiller`` was given: its projectors would be built anew under that one."""
    for method in methods:
        if method in _taken:
            raise AlambicError(
                f"method {method.name!r}: expected one of its own for each Distiller, got one that another has, "
                "because its projectors and its memory belong to that pair; try its name with settings, or "
                "copy.deepcopy of it before it is given"
            )


def check_memory(methods: Sequence[Method]) -> None:
    """Refuses a method that keeps a memory, which follows the batches of one process, to several at once."""
    kept = [method.name for method in methods if type(method).after_step is not Method.after_step]
    if kept:
        raise AlambicError(
            f"method {kept[0]!r} expected one process, got {together.place()[1]} that train one student, because its "
            "memory would follow the batches of its own process alone; try one process, or a method without (kd, rsd)"
        )


def check_start(state: dict[str, Tensor]) -> None:
    """Refuses processes that do not hold the same weights before their gradients are averaged."""
    told = together.gather(hash_tensors(state))
    if len(set(told)) > 1:
        raise AlambicError(
            f"expected {len(told)} processes that start from the same weights, got {', '.join(h[:8] for h in told)}, "
            "because each made its own; try torch.manual_seed before the student is made, and the same seed of the "
            "Distiller"
        )


@contextmanager
def explaining_one_image(methods: Sequence[Method]) -> Iterator[None]:
    """Says in words of the loop what batch normalisation says of a single image."""
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise AlambicError(
            "expected at least two images in training, got one, because the student or a projector of "
            f"{', '.join(method.name for method in methods)} normalises over the batch ({error}); try drop_last=True "
            "in the loader"
        ) from error


def take_methods(methods: Sequence[Method]) -> None:
    """Notes methods as those of a ``Distiller`` that was made."""
    _taken.update(methods)


def warn_borrowed(objective: Objective) -> None:
    """Tells of a student whose own classifier no loss trains."""
    if objective.borrowed:
        warnings.warn(
            f"method {objective.borrowed!r} trains no classifier of the student, because it predicts with its "
            "projector and the teacher's classifier; try distiller.predict(images) for its scores (and keep "
            "distiller.state_dict()), ce_weight=1.0 to train the student's too, or srrl, which keeps the student whole",
            stacklevel=3,
        )


def check_means(methods: Sequence[Method], specs: Specs) -> None:
    """Refuses means of other classes or width than the pair's, and a method that reads them where there are none."""
    means, wanted = specs.class_means, (specs.classes, specs.teacher.embedding)
    reading = [method.name for method in methods if "class_means" in type(method).__annotations__]
    if means is None and reading:
        raise AlambicError(
            f"method {reading[0]!r} expected the teacher's mean embedding of each class; try Distiller(..., "
            "class_means=means) with a tensor of classes x embedding"
        )
    if means is not None and tuple(means.shape) != wanted:
        raise AlambicError(f"expected class_means of shape {wanted}, got {tuple(means.shape)}: classes x embedding")
