"""Tables of a study file: task, int8, finalists, tuning. Execution stands in ``place``, arms in ``arms_file``."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from alambic.data import Sensor, ViewSpec
from alambic.errors import AlambicError
from alambic.training.task import Metric, check_class_weights

DEFAULT_VIEWS = 16  # of each image, where a study file does not say: docs/views.md has what fewer would cost


@dataclasses.dataclass(frozen=True)
class TaskSpec:
    """What is learnt.

    Attributes:
        metric: the one that ranks. class_weights: of cross-entropy, one a class.
        one_logit: instead of two, for two classes.
        also: metrics that each row gets besides; nothing ranks by them.
    """

    metric: Metric = "accuracy"
    class_weights: tuple[float, ...] = ()
    one_logit: bool = False
    also: tuple[Metric, ...] = ()

    def __post_init__(self) -> None:
        check_class_weights(self.class_weights)
        if self.class_weights and self.one_logit:
            raise AlambicError(
                f"task: expected no class_weights beside one_logit, got {self.class_weights}, because one logit has no "
                "weight for each class; try leaving one of them out"
            )


@dataclasses.dataclass(frozen=True)
class Int8Spec:
    """Whether and how each student is quantised.

    Attributes:
        enabled: scores each student's int8 network too.
        calibration_images: from train. calibration: how they set the ranges.
        per_channel: weights' scales, one a channel or one a tensor.
        equalise: scales outlier channels down first (``deploy.equalise``).
    """

    enabled: bool = True
    calibration_images: int = 256
    calibration: Literal["minmax", "percentile", "entropy"] = "minmax"
    per_channel: bool = True
    equalise: bool = False

    def __post_init__(self) -> None:
        if self.calibration_images < 1:
            raise AlambicError(f"int8: expected calibration_images >= 1, got {self.calibration_images}")


@dataclasses.dataclass(frozen=True)
class Finalists:
    """What the best arms of each student get once all cells are done; no cell depends on it.

    Attributes:
        count: arms of each student by tune score, beside the student alone; 0 for none.
        whole_test: the device's kernels run the whole split instead of 500 images.
        qat_epochs: of quantisation-aware training from the trained weights; 0 for none. qat_lr: times the recipe's.
    """

    count: int = 0
    whole_test: bool = True
    qat_epochs: int = 2
    qat_lr: float = 0.1

    def __post_init__(self) -> None:
        if min(self.count, self.qat_epochs) < 0 or not 0 < self.qat_lr < math.inf:
            raise AlambicError(
                "expected count >= 0, qat_epochs >= 0 and qat_lr > 0, got "
                f"{self.count}, {self.qat_epochs} and {self.qat_lr}"
            )


@dataclasses.dataclass(frozen=True)
class Tuning:
    """What ``alambic study tune`` tries, alike for every arm.

    Attributes:
        trials: settings of each arm, the arm as written among them. rungs: share of the recipe's epochs of each round.
        keep: trials of each arm that go on to the next rung. seed: of the draws.
        lr, weight_decay: (low, high) as multiples of the recipe's; empty leaves it alone. balance: (low, high) of the
            pull at the start as a multiple of cross-entropy's, for arms with a method; not for those with label
            smoothing, whose weight cannot grow at will: give its ``settings`` a range.
        settings: method -> hyper-parameter -> (low, high). All ranges are drawn on a log scale.
    """

    trials: int = 8
    rungs: tuple[float, ...] = (0.25, 1.0)
    keep: int = 2
    seed: int = 0
    lr: tuple[float, ...] = (0.3, 3.0)
    weight_decay: tuple[float, ...] = ()
    balance: tuple[float, ...] = ()
    settings: dict[str, dict[str, tuple[float, ...]]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.trials < 2 or not 1 <= self.keep <= self.trials:
            raise AlambicError(
                f"expected trials >= 2 and keep from 1 to trials, got {self.trials} and {self.keep}; try 8 and 2"
            )
        if not self.rungs or any(not 0 < share <= 1 for share in self.rungs) or list(self.rungs) != sorted(self.rungs):
            raise AlambicError(
                f"expected rungs as rising shares of the epochs, each in (0, 1], got {self.rungs}; try [0.25, 1.0]"
            )
        own = {f"settings.{m}.{n}": span for m, table in self.settings.items() for n, span in table.items()}
        spans = {"lr": self.lr, "weight_decay": self.weight_decay, "balance": self.balance}
        spans = {**{key: value for key, value in spans.items() if value}, **own}
        if not spans:
            raise AlambicError("expected a range to try, got none; try lr = [0.3, 3.0]")
        for name, span in spans.items():
            if len(span) != 2 or not 0 < span[0] < span[1] < float("inf"):
                raise AlambicError(
                    f"expected {name} as [low, high] with 0 < low < high, got {list(span)}; try [0.3, 3.0]"
                )


def behind(views: ViewSpec, sensor: Sensor) -> ViewSpec:
    """The views with another sensor on the student's side. Raises AlambicError where its channels differ."""
    trained = views.student.sensor
    if sensor.grey != (trained is not None and trained.grey):
        raise AlambicError(
            f"test_sensors: expected grey = {str(not sensor.grey).lower()} as the student was trained, because its "
            f"first layer has one width, got {sensor}; try the same grey as in [views.student.sensor]"
        )
    return dataclasses.replace(views, student=dataclasses.replace(views.student, sensor=sensor))
