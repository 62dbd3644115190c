"""Splits, class map and hidden labels: the one function that every source goes through."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from alambic.data import DataSpec
from alambic.data.assemble import assemble
from alambic.data.raw import RawImages, official
from alambic.data.source import Source
from alambic.errors import AlambicError


def raw(count: int = 400, groups: list[str] | None = None, split: torch.Tensor | None = None) -> RawImages:
    images = torch.randint(0, 256, (count, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return RawImages(images, torch.arange(count) % 4, ("a", "b", "c", "d"), groups, split)


def counts(source: Source) -> dict[str, int]:
    return {name: len(rows) for name, rows in source.splits.items()}


def test_default_counts() -> None:
    assert counts(assemble("x", raw(), DataSpec("x"))) == {"train": 288, "tune": 32, "test": 80}
    assert counts(assemble("x", raw(), DataSpec("x", tune=7, test=0.5))) == {"train": 193, "tune": 7, "test": 200}
    official_test = raw(split=official((300, 0, 100)))
    assert counts(assemble("x", official_test, DataSpec("x", tune=0.2))) == {"train": 240, "tune": 60, "test": 100}
    all_three = raw(split=official((300, 50, 50)))
    assert counts(assemble("x", all_three, DataSpec("x"))) == {"train": 300, "tune": 50, "test": 50}


def test_large_sets_give_5000_to_tune() -> None:
    images = torch.zeros(60100, 1, 1, 1, dtype=torch.uint8)
    big = RawImages(images, torch.arange(60100) % 2, ("a", "b"), split=official((60000, 0, 100)))
    assert counts(assemble("x", big, DataSpec("x")))["tune"] == 5000


def test_split_seed_moves_images_and_the_same_seed_does_not() -> None:
    first, again, other = (assemble("x", raw(), DataSpec("x", split_seed=seed)) for seed in (0, 0, 1))
    assert first.split_hash == again.split_hash
    assert first.hash == other.hash
    assert first.split_hash != other.split_hash
    shared = torch.isin(first.splits["test"], other.splits["test"]).float().mean().item()
    assert shared < 0.4, "two seeds should share about a fifth of their test images"


def test_split_is_not_a_block_of_rows() -> None:
    rows = assemble("x", raw(), DataSpec("x")).splits["test"].float()
    assert 150 < rows.mean().item() < 250
    assert rows.std().item() > 80


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_in_two_splits(seed: int) -> None:
    groups = [f"person {i * i % 37}" for i in range(400)]
    source = assemble("x", raw(groups=groups), DataSpec("x", split_seed=seed))
    seen = [{groups[row] for row in rows.tolist()} for rows in source.splits.values()]
    assert all(seen)
    assert not (seen[0] & seen[1])
    assert not (seen[0] & seen[2])
    assert not (seen[1] & seen[2])
    assert sum(counts(source).values()) == 400


def test_group_over_official_splits_is_refused() -> None:
    groups = ["p"] + [f"q{i}" for i in range(398)] + ["p"]
    with pytest.raises(AlambicError, match="group 'p' is in the official train and test splits"):
        assemble("x", raw(groups=groups, split=official((300, 0, 100))), DataSpec("x"))


def test_one_group_cannot_be_split() -> None:
    with pytest.raises(AlambicError, match="at least two groups"):
        assemble("x", raw(groups=["only"] * 400), DataSpec("x"))


def test_class_map_with_rest() -> None:
    source = assemble("x", raw(), DataSpec("x", classes={"rest": "*", "wanted": ["b", "d"]}))
    assert source.class_names == ("rest", "wanted")
    assert source.labels.tolist() == [i % 2 for i in range(400)]


def test_a_star_within_a_name_is_a_letter() -> None:
    names = ("a*", "b", "c", "d")
    source = assemble("x", dataclasses.replace(raw(), class_names=names), DataSpec("x", classes={"x": "a*", "y": "b"}))
    assert source.labels.bincount().tolist() == [100, 100]
    with pytest.raises(AlambicError, match="no class of it"):
        assemble("x", raw(), DataSpec("x", classes={"x": "a*"}))
    source = assemble("x", raw(), DataSpec("x", classes={"x": ["a", "*"], "y": "b"}))
    assert source.labels.bincount().tolist() == [300, 100]


def test_class_map_without_rest_leaves_out_and_keeps_each_images_split() -> None:
    full = assemble("x", raw(), DataSpec("x"))
    part = assemble("x", raw(), DataSpec("x", classes={"c": "c", "a": "a"}))
    kept = (full.labels % 2 == 0).nonzero().flatten()
    assert torch.equal(part.images, full.images[kept])
    assert part.labels.tolist() == [1 if row % 4 == 0 else 0 for row in kept.tolist()]
    for split in full.splits:
        assert set(kept[part.splits[split]].tolist()) == set(full.splits[split].tolist()) & set(kept.tolist())


@pytest.mark.parametrize(
    ("classes", "text"),
    [
        ({"x": "aa"}, "no class of it"),
        ({"x": "a", "y": ["a", "b"]}, "one place"),
        ({"x": "*", "y": "*"}, r"at most one '\*'"),
        ({"x": ["a", "b", "c", "d"], "y": "*"}, "'y'] have none"),
    ],
)
def test_bad_class_maps(classes: dict[str, str | list[str]], text: str) -> None:
    with pytest.raises(AlambicError, match=text.replace("]", "\\]")):
        assemble("x", raw(), DataSpec("x", classes=classes))


def test_hidden_labels_are_train_only_and_survive_a_class_map() -> None:
    full = assemble("x", raw(), DataSpec("x"))
    source = assemble("x", raw(), DataSpec("x", unlabelled=0.25, classes={"ab": ["a", "b"], "cd": "*"}))
    hidden = (source.labels == -1).nonzero().flatten()
    assert len(hidden) == round(0.25 * len(full.splits["train"]))
    assert set(hidden.tolist()) <= set(source.splits["train"].tolist())
    assert source.labels[hidden[0]] == -1
    assert source.hash != full.hash


def test_source_labels_of_minus_one_stay() -> None:
    given = raw()
    given.labels[5] = -1
    source = assemble("x", given, DataSpec("x", classes={"ab": ["a", "b"], "cd": "*"}))
    assert source.labels[5] == -1


def test_tune_beside_an_official_validation_split_is_refused() -> None:
    with pytest.raises(AlambicError, match="validation split of its own"):
        assemble("x", raw(split=official((300, 50, 50))), DataSpec("x", tune=10))


def test_tune_that_takes_everything_is_refused() -> None:
    with pytest.raises(AlambicError, match="takes all"):
        assemble("x", raw(), DataSpec("x", tune=400))


@pytest.mark.parametrize(
    "wrong", [{"size": 0}, {"channels": 2}, {"tune": 1.0}, {"tune": -1}, {"test": 0.0}, {"unlabelled": 2}]
)
def test_bad_specs(wrong: dict[str, float]) -> None:
    with pytest.raises(AlambicError, match="expected"):
        DataSpec("x", **wrong)  # type: ignore[arg-type]
