"""Whether a ledger is a study's own: asked before anything is trained, built or written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

from alambic.data import Source
from alambic.study.ledger import Ledger, OtherLedger, Row
from alambic.study.prepare import Prepared
from alambic.study.study_file import Study


def check_ledger(ledger: Ledger, study: Study, source: Source) -> None:
    """Refuses a ledger of another study, as far as study and data tell. Raises OtherLedger."""
    told = ledger.meta("study_name")
    if told is not None and told != study.name:
        raise OtherLedger(f"expected the ledger of study {study.name!r}, got one of {told!r}; choose another --out")
    _check_scored_alike(ledger, study, source)
    if study.confirmation is not None:
        declared, begun = ledger.meta("confirm_hash"), ledger.meta("first_seed")
        if declared not in (None, study.confirmation.hash):
            raise OtherLedger(
                f"the contrasts in confirm.toml changed since this ledger's first run ({(declared or '')[:12]}): what "
                "is confirmed is declared before; restore the file, or start a new ledger with --out"
            )
        if begun not in (None, str(study.first_seed)):
            raise OtherLedger(
                f"{study.path}: expected first_seed = {begun}, which this ledger began with, got {study.first_seed}, "
                "because the seeds of a claim are asked for before it; try a new ledger with --out"
            )


def check_cells(ledger: Ledger, study: Study, source: Source, make: Callable[[], Prepared]) -> None:
    """Refuses a ledger that another file of the same name filled, unless it holds cells of this one.

    Args:
        make: the cells, for which teachers are loaded; not called where no row can be one of them.
    """
    if ledger.meta("study_place") in (None, hash_place(study)):
        return
    rows = {row.id: row for row in ledger.rows()}
    if not rows:
        return
    mine: set[str] = set()
    if any(_could_be_mine(row, study, source) for row in rows.values()):
        prepared = make()
        mine = {cell.id for cell in (*prepared.cells, *(cell for cell, _ in prepared.skipped))}
    if not rows.keys() & mine:
        raise OtherLedger(
            f"{study.path}: expected a ledger of this study, or a new one, got the {len(rows)} cells of another "
            f"file of the same name {study.name!r} in {ledger.path.parent}, none of which is here, because results "
            "of two studies would mix; try another name in the file, or --out"
        )


def hash_place(study: Study) -> str:
    """Of where the study file lies: a ledger tells nobody's folders."""
    return hashlib.sha256(str(study.path.resolve()).encode()).hexdigest()[:16]


def list_labels(source: Source) -> dict[str, str]:
    """Of each split that is scored, as the ledger keeps them."""
    return {split: json.dumps(source.labels[source.splits[split]].tolist()) for split in ("tune", "test")}


def _could_be_mine(row: Row, study: Study, source: Source) -> bool:
    content = row.content
    return (
        content["data"]["hash"] == source.hash
        and content["student"] in study.students
        and (content["teacher"] is None or content["teacher"] in study.teachers)
    )


def _check_scored_alike(ledger: Ledger, study: Study, source: Source) -> None:
    """Refuses a ledger whose finished cells were scored on other images or by another metric than its next ones."""
    rows = ledger.rows("done")
    changed = [
        f"{split} images"
        for split, now in list_labels(source).items()
        if ledger.meta(f"labels_{split}") not in (None, now)
    ]
    changed += ["metric" for row in rows[:1] if row.content["task"]["metric"] != study.task.metric]
    if rows and changed:
        raise OtherLedger(
            f"{study.path}: expected the data of the {len(rows)} cells that {ledger.path.parent} holds, got other "
            f"{' and '.join(changed)}, because their scores would be compared with those of the new cells; try "
            "restoring [data] and [task] in the file, or another --out"
        )
