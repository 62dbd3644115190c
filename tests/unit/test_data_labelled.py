"""Labelled images among unlabelled ones, and the split that a class map leaves in place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from alambic.data import DataSpec
from alambic.data.assemble import assemble
from alambic.data.raw import RawImages, official
from alambic.data.store import load_stored
from alambic.errors import AlambicError

PERSON = {"rest": ["*"], "person": ["b", "d"]}


def raw(count: int = 400) -> RawImages:
    images = torch.randint(0, 256, (count, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    split = official((count - 100, 0, 100))
    return RawImages(images, torch.arange(count) % 4, ("a", "b", "c", "d"), split=split)


@pytest.mark.parametrize("count", [1, 20, 150])
@pytest.mark.parametrize("seed", [0, 3])
def test_the_labelled_ones_are_the_images_of_a_study_of_so_many(count: int, seed: int) -> None:
    spec = DataSpec("x", classes=dict(PERSON), split_seed=seed)
    whole = assemble("x", raw(), spec)
    hidden = assemble("x", raw(), replace(spec, labelled=count))
    train = hidden.splits["train"]
    told = train[hidden.labels[train] >= 0]
    assert torch.equal(told, whole.subset("train", count, seed))
    assert torch.equal(hidden.labels[told], whole.labels[told])
    for split in ("tune", "test"):
        assert torch.equal(hidden.labels[whole.splits[split]], whole.labels[whole.splits[split]])
    if count == 20:
        inside = hidden.subset("train", 100, seed)
        assert bool(torch.isin(told, inside).all()), "the labelled images lie in every larger subset"


def test_labelled_refuses_what_it_cannot_do() -> None:
    with pytest.raises(AlambicError, match="labelled = 999 asks for more than the 270 training"):
        assemble("x", raw(), DataSpec("x", labelled=999))
    with pytest.raises(AlambicError, match="no unlabelled beside it"):
        DataSpec("x", labelled=5, unlabelled=0.5)
    with pytest.raises(AlambicError, match="at least 1"):
        DataSpec("x", labelled=0)


def test_origin_is_the_split_of_the_set_on_the_disk() -> None:
    plain = assemble("x", raw(), DataSpec("x"))
    assert plain.origin == plain.split_hash
    assert plain.merged == ()
    for spec in (
        DataSpec("x", classes=dict(PERSON)),
        DataSpec("x", labelled=20),
        DataSpec("x", unlabelled=0.5),
        DataSpec("x", size=8),
        DataSpec("x", channels=1),
        DataSpec("x", classes={"b": "b", "d": "d"}),
    ):
        changed = assemble("x", raw(), spec)
        assert changed.split_hash != plain.split_hash
        assert changed.origin == plain.split_hash
    for spec in (DataSpec("x", classes=dict(PERSON), split_seed=1), DataSpec("x", classes=dict(PERSON), tune=50)):
        assert assemble("x", raw(), spec).origin != plain.split_hash, "other training images: another origin"


def test_merged_names_the_old_classes() -> None:
    assert assemble("x", raw(), DataSpec("x", classes=dict(PERSON))).merged == ((0, 2), (1, 3))
    assert assemble("x", raw(), DataSpec("x", classes={"d": "d", "a": "a"})).merged == ((3,), (0,))


def test_a_store_keeps_origin_and_merged(tmp_path: Path) -> None:
    spec = DataSpec("x", classes=dict(PERSON), size=4, channels=3, store=str(tmp_path))
    plain = assemble("x", raw(), DataSpec("x"))
    stored = [load_stored(spec, lambda spec: assemble("x", raw(), spec)) for _ in range(2)]
    assert [source.origin for source in stored] == [plain.split_hash] * 2
    assert stored[0].merged == stored[1].merged == ((0, 2), (1, 3))
