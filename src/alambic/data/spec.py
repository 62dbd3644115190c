"""What a user says about a data set: where it is, how it is cut, which classes count."""

from __future__ import annotations

from dataclasses import dataclass

from alambic.errors import AlambicError


@dataclass(frozen=True)
class DataSpec:
    """Names a data set and everything that decides its images, labels and splits.

    Attributes:
        source: a registered source name (``fashion-mnist``, ``torchvision:CIFAR10``, ``folder``, ...) or a path.
        path: where the files lie, for sources that need one or to override the usual places.
        size: canvas in pixels; every image is resized to size x size. None keeps the images as they are.
        channels: 1 (grey) or 3 (colour); None keeps what the source has.
        label: name of the label column or array, where the source has named ones.
        group: what ties images together (a person, a burst); no group ever stands in two splits. A column or array
            name; for image folders a regular expression over the relative path, whose first bracket is the group.
        classes: class map, new class -> old class or classes; ``"*"`` takes every old class not named. Without a
            ``"*"`` images of classes not named are left out. Order gives the new labels.
        tune: count (int) or fraction (float) of the training images that become the tune split. None takes the
            source's own validation split, and where there is none min(5000, a tenth).
        test: fraction of the images that become the test split where the source has none of its own.
        split_seed: chooses which images go where, and which labels are hidden.
        train: number of training images that a study uses; not part of loading, see ``Source.subset``.
        unlabelled: share of the training labels set to -1.
        labelled: number of training images that keep their label, the others' is set to -1. They are the very images
            of ``train = labelled``: with and without the unlabelled rest is one comparison.
        store: folder for the decoded images of a set that does not fit in memory; needs size and channels. See
            ``data.store``: the same ids, views and banks as in memory.
    """

    source: str
    path: str | None = None
    size: int | None = None
    channels: int | None = None
    label: str = "label"
    group: str | None = None
    classes: dict[str, str | list[str]] | None = None
    tune: int | float | None = None
    test: float = 0.2
    split_seed: int = 0
    train: int | None = None
    unlabelled: float = 0.0
    labelled: int | None = None
    store: str | None = None

    def __post_init__(self) -> None:
        if self.size is not None and self.size < 1:
            raise AlambicError(f"data size: expected a number of pixels of at least 1, got {self.size}")
        if self.channels not in (None, 1, 3):
            raise AlambicError(f"data channels: expected 1 (grey) or 3 (colour), got {self.channels}")
        if self.tune is not None and (self.tune < 0 or (isinstance(self.tune, float) and self.tune >= 1)):
            raise AlambicError(
                f"data tune: expected a count such as 5000 or a fraction such as 0.1, got {self.tune!r}; "
                "a whole number is a count, a number with a point is a fraction under 1"
            )
        if not 0 < self.test < 1:
            raise AlambicError(f"data test: expected a fraction between 0 and 1, got {self.test!r}")
        if not 0 <= self.unlabelled <= 1:
            raise AlambicError(f"data unlabelled: expected a share between 0 and 1, got {self.unlabelled!r}")
        if self.labelled is not None and (self.labelled < 1 or self.unlabelled):
            raise AlambicError(
                "data labelled: expected a number of images of at least 1, and no unlabelled beside it because both "
                f"say which labels are hidden, got labelled = {self.labelled} and unlabelled = {self.unlabelled}"
            )
        if self.classes is not None and len(self.classes) < 1:
            raise AlambicError("data classes: expected at least one new class, got an empty map; leave it out instead")
