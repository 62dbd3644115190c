"""Makes ``docs/faults.md`` from what the fault tests wrote down.

``ALAMBIC_FAULTS=docs/faults.jsonl pytest tests/e2e -k "faults or soak"``
adds a line to that file for each fault; ``python scripts/faults_table.py`` writes the page from it, and ``--check``
only says whether the page is out of date (exit code 1).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.parent / "docs"
PAGE = """\
# Faults

<!-- made by scripts/faults_table.py from docs/faults.jsonl, which a run of the tests wrote -->

A study that is killed, starved, filled up or damaged ends with the same numbers, curves, predictions and weights, bit
for bit, as one that nothing happened to. Each row is a test; *tries* is how often the fault was made to happen, *lost*
how often something differed afterwards: a cell missing or trained twice, a half file that was read as whole, another
number.

{rows}

The kills: {places}.

A place's moment is drawn at random among the first half of those that an undisturbed study comes through (each step of
a teacher or a student, each pass of the teacher that fills a bank, each file of a bank, a checkpoint or a student as it
is opened, half written, renamed or removed, each SQL statement), so that most come; *any time* is a random second, from
outside. Killed means the driver and its workers, with SIGKILL.

## The guards are what saves it

The last column says what came of the same fault with the guard taken away. That is a test too: it takes the guard away
(the functions `without_...` of `tests/faults_tools.py`, or a monkeypatch) and asserts that the fault is then seen. Two
rows have a 0 there: NumPy and torch refuse a file that is cut short by themselves, and the checksum only names it. A
kill by the kernel is told from a worker that died, so it has no guard of its own beyond the halving.

## To run it again

`make soak` kills the study fifty times and trains 500 cells; the tests as they stand kill it eight times and train 60:

```
ALAMBIC_FAULTS=docs/faults.jsonl ALAMBIC_KILLS=50 ALAMBIC_SOAK_CELLS=500 \\
  pytest --timeout 7200 tests/e2e/test_faults*.py tests/e2e/test_soak.py
python scripts/faults_table.py
```
"""
KILL = "kill -9 of the whole study"


def read(path: Path) -> dict[str, dict[str, Any]]:
    """Fault to all that was told of it, in the order of the tests; tries, losses and places of several runs add up."""
    found: dict[str, dict[str, Any]] = {}
    for line in path.read_text().splitlines():
        told = json.loads(line)
        before = found.setdefault(told.pop("fault"), {"tries": 0, "lost": 0, "places": {}})
        for name in ("tries", "lost"):
            before[name] += told.pop(name, 0)
        for place, count in told.pop("places", {}).items():
            before["places"][place] = before["places"].get(place, 0) + count
        before.update(told)
    return found


def make_page(faults: dict[str, dict[str, Any]]) -> str:
    rows = ["| fault | tries | lost | guard | without it |", "|---|---:|---:|---|---|"]
    for fault, told in faults.items():
        if not told["tries"]:  # the machine could not make it happen, or that test was left out
            continue
        cells = fault, told["tries"], told["lost"], told.get("guard", ""), told.get("without", "")
        rows.append("| " + " | ".join(map(str, cells)) + " |")
    places = faults[KILL]["places"]
    counts = ", ".join(f"{count} in *{place}*" for place, count in sorted(places.items(), key=lambda item: -item[1]))
    return PAGE.format(rows="\n".join(rows), places=counts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="writes nothing")
    options = parser.parse_args()
    page, path = make_page(read(DOCS / "faults.jsonl")), DOCS / "faults.md"
    if options.check:
        return int(not path.exists() or path.read_text() != page)
    path.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
