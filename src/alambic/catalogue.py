"""What the library knows of its own methods: facts for the command line and the documentation, and filters on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from alambic.errors import AlambicError, nearest
from alambic.methods.base import QUANTITIES, Method, all_methods
from alambic.training.costs import read_cost

CONTROLS = ("control", "baseline")
MARKS = {
    "C": "read in the authors' code",
    "R": "printed in a repository's table",
    "A": "from an abstract or a project page",
    "N": "from a third party's note",
    "M": "from memory, unverified",
}
FIDELITY = {
    "A": "equal to the authors' code",
    "B": "written from the paper's formula",
    "C": "reconstructed from an abstract or notes",
    "O": "our own, not published",
}


def needs_of(cls: type[Method]) -> frozenset[str]:
    """All that a method needs, by the names that ``--needs`` takes."""
    needs = cls.needs
    extra = {"labels": needs.labels, "ids": needs.ids, "views": needs.views == 2, "train_stats": needs.train_stats}
    return needs.student | needs.teacher | {name for name, wanted in extra.items() if wanted}


def select_methods(
    *,
    family: str | None = None,
    needs: str | None = None,
    without: str | None = None,
    year: str | None = None,
    cost: float | None = None,
    fidelity: str | None = None,
    evidence: str | None = None,
    classes: int | None = None,
) -> dict[str, type[Method]]:
    """Methods by name that pass every given filter.

    Args:
        family: logit, embedding, map, relation, control or baseline.
        needs, without: names separated by commas that a method must, or must not, read on either side.
        year: ``2023``, ``2023-``, ``-2019`` or ``2019-2023``.
        cost: largest ratio of step times to plain cross-entropy.
        fidelity: letters, ``AB`` for A and B. evidence: a mark that the published numbers must carry.
        classes: of the task.
    """
    known = all_methods()
    wanted, refused = _split(needs, KNOWN_NEEDS, "need"), _split(without, KNOWN_NEEDS, "need")
    families = sorted({cls.family for cls in known.values()})
    if family is not None and family not in families:
        raise AlambicError(f"unknown family {family!r}: {nearest(family, families)}")
    for letter in fidelity or "":
        if letter.upper() not in FIDELITY:
            raise AlambicError(f"expected fidelity out of {', '.join(FIDELITY)}, got {fidelity!r}; try AB")
    if evidence is not None and evidence.upper() not in MARKS:
        raise AlambicError(f"expected an evidence mark out of {', '.join(MARKS)}, got {evidence!r}; try R")
    first, last = _years(year)
    found = {}
    for name, cls in sorted(known.items()):
        price = read_cost(name)
        passes = (
            (family is None or cls.family == family)
            and wanted <= needs_of(cls)
            and not refused & needs_of(cls)
            and (year is None or 0 < first <= cls.paper.year <= last)
            and (cost is None or (price is not None and price.time <= cost))
            and (fidelity is None or cls.fidelity in fidelity.upper())
            and (evidence is None or f"[{evidence.upper()}]" in cls.evidence)
            and (classes is None or cls.min_classes <= classes)
        )
        if passes:
            found[name] = cls
    return found


KNOWN_NEEDS = (*QUANTITIES, "labels", "ids", "views", "train_stats")


def _split(names: str | None, known: tuple[str, ...], what: str) -> set[str]:
    found = {name.strip() for name in names.split(",")} if names else set()
    for name in found:
        if name not in known:
            raise AlambicError(f"unknown {what} {name!r}: {nearest(name, known)}")
    return found


def _years(text: str | None) -> tuple[int, int]:
    if text is None:
        return 1, 9999
    first, dash, last = text.partition("-")
    if not all(part == "" or part.isdigit() for part in (first, last)) or not (first or last):
        raise AlambicError(f"expected a year as 2023, 2023-, -2019 or 2019-2023, got {text!r}")
    return int(first or 1), int(last or 9999) if dash else int(first)


def count_methods(methods: Mapping[str, type[Method]]) -> dict[str, int]:
    """Losses of fidelity A and B, reconstructed ones (C), our own (O), controls and baselines."""
    marks = Counter(cls.fidelity for cls in methods.values() if cls.family not in CONTROLS)
    return {
        "A": marks["A"],
        "B": marks["B"],
        "C": marks["C"],
        "O": marks["O"],
        "controls": sum(cls.family in CONTROLS for cls in methods.values()),
    }
