"""Wake Vision (Banbury et al., arXiv 2405.00892): is a person in the picture? Parquet files as the hub holds them.

``path`` is a copy of ``Harvard-Edge/Wake-Vision``: ``data/train_quality-*.parquet`` (1.2 M images, labels from boxes),
``validation-*`` and ``test-*`` (labelled by hand), with the label in the column ``person``. ``wake-vision:large``
takes ``train_large-*`` (5.7 M images, labels of whole images) of ``Harvard-Edge/Wake-Vision-Train-Large`` instead; put
it into the same folder. Millions of pictures want ``size`` and ``store``.
"""

from __future__ import annotations

from dataclasses import replace

from alambic.data import parquet
from alambic.data.raw import RawImages, need_path
from alambic.data.spec import DataSpec
from alambic.errors import AlambicError

NAMES = ("wake-vision", "wake-vision:large")
CLASSES = ("no person", "person")
_COLUMN = "person"
_TRAIN = {"wake-vision": "train_quality", "wake-vision:large": "train_large"}


def read(spec: DataSpec, download: bool) -> RawImages:
    """Reads the shards of one train set, of validation and of test."""
    root = need_path(spec, spec.source)
    wanted = (_TRAIN[spec.source], "validation", "test")
    files = [file for file in parquet.find_files(root) if file.stem.split("-")[0] in wanted]
    missing = [part for part in wanted if not any(file.stem.split("-")[0] == part for file in files)]
    if missing:
        raise AlambicError(
            f"{root}: expected {', '.join(f'{part}-*.parquet' for part in wanted)} here or below data, got none of "
            f"{missing}; try to copy the set again"
        )
    raw = parquet.read_files(root, files, replace(spec, label=_COLUMN if spec.label == "label" else spec.label))
    names = CLASSES if spec.label == "label" and len(raw.class_names) == 2 else raw.class_names
    return replace(raw, class_names=names, licence="CC BY 4.0 (labels); pictures from Open Images, CC BY 2.0")
