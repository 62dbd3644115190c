"""Writes the answer over all studies: `python scripts/write_overview.py`; minutes, since it reads every ledger.

A document and a talk, from the committed ledgers: docs/answer/report.pdf and slides.pptx, in French in docs/answer/fr/.
The curves are those of docs/curves.md. `--check` writes nothing: it computes each fact again and fails on a difference.
"""

from __future__ import annotations

import argparse
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from write_curves import CURVES, Curve, Scores, read_scores

from alambic.files import write_atomic
from alambic.report.check import Checked, compare_facts
from alambic.report.facts.fact import Fact, Facts
from alambic.report.overview.document import compose_overview
from alambic.report.overview.gather import Curved, Overview, gather, list_facts
from alambic.report.overview.talk import compose_talk
from alambic.report.overview.views import Base, name_view
from alambic.report.print.pdf import set_pdf
from alambic.report.stamp import hash_source, read_stamp
from alambic.report.talk.slides import draw_deck
from alambic.report.words.overview_texts import read_overview_texts
from alambic.report.words.wording import LANGS, Lang
from alambic.study.ledger import Ledger
from alambic.study.stats import Interval, Paired, compare

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "docs/answer"
KEYS = {"Epochs": "epochs", "Training images": "images", "Labels": "labels"}  # title of a curve -> what differs
HOW = "scripts/write_curves.py, paired by seed; 95 % interval over seeds and images"


def read_curve(curve: Curve, root: Path, facts: Facts) -> Curved | None:
    """A curve of docs/curves.md as facts; None where fewer than two amounts are there."""
    read = [(folder, read_scores(root / folder, curve.number)) for folder in curve.folders.values()]
    found = [(folder, scores) for folder, scores in read if scores is not None]
    if len(found) < 2:
        return None
    key, sides = KEYS[curve.title], {side for _, scores in found for side in scores.values if side[1] is not None}

    def add(name: str, told: Interval) -> Fact:
        return facts.add(f"curve {key}/{name}", told.mean, "points", (), "", HOW, (told.low, told.high))

    gains = {
        (arm, str(teacher)): tuple(
            add(f"{arm} {teacher}/{folder}", scores.gain((arm, teacher), scores))
            if (arm, teacher) in scores.values
            else None
            for folder, scores in found
        )
        for arm, teacher in sorted(sides, key=str)
    }
    alone = tuple(
        facts.add(
            f"curve {key}/alone/{folder}", float(np.mean(list(scores.values[scores.alone].values()))), "share", ()
        )
        for folder, scores in found
    )
    compared = [step_alone(less, more) for (_, less), (_, more) in pairwise(found)]
    steps = tuple(
        add(f"step to {folder}", told.interval) for (folder, _), told in zip(found[1:], compared, strict=True)
    )
    contents, seeds = tuple(read_content(root / folder) for folder, _ in found), (len(one.seeds) for one in compared)
    return Curved(key, contents, alone, gains, steps, tuple(seeds), curve.number)


def add_views(root: Path, facts: Facts) -> None:
    """Gains over the student alone on the bank's views and on fresh ones, and what these give it, of each such pair."""
    for bank, fresh, number in list_views():
        own, other = (read_scores(root / folder, number) for folder in (bank, fresh))
        if own is None or other is None:
            continue
        place = str(Path(bank).relative_to("studies"))
        bases: dict[Base, Scores] = {"bank": own, "fresh": other}
        for arm, teacher in sorted((side for side in own.values if side[1] is not None), key=str):
            for base, scores in bases.items():
                told = own.gain((arm, teacher), scores)
                name = name_view(place, arm, teacher, base)
                facts.add(name, told.mean, "points", (), "", HOW, (told.low, told.high))
        told = step_alone(own, other).interval
        facts.add(name_view(place, "none", None, "fresh"), told.mean, "points", (), "", HOW, (told.low, told.high))


def list_views() -> list[tuple[str, str, str]]:
    """Of each curve over views: the folder with the bank, that with fresh views, the score."""
    told = [(tuple(curve.folders.values()), curve.number) for curve in CURVES if curve.title.startswith("Views")]
    return [(bank, fresh, number) for (bank, fresh), number in told]


def step_alone(less: Scores, more: Scores) -> Paired:
    """What more of it gives the student alone."""
    after, before = ((one.values[one.alone], one.draws[one.alone]) for one in (more, less))
    return compare(after[0], before[0], after[1], before[1])


def read_content(folder: Path) -> dict[str, object]:
    """What a finished cell of a ledger is, one with a teacher where there is one."""
    found = [row.content for row in Ledger(folder / "ledger", read_only=True).rows("done")]
    return min(found, key=lambda content: content.get("teacher") is None)


def read_overview(root: Path) -> Overview:
    facts = Facts()
    curves = [read_curve(curve, root, facts) for curve in CURVES if curve.title in KEYS]
    add_views(root, facts)
    return gather(root, [curve for curve in curves if curve is not None], facts)


def write_answer(overview: Overview, folder: Path, lang: Lang) -> None:
    """The document and the talk in one language."""
    words, sections = read_overview_texts(lang), compose_overview(overview, lang)
    slides, facts = compose_talk(overview, sections, lang), list_facts(overview)
    folder.mkdir(parents=True, exist_ok=True)
    document = set_pdf(words["title"], words["subtitle"], sections, facts, lang)
    write_atomic(folder / "report.pdf", lambda part: part.write_bytes(document))
    deck = draw_deck(words["title"], slides, facts, lang)
    write_atomic(folder / "slides.pptx", lambda part: part.write_bytes(deck))


def check_answer(overview: Overview, folder: Path, name: str, lang: Lang) -> Checked:
    """A written document or talk with what the ledgers give now."""
    compose_talk(overview, compose_overview(overview, lang), lang)  # registers the facts that they show
    stamp, known = read_stamp(folder / name), {fact.name: fact for fact in list_facts(overview)}
    checked = Checked(facts=len(known))
    compare_facts(stamp, known, stamp.source == hash_source(), checked)
    return checked


def main(check: bool) -> int:
    """Writes, or checks; 1 where a check finds a difference."""
    overview, differences = read_overview(ROOT), 0
    for lang in LANGS:
        folder = ROOT / FOLDER / ("" if lang == "en" else lang)
        if not check:
            write_answer(overview, folder, lang)
            continue
        for name in ("report.pdf", "slides.pptx"):
            checked = check_answer(overview, folder, name, lang)
            differences += len(checked.differences)
            print(f"{folder / name}: {checked.shown} facts compared, {len(checked.differences) or 'no'} differences")
            for line in checked.differences[:12]:
                print(f"  {line}")
    return 1 if differences else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compute each fact again, and compare")
    sys.exit(main(parser.parse_args().check))
