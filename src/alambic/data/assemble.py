"""From raw images to a Source: splits, class map, hidden labels. One function for every source."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from alambic.data.decode import check_room
from alambic.data.hashing import hash_keys, mix_int
from alambic.data.pixels import fit_images
from alambic.data.raw import RawImages
from alambic.data.source import SPLITS, Source, choose_rows, hash_source, make_source
from alambic.data.spec import DataSpec
from alambic.data.store import keep_rows
from alambic.errors import AlambicError, nearest

TRAIN, TUNE, TEST = range(3)
_TEST_STREAM, _TUNE_STREAM, _HIDE_STREAM = range(3)


def assemble(name: str, raw: RawImages, spec: DataSpec) -> Source:
    """Makes the source: canvas, splits, class map, hidden labels, in this order.

    Splits are made before the class map, so an image's split depends on ``split_seed`` and its id (or group) alone:
    a teacher of all classes and a student of some never see each other's tune or test images.
    """
    if len(raw.images) == 0:
        raise AlambicError(f"source {name!r}: expected images, got none; try another path")
    division = _divide(name, raw, spec)
    origin = _hash_origin(raw, division) if _is_changed(raw, spec) else ""
    labels, names, kept, merged = _map_classes(name, raw, spec)
    if len(names) < 2:
        raise AlambicError(
            f"source {name!r}: expected images of at least two classes, got {list(names)}, so there is nothing to tell "
            "apart; try a path with more classes, or a class map that makes two of them"
        )
    if spec.unlabelled > 0:
        train = (division == TRAIN).nonzero().flatten()
        hidden = _order(train, mix_int(spec.split_seed, _HIDE_STREAM))[: round(spec.unlabelled * len(train))]
        labels[hidden] = -1
    images = raw.images
    if not bool(kept.all()):
        images = images[kept] if spec.store is None else keep_rows(images, kept)
        labels, division = labels[kept], division[kept]
    if spec.size is not None:
        check_room(len(images) * (spec.channels or images.shape[1]) * spec.size**2, f"source {name!r}")
    images = fit_images(images, spec.size, spec.channels).contiguous()
    rows = {split: (division == index).nonzero().flatten() for index, split in enumerate(SPLITS)}
    if spec.labelled is not None:
        _hide_rest(name, labels, rows["train"], spec.labelled, spec.split_seed)
    return make_source(name, images, labels, rows, names, raw.unreadable, raw.licence, origin, merged)


def _is_changed(raw: RawImages, spec: DataSpec) -> bool:
    """Whether the source will differ from the set on the disk."""
    shape = tuple(raw.images.shape[1:])
    canvas = (spec.channels or shape[0], spec.size or shape[1], spec.size or shape[2])
    return spec.classes is not None or spec.labelled is not None or spec.unlabelled > 0 or canvas != shape


def _hash_origin(raw: RawImages, division: Tensor) -> str:
    rows = {split: (division == index).nonzero().flatten() for index, split in enumerate(SPLITS)}
    return hash_source(raw.images, raw.labels, rows, tuple(raw.class_names))[1]


def _hide_rest(name: str, labels: Tensor, train: Tensor, labelled: int, seed: int) -> None:
    """Sets the labels of all training images but ``labelled`` of them to -1; in place."""
    if labelled > len(train):
        raise AlambicError(
            f"source {name!r}: labelled = {labelled} asks for more than the {len(train)} training images; try fewer"
        )
    told = choose_rows(train, labelled, seed)
    labels[train[~torch.isin(train, told)]] = -1


def _order(keys: Tensor, seed: int) -> Tensor:
    """The keys (int64) in the order of their hash."""
    return keys[hash_keys(keys, seed).argsort()]


def _divide(name: str, raw: RawImages, spec: DataSpec) -> Tensor:
    """int64, N: the split of each image."""
    count = len(raw.images)
    division = torch.zeros(count, dtype=torch.int64) if raw.split is None else raw.split.clone()
    units, unit_names = _units(raw.groups, count)
    if raw.split is not None and raw.groups is not None:
        _refuse_straddling(name, division, units, unit_names)
    if not bool((division == TRAIN).any()):
        raise AlambicError(f"source {name!r}: expected training images, got none; try a path that has a train split")
    if not bool((division == TEST).any()):
        wanted = max(1, round(spec.test * int((division == TRAIN).sum())))
        _take(name, division, units, wanted, TEST, mix_int(spec.split_seed, _TEST_STREAM))
    if bool((division == TUNE).any()):
        if spec.tune is not None:
            raise AlambicError(
                f"source {name!r}: it has a validation split of its own ({int((division == TUNE).sum())} images), so "
                f"tune = {spec.tune!r} would leave those unused; try without tune"
            )
        return division
    train = int((division == TRAIN).sum())
    wanted = _tune_count(spec.tune, train)
    if wanted >= train:
        raise AlambicError(f"source {name!r}: tune = {spec.tune!r} takes all {train} training images; try a fraction")
    if wanted:
        _take(name, division, units, wanted, TUNE, mix_int(spec.split_seed, _TUNE_STREAM))
    return division


def _tune_count(tune: int | float | None, train: int) -> int:
    if tune is None:
        return min(5000, round(0.1 * train))
    return tune if isinstance(tune, int) else round(tune * train)


def _units(groups: Sequence[str] | None, count: int) -> tuple[Tensor, Sequence[str] | None]:
    """int64, N: what is moved as a whole. The image's id, or a hash of its group's name (so order is no matter)."""
    if groups is None:
        return torch.arange(count), None
    known: dict[str, int] = {}
    for group in groups:
        if group not in known:
            digest = hashlib.blake2b(group.encode(), digest_size=8).digest()
            known[group] = int.from_bytes(digest, "little", signed=True)
    return torch.tensor([known[group] for group in groups], dtype=torch.int64), groups


def _refuse_straddling(name: str, division: Tensor, units: Tensor, groups: Sequence[str] | None) -> None:
    seen: dict[int, int] = {}
    for row, (unit, split) in enumerate(zip(units.tolist(), division.tolist(), strict=True)):
        if seen.setdefault(unit, split) != split and groups is not None:
            raise AlambicError(
                f"source {name!r}: expected each group in one split, but group {groups[row]!r} is in the official "
                f"{SPLITS[seen[unit]]} and {SPLITS[split]} splits; scores would be too good; "
                "try the set without its official splits, or leave group out"
            )


def _take(name: str, division: Tensor, units: Tensor, wanted: int, split: int, seed: int) -> None:
    """Moves units from train to ``split`` in hash order until their images come nearest to ``wanted``; in place."""
    pool = units[division == TRAIN]
    unique, sizes = map(torch.from_numpy, np.unique(pool.numpy(), return_counts=True))
    if len(unique) < 2:
        raise AlambicError(
            f"source {name!r}: expected at least two groups to make a {SPLITS[split]} split, got {len(unique)}; "
            "try another group column, or a set with more groups"
        )
    ordered = _order(unique, seed)
    reached = sizes[torch.searchsorted(unique, ordered)].cumsum(0)
    number = int((reached - wanted).abs().argmin()) + 1
    chosen = ordered[: min(number, len(unique) - 1)]
    division[(division == TRAIN) & torch.isin(units, chosen)] = split


def _titles(old: str | Sequence[str]) -> list[str]:
    """The old classes of an entry of a class map."""
    return [old] if isinstance(old, str) else list(old)


def _map_classes(
    name: str, raw: RawImages, spec: DataSpec
) -> tuple[Tensor, tuple[str, ...], Tensor, tuple[tuple[int, ...], ...]]:
    """New labels, new class names, which images stay, and the old classes of each new one."""
    everything = torch.ones(len(raw.images), dtype=torch.bool)
    merged: tuple[tuple[int, ...], ...] = ()
    if spec.classes is None:
        labels, names = raw.labels.clone(), raw.class_names
    else:
        names = tuple(spec.classes)
        table = torch.full((len(raw.class_names) + 1,), -2, dtype=torch.int64)
        for new, old in enumerate(spec.classes.values()):
            for title in _titles(old):
                if title == "*":
                    continue
                if title not in raw.class_names:
                    raise AlambicError(
                        f"source {name!r}: the class map names {title!r}, which is no class of it; "
                        f"{nearest(title, raw.class_names)}"
                    )
                index = raw.class_names.index(title)
                if table[index] >= 0:
                    raise AlambicError(
                        f"source {name!r}: the class map gives {title!r} to {names[int(table[index])]!r} and to "
                        f"{names[new]!r}; a class can go to one place"
                    )
                table[index] = new
        rest = [new for new, old in enumerate(spec.classes.values()) if "*" in _titles(old)]
        if len(rest) > 1:
            raise AlambicError(f"source {name!r}: expected at most one '*' in the class map, got {len(rest)}")
        if rest:
            table[table == -2] = rest[0]
        old_of = table[:-1]
        merged = tuple(tuple((old_of == new).nonzero().flatten().tolist()) for new in range(len(names)))
        table[-1] = -1  # label -1 reads the last entry: unlabelled stays unlabelled
        labels = table[raw.labels]
        everything = labels != -2
    present = set(labels[everything & (labels >= 0)].tolist())
    empty = [title for index, title in enumerate(names) if index not in present]
    if empty:
        lost = f" ({len(raw.unreadable)} could not be read)" if raw.unreadable else ""
        raise AlambicError(
            f"source {name!r}: expected images in each class, but {empty[:5]} have none{lost}; "
            "try a class map that leaves them out"
        )
    return labels, names, everything, merged
