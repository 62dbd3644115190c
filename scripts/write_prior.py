"""Writes src/alambic/suitability/prior.json from the judged studies' ledgers: `python scripts/write_prior.py`.

A test writes it again and compares.
"""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean

from alambic.cli_suitability import read_gains
from alambic.report.overview.kept import judged_ledgers
from alambic.suitability.gains import choose_cards
from alambic.suitability.judgement import load_judgement
from alambic.suitability.prior import FILE, METHOD
from alambic.suitability.scorecard import load_scorecards

ROOT = Path(__file__).resolve().parent.parent


def gather_prior(root: Path) -> str:
    """JSON: of each data set and student the headroom and the gain by ``METHOD`` of every teacher but the controls."""
    found = []
    for folder in judged_ledgers(root):
        path = folder.parent / "suitability.json"
        cards, judged = load_scorecards(path), load_judgement(path)
        assert judged is not None
        for given in read_gains([folder]):
            own = {
                key: card
                for key, card in choose_cards(cards, given).items()
                if card.teacher not in {*judged.nasty, *judged.controls} and "headroom" in card.values
            }
            if given.method == METHOD and own:
                pairs = [(own[k].values["headroom"], fmean(s.values())) for k, s in given.gains.items() if k in own]
                one = {"data": given.data, "student": given.student, "study": str(folder.parent.relative_to(root))}
                one |= {
                    name: [round(pair[place], 4) for pair in sorted(pairs)]
                    for place, name in enumerate(("headroom", "gain"))
                }
                found.append(one)
    return json.dumps(found, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(gather_prior(ROOT))
