"""The results of a ledger as a plain table for the terminal."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from alambic.study.ledger import Ledger


def print_results(path: Path) -> None:
    """Mean and spread over seeds per student, arm and teacher, of the test score where there is one, else of tune."""
    ledger = Ledger(path, read_only=True)
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in ledger.rows("done"):
        content = row.content
        groups[content["student"], content["arm"]["name"], content["teacher"] or "-"].append(row.numbers)
    if ledger.meta("purpose") == "demo":
        print("\nResults, not a ranking:")
    score = "test" if any("test" in found[0] for found in groups.values()) else "tune"
    print(f"{'student':16}{'arm':18}{'teacher':12}{'seeds':>6}{score:>10}{'spread':>8}{'int8':>8}{'seconds':>9}")
    for (student, arm, teacher), found in sorted(groups.items()):
        values = np.array([numbers[score] for numbers in found])
        int8 = [numbers[f"{score}_int8"] for numbers in found if f"{score}_int8" in numbers]
        spread = f"{100 * values.std(ddof=1):.2f}" if len(values) > 1 else "-"
        small = f"{100 * np.mean(int8):.2f}" if int8 else "-"
        seconds = np.mean([numbers["seconds"] for numbers in found])
        print(
            f"{student:16}{arm:18}{teacher:12}{len(values):>6}{100 * values.mean():>10.2f}{spread:>8}{small:>8}"
            f"{seconds:>9.1f}"
        )
