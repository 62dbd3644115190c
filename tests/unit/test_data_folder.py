"""Folders of pictures, damaged and good."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from alambic.data import DataSpec, load_source
from alambic.data import decode as decode_module
from alambic.errors import AlambicError


def picture(seed: int, size: tuple[int, int] = (12, 10), mode: str = "RGB") -> Image.Image:
    shape = size[::-1] if mode == "L" else (*size[::-1], len(mode))
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8), mode=None)


def fill(root: Path, count: int = 20, classes: tuple[str, ...] = ("cat", "dog"), suffix: str = "png") -> Path:
    for title in classes:
        (root / title).mkdir(parents=True)
        for index in range(count):
            picture(1000 * len(title) + ord(title[0]) + index).save(root / title / f"{index:03}.{suffix}")
    return root


def test_pixels_labels_and_order(tmp_path: Path) -> None:
    fill(tmp_path)
    source = load_source(DataSpec(str(tmp_path)))
    assert source.images.shape == (40, 3, 10, 12)
    assert source.class_names == ("cat", "dog")
    assert source.labels.tolist() == [0] * 20 + [1] * 20
    with Image.open(tmp_path / "dog" / "003.png") as image:
        assert np.array_equal(source.images[23].permute(1, 2, 0).numpy(), np.asarray(image))
    assert {name: len(rows) for name, rows in source.splits.items()} == {"train": 29, "tune": 3, "test": 8}
    assert source.name == tmp_path.name


def test_official_splits_and_missing_class_in_one(tmp_path: Path) -> None:
    fill(tmp_path / "train", 10)
    fill(tmp_path / "val", 4)
    fill(tmp_path / "test", 5, ("dog",))
    source = load_source(DataSpec("folder", path=str(tmp_path)))
    assert {name: len(rows) for name, rows in source.splits.items()} == {"train": 20, "tune": 8, "test": 5}
    assert source.labels[source.splits["test"]].tolist() == [1] * 5


def test_stray_folder_beside_splits_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "train", 10)
    (tmp_path / "extra").mkdir()
    with pytest.raises(AlambicError, match="extra"):
        load_source(DataSpec("folder", path=str(tmp_path)))


@pytest.mark.parametrize("suffix", ["png", "bmp", "webp", "jpg", "gif", "tiff"])
def test_formats(tmp_path: Path, suffix: str) -> None:
    fill(tmp_path, 3, suffix=suffix)
    assert load_source(DataSpec(str(tmp_path), test=0.2, tune=1)).images.shape == (6, 3, 10, 12)


def test_grey_stays_grey_until_one_is_coloured(tmp_path: Path) -> None:
    for title in ("a", "b"):
        (tmp_path / title).mkdir()
        for index in range(5):
            picture(index, mode="L").save(tmp_path / title / f"{index}.png")
    grey = load_source(DataSpec(str(tmp_path)))
    assert grey.channels == 1
    assert load_source(DataSpec(str(tmp_path), channels=3)).channels == 3
    picture(9).save(tmp_path / "b" / "9.png")
    mixed = load_source(DataSpec(str(tmp_path)))
    assert mixed.channels == 3
    assert torch.equal(mixed.images[0], grey.images[0].expand(3, -1, -1))


def test_different_sizes_need_a_size(tmp_path: Path) -> None:
    fill(tmp_path, 5)
    picture(1, (30, 17)).save(tmp_path / "cat" / "004.png")
    with pytest.raises(AlambicError, match=r"one size.*\(10, 12\) and \(17, 30\).*cat/004\.png.*try size"):
        load_source(DataSpec(str(tmp_path)))
    assert load_source(DataSpec(str(tmp_path), size=8)).images.shape == (10, 3, 8, 8)


def test_large_photo_keeps_its_look_when_shrunk(tmp_path: Path) -> None:
    fill(tmp_path, 4)
    ramp = np.tile(np.linspace(0, 255, 800).astype(np.uint8)[:, None], (1, 600))
    Image.fromarray(np.stack([ramp] * 3, axis=2)).save(tmp_path / "cat" / "000.jpg", quality=95)
    image = load_source(DataSpec(str(tmp_path), size=16)).images[0].float()
    wanted = (torch.arange(16) + 0.5) / 16 * 255
    assert (image[0].mean(dim=1) - wanted).abs().max() < 4


def test_camera_orientation_is_applied(tmp_path: Path) -> None:
    fill(tmp_path, 4)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: a viewer rotates by 90 degrees
    plain = picture(5, (10, 12))
    plain.save(tmp_path / "cat" / "000.png", exif=exif)
    image = load_source(DataSpec(str(tmp_path))).images[0]
    assert np.array_equal(image.permute(1, 2, 0).numpy(), np.rot90(np.asarray(plain), k=-1))


def test_transparent_pixels_become_white_and_16_bits_are_scaled(tmp_path: Path) -> None:
    fill(tmp_path, 4)
    clear = np.zeros((10, 12, 4), np.uint8)
    clear[5:, :, 3] = 255
    Image.fromarray(clear).save(tmp_path / "cat" / "000.png")
    deep = np.full((10, 12), 0x80FF, np.uint16)
    Image.fromarray(deep).save(tmp_path / "cat" / "001.png")
    images = load_source(DataSpec(str(tmp_path))).images
    assert images[0, :, 0, 0].tolist() == [255] * 3
    assert images[0, :, 9, 0].tolist() == [0] * 3
    assert images[1].unique().tolist() == [0x80]


def test_sixteen_bits_that_hold_ten_are_named_and_not_taken_as_black(tmp_path: Path) -> None:
    fill(tmp_path, 30)
    ten_bits = np.full((10, 12), 1023, np.uint16)
    Image.fromarray(ten_bits).save(tmp_path / "cat" / "001.png")
    source = load_source(DataSpec(str(tmp_path)))
    ((name, reason),) = source.unreadable
    assert name == "cat/001.png"
    assert "16-bit pixels of at most 1023" in reason


def test_truncated_jpeg_is_counted_and_named(tmp_path: Path) -> None:
    fill(tmp_path, 20, suffix="jpg")
    bad = tmp_path / "cat" / "002.jpg"
    content = bad.read_bytes()
    bad.write_bytes(content[: len(content) - 80])
    source = load_source(DataSpec(str(tmp_path)))
    assert len(source.images) == 39
    assert source.labels.tolist() == [0] * 19 + [1] * 20
    ((name, reason),) = source.unreadable
    assert name == "cat/002.jpg"
    assert "truncated" in reason.lower()


def test_too_many_unreadable_are_refused(tmp_path: Path) -> None:
    fill(tmp_path, 20)
    for index in range(3):
        (tmp_path / "dog" / f"{index:03}.png").write_bytes(b"")
    with pytest.raises(AlambicError, match=r"at most 5% unreadable images, got 3 of 40 \(dog/000\.png"):
        load_source(DataSpec(str(tmp_path)))


def test_class_that_ends_empty_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, 40)
    (tmp_path / "eel").mkdir()
    (tmp_path / "eel" / "0.png").write_bytes(b"not a picture")
    with pytest.raises(AlambicError, match=r"\['eel'\] have none \(1 could not be read\)"):
        load_source(DataSpec(str(tmp_path)))


def test_decompression_bomb_is_refused_by_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, 20)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 12000, 12000, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    (tmp_path / "cat" / "003.png").write_bytes(bomb)
    decoded = []
    load = decode_module.ImageOps.exif_transpose
    monkeypatch.setattr(
        decode_module.ImageOps, "exif_transpose", lambda image: (decoded.append(image.size), load(image))[1]
    )
    source = load_source(DataSpec(str(tmp_path)))
    assert len(source.unreadable) == 1
    assert "refused before decoding" in source.unreadable[0][1]
    assert (12000, 12000) not in decoded


def test_other_formats_are_not_even_tried(tmp_path: Path) -> None:
    fill(tmp_path, 20)
    stream = io.BytesIO()
    picture(0).save(stream, format="EPS")  # Pillow would start another program for it
    (tmp_path / "cat" / "000.png").write_bytes(stream.getvalue())
    source = load_source(DataSpec(str(tmp_path)))
    assert "UnidentifiedImageError" in source.unreadable[0][1]


@pytest.mark.parametrize("make_class", [False, True])
def test_empty_folders_are_refused(tmp_path: Path, make_class: bool) -> None:
    if make_class:
        fill(tmp_path, 3, ("cat",))
        (tmp_path / "dog").mkdir()
        with pytest.raises(AlambicError, match="class 'dog', got none"):
            load_source(DataSpec(str(tmp_path)))
    else:
        with pytest.raises(AlambicError, match="one sub-folder per class"):
            load_source(DataSpec("folder", path=str(tmp_path)))
        with pytest.raises(AlambicError, match="got none of these"):
            load_source(DataSpec(str(tmp_path)))


def test_group_from_the_path(tmp_path: Path) -> None:
    for title in ("a", "b"):
        (tmp_path / title).mkdir()
        for index in range(30):
            picture(index).save(tmp_path / title / f"person{index % 10}_{index}.png")
    spec = DataSpec(str(tmp_path), group=r"person(\d+)_")
    source = load_source(spec)
    names = sorted(file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*.png"))
    seen = [{names[row].split("person")[1][0] for row in rows.tolist()} for rows in source.splits.values()]
    assert all(seen)
    assert len(seen[0] | seen[1] | seen[2]) == sum(map(len, seen)) == 10
    for pattern, text in ((r"person\d", "bracket"), (r"(dog)", "to match every"), ("(", "regular expression")):
        with pytest.raises(AlambicError, match=text):
            load_source(DataSpec(str(tmp_path), group=pattern))


def test_unknown_source_names_the_nearest() -> None:
    with pytest.raises(AlambicError, match="did you mean 'fashion-mnist'"):
        load_source(DataSpec("fashon-mnist"))
    with pytest.raises(AlambicError, match="expected a path, got none"):
        load_source(DataSpec("folder"))


def test_copies_that_programs_hide_are_no_pictures(tmp_path: Path) -> None:
    """Else a picture of the training stands among those of the test."""
    fill(tmp_path)
    for hidden in ("cat/.thumbs", "cat/more/.ipynb_checkpoints", "dog/__MACOSX"):
        (tmp_path / hidden).mkdir(parents=True)
        picture(1).save(tmp_path / hidden / "copy.png")
    picture(2).save(tmp_path / "dog" / "._000.png")
    picture(3).save(tmp_path / "dog" / "__000.png")  # a name of its own
    assert len(load_source(DataSpec(str(tmp_path))).images) == 41


def test_every_name_of_a_jpeg_is_read(tmp_path: Path) -> None:
    fill(tmp_path, 10)
    for suffix in ("jfif", "JPE"):
        picture(1).save(tmp_path / "cat" / f"more.{suffix}", "jpeg")
    source = load_source(DataSpec(str(tmp_path)))
    assert source.labels.tolist().count(0) == 12
    assert source.unreadable == ()


def test_pictures_of_formats_that_are_not_read_are_counted(tmp_path: Path) -> None:
    fill(tmp_path, 50)
    for name in ("phone.HEIC", "web.avif"):
        (tmp_path / "cat" / name).write_bytes(b"\0\0\0\x18ftyp")
    picture(1).save(tmp_path / "dog" / "game.tga")
    for name in ("notes.txt", "paper.pdf", "folder.ico", "Thumbs.db"):
        (tmp_path / "dog" / name).write_bytes(b"no picture")
    source = load_source(DataSpec(str(tmp_path)))
    assert len(source.images) == 100
    assert source.labels.tolist() == [0] * 50 + [1] * 50
    assert [name for name, _ in source.unreadable] == ["cat/phone.HEIC", "cat/web.avif", "dog/game.tga"]
    assert all("expected PNG, JPEG" in reason for _, reason in source.unreadable)
    for file in (tmp_path / "cat").glob("*.png"):
        file.rename(file.with_suffix(".heic"))
    with pytest.raises(AlambicError, match=r"class 'cat', got 52 such as .*, because none is of a format that is read"):
        load_source(DataSpec(str(tmp_path)))
