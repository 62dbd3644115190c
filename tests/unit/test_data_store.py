"""Stored sets: the same source as in memory, to the bit, without its images in memory."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import platform
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from alambic.data import DataSpec, Source, ViewSpec, load_source, render
from alambic.data.source import SPLITS
from alambic.errors import AlambicError
from alambic.models.teacher import TeacherSpec
from alambic.models.teachers import load_teacher
from alambic.training.bank import build_bank
from alambic.training.setup import live_feed


def write_folder(root: Path, count: int, classes: tuple[str, ...] = ("a", "b", "c")) -> Path:
    draw = np.random.default_rng(0)
    for number in range(count):
        place = root / classes[number % len(classes)]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (9, 11, 3), dtype=np.uint8)).save(place / f"{number:05d}.png")
    return root


def write_shards(root: Path) -> Path:
    draw = np.random.default_rng(0)
    root.mkdir()
    for shard, name in enumerate(("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001")):
        place = write_folder(root.parent / f"pictures{shard}", 30)
        images = [{"bytes": file.read_bytes(), "path": None} for file in sorted(place.rglob("*.png"))]
        labels = draw.integers(0, 3, len(images)).tolist()
        pq.write_table(pa.table({"image": images, "label": labels}), root / f"{name}.parquet", row_group_size=11)
    return root


def both(tmp_path: Path, source: Path, **more: Any) -> tuple[Source, Source]:
    given = {"size": 12, "channels": 3, **more}
    stored = load_source(DataSpec(str(source), store=str(tmp_path / "store"), **given))
    return load_source(DataSpec(str(source), **given)), stored


def check_equal(one: Source, other: Source) -> None:
    assert torch.equal(one.images, other.images)
    assert torch.equal(one.labels, other.labels)
    assert all(torch.equal(one.splits[split], other.splits[split]) for split in SPLITS)
    for name in ("name", "class_names", "mean", "std", "hash", "split_hash", "licence"):
        assert getattr(one, name) == getattr(other, name), name
    assert [name for name, _ in one.unreadable] == [name for name, _ in other.unreadable]


def is_mapped(images: torch.Tensor) -> bool:
    """Whether a tensor's memory is a shared map of a file, by the system's own table."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, end = (int(text, 16) for text in line.split()[0].split("-"))
        if start <= images.data_ptr() < end:
            return line.split()[1].endswith("s") and line.endswith("images.u8")
    return False


@pytest.mark.parametrize("channels", [1, 3])
def test_a_folder_is_the_same_in_memory_and_stored(tmp_path: Path, channels: int) -> None:
    place = write_folder(tmp_path / "set", 45)
    (place / "a" / "00000.png").write_bytes(b"no picture")
    memory, stored = both(tmp_path, place, channels=channels)
    check_equal(memory, stored)
    assert len(stored.images) == 44
    assert len(stored.unreadable) == 1
    assert is_mapped(stored.images)
    assert not is_mapped(memory.images)


def test_shards_class_maps_and_hidden_labels_too(tmp_path: Path) -> None:
    place = write_shards(tmp_path / "set")
    memory, stored = both(tmp_path, place, classes={"first": "0", "last": "2"}, unlabelled=0.3, split_seed=3)
    check_equal(memory, stored)
    assert len(stored.images) < 90, "the class map leaves images out"
    (made,) = (tmp_path / "store").iterdir()
    assert (made / "images.u8").stat().st_size == stored.images.numel()


def test_other_sources_are_stored_as_well(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    x, y = draw.integers(0, 256, (50, 8, 8), dtype=np.uint8), draw.integers(0, 2, 50)
    np.savez(tmp_path / "x.npz", x=x, y=y)
    check_equal(*both(tmp_path, tmp_path / "x.npz", channels=1))


def test_views_and_banks_are_the_same(tmp_path: Path) -> None:
    memory, stored = both(tmp_path, write_folder(tmp_path / "set", 45))
    views = ViewSpec(count=2, flip=True, shift=2, zoom=(0.6, 1.0), mix="mixup")
    ids = memory.splits["train"]
    pixels = [render(s.images, ids, torch.ones_like(ids), views, "student", None, ids) for s in (memory, stored)]
    assert torch.equal(*pixels)
    made = []
    for source in (memory, stored):
        torch.manual_seed(0)
        teacher = load_teacher("t", TeacherSpec("zoo:resnet8_w8"), 3, 3, source.size, source.mean, source.std)
        feed = live_feed(teacher, source, views, frozenset({"logits", "embedding"}), ids)
        made.append(build_bank(tmp_path / f"banks{len(made)}", feed, ids, 2, {"data": source.hash}))
    for file in made[0].glob("*.npy"):
        assert file.read_bytes() == (made[1] / file.name).read_bytes()
    assert made[0].name == made[1].name


def test_it_is_decoded_once_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = write_folder(tmp_path / "set", 45)
    spec = DataSpec(str(place), size=12, channels=3, store=str(tmp_path / "store"))
    first = load_source(spec)
    with monkeypatch.context() as patch:
        patch.setattr(Image, "open", None)  # nothing can be decoded
        check_equal(first, load_source(spec))
    changed = place / "b" / "00001.png"
    Image.fromarray(np.zeros((9, 11, 3), dtype=np.uint8)).save(changed)
    os.utime(changed, (1, 1))
    assert load_source(spec).hash != first.hash
    assert len(list((tmp_path / "store").iterdir())) == 2


def test_a_store_without_a_canvas_and_half_a_store_are_refused(tmp_path: Path) -> None:
    place = write_folder(tmp_path / "set", 45)
    with pytest.raises(AlambicError, match="expected size and channels"):
        load_source(DataSpec(str(place), size=12, store=str(tmp_path / "store")))
    spec = DataSpec(str(place), size=12, channels=3, store=str(tmp_path / "store"))
    load_source(spec)
    (made,) = (tmp_path / "store").iterdir()
    os.truncate(made / "images.u8", 1000)
    with pytest.raises(AlambicError, match="whole store"):
        load_source(spec)
    (made / "card.json").write_text("{")
    with pytest.raises(AlambicError, match="whole store"):
        load_source(spec)


def test_what_breaks_while_reading_leaves_no_half_store(tmp_path: Path) -> None:
    place = write_folder(tmp_path / "set", 45)
    for file in (place / "a").iterdir():
        file.write_bytes(b"no picture")
    with pytest.raises(AlambicError, match="unreadable"):
        load_source(DataSpec(str(place), size=12, channels=3, store=str(tmp_path / "store")))
    assert list((tmp_path / "store").iterdir()) == []


def own_bytes() -> int:
    """Memory of this process that no file backs, without what is freed but not given back yet."""
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return 1024 * int(found[1])


def grow_by_stored_and_by_read(place: Path, store: Path) -> tuple[int, int]:
    """By how much this process grows with the images in a store, and with the same images in memory."""
    spec = {"size": 96, "channels": 3}
    load_source(DataSpec(str(place), store=str(store / "first"), **spec))  # threads and codecs take theirs first
    before = own_bytes()
    stored = load_source(DataSpec(str(place), store=str(store / "second"), **spec))
    with_store = own_bytes()
    memory = load_source(DataSpec(str(place), **spec))
    assert memory.hash == stored.hash
    return with_store - before, own_bytes() - with_store


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's table of a process")
def test_its_images_take_no_memory(tmp_path: Path) -> None:
    place = write_folder(tmp_path / "set", 3000)  # many blocks of what is decoded at once
    whole = 3000 * 3 * 96 * 96  # 83 MB
    # in a process of its own: what earlier tests hold and let go of would be counted with it
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        stored, read = pool.apply(grow_by_stored_and_by_read, (place, tmp_path / "store"))
    assert stored < whole / 4
    assert read > whole * 0.9, "the measure sees images that lie in memory"
