"""What the ledger holds beyond the score that ranks: other sensors at test, other metrics of the same answers."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from alambic.report.facts.fact import Fact, Facts, mean_query
from alambic.report.facts.gather import Group
from alambic.training.task import METRICS

NAMED = re.compile(rf"(tune|test)(_on_(?P<sensor>.+?))?(_(?P<metric>{'|'.join(METRICS)}))?(_int8)?")


def measure_conditions(groups: Sequence[Group], facts: Facts) -> dict[str, dict[str, Fact]]:
    """Group's key -> name of the number -> its mean over seeds; none where those that rank are all."""
    found: dict[str, dict[str, Fact]] = {}
    for group in groups:
        shared = sorted(set.intersection(*(set(row.numbers) for row in group.rows)))
        told = {name: condition for name in shared if (condition := read_condition(name)) is not None}
        for name in told if set(told.values()) != {("", "")} else ():
            mean, sql = float(np.mean([row.numbers[name] for row in group.rows])), mean_query(name, group.ids)
            fact = facts.add(f"condition {name}/{group.key}", mean, "share", group.ids, sql)
            found.setdefault(group.key, {})[name] = fact
    return found


def read_condition(name: str) -> tuple[str, str] | None:
    """(sensor, metric) of a number's name in the ledger, "" for the training's own; None for another number."""
    match = NAMED.fullmatch(name)
    return (match["sensor"] or "", match["metric"] or "") if match else None
