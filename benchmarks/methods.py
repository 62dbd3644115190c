"""What each method's loss costs beside cross-entropy, in steps of ``resnet8_w16``: which stay within 15 %.

Reads ``src/alambic/methods/costs.toml``, which ``scripts/method_costs.py`` measured (each method's step and the plain
step in turn, teacher outputs given); ``--measure`` runs it again first, five minutes or more. Goal: at least 25.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from alambic.methods import Method, all_methods
from alambic.training.costs import read_cost, read_setting

SCRIPT = Path(__file__).parent.parent / "scripts" / "method_costs.py"
LIMIT, GOAL = 1.15, 25


def explain(method: type[Method], parameters: int) -> str:
    """Where a method's time goes, by what it declares."""
    needs, reasons = method.needs, []
    if needs.views == 2:
        reasons.append("the student sees a second view")
    if "stages" in needs.student | needs.teacher:
        reasons.append("compares maps of every stage")
    if "energy" in needs.student | needs.teacher:
        reasons.append("attention maps of every stage")
    if method.stages:
        reasons.append(f"stages of pre-training: {', '.join(name for name, _ in method.stages)}")
    if parameters:
        reasons.append(f"{parameters:,} trained parameters of its own")
    return "; ".join(reasons) or "relations between all images of a batch"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true")
    if parser.parse_args().measure:
        subprocess.run([sys.executable, str(SCRIPT)], check=True)
    taught = {name: method for name, method in all_methods().items() if method.needs.teacher}
    costs = {name: cost for name in taught if (cost := read_cost(name)) is not None}
    within = sorted(name for name, cost in costs.items() if cost.time <= LIMIT)
    setting = read_setting()
    print(f"{setting['student']}, teacher {setting['teacher']}, {setting['batch']}; {setting['machine']}")
    verdict = "met" if len(within) >= GOAL else "missed"
    print(f"{len(within)} of {len(costs)} methods within {LIMIT}: goal {GOAL} {verdict}")
    print("  " + ", ".join(f"{name} {costs[name].time:.2f}" for name in within))
    print("others, and why:")
    for name in sorted(costs, key=lambda name: costs[name].time):
        if name not in within:
            print(f"  {name:18}{costs[name].time:6.2f}  {explain(taught[name], costs[name].training_parameters)}")
    unmeasured = sorted(set(taught) - set(costs))
    if unmeasured:
        print(f"not measured: {', '.join(unmeasured)}")


if __name__ == "__main__":
    main()
