"""Control of privileged views: the teacher sees what the sensor gives."""

from __future__ import annotations

from dataclasses import replace

from alambic.data import ViewSpec
from alambic.errors import AlambicError
from alambic.methods.base import Paper
from alambic.treatments.base import Treatment


class SameSensor(Treatment):
    """The teacher sees the student's image, sensor and noise included: what its clean view was worth.

    A teacher that was trained on clean images is out of its depth here, so the fair control is this treatment with a
    teacher that was trained behind the sensor; with a clean one it bounds the loss from above.
    """

    paper = Paper("none", "", "", 0)
    formula = "teacher(clean view) -> teacher(the student's sensor image)"
    fidelity = "A"
    kind = "control"
    needs_teacher = True

    def views(self, views: ViewSpec) -> ViewSpec:
        if views.student.sensor is None:
            raise AlambicError(
                "treatment 'same_sensor' expected a sensor on the student's side, got none, because both sides see the "
                "same image without one; try [views.student.sensor] grey = true"
            )
        return replace(views, teacher=replace(views.teacher, sensor=views.student.sensor))
