"""Some estimators of old scorecards measured anew, where their formula alone has changed; the rest is taken over."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from alambic.errors import AlambicError, Skip
from alambic.suitability.base import create_estimator
from alambic.suitability.collect import PASSES, collect_teacher
from alambic.suitability.evidence import Evidence
from alambic.suitability.ranking import Ranking
from alambic.suitability.scorecard import Scorecard, save_scorecards

# What clean images give of both networks, and how far it may lie from the old card: a teacher is the same or another
# one, while a warm-up of a few epochs on another machine, which rounds otherwise, ends some points away.
NEAR = {"accuracy": 0.005, "headroom": 0.05}


def renew_scorecards(ranking: Ranking, names: Sequence[str]) -> list[Scorecard]:
    """Scorecards in the order of students, then teachers, with the named numbers measured anew; the file is written.

    The cards keep their keys, which are those of older code: `alambic teachers rank` computes them whole, the judge
    reads them as they are.

    Args:
        names: estimators, their variants among them, or ``estimator.variant`` for what clean images give of variants.

    Raises AlambicError for an estimator that needs a pilot, where the file has no card of a pair, and where accuracy or
    headroom are no longer the card's: then its other numbers are not those of these networks and images either.
    """
    given = ranking.setting
    known = {(card.student, card.hash): card for card in ranking.kept.values() if _is_of(card, ranking)}
    for student in given.speeds:
        for teacher in ranking.teachers:
            if (student, teacher.hash) not in known:
                raise AlambicError(
                    f"expected a scorecard of teacher {teacher.name!r} for student {student!r} on these images in "
                    f"{ranking.path}, got none, because only what is there can be renewed; try it without --renew"
                )
    needs = {need for name in names if "." not in name for need in create_estimator(name).needs}
    if "pilot" in needs:
        raise AlambicError(
            f"--renew: expected estimators that need no pilot, got {' '.join(names)}, because a pilot is most of the "
            "price of scorecards; try it without --renew"
        )
    refused = {need: "it is not measured anew" for need in (*PASSES, "gradients", "pilot") if need not in needs}
    pupils = {student: ranking.warm_up(student, refused).evidence for student in given.speeds}
    windows = [pupil.window for pupil in pupils.values()]
    passes = [name for name in PASSES if name in needs]
    for teacher in ranking.teachers:
        found = collect_teacher(teacher, given.source, given.views, ranking.ids, given.task.classes, passes, windows)
        for student, pupil in pupils.items():
            old = known[student, teacher.hash]
            evidence = Evidence(found, pupil, given.source.labels[ranking.ids], metric=given.task.metric)
            _check_same(old, evidence)
            known[student, teacher.hash] = _renew(old, evidence, names)
        ranking.say(f"teacher {teacher.name}: {', '.join(names)} measured anew")
    renewed = {card.key: card for card in known.values()}
    ranking.kept |= renewed
    save_scorecards(ranking.path, ranking.kept.values())
    return [known[student, teacher.hash] for student in given.speeds for teacher in ranking.teachers]


def _is_of(card: Scorecard, ranking: Ranking) -> bool:
    given = ranking.setting
    data = f"{given.source.name} {len(given.train_ids):,}"
    return (card.data, card.split_hash, card.images) == (data, given.source.split_hash, len(ranking.ids))


def _check_same(card: Scorecard, evidence: Evidence) -> None:
    for name, near in NEAR.items():
        if name not in card.values:
            continue
        now = create_estimator(name).measure(evidence)
        if abs(now - card.values[name]) > near:
            raise AlambicError(
                f"expected {name} {card.values[name]:.4f} of teacher {card.teacher!r} for student {card.student!r}, as "
                f"the scorecard has it, got {now:.4f}, because data, recipe or code are others by now; try it without "
                "--renew"
            )


def _renew(card: Scorecard, evidence: Evidence, names: Sequence[str]) -> Scorecard:
    """The card with these names' numbers and refusals replaced."""
    values, refused = dict(card.values), dict(card.refused)
    for name in names:
        base, _, variant = name.partition(".")
        estimator = create_estimator(base)
        found = {f"{base}.{key}": value for key, value in estimator.measure_variants(evidence).items()}
        stale = [key for key in values if key == name or (not variant and key.startswith(f"{base}."))]
        values = {key: value for key, value in values.items() if key not in stale}
        if variant:
            values |= {key: value for key, value in found.items() if key == name}
            continue
        refused.pop(base, None)
        try:
            values[base] = estimator.measure(evidence)
        except Skip as reason:
            refused[base] = str(reason)
        values |= found
    return dataclasses.replace(card, values=values, refused=refused)
