"""A user's file and those beside it that it imports: all of them are the network's code."""

from pathlib import Path

from alambic.models.own_code import code_version, list_files


def write(folder: Path) -> None:
    (folder / "nets.py").write_text("import torch\nfrom blocks import block\nimport other.part\n")
    (folder / "blocks.py").write_text("from deep import x\nimport nets\n")
    (folder / "deep.py").write_text("x = 1\n")
    (folder / "unused.py").write_text("y = 1\n")


def test_files_beside_are_found_through_each_other(tmp_path: Path) -> None:
    write(tmp_path)
    assert [path.name for path in list_files(tmp_path / "nets.py")] == ["nets.py", "blocks.py", "deep.py"]


def test_a_changed_file_beside_is_another_network(tmp_path: Path) -> None:
    write(tmp_path)
    before, alone = code_version("nets.py:make", tmp_path), code_version("unused.py:make", tmp_path)
    (tmp_path / "unused.py").write_text("y = 2\n")
    assert code_version("nets.py:make", tmp_path) == before
    assert code_version("unused.py:make", tmp_path) != alone
    (tmp_path / "deep.py").write_text("x = 2\n")
    assert code_version("nets.py:make", tmp_path) != before
