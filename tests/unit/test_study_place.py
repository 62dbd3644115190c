"""Where a study's cells train: settled once, told in the cell; a GPU's way of working gives the CPU's bits."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from alambic.data import load_source
from alambic.errors import AlambicError
from alambic.study import place as places
from alambic.study import prepare as prepare_module
from alambic.study.cell import group_cells
from alambic.study.place import Place, choose_place
from alambic.study.prepare import prepare
from alambic.study.run import run_study
from alambic.study.study_file import read_study
from alambic.study.work import Workshop
from alambic.training import loop
from alambic.training.bank import Bank
from alambic.training.resident import ResidentBank

TEXT = """
name = "place"
purpose = "demo"
seeds = 1
students = ["dscnn_8x2"]
methods = ["none", "kd", "rsd"]
[data]
source = "images.npz"
tune = 20
[views]
count = 2
flip = true
[recipe]
epochs = 2
batch = 16
[int8]
enabled = false
[execution]
jobs = 1
[teachers.small]
net = "zoo:dscnn_8x2"
[teachers.small.recipe]
epochs = 1
batch = 16
"""
RESIDENT = Place("cpu", "a test asks for it", 1 << 40)


def quiet(text):
    pass


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    place = tmp_path_factory.mktemp("place")
    draw = np.random.default_rng(0)
    images = draw.integers(0, 255, (160, 12, 12, 3), dtype=np.uint8)
    np.savez(place / "images.npz", x=images, y=np.arange(160) % 4)
    (place / "study.toml").write_text(TEXT.replace("images.npz", str(place / "images.npz")))
    return read_study(place / "study.toml")


@pytest.fixture(scope="module")
def prepared(study):
    return prepare(study, study.folder / "out", quiet)


def with_gpu(monkeypatch, memory):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: SimpleNamespace(total_memory=memory))


def test_the_place_is_what_was_asked_for_and_what_is_there(study, monkeypatch):
    source = load_source(study.data)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_place("cpu", source) == Place()
    assert choose_place("auto", source) == Place("cpu", "there is no CUDA device")
    with pytest.raises(AlambicError, match=r'expected a CUDA device.*there is no CUDA device; try "auto"'):
        choose_place("cuda", source)
    size = source.images.numel()
    with_gpu(monkeypatch, 4 * size)
    assert (choose_place("auto", source).device, choose_place("cuda", source).room) == ("cuda", size)
    assert choose_place("cpu", source).device == "cpu"
    with_gpu(monkeypatch, 4 * size - 1)
    assert "the images take" in choose_place("auto", source).why
    with pytest.raises(AlambicError, match="the images take"):
        choose_place("cuda", source)


def test_a_cell_on_a_gpu_says_so_and_is_another_one(study, prepared, monkeypatch):
    bank = prepared.teachers["small"].bank
    size = sum(path.stat().st_size for path in bank.glob("*.npy"))
    for room, told in ((size, "in its memory"), (size - 1, "too large for its memory")):
        chosen = Place("cuda", "a test", room)
        monkeypatch.setattr(prepare_module, "choose_place", lambda *a, chosen=chosen: chosen)
        moved = prepare(study, study.folder / "out", quiet)
        assert moved.place == chosen
        by_arm = {cell.arm.name: cell.content["trains_on"] for cell in moved.cells}
        assert by_arm["none"] == {"device": "cuda"}
        assert by_arm["kd"] == {"device": "cuda", "bank": told}
        assert not {cell.id for cell in moved.cells} & {cell.id for cell in prepared.cells}
        assert len(group_cells(list(moved.cells), 8)) == 1, "they train side by side"
        assert len(group_cells(list(moved.cells), 2)) == 2
    assert all("trains_on" not in cell.content for cell in prepared.cells)
    assert len(group_cells(list(prepared.cells), 8)) == 3


def test_a_gpu_that_was_found_and_one_that_was_asked_for_give_the_same_cells(study, monkeypatch):
    source, found = load_source(study.data), {}
    for asked in ("auto", "cuda"):
        with monkeypatch.context() as patch:
            with_gpu(patch, 1 << 40)
            chosen = choose_place(asked, source)
        assert chosen.device == "cuda"
        monkeypatch.setattr(prepare_module, "choose_place", lambda *a, chosen=chosen: chosen)
        found[asked] = [cell.id for cell in prepare(study, study.folder / "out", quiet).cells]
    assert found["auto"] == found["cuda"]


def weights(out, cell):
    return load_file(out / "students" / f"{cell.id}.safetensors")


def trained(prepared, out, together):
    """Curves and weights by arm, of the cells in one group or each alone."""
    shop, found = Workshop(prepared, out), {}

    def keep(cell, result, error):
        assert error is None, error
        curve = [(record["epoch"], record["loss"], record.get("tune")) for record in result.curve]
        found[cell.arm.name] = curve, result.numbers["test"], weights(out, cell)

    for group in [prepared.cells] if together else [(cell,) for cell in prepared.cells]:
        shop.run_group(group, keep)
    return found


def test_a_resident_bank_and_cells_side_by_side_give_the_mapped_banks_bits(prepared, tmp_path):
    expected = trained(prepared, tmp_path / "mapped", together=False)
    resident = replace(prepared, place=RESIDENT)
    feeds = Workshop(resident, tmp_path).feeds(prepared.cells)
    assert {type(feed) for feed in feeds.values()} == {ResidentBank}
    assert {type(feed) for feed in Workshop(prepared, tmp_path).feeds(prepared.cells).values()} == {Bank}
    for together in (False, True):
        found = trained(resident, tmp_path / f"resident-{together}", together)
        assert set(found) == {"none", "kd", "rsd"}
        for name, (curve, score, state) in found.items():
            assert (curve, score) == expected[name][:2]
            assert all(torch.equal(value, expected[name][2][key]) for key, value in state.items()), name


def test_a_bank_without_one_of_the_images_is_refused_before_a_step(prepared, tmp_path):
    shop = Workshop(replace(prepared, place=RESIDENT), tmp_path)
    with pytest.raises(AlambicError, match="does not hold some of the training images"):
        shop._bank("small", torch.arange(160))
    feed = shop._bank("small", prepared_ids(shop))
    with pytest.raises(AlambicError, match="does not hold some of the training images"):
        shop._bank("small", torch.arange(160))
    assert shop._bank("small", prepared_ids(shop)) is feed


def prepared_ids(shop):
    return shop.source.splits["train"]


def test_a_checkpoint_is_read_once_a_cell(prepared, tmp_path, monkeypatch):
    cell, shop, reads = prepared.cells[1], Workshop(prepared, tmp_path), []
    expected = shop.run(cell)
    real = loop.load_checkpoint
    monkeypatch.setattr(loop, "load_checkpoint", lambda path, key: reads.append(key) or real(path, key))
    again = shop.run(cell)
    assert reads == [cell.id]
    assert [record["loss"] for record in again.curve] == [record["loss"] for record in expected.curve]
    assert again.numbers["test"] == expected.numbers["test"]


def test_a_study_that_asks_for_a_gpu_in_vain_stops_and_one_that_need_not_goes_on(study, tmp_path, monkeypatch):
    monkeypatch.setattr(places.torch.cuda, "is_available", lambda: False)
    asks = replace(study, execution=replace(study.execution, device="cuda"))
    with pytest.raises(AlambicError, match="expected a CUDA device"):
        prepare(asks, tmp_path, quiet)
    told = []
    auto = prepare(replace(study, execution=replace(study.execution, device="auto")), study.folder / "out", told.append)
    assert "cells train on cpu: there is no CUDA device" in told
    assert {cell.id for cell in auto.cells} == {cell.id for cell in prepare(study, study.folder / "out", quiet).cells}


@pytest.mark.cuda
def test_a_study_on_cuda_ends_and_learns_what_the_cpu_learns(study, tmp_path):
    asks = replace(study, execution=replace(study.execution, device="cuda"))
    summary = run_study(asks, tmp_path, say=quiet)
    assert (summary.done, summary.failed) == (3, 0)
    here = prepare(study, tmp_path, quiet)
    there = prepare(asks, tmp_path, quiet)
    expected, found = trained(here, tmp_path / "cpu", False), trained(there, tmp_path / "cuda", True)
    for name, (curve, _, _) in found.items():
        for (_, loss, _), (_, wanted, _) in zip(curve, expected[name][0], strict=True):
            assert sum(loss.values()) == pytest.approx(sum(wanted.values()), rel=2e-2)
