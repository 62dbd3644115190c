"""A study file that says only where it differs from another."""

from pathlib import Path

import pytest

from alambic.errors import AlambicError
from alambic.study.study_file import read_study

BASE = """
name = "base"
purpose = "explore"
students = ["resnet8_w8"]
[data]
source = "npz"
train = 100
classes = { rest = "*", person = ["man"] }
[recipe]
epochs = 3
lr = 0.2
[[arms]]
method = "none"
[[arms]]
method = "kd"
"""


def write(folder: Path, text: str, base: str = BASE) -> Path:
    (folder / "base.toml").write_text(base)
    (folder / "own.toml").write_text(text)
    return folder / "own.toml"


def test_tables_are_merged_and_values_replaced(tmp_path: Path) -> None:
    text = (
        'extends = "base.toml"\nname = "own"\n[data]\nclasses = { rest = "*", tree = ["oak"] }\n[recipe]\nepochs = 5\n'
    )
    study = read_study(write(tmp_path, text))
    assert (study.name, study.data.train, study.recipe.epochs, study.recipe.lr) == ("own", 100, 5, 0.2)
    assert study.data.classes == {"rest": "*", "tree": ["oak"]}, "a class map is one value"
    assert [arm.name for arm in study.arms] == ["none", "kd"]
    assert 'name = "own"' in study.text
    assert 'name = "base"' in study.text
    replaced = read_study(write(tmp_path, 'extends = "base.toml"\n[[arms]]\nmethod = "rsd"\n'))
    assert [arm.name for arm in replaced.arms] == ["rsd"]


def test_errors_name_the_file_and_line_that_hold_them(tmp_path: Path) -> None:
    broken = BASE.replace("lr = 0.2", "lrate = 0.2")
    with pytest.raises(AlambicError, match=r"base\.toml:11 \(key recipe\.lrate\)"):
        read_study(write(tmp_path, 'extends = "base.toml"\n[recipe]\nepochs = 5\n', broken))
    with pytest.raises(AlambicError, match=r"own\.toml:3 \(key recipe\.epoch\)"):
        read_study(write(tmp_path, 'extends = "base.toml"\n[recipe]\nepoch = 5\n'))


@pytest.mark.parametrize("text", ['extends = "own.toml"', "extends = 3", 'extends = "circle.toml"'])
def test_what_cannot_be_extended(tmp_path: Path, text: str) -> None:
    (tmp_path / "circle.toml").write_text('extends = "own.toml"')
    with pytest.raises(AlambicError, match=r"key extends\): expected (another file|a file that does not come back)"):
        read_study(write(tmp_path, text))
    with pytest.raises(AlambicError, match="expected a TOML file"):
        read_study(write(tmp_path, 'extends = "nowhere.toml"'))
