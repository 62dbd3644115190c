"""What is printed of teachers and of verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from alambic.suitability.advice import Advice, Opinion, choose_order, expect_gain
from alambic.suitability.ask_families import FamilyCase
from alambic.suitability.base import all_estimators
from alambic.suitability.fitted import FITTED
from alambic.suitability.gains import Gains, find_taught_by
from alambic.suitability.judge import RIVALS
from alambic.suitability.others import OTHERS
from alambic.suitability.prior import METHOD, expect_elsewhere, read_prior
from alambic.suitability.verdict import Verdict

ORDERS = {
    "accuracy": "by accuracy, highest first: in alambic's own study, on CIFAR-100, no estimator was shown to beat it",
    "pilot_gain": "by the gain of a short pilot, highest first, since not every teacher's accuracy is known",
}


def head_ranking(student: str, order: str, composite: Verdict | None) -> list[str]:
    """Above a student's teachers: what orders them and why, and what a judge found of the composite, if one did."""
    lines = [f"student {student}, {ORDERS[order]}"]
    if composite is None:
        return [*lines, "the composite is shown, not followed: nobody has judged it here (`alambic teachers judge`)"]
    interval = f"[{composite.low:+.2f}, {composite.high:+.2f}]"
    told = f"correlates with measured gains by {composite.spearman:+.2f} {interval}"
    warning = "; it ranks teachers the wrong way round, do not follow it" if composite.high < 0 else ""
    return [*lines, f"the composite is shown, not followed: the judge of an earlier run found that it {told}{warning}"]


def describe(place: int, advice: Advice, pool: Sequence[Advice], gains: Sequence[Gains] | None) -> list[str]:
    """The lines about one teacher; ``gains`` is None where no ledger was given."""
    card, known = advice.card, all_estimators()
    head = f"{place:>3}  {card.teacher} ({card.family}, {card.provenance})"
    if "accuracy" in card.values:
        head += f", accuracy {100 * card.values['accuracy']:.1f} %"
    if not math.isnan(advice.composite):
        head += f", composite {advice.composite:+.2f}"
    if "pilot_gain" in card.values:
        head += f", pilot {100 * card.values['pilot_gain']:+.1f}"
    lines = [head]
    if not advice.teaches:
        lines.append("     last, because it is no more accurate than the student after its warm-up")
    lines.append(f"     for: {_tell(advice.speak_for[:3])}")
    lines.append(f"     against: {_tell(advice.speak_against[:2])}")
    temperature = "none, its classes are not the task's" if card.temperature is None else f"{card.temperature:.2f}"
    lines.append(f"     calibrated temperature: {temperature}")
    loss = f"{advice.loss} ({', '.join(advice.methods)}): {advice.why}" if advice.loss else advice.why
    lines.append(f"     class of loss: {loss}")
    lines += [f"     expected gain: {line}" for line in tell_gains(advice, pool, gains)]
    reasons: dict[str, list[str]] = {}
    for name, reason in card.refused.items():
        reasons.setdefault(reason.split("because ", 1)[-1], []).append(known[name].code or name)
    return lines + [f"     without {' '.join(names)}: {reason}" for reason, names in reasons.items()]


def _tell(opinions: Sequence[Opinion]) -> str:
    known = all_estimators()
    parts = [f"{known[o.estimator].code} {known[o.estimator].title} {o.z:+.1f} ({o.value:.3g})" for o in opinions]
    return "; ".join(parts) or "none"


def tell_gains(advice: Advice, pool: Sequence[Advice], gains: Sequence[Gains] | None) -> list[str]:
    """What measured gains let one expect of a teacher, by method; without any, what other studies' teachers gave."""
    if gains is None:
        return [_tell_elsewhere(advice, "no ledger with measured gains was given (--ledger)")]
    index = next(i for i, other in enumerate(pool) if other is advice)
    order = choose_order([other.card for other in pool])
    score = np.array([other.card.values.get(order, np.nan) for other in pool])
    card, lines = advice.card, []
    for given in gains:
        if (given.student, given.data, given.split_hash) != (card.student, card.data, card.split_hash):
            continue
        means = {teacher: float(np.mean(list(seeds.values()))) for teacher, seeds in given.gains.items()}
        gain = np.array([means.get(other.card.hash, np.nan) for other in pool])
        expected = expect_gain(score, gain, index)
        if expected is not None:
            interval = f"[{expected.low:+.1f}, {expected.high:+.1f}]"
            told = f"{given.method} {expected.gain:+.1f} {interval} points, from {expected.teachers} other teachers"
            lines.append(told + (f"; measured {gain[index]:+.1f}" if not math.isnan(gain[index]) else ""))
    few = "the ledgers have under four other teachers with gains for this student and data"
    return lines or [_tell_elsewhere(advice, few)]


def _tell_elsewhere(advice: Advice, reason: str) -> str:
    known, headroom = read_prior(), advice.card.values.get("headroom")
    expected = expect_elsewhere(headroom, known) if headroom is not None else None
    if expected is None:
        return f"none known: {reason}"
    sets, interval = len({one.data for one in known}), f"[{expected.low:+.1f}, {expected.high:+.1f}]"
    return (
        f"{METHOD} {expected.gain:+.1f} {interval} points, by what teachers of such a headroom gave on {sets} other "
        f"tasks; {reason}"
    )


def list_verdicts(verdicts: Sequence[Verdict], nasty: Sequence[str]) -> list[str]:
    """A table; what could be seen at all stands first."""
    known, first = all_estimators(), max(verdicts, key=lambda v: (v.name not in FITTED, v.blocks, v.teachers))
    told = bool(nasty) and not all(math.isnan(v.nasty_last) for v in verdicts)  # those that taught are no control
    ceiling = "unknown, one seed" if math.isnan(first.ceiling) else f"{first.ceiling:.2f}"
    lines = [
        f"{first.teachers} teachers, {first.blocks} blocks of student, data and method; a correlation under "
        f"{first.visible:.2f} cannot be told from chance; the gains' own noise allows {ceiling} at most",
        f"{'estimator':28}{'Spearman':>9}{'95 %':>16}{'Kendall':>9}{'p':>7}{'Holm':>7}{'partial':>9}"
        f"{'regret':>8}{'top 3':>7}" + (f"{'nasty last':>12}" if told else "") + "  verdict",
    ]
    for v in verdicts:
        name = f"{known[v.name].code} {v.name}".strip() if v.name in known else v.name
        interval = f"[{v.low:+.2f}, {v.high:+.2f}]"
        holm = f"{v.p_holm:.3f}" if v.p_holm is not None else "-"
        last = f"{v.nasty_last:>12.0%}" if told else ""
        lines.append(
            f"{name:28}{v.spearman:>+9.2f}{interval:>16}{v.kendall:>+9.2f}{v.p:>7.3f}{holm:>7}{v.partial:>+9.2f}"
            f"{v.regret:>8.2f}{v.top3:>7.0%}{last}  {conclude(v)}"
        )
    lines.append(
        f"regret in points; choosing by accuracy costs {first.regret_accuracy:.2f}, by a pilot "
        f"{first.regret_pilot:.2f}; the bar: half of the first and no more than the second"
    )
    return [*lines, *_list_fitted(verdicts)]


def _list_fitted(verdicts: Sequence[Verdict]) -> list[str]:
    """What a fitted score has to leave behind: its own chance level, and memory of the same teachers."""
    lines = []
    for v in verdicts:
        if v.name in FITTED:
            lines.append(
                f"{v.name}: its model fitted anew with teachers permuted correlates by {v.null:+.2f} on average"
                + ("" if v.centred else ", so the control fails")
                + f"; under {v.visible:.2f} it cannot be told from chance"
            )
            if not math.isnan(v.regret_others):
                lines.append(
                    f"{v.name}: loses {v.regret:.2f} points, the gains with other students as they are "
                    f"{v.regret_others:.2f}; to meet the bar it must lose less"
                )
    return lines


def list_nasty(measured: Sequence[Gains], nasty: Sequence[str], controls: Sequence[str]) -> list[str]:
    """What each teacher made to teach nothing did teach: one that taught is no control."""
    return [
        f"{name}, made to teach nothing, gave {gain:+.2f} points"
        + (", the least of all" if least else ": not the least, so it is no control here")
        for name, (gain, least) in find_taught_by(measured, nasty, controls).items()
    ]


def conclude(verdict: Verdict) -> str:
    """One phrase; an estimator that does not beat accuracy is shown as such."""
    if verdict.name in (*RIVALS, *OTHERS):
        return "what has to be beaten"
    told = "meets the bar" if verdict.passes else "misses the bar"
    return f"{told}; {'beats' if verdict.beats_accuracy else 'does not beat'} accuracy"


def list_families(cases: Sequence[FamilyCase]) -> list[str]:
    """Points that each family gives more than the reference, for each set of teachers; or why none can be told."""
    lines = []
    for case in cases:
        if case.answer is None:
            lines.append(f"families, {case.scope} teachers: no answer: {case.reason}")
            continue
        allowed = ", ".join(case.covariates) or "nothing else"
        lines.append(
            f"families, {case.scope} teachers ({case.answer.teachers}), against {case.answer.reference}, allowing for "
            f"{allowed}{'' if case.main else ' (beside the answer, to show what hangs on that)'}:"
        )
        for effect in case.answer.effects:
            interval = f"[{effect.low:+.2f}, {effect.high:+.2f}]"
            lines.append(
                f"  {effect.family:14}{effect.effect:>+7.2f} points {interval}, p {effect.p:.3f}, "
                f"Holm {effect.p_holm:.3f}, "
                f"{effect.teachers} teachers"
            )
    return lines
