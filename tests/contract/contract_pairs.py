"""Which pairs and tasks a method accepts, and how it refuses the others."""

from __future__ import annotations

from dataclasses import dataclass

from contract_nets import Pair, needed
from contract_tools import MethodClass, as_leaves, built, flat, pair_for, run, suitable_pair, total

from alambic.errors import AlambicError


@dataclass(frozen=True)
class Verdict:
    """What became of a pair: accepted, or refused with the reason."""

    pair: str
    reason: str = ""


def try_pair(cls: MethodClass, pair: Pair) -> Verdict:
    """Builds and differentiates a method on a pair. Anything but an AlambicError at construction is a fault."""
    what = f"{pair.form} teacher, {pair.images[0].shape[1]} channels, {pair.specs.classes} classes"
    try:
        method = built(cls, pair)
    except AlambicError as refusal:
        reason = str(refusal)
        assert "expected" in reason, f"{what}: the refusal does not say what was expected: {reason}"
        assert "got" in reason, f"{what}: the refusal does not say what it got: {reason}"
        assert "because" in reason or "try" in reason, f"{what}: the refusal gives neither reason nor way out: {reason}"
        return Verdict(what, reason)
    s, t, batch = needed(pair, method)
    leaves = as_leaves(s)
    parts = run(method, leaves, t, batch)
    if parts:
        value = total(parts)
        assert value.isfinite(), f"{what}: the loss is not finite"
        value.backward()
        if flat(leaves):
            moved = [x.grad for x in flat(leaves) if x.grad is not None and x.grad.abs().sum() > 0]
            assert moved, f"{what}: accepted, but the student gets no gradient"
    return Verdict(what)


def check_class_counts(cls: MethodClass) -> None:
    """Refused below ``min_classes`` with the reason, works at it; one logit counts as one class."""
    fewest = cls.min_classes
    assert fewest >= 1, f"min_classes is {fewest}"
    assert fewest <= 2 or cls.degenerate, "min_classes above 2 needs `degenerate`: the reason"
    accepted = [form for form in ("map", "tokens", "nhwc") if not try_pair(cls, pair_for(cls, form, 3, fewest)).reason]
    assert accepted, f"accepts no teacher at its own min_classes = {fewest}"
    if fewest > 1:
        verdict = try_pair(cls, pair_for(cls, "map", 3, fewest - 1))
        assert verdict.reason, f"accepts {fewest - 1} classes, below min_classes = {fewest}"
        assert (cls.degenerate or "constant") in verdict.reason, f"the refusal hides its reason: {verdict.reason}"


def check_other_classes(cls: MethodClass) -> None:
    """A teacher with other classes: logit methods refuse, those that read neither logits nor head work."""
    classes = max(5, cls.min_classes)
    pair = pair_for(cls, suitable_pair(cls).form, 3, classes, extra=2)
    verdict = try_pair(cls, pair)
    if "logits" in cls.needs.teacher:
        assert verdict.reason, "reads the teacher's logits and accepts a teacher with other classes"
    elif "head" not in cls.needs.teacher:
        assert not verdict.reason, f"reads no logits but refuses a teacher with other classes: {verdict.reason}"
