"""Every file under studies/ can be read: a study that a changed key or a renamed method broke is found here."""

from pathlib import Path

import pytest

from alambic.config import read_document
from alambic.study.arms_file import read_arms
from alambic.study.study_file import read_study
from alambic.training.teacher_file import read_teacher_file

STUDIES = Path(__file__).parents[2] / "studies"
FILES = sorted(STUDIES.rglob("*.toml"))


def test_there_are_studies():
    assert len(FILES) > 5


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(STUDIES)))
def test_it_is_read(path):
    tables = read_document(path).tables
    if path.name == "confirm.toml":
        study = read_study(path.with_name("study.toml"))
        assert study.confirmation is not None
        assert len(study.confirmation.contrasts) == len(tables["contrasts"])
    elif set(tables) == {"arms"}:
        assert read_arms(path, {})
    elif "students" in tables or "extends" in tables:
        study = read_study(path)
        assert study.arms
        for name, entry in study.teachers.items():
            weights = entry.spec.weights
            assert weights is None or Path(weights).suffix == ".safetensors", name
    else:
        _, teachers = read_teacher_file(path)
        assert teachers
