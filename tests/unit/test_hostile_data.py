"""Hostile files: bombs are refused by the sizes that they declare, names stay text, nothing is unpickled or unpacked.

Where the guard can be taken out in one place, the same attack is run without it and must then get through: a test that
passes anyway would prove nothing.
"""

import gzip
import io
import struct
import zipfile
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from alambic.data import DataSpec, decode, load_source, npz
from alambic.data.fashion_mnist import read_idx
from alambic.errors import AlambicError
from alambic.report.page.page import write_report
from alambic.study.table import print_results
from report_ledger import make_ledger


def npy(shape, body, kind="|u1"):
    """The bytes of an .npy file whose head may claim more than its body holds."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"shape": shape, "fortran_order": False, "descr": kind})
    return stream.getvalue() + body


def archive(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(f"{name}.npy", content)
    return path


def small_memory(monkeypatch, limit):
    """A machine so small that a test can exceed it."""
    monkeypatch.setattr(decode.os, "sysconf", lambda name: 1 if "SIZE" in name else 2 * limit)


def read(path, **spec):
    return load_source(DataSpec(str(path), **spec))


def test_zip_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    body = bytes(400 * 28 * 28)
    labels = npy((400,), np.arange(400, dtype=np.int64).tobytes(), "<i8")
    path = archive(tmp_path / "bomb.npz", x=npy((400, 28, 28), body), y=labels)
    assert path.stat().st_size < len(body) / 50
    small_memory(monkeypatch, 100_000)
    unpacked = []
    monkeypatch.setattr(npz.np, "load", lambda *a, **k: unpacked.append(a))
    with pytest.raises(AlambicError, match="refused before it is unpacked"):
        read(path)
    assert not unpacked
    monkeypatch.setattr(npz, "check_room", lambda *a: None)
    with pytest.raises(TypeError):  # without the guard numpy is asked to unpack it
        read(path)
    assert unpacked


def test_array_whose_head_claims_the_moon_is_refused(tmp_path, monkeypatch):
    path = archive(tmp_path / "x.npz", x=npy((10**7, 10**7), b"\0" * 100), y=npy((3,), b"\0" * 3))
    with pytest.raises(AlambicError, match="head claims"):
        read(path)
    monkeypatch.setattr(npz, "_check_sizes", lambda *a: None)
    with pytest.raises(MemoryError):
        read(path)


def test_archive_member_that_points_elsewhere_writes_nothing(tmp_path):
    inside = tmp_path / "in"
    inside.mkdir()
    images = np.random.default_rng(0).integers(0, 255, (40, 8, 8), dtype=np.uint8)
    with zipfile.ZipFile(inside / "x.npz", "w") as made:
        made.writestr("../../x.npy", npy(images.shape, images.tobytes()))
        made.writestr("/y.npy", npy((40,), bytes(range(2)) * 20))
    with pytest.raises(AlambicError, match="expected arrays"):
        read(inside / "x.npz")
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["in", "x.npz"]


def png_that_claims(width, height):
    """A PNG of a few bytes whose head claims any size."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_image_bomb_is_refused_by_its_head(monkeypatch):
    opened = []
    monkeypatch.setattr(Image.Image, "load", lambda self: opened.append(self.size))
    monkeypatch.setattr(decode, "to_tensor", lambda image: None)
    bomb = decode.opener(png_that_claims(9_000, 9_000))
    assert "refused before decoding" in decode._decode(bomb, DataSpec("x", size=8))
    assert not opened
    monkeypatch.setattr(decode, "MAX_PIXELS", 10**10)
    decode._decode(decode.opener(png_that_claims(9_000, 9_000)), DataSpec("x", size=8, channels=1))
    assert opened


def test_many_images_that_would_not_fit_are_refused(tmp_path, monkeypatch):
    for kind in "ab":
        (tmp_path / kind).mkdir()
        for index in range(6):
            Image.new("L", (64, 64), index).save(tmp_path / kind / f"{index}.png")
    small_memory(monkeypatch, 12 * 64 * 64 - 1)
    with pytest.raises(AlambicError, match="half of this machine's memory"):
        read(tmp_path)
    read(tmp_path, size=32)


def test_parquet_bomb_of_equal_rows_is_refused(tmp_path, monkeypatch):
    picture = io.BytesIO()
    Image.new("L", (4, 4)).save(picture, "PNG")
    count = 50_000
    table = pa.table({"image": [picture.getvalue()] * count, "label": [0] * count})
    pq.write_table(table, tmp_path / "x.parquet", compression="zstd")
    assert (tmp_path / "x.parquet").stat().st_size < count
    small_memory(monkeypatch, count)
    with pytest.raises(AlambicError, match="refused before it is unpacked"):
        read(tmp_path / "x.parquet")


@pytest.mark.parametrize("shape", [(2**31, 28, 28), (10, 28, 28)])
def test_gzip_bomb_is_read_no_further_than_its_head_says(tmp_path, shape, monkeypatch):
    path = tmp_path / "x.gz"
    with gzip.open(path, "wb") as stream:
        stream.write(struct.pack(">4I", 0x803, *shape) + bytes(50_000_000))
    taken = []
    whole = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda self, size=-1: taken.append(size) or whole(self, size))
    with pytest.raises(AlambicError, match=r"unpacked|got 7841"):
        read_idx(path, 3)
    assert -1 not in taken
    assert max(taken) <= 10 * 28 * 28 + 1


@pytest.mark.parametrize("title", ["\x1b[2J", "a\nb", "\x9b31m"])
def test_class_names_that_would_move_the_cursor_are_refused(tmp_path, title):
    for name in (title, "plain"):
        (tmp_path / name).mkdir()
        for index in range(5):
            Image.new("L", (8, 8), index).save(tmp_path / name / f"{index}.png")
    with pytest.raises(AlambicError, match="printable"):
        read(tmp_path)


HOSTILE = [
    '<script>alert("x")</script>',
    '"><img src=x onerror=alert(1)>',
    '=HYPERLINK("http://x","y")',
    "@SUM(1)",
    "{{ 7*7 }}",
]


def test_hostile_names_are_text_in_the_report_and_the_terminal(tmp_path, capsys):
    effects = {"none": 0.0, **dict.fromkeys(HOSTILE, 0.01)}
    path = make_ledger(tmp_path / "ledger.sqlite", images=300, effects=effects, class_names=[*HOSTILE, *"abcde"])
    page = write_report(path, tmp_path / "report.html").read_text("utf-8")
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;alert" in page
    assert "{{ 7*7 }}" in page  # shown, not computed
    assert ">49<" not in page
    print_results(path)
    said = capsys.readouterr().out
    assert HOSTILE[0] in said
    assert "\x1b" not in said
