"""A user's file and those beside it that it imports: all of them are the network's code."""

from pathlib import Path

from torch import nn

from alambic.models.own_code import create_own, list_files
from alambic.models.teacher import TeacherSpec
from alambic.models.teachers import create_net
from alambic.study.content import code_version


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


def test_a_teacher_s_function_is_given_what_it_asks_for(tmp_path: Path) -> None:
    """Channels and classes by parameters without a default, as a student's; the study's kwargs come before."""
    (tmp_path / "nets.py").write_text(
        "from torch import nn\n"
        "def asks(in_channels, num_classes, width=4): return nn.Linear(in_channels * width, num_classes)\n"
        "def knows(num_classes=9): return nn.Linear(2, num_classes)\n"
    )

    def make(net: str, **kwargs: object) -> nn.Module:
        return create_net(TeacherSpec(net, kwargs=kwargs), 7, 3, (8, 8), tmp_path)

    assert make("nets.py:asks").weight.shape == (7, 12)
    assert make("nets.py:asks", num_classes=5, width=2).weight.shape == (5, 6)
    assert make("nets.py:knows").weight.shape == (9, 2)
    assert create_own("nets.py:knows", tmp_path).weight.shape == (9, 2)
