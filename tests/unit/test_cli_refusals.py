"""What a person types wrongly, or a file that is not what its name says: one message that tells what to try."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from alambic.cli import main
from alambic.data import DataSpec, load_source
from alambic.errors import AlambicError
from alambic.models.own_code import create_own
from alambic.study import fits, plan

CHIP = '[a]\ncore = "c"\nsource = "s"\nengine = "c"\n'


def refuse(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one message of a command that must end with code 2 and print nothing else."""
    assert main(list(words)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("operators = 5", "expected operators as a list"),
        ('operators = "conv"', "expected operators as a list"),
        ('operators = ["conv", 3]', "expected operators as a list"),
        ("ram_kib = inf", "expected ram_kib as a number of KiB"),
        ("reserved_flash_kib = inf", "expected reserved_flash_kib as a number of KiB"),
        ("ram_kib = 8\nreserved_ram_kib = 9", "expected reserved_ram_kib of at most ram_kib 8, got 9"),
        ("flash_kib = 8\nreserved_flash_kib = 9", "expected reserved_flash_kib of at most flash_kib 8, got 9"),
        ("alignment = true", "expected alignment"),
    ],
)
def test_a_broken_chip_is_named(text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(CHIP + text + "\n")
    said = refuse(capsys, "chips", "--chips", str(file))  # not even the head of the table
    assert f"{file}, chip 'a'" in said
    assert message in said


def test_chips_of_another_encoding_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.toml"
    file.write_bytes((CHIP + 'note = "é"\n').encode("latin-1"))
    said = refuse(capsys, "chips", "--chips", str(file))
    assert f"{file}: expected TOML in UTF-8" in said


def test_a_chip_that_is_all_reserved_is_a_chip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(CHIP + "ram_kib = 8\nreserved_ram_kib = 8\n")
    assert main(["chips", "--chips", str(file)]) == 0
    assert "flash KiB" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--input 1x-5x5 --classes 2", "expected --input CxHxW"),
        ("--input 1x0x5 --classes 2", "expected --input CxHxW"),
        ("--input 5x5 --classes 2", "expected --input CxHxW"),
        ("--classes 0", "expected --classes of at least 1, got 0"),
        ("--classes -2", "expected --classes of at least 1, got -2"),
        ("--calibration-images 0", "expected --calibration-images of at least 1, got 0"),
        ("--calibration-images -4", "expected --calibration-images of at least 1, got -4"),
        ("--test-images -4", "expected --test-images of at least 1, got -4"),
    ],
)
def test_deploy_refuses_counts_that_are_none(
    words: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    given = ["deploy", "dscnn_8x2", "--chip", "acc-32", "--no-emulation", "--out", str(out), *words.split()]
    assert message in refuse(capsys, *given)
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--data DATA --classes 3", "expected no --classes beside --data, got 3, because the data say it"),
        ("--data DATA --input 1x8x8", "expected no --input beside --data"),
        ("--study s.toml --classes 3", "expected no --classes beside --study"),
        ("--study s.toml --input 1x8x8", "expected no --input beside --study"),
        ("--study s.toml --data DATA", "expected no --data beside --study"),
        ("--study s.toml --size 9", "expected no --size beside --study"),
        ("--input 1x8x8 --classes 2 --size 9", "expected no --size alone"),
        ("--data DATA", "expected 3 class scores an image, got 11"),
        ("--input 1x8x8 --classes 2", "expected 2 class scores an image, got 11"),
        ("--input 1x8x8 --classes 11 --out .", "got one without bakenn_sources.cmake"),
    ],
)
def test_deploy_refuses_what_it_would_not_read_and_another_width(
    words: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    np.savez("d.npz", x=images, y=np.arange(60) % 3)
    Path("nets.py").write_text(
        "from torch import nn\ndef eleven(in_channels, num_classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 11))\n"
    )
    Path("c").mkdir()
    Path("c/mine.c").write_text("mine")
    given = ["deploy", "nets.py:eleven", "--chip", "acc-32", "--no-emulation", "--out", "out"]
    assert message in refuse(capsys, *given, *words.replace("DATA", "d.npz").split())
    assert not Path("out").exists()
    assert Path("c/mine.c").exists()


def test_deploy_takes_one_logit_for_two_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    np.savez("d.npz", x=images, y=np.arange(60) % 2)
    Path("nets.py").write_text(
        "from torch import nn\ndef one(in_channels, num_classes):\n"
        "    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 1))\n"
    )
    given = ["deploy", "nets.py:one", "--chip", "acc-32", "--no-emulation", "--out", "out", "--data", "d.npz"]
    assert main(given) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--classes 0", "expected --classes of at least 1, got 0"),
        ("--cost -1", "expected --cost above 0, got -1"),
        ("--cost nan", "expected --cost above 0, got nan"),
        ("--count --cost 0", "expected --cost above 0, got 0"),
    ],
)
def test_methods_refuse_a_filter_that_nothing_passes(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refuse(capsys, "methods", *words.split())


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("temperature", "expected --setting NAME=VALUE, got 'temperature'"),
        ("temperature=1e400", "expected --setting temperature as a finite number"),
        ("temperature=-Infinity", "expected --setting temperature as a finite number"),
        ("temperature=NaN", "expected --setting temperature as a finite number"),
        ("temperature=[1]", "expected --setting temperature as a finite number"),
        ("=1", "with the name of a setting, got ''"),
        ("a b=1", "with the name of a setting, got 'a b'"),
        ("été=1", "with the name of a setting, got 'été'"),
    ],
)
def test_distill_refuses_settings_that_no_study_file_could_hold(
    setting: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["distill", "--student", "dscnn_8x2", "--data", "none", "--out", str(tmp_path / "out")]
    assert message in refuse(capsys, *given, "--setting", setting)
    assert not (tmp_path / "out").exists()


def test_an_unreadable_image_is_told_by_its_name(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for index in range(20):
            Image.fromarray(np.full((8, 8), index, np.uint8)).save(tmp_path / name / f"{index:03}.png")
    (tmp_path / "dog" / "000.png").write_bytes(b"no picture")
    ((name, reason),) = load_source(DataSpec(str(tmp_path))).unreadable
    assert name == "dog/000.png"
    assert "PNG, JPEG" in reason
    assert "object at 0x" not in reason


def test_a_missing_function_suggests_those_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("import torch\nfrom torch import nn\nTOUCH = 3\ndef make(**given):\n    return nn.Identity()\n")
    with pytest.raises(AlambicError, match=r"no function 'torsh'; known names: make$"):
        create_own(f"{file}:torsh")
    with pytest.raises(AlambicError, match=r"no function 'mke'; did you mean 'make'\?$"):
        create_own(f"{file}:mke")


def test_a_function_that_asks_for_more_than_it_is_given_says_where_to_write_it(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("from torch import nn\ndef make(num_classes):\n    return nn.Linear(2, num_classes)\n")
    with pytest.raises(AlambicError, match=r"'num_classes'; try kwargs = \{ NAME = VALUE \} in the table"):
        create_own(f"{file}:make")
    assert create_own(f"{file}:make", num_classes=3).out_features == 3


@pytest.mark.parametrize("code", ["", "'no GPU'"])
@pytest.mark.parametrize("inside", [False, True])
def test_a_file_that_ends_the_program_is_told(inside: bool, code: str, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("import sys\n" + "def make():\n    " * inside + f"sys.exit({code})\n")
    line = 3 if inside else 2
    with pytest.raises(AlambicError, match=rf"it ended the program in line {line} .*try to put .* __name__ == '__main"):
        create_own(f"{file}:make")


def test_a_file_may_hold_dataclasses_and_import_what_stands_beside_it(tmp_path: Path) -> None:
    path = list(sys.path)
    for folder, width in (("a", 3), ("b", 4)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own.py").write_text(
            "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom typing import ClassVar\n"
            "@dataclass\nclass Width:\n    kind: ClassVar[str] = 'w'\n    value: int = 0\n"
            "def make():\n    from nets_beside import make\n    return make()\n"
        )
        (tmp_path / folder / "nets_beside.py").write_text(
            f"from torch import nn\ndef make():\n    return nn.Linear(2, {width})\n"
        )
        for _ in range(2):
            assert create_own(f"{tmp_path / folder}/own.py:make").out_features == width
        assert sys.path == path
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "own.py").write_text("from nets_beside import make\n")
    with pytest.raises(AlambicError, match="failed in line 1: ModuleNotFoundError"):
        create_own(f"{tmp_path}/c/own.py:make")
    assert sys.path == path


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("out of memory"), AlambicError("no such chip")])
@pytest.mark.parametrize("place", [(fits, "check_chip"), (plan, "plan_study")])
def test_a_study_that_could_not_be_planned_leaves_no_file(
    error: BaseException, place: tuple[Any, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(study: Any) -> Any:
        raise error

    file = tmp_path / "mine.toml"
    monkeypatch.setattr(fits, "check_chip", lambda study: [])
    monkeypatch.setattr(*place, fail)
    words = ["study", "new", str(file), "--student", "dscnn_8x2", "--data", "fashion-mnist", "--methods", "none"]
    if isinstance(error, RuntimeError):
        with pytest.raises(RuntimeError):
            main(words)
    else:
        assert main(words) == (130 if isinstance(error, KeyboardInterrupt) else 2)
    assert list(tmp_path.iterdir()) == []
