"""``[[falsifiers]]`` of a study file: what is read, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from alambic.errors import AlambicError
from alambic.study.study_file import read_study

HEAD = """
name = "ideas"
purpose = "explore"
students = ["resnet8_w8"]
methods = ["none", "kd", "rsd"]
[data]
source = "fashion-mnist"
"""


VIT = '[teachers.vit]\nnet = "zoo:resnet8_w8"'


def read(folder: Path, *tables: str) -> object:
    path = folder / "study.toml"
    path.write_text(HEAD + "".join(f"[[falsifiers]]\n{table}\n" for table in tables))
    return read_study(path).falsifiers


def test_a_control_may_have_a_teacher_of_its_own(tmp_path: Path) -> None:
    table = (
        'idea = "I1"\narm = "rsd"\nagainst = ["kd"]\nagainst_teacher = "vit"\n[teachers.vit]\nnet = "zoo:resnet8_w8"'
    )
    (one,) = read(tmp_path, table)  # type: ignore[misc]
    assert one.told()["against_teacher"] == "vit"
    (both,) = read(tmp_path, table.replace('"vit"', '["vit", ""]', 1).replace('["kd"]', '["kd", "none"]'))  # type: ignore[misc]
    assert both.against_teachers == ("vit", "")
    assert one.against_teachers == ("vit",)
    (plain,) = read(tmp_path, 'idea = "I1"\narm = "rsd"\nagainst = ["kd"]')  # type: ignore[misc]
    assert "against_teacher" not in plain.told()


def test_falsifiers_are_read(tmp_path: Path) -> None:
    (one,) = read(tmp_path, 'idea = "I1"\narm = "rsd"\nagainst = ["kd"]\nsmallest_effect = 0.5')  # type: ignore[misc]
    assert (one.idea, one.arm, one.against, one.smallest_effect) == ("I1", "rsd", ("kd",), 0.5)
    assert read(tmp_path) == ()


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        (['idea = "I1"\narm = "rsd"\nagainst = ["kd"]\nagainst_teacher = "vitt"'], "no teacher is called 'vitt'"),
        (['idea = "I1"\narm = "rsd"\nagainst = ["kd"]\nagainst_teacher = ["vitt"]'], "no teacher is called 'vitt'"),
        (['idea = "I1"\narm = "rsd"\nagainst = ["kd"]\nagainst_teacher = ["", ""]'], "one for each of the 1 controls"),
        (['idea = "I1"\narm = "rsd"\nagainst = ["kd"]\nagainst_teacher = 3'], "against_teacher"),
        (
            ['idea = "I1"\narm = "rsd"\nagainst = ["none"]\nagainst_teacher = "vit"\n' + VIT],
            "an against_teacher that teaches 'none', got 'vit'",
        ),
        (['idea = "I1"\narm = "rsdd"\nagainst = ["kd"]'], "no arm is called 'rsdd'; did you mean 'rsd'"),
        (['idea = "I1"\narm = "rsd"\nagainst = ["dk"]'], "no arm is called 'dk'"),
        (['idea = "I1"\narm = "rsd"\nagainst = []'], "expected other arms than 'rsd'"),
        (['idea = "I1"\narm = "rsd"\nagainst = ["kd", "rsd"]'], "expected other arms than 'rsd'"),
        (['idea = "I1"\narm = "rsd"\nagainst = ["kd", "kd"]'], "each once"),
        (['idea = "I1"\narm = "rsd"\nagainst = ["kd"]\nsmallest_effect = -1.0'], "smallest_effect >= 0"),
        (['idea = "I1"\narm = "rsd"\nagainst = ["kd"]\nsmallest_effect = nan'], "smallest_effect"),
        (['idea = "I1"\narm = "rsd"\nagainst = ["kd"]'] * 2, "each idea once"),
        (['idea = "I1"\narm = "rsd"\nagainst = ["kd"]\neffect = 1.0'], "effect"),
        (['idea = "I1"\narm = "rsd"\nagainst = ["kd"]\nmeasure = "int8"'], "did you mean 'int8 cost'"),
        (
            ['idea = "I1"\narm = "rsd"\nagainst = ["kd"]\nmeasure = "int8 cost"\n[int8]\nenabled = false'],
            "expected a study that measures int8",
        ),
    ],
)
def test_what_says_nothing_is_refused(tables: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(AlambicError, match=said):
        read(tmp_path, *tables)
