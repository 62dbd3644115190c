"""Losses with a gradient written by hand: equal to what autograd makes of the plain formula, over several blocks."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from alambic.functional import relation
from alambic.methods import pair_order, rkd


def plain_angles(student: Tensor, teacher: Tensor) -> Tensor:
    def cosines(x: Tensor) -> Tensor:
        sides = relation.to_unit(x[None] - x[:, None], 2)
        return sides @ sides.mT

    return F.smooth_l1_loss(cosines(student), cosines(teacher), reduction="none").mean((1, 2))


def plain_pairs(ours: Tensor, theirs: Tensor) -> Tensor:
    s, t = (x[:, None] - x for x in (ours, theirs))
    yes, no = F.logsigmoid(t), F.logsigmoid(-t)
    return (yes.exp() * (yes - F.logsigmoid(s)) + no.exp() * (no - F.logsigmoid(-s))).sum((1, 2))


CASES = {"angles": (rkd.angle_rows, plain_angles), "pairs": (pair_order._PairRows.apply, plain_pairs)}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_the_plain_formula(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    quick, plain = CASES[name]
    for module in (rkd, pair_order):
        monkeypatch.setattr(module, "blocks", lambda rows, values, most=0: relation.blocks(rows, 1, 3))
    torch.manual_seed(0)
    student, teacher = torch.randn(7, 4).double(), torch.randn(7, 4).double()
    student[1], teacher[2] = student[0], teacher[3]  # sides without length
    student.requires_grad_()
    weights = torch.rand(7).double()
    torch.testing.assert_close(quick(student, teacher), plain(student, teacher))
    got, expected = (torch.autograd.grad((f(student, teacher) * weights).sum(), student)[0] for f in (quick, plain))
    torch.testing.assert_close(got, expected)
    apart = torch.randn(7, 4).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: quick(x, teacher), apart)
