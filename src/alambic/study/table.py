"""The results of a ledger as a plain table for the terminal."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from alambic.study.ledger import Ledger
from alambic.suitability.gains import describe_kind


def print_results(path: Path) -> None:
    """Mean and spread over seeds, of the test score where the cells have it, else of tune.

    Only cells that differ by seed alone are pooled: those of an earlier version of the study file stand in lines of
    their own.
    """
    ledger = Ledger(path, read_only=True)
    groups: dict[tuple[str, str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in ledger.rows("done"):
        content = row.content
        kind = json.dumps(describe_kind(content), sort_keys=True)
        groups[content["student"], content["arm"]["name"], content["teacher"] or "-", kind].append(row.numbers)
    if ledger.meta("purpose") == "demo":
        print("\nResults, not a ranking:")
    of = {key: "test" if all("test" in numbers for numbers in found) else "tune" for key, found in groups.items()}
    title = next(iter(of.values())) if len(set(of.values())) == 1 else "score"
    names = ("student", "arm", "teacher")
    wide = [2 + max([len(name), *(len(key[place]) for key in groups)]) for place, name in enumerate(names)]
    head = "".join(f"{name:{width}}" for name, width in zip(names, wide, strict=True))
    print(f"{head}{'seeds':>6}{title:>10}{'spread':>8}{'int8':>8}{'seconds':>9}")
    seen: Counter[tuple[str, str, str]] = Counter()
    for key, found in sorted(groups.items()):
        (student, arm, teacher, _), score = key, of[key]
        seen[student, arm, teacher] += 1
        version = seen[student, arm, teacher]
        told = [f"version {version} in this ledger"] if version > 1 else []
        told += [f"of {score}"] if title == "score" else []
        values = np.array([numbers[score] for numbers in found])
        int8 = [numbers[f"{score}_int8"] for numbers in found if f"{score}_int8" in numbers]
        spread = f"{100 * values.std(ddof=1):.2f}" if len(values) > 1 else "-"
        small = f"{100 * np.mean(int8):.2f}" if int8 else "-"
        seconds = np.mean([numbers["seconds"] for numbers in found])
        place = "".join(f"{name:{width}}" for name, width in zip(key, wide, strict=False))
        print(
            f"{place}{len(values):>6}{100 * values.mean():>10.2f}{spread:>8}{small:>8}{seconds:>9.1f}"
            f"{'  ' if told else ''}{', '.join(told)}"
        )
