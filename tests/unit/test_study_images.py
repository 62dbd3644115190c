"""A study's images lie in one file while it runs: equal to the bit, read by each worker, gone at the end."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from alambic.data import load_source
from alambic.deploy.measure import predict_onnx
from alambic.errors import AlambicError
from alambic.study import images as shared
from alambic.study import run as driver
from alambic.study import work
from alambic.study.artefact import CleanImages, see_clean
from alambic.study.images import FOLDER, MARKER, share_images
from alambic.study.prepare import prepare
from alambic.study.run import run_study
from alambic.study.study_file import read_study
from alambic.study.work import Workshop

TEXT = """
name = "shared"
purpose = "demo"
seeds = 1
students = ["dscnn_8x2"]
methods = ["none"]
[data]
source = "images.npz"
tune = 20
[views.student.sensor]
grey = true
[recipe]
epochs = 1
batch = 16
[int8]
enabled = false
[execution]
jobs = 1
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    draw = np.random.default_rng(0)
    np.savez(tmp_path / "images.npz", x=draw.integers(0, 255, (120, 16, 16, 3), dtype=np.uint8), y=np.arange(120) % 4)
    (tmp_path / "study.toml").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    return read_study(tmp_path / "study.toml")


def quiet(text):
    pass


def test_shared_images_are_the_loaded_ones_and_go_at_the_end(study, tmp_path):
    expected, out = load_source(study.data), tmp_path / "out"
    (out / FOLDER).mkdir(parents=True)
    (out / FOLDER / MARKER).touch()
    (out / FOLDER / "images.u8").write_bytes(b"left by a driver that was killed")
    with share_images(study.data, out) as (source, folder):
        assert folder == out / FOLDER
        for name, value in vars(expected).items():
            mine = getattr(source, name)
            same = torch.equal(mine, value) if torch.is_tensor(value) else name == "splits" or mine == value
            assert same, name
        assert all(torch.equal(source.splits[split], rows) for split, rows in expected.splits.items())
    assert not folder.exists()


def test_a_set_with_a_store_of_its_own_is_not_copied(study, tmp_path):
    data = replace(study.data, store=str(tmp_path / "store"), size=16, channels=3)
    with share_images(data, tmp_path / "out") as (_, folder):
        assert folder is None
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_named(study, tmp_path, monkeypatch):
    def fail(folder, source):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shared, "write_store", fail)
    with pytest.raises(AlambicError, match="No space left on device"), share_images(study.data, tmp_path / "out"):
        pass
    assert not (tmp_path / "out" / FOLDER).exists()


def test_an_error_without_the_systems_words_is_told(study, tmp_path, monkeypatch):
    def fail(folder, source):
        raise OSError("4096 requested and 12 written")  # as NumPy tells of a full disk

    monkeypatch.setattr(shared, "write_store", fail)
    with pytest.raises(AlambicError, match="4096 requested and 12 written"), share_images(study.data, tmp_path / "out"):
        pass


def test_a_folder_of_images_beside_the_study_file_stays(study, tmp_path):
    mine = tmp_path / "images" / "cat.png"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    with share_images(study.data, tmp_path) as (_, folder):
        assert folder != mine.parent
    assert mine.read_bytes() == b"mine"


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_alambic_did_not_make_is_refused_and_stays(study, tmp_path, kind):
    mine, there = tmp_path / "mine" / "cat.png", tmp_path / "out" / FOLDER
    for file in (mine, there / "cat.png"):
        file.parent.mkdir(parents=True)
        file.write_bytes(b"mine")
    if kind != "folder":
        (there / "cat.png").unlink()
        there.rmdir()
        (mine.parent / MARKER).touch()
        there.symlink_to(mine.parent) if kind == "link" else there.write_bytes(b"mine")
    refused = pytest.raises(AlambicError, match="expected a folder that alambic made")
    with refused, share_images(study.data, tmp_path / "out"):
        pass
    kept = mine if kind == "link" else there / "cat.png" if kind == "folder" else there
    assert kept.read_bytes() == b"mine"


def test_a_worker_maps_what_the_driver_wrote(study, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with share_images(study.data, out) as (source, folder):
        prepared = replace(prepare(study, out, quiet, source), images=folder)
        monkeypatch.setattr(work, "load_source", lambda spec: pytest.fail("the worker read the data itself"))
        workshop = Workshop(prepared, out)
        assert torch.equal(workshop.source.images, source.images)


def test_a_study_shares_its_images_while_its_cells_train(study, tmp_path):
    seen = []

    def execute(prepared, cells, out, jobs):
        seen.append((prepared.images, (prepared.images / "images.u8").exists()))
        yield from driver.run_cells(prepared, cells, out, jobs)

    out = tmp_path / "out"
    assert run_study(study, out, say=quiet, execute=execute).done == 1
    assert seen == [(out / FOLDER, True)]
    assert not (out / FOLDER).exists()


def test_images_in_blocks_are_the_whole_ones(study, tmp_path):
    pytest.importorskip("onnxruntime")
    from alambic.deploy.export import export_onnx

    source = load_source(study.data)
    prepared = prepare(study, tmp_path / "out", quiet, source)
    cell, ids = prepared.cells[0], source.splits["test"]
    whole = see_clean(study, source, cell, ids).numpy()
    blocks = CleanImages(study, source, cell, ids)
    assert blocks.shape == whole.shape == (24, 1, 16, 16)
    assert np.array_equal(blocks[5:9], whole[5:9])
    assert np.array_equal(blocks[np.array([20, 3])], whole[[20, 3]])
    net = work.make_student(study, "dscnn_8x2", source, 0)
    export_onnx(net, (1, 16, 16), tmp_path / "net.onnx")
    found = predict_onnx(tmp_path / "net.onnx", blocks, batch=7)
    assert np.array_equal(found, predict_onnx(tmp_path / "net.onnx", whole, batch=7))
