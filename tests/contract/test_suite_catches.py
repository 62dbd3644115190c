"""The contract suite itself: a sound toy method passes each check, and each broken one fails the check meant for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import broken_values  # noqa: F401 (registers broken methods)
import broken_wiring  # noqa: F401
import numpy as np
import pytest
from contract_checks import CHECKS
from contract_golden import check_equality, check_facts, check_parts, check_reference
from contract_nets import make_pair
from contract_pairs import try_pair
from contract_toys import BROKEN, Toy, toy_loss
from torch import Tensor, nn

from alambic.errors import AlambicError
from alambic.functional.prob import kl_divergence
from alambic.methods.base import Batch, Method, Paper
from alambic.models.feature import Outputs


@pytest.mark.parametrize("check", CHECKS)
def test_sound_method_passes(check: str) -> None:
    CHECKS[check](Toy)


@pytest.mark.parametrize(("check", "message", "cls"), BROKEN, ids=[cls.__name__ for _, _, cls in BROKEN])
def test_broken_method_is_caught(check: str, message: str, cls: type[Method]) -> None:
    with pytest.raises((AssertionError, RuntimeError, NotImplementedError)) as caught:
        CHECKS[check](cls)
    assert message in str(caught.value)
    if message == "":
        assert "meta" in str(caught.value).lower()


def test_every_check_has_a_broken_method() -> None:
    assert {check for check, _, _ in BROKEN} == set(CHECKS)


@pytest.mark.parametrize(
    ("build", "complaint"),
    [
        (
            lambda self, specs, generator: setattr(self, "layer", nn.Linear(specs.teacher.stages[0].channels, 3)),
            IndexError,
        ),
        (lambda self, specs, generator: (_ for _ in ()).throw(AlambicError("no")), AssertionError),
    ],
    ids=["shape error instead of a refusal", "refusal without a reason"],
)
def test_pair_refused_badly_is_caught(build: Any, complaint: type[Exception]) -> None:
    cls = type("Careless", (Toy,), {"build": build, "__module__": __name__})
    with pytest.raises(complaint):
        try_pair(cls, make_pair("vector", 3, 5))


def reference_of_toy(student: Any, teacher: Any, labels: Any, temperature: float) -> Any:
    def log_softmax(z: Any) -> Any:
        return z - np.log(np.exp(z).sum())

    rows = []
    for b in range(len(student)):
        p, q = log_softmax(teacher[b] / temperature), log_softmax(student[b] / temperature)
        hard = 0.0 if labels[b] < 0 else -log_softmax(student[b])[labels[b]]
        rows.append((np.exp(p) * (p - q)).sum() + hard)
    return np.array(rows)


TOY_REFERENCE: Any = SimpleNamespace(reference=reference_of_toy)


def with_pure(loss: Any, **facts: Any) -> type[Method]:
    return type("Variant", (Toy,), {"pure": staticmethod(loss), "__module__": __name__, "__doc__": "A toy.", **facts})


def test_reference_catches() -> None:
    check_reference(Toy, "toy", TOY_REFERENCE)
    for wrong in (
        lambda student, teacher, labels=None, *, temperature=2.0: toy_loss(student, teacher, labels) / student.shape[1],
        lambda student, teacher, labels=None, *, temperature=2.0: toy_loss(student, teacher, labels).mean(),
        lambda student, teacher, labels=None, *, temperature=2.0: toy_loss(student, teacher, labels, temperature=2.0),
        lambda student, teacher, labels=None, *, temperature=2.0: toy_loss(
            student, teacher, None if labels is None else labels.clamp_min(0), temperature=temperature
        ),
    ):
        with pytest.raises(AssertionError):
            check_reference(with_pure(wrong), "toy", TOY_REFERENCE)
    with pytest.raises(AssertionError, match="has no reference"):
        check_reference(Toy, "no_such_method")


def test_reference_must_not_share_code(tmp_path: Any) -> None:
    (tmp_path / "toy.py").write_text("from alambic.functional.prob import pearson as reference\n")
    from contract_golden import load_reference

    with pytest.raises(AssertionError, match="share no code"):
        load_reference("toy", tmp_path)


def plain_kl(student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, temperature: float = 2.0) -> Tensor:
    return kl_divergence(student, teacher, temperature)


def test_equality_catches() -> None:
    check_equality(with_pure(plain_kl, at_equal=0.0), "toy", TOY_REFERENCE)
    for facts in (
        {"at_equal": 1.0},
        {"at_equal": "none, because "},
        {"at_equal": "some words"},
        {"at_equal": "formula: of entropy"},
        {"at_equal": "formula: of entropy", "pure_at_equal": staticmethod(lambda t, temperature: t.sum(1))},
    ):
        with pytest.raises(AssertionError):
            check_equality(with_pure(plain_kl, **facts), "toy", TOY_REFERENCE)


def test_parts_catch_a_wrong_weight() -> None:
    def parts(factor: float) -> Any:
        def reference_parts(method: Method, s: Outputs, t: Outputs, batch: Batch, progress: float) -> Any:
            found = method.loss(s, t, batch, progress)
            return {name: factor * value.detach().numpy() for name, value in found.items()}

        return SimpleNamespace(reference_parts=reference_parts)

    check_parts(Toy, "toy", parts(1.0))
    with pytest.raises(AssertionError):
        check_parts(Toy, "toy", parts(1.1))


def test_facts_catch() -> None:
    check_facts(Toy, "toy")
    for facts in (
        {"evidence": ""},
        {"evidence": "it works well"},
        {"formula": ""},
        {"paper": Paper("", "Nobody", "nowhere", 2024)},
        {"paper": Paper("A toy", "Nobody", "nowhere", 2024, arxiv="arXiv:1")},
        {"paper": Paper("A toy", "Nobody", "", 2024)},
        {"fidelity": "D"},
        {"family": "other"},
        {"components": (("a term", False),)},
        {"pure": staticmethod(lambda a, b: a)},
    ):
        with pytest.raises(AssertionError):
            check_facts(with_pure(facts.pop("pure", toy_loss), **facts), "toy")
    with pytest.raises(AssertionError, match="_lite"):
        check_facts(Toy, "toy_lite")
