"""The page on our own ideas: each is there, and each arm on it is one that a study accepts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from alambic.methods import all_methods
from alambic.study.study_file import read_study
from alambic.treatments import all_treatments

PAGE = (Path(__file__).parent.parent.parent / "docs" / "ideas.md").read_text()
BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE, re.S)
HEAD = """
name = "ideas"
purpose = "explore"
students = ["resnet8_w8"]
"""
REST = """
[data]
source = "fashion-mnist"
[views]
count = 2
[teachers.resnet]
net = "zoo:resnet8_w16"
"""


@pytest.mark.parametrize("block", range(len(BLOCKS)))
def test_arms_of_the_page_are_accepted(block: int, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(HEAD + REST + BLOCKS[block])
    study = read_study(path)
    assert len(study.arms) == BLOCKS[block].count("[[arms]]") >= 2


def test_the_privileged_teacher_is_trained_on_clean_images(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    (privileged,) = [block for block in BLOCKS if "teachers.behind" in block]
    path.write_text(HEAD + REST + privileged)
    study = read_study(path)
    assert study.views.student.sensor is not None
    assert study.views.teacher.sensor is None
    trained = {name: entry.training.views.student.sensor for name, entry in study.teachers.items()}
    assert trained["clean"] is None
    assert trained["behind"] == study.views.student.sensor


def test_every_idea_of_our_own_is_on_the_page() -> None:
    own = {name for name, cls in {**all_methods(), **all_treatments()}.items() if cls.fidelity == "O"}
    assert len(own) >= 11
    missing = [name for name in own if name not in PAGE]
    assert not missing
    linked = set(re.findall(r"\(methods/(\w+)\.md\)", PAGE))
    assert linked == {name for name in own if name in all_methods()}


def test_every_falsifier_is_told() -> None:
    for name, cls in {**all_methods(), **all_treatments()}.items():
        if cls.fidelity == "O" and name != "joint_teacher":
            assert "Falsifier:" in (cls.__doc__ or ""), name
