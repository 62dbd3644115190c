"""The banks of a study, built before it runs: by one process, or by several that torchrun started."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from alambic.study.follow import Say
from alambic.study.prepare import prepare
from alambic.study.study_file import Study
from alambic.training import together


def build_banks(study: Study, out: Path, say: Say) -> dict[str, dict[str, Any]]:
    """Trains the teachers that are missing (the first process alone), then builds each bank, every process its share.

    ``run_study`` with the same ``out`` finds both. Returns bank key -> card.
    """
    number, count = together.place()
    if count > 1:
        with together.all_or_none():
            if number == 0:  # a study of live teachers asks for everything but banks
                live = dataclasses.replace(study.execution, live_only=True)
                prepare(dataclasses.replace(study, execution=live), out, say)
    return prepare(study, out, say if number == 0 else _say_nothing).banks


def _say_nothing(text: str) -> None:
    pass
