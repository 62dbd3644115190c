"""Whether teachers are still what a ledger's cells learnt from: cells' ids tell their weights, not what runs these."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from alambic.data import Source
from alambic.models.teacher import Teacher, TeacherSpec
from alambic.models.teachers import tell_outputs
from alambic.study.content import own_input
from alambic.study.ledger import Ledger, OtherLedger
from alambic.study.study_file import Study

KEY = "teachers"  # in a ledger's meta table
States = dict[str, dict[str, Any]]  # what a cell's id tells of a teacher -> what decides its outputs beside its weights


def store_spec(teacher: Teacher, study: Study) -> TeacherSpec:
    """How a worker makes a teacher: by the study's file, or by the card beside the weights that were made for it."""
    stored = study.teachers[teacher.name].spec
    if teacher.spec.weights is not None and stored.weights != teacher.spec.weights:
        stored = TeacherSpec("card", weights=teacher.spec.weights)
    return dataclasses.replace(stored, groups=teacher.spec.groups)


def list_states(study: Study, source: Source, teachers: Iterable[Teacher]) -> States:
    """Of each teacher the state that cells which are made now learn from."""
    found = {}
    for teacher in teachers:
        told = json.dumps(own_input(store_spec(teacher, study)), sort_keys=True)
        found[f"{teacher.hash} on {source.hash} by {told}"] = tell_outputs(teacher)
    return found


def read_states(ledger: Ledger) -> States:
    """Those that a ledger's cells learnt from, none in one of before they were kept. Raises AlambicError if damaged."""
    with ledger.read():
        return dict(json.loads(ledger.meta(KEY) or "{}"))


def join_states(kept: States, now: States, place: Path, tip: str) -> States:
    """Both together. Raises OtherLedger where one teacher's weights ran otherwise.

    Args:
        place: of the ledger that holds ``kept``. tip: what to try.
    """
    for known in kept.keys() & now.keys():
        old, new = kept[known], json.loads(json.dumps(now[known]))
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                raise OtherLedger(
                    f"expected the teacher of weights {known[:12]} with {name} = {old.get(name)}, as the cells of "
                    f"{place} learnt from it, got {new.get(name)}, because its own code, its card or the study changed "
                    f"since, and cells of two teachers would pass for those of one; try {tip}"
                )
    return {**kept, **now}
