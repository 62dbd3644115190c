"""What the treatments' tests share: a small source and a teacher of its images."""

from __future__ import annotations

import pytest
from treatment_tools import make_source, make_teacher

from alambic.data import Source
from alambic.models.teacher import Teacher


@pytest.fixture(scope="module")
def source() -> Source:
    return make_source()


@pytest.fixture(scope="module")
def teacher(source: Source) -> Teacher:
    return make_teacher(source)
