"""What a method declares is what it reads; labels may be missing or mixed."""

from __future__ import annotations

from dataclasses import fields, replace
from inspect import signature
from typing import Any

import torch
from contract_nets import needed
from contract_tools import MethodClass, built, evaluate, is_batch_part, suitable_pair

from alambic.methods.base import Batch
from alambic.models.feature import Outputs


class Recorded(Outputs):
    """Outputs that note which quantities are read."""

    def __getattribute__(self, name: str) -> Any:
        if name in {field.name for field in fields(Outputs)}:
            object.__getattribute__(self, "__dict__").setdefault("_read", set()).add(name)
        return object.__getattribute__(self, name)

    @classmethod
    def of(cls, outputs: Outputs) -> Recorded:
        return cls(**{field.name: getattr(outputs, field.name) for field in fields(Outputs)})

    @property
    def read(self) -> set[str]:
        return set(object.__getattribute__(self, "__dict__").get("_read", set()))


class RecordedBatch(Batch):
    """A batch that notes which fields are read."""

    def __getattribute__(self, name: str) -> Any:
        if name in {field.name for field in fields(Batch)}:
            object.__getattribute__(self, "__dict__").setdefault("_read", set()).add(name)
        return object.__getattribute__(self, name)

    @property
    def read(self) -> set[str]:
        return set(object.__getattribute__(self, "__dict__").get("_read", set()))


def check_needs(cls: MethodClass) -> None:
    """The method reads each quantity that it declares, and no other; labels together with their mixing."""
    pair = suitable_pair(cls)
    method = built(cls, pair)
    s, t, batch = needed(pair, method)
    watched = [Recorded.of(s), Recorded.of(t)]
    second = None if batch.second is None else (Recorded.of(batch.second[0]), Recorded.of(batch.second[1]))
    note = RecordedBatch(batch.labels, batch.ids, None, None, None, second)
    evaluate(method, watched[0], watched[1], note)
    for side, declared, seen in zip(
        ("student", "teacher"), (method.needs.student, method.needs.teacher), watched, strict=True
    ):
        extra, idle = seen.read - declared, declared - seen.read
        assert not extra, f"reads the {side}'s {sorted(extra)} without declaring it"
        assert not idle, f"declares the {side}'s {sorted(idle)} but never reads it"
    labels, mixing = "labels" in note.read, {"partner", "lam"} <= note.read
    assert labels == method.needs.labels, f"needs.labels is {method.needs.labels}, but labels are read: {labels}"
    assert not labels or mixing, "reads labels but not batch.partner and batch.lam: a mixed image would pass as pure"
    assert ("ids" in note.read) == method.needs.ids, "needs.ids does not say whether batch.ids is read"
    assert ("second" in note.read) == (method.needs.views == 2), (
        "needs.views does not say whether a second view is read"
    )
    if second is not None:
        assert second[0].read or second[1].read, "declares two views but reads neither network's second one"


def check_labels(cls: MethodClass) -> None:
    """A batch without labels gives a finite loss; a row's missing label does not disturb another row's value.

    A mixed batch with lam = 1 is a pure batch; one whose partner has the same label too.
    """
    pair = suitable_pair(cls)
    method = built(cls, pair)
    s, t, batch = needed(pair, method)
    if not cls.needs.labels:
        return
    none = evaluate(method, s, t, replace(batch, labels=torch.full_like(batch.labels, -1)))
    assert all(value.isfinite().all() for value in none.values()), "the loss of unlabelled images is not finite"
    some = batch.labels.clone()
    some[::3] = -1
    full, partial = evaluate(method, s, t, batch), evaluate(method, s, t, replace(batch, labels=some))
    known = some >= 0
    for name, value in full.items():
        assert partial[name].isfinite().all(), f"part {name!r} is not finite where some labels are missing"
        if not is_batch_part(cls, name):
            torch.testing.assert_close(
                partial[name][known],
                value[known],
                rtol=1e-4,
                atol=1e-6,
                msg=f"{name}: a missing label moved other rows",
            )
    partner = batch.labels.flip(0)
    ones = torch.ones(len(partner))
    for what, mixed in {
        "lam = 1": replace(batch, partner=partner, lam=ones),
        "equal labels": replace(batch, partner=batch.labels.clone(), lam=ones * 0.3),
    }.items():
        for name, value in evaluate(method, s, t, mixed).items():
            torch.testing.assert_close(
                value,
                full[name],
                rtol=1e-4,
                atol=1e-5,
                msg=lambda m, n=name, w=what: f"mixing with {w}, part {n!r}: {m}",
            )
    half = evaluate(method, s, t, replace(batch, partner=partner, lam=ones * 0.5))
    inert = all(torch.allclose(none[name], value) for name, value in full.items())  # OFA at gamma = 1
    assert inert or any(not torch.allclose(half[name], value) for name, value in full.items()), "mixing changes nothing"


def check_unlabelled_pure(cls: MethodClass) -> None:
    """``pure`` without labels treats all classes alike: renaming the classes changes nothing (no leak of class 0)."""
    if not cls.needs.labels or cls.pure is None or cls.pure_input != "logits":
        return
    if any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in signature(cls.pure).parameters.values()):
        return  # reads more than logits: only its reference knows the inputs
    student, teacher = torch.randn(2, 6, 5, dtype=torch.float64)
    missing, order = torch.full((6,), -1), torch.tensor([3, 0, 4, 1, 2])
    one = cls.pure(student, teacher, missing)
    other = cls.pure(student[:, order], teacher[:, order], missing)
    assert one.isfinite().all(), "pure is not finite without labels"
    torch.testing.assert_close(one, other, msg="pure treats one class specially where there is no label")
