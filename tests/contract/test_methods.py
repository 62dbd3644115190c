"""The contract of every method of the library: runs by itself over each file of ``alambic/methods``.

``pytest tests/contract -k kd`` runs one method. The checks are in ``contract_checks.py`` and ``contract_golden.py``.
"""

from __future__ import annotations

import copy

import pytest
import torch
from contract_checks import CHECKS
from contract_golden import check_equality, check_facts, check_parts, check_reference
from contract_nets import FORMS, map_batch, map_outputs, needed
from contract_pairs import try_pair
from contract_tools import built, evaluate, pair_for, suitable_pair

from alambic.methods import all_methods, create_method

NAMES = sorted(all_methods())


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", NAMES)
def test_contract(name: str, check: str) -> None:
    cls = all_methods()[name]
    if cls.family == "baseline" and check in ("student_gradient", "class_counts"):
        pytest.skip("has no loss")
    CHECKS[check](cls)


@pytest.mark.parametrize("name", NAMES)
def test_reference(name: str) -> None:
    check_reference(all_methods()[name], name)


@pytest.mark.parametrize("name", NAMES)
def test_equality(name: str) -> None:
    check_equality(all_methods()[name], name)


@pytest.mark.parametrize("name", NAMES)
def test_parts(name: str) -> None:
    check_parts(all_methods()[name], name)


@pytest.mark.parametrize("name", NAMES)
def test_facts(name: str) -> None:
    check_facts(all_methods()[name], name)
    assert create_method(name).name == name


@pytest.mark.parametrize("name", NAMES)
def test_matrix(name: str) -> None:
    """Teacher forms x students of 1 and 3 channels x 2 and 100 classes: works, or says why at construction."""
    cls = all_methods()[name]
    verdicts = [
        try_pair(cls, pair_for(cls, form, channels, classes))
        for form in FORMS
        for channels in (1, 3)
        for classes in (2, 100)
    ]
    refused = [verdict for verdict in verdicts if verdict.reason]
    assert len(refused) < len(verdicts), f"refuses every pair, first: {refused[0]}"
    if cls.needs.teacher <= {"logits"} and cls.needs.student <= {"logits", "embedding", "stages", "energy", "head"}:
        many = [verdict for verdict in refused if "100 classes" in verdict.pair]
        assert not many, f"reads at most the teacher's logits but refuses {many[0]}"


@pytest.mark.cuda
@pytest.mark.parametrize("name", NAMES)
def test_cuda(name: str) -> None:
    """A CUDA device gives the CPU's values."""
    cls = all_methods()[name]
    pair = suitable_pair(cls)
    method = built(cls, pair)
    s, t, batch = needed(pair, method)
    if cls.stochastic:
        pytest.skip("draws from the device's own generator")

    def move(x: torch.Tensor) -> torch.Tensor:
        return x.cuda()

    expected = evaluate(method, s, t, batch)
    moved = copy.deepcopy(method).cuda()
    got = evaluate(moved, map_outputs(s, move), map_outputs(t, move), map_batch(batch, move))
    for part, value in expected.items():
        torch.testing.assert_close(got[part].cpu(), value, rtol=2e-3, atol=1e-4)
