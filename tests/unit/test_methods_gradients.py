"""Losses with a gradient written by hand: equal to what autograd makes of the plain formula, over several blocks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

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
        monkeypatch.setattr(module, "blocks", lambda rows, values, most: relation.blocks(rows, 1, 3))
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


class Watch(TorchDispatchMode):
    """Counts what runs, and keeps what gave a tensor on the host."""

    def __init__(self) -> None:
        super().__init__()
        self.count, self.on_host = 0, list[str]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = func(*args, **(kwargs or {}))
        self.count += 1
        if isinstance(given, Tensor) and given.device.type == "cpu":
            self.on_host.append(str(func))
        return given


LOSSES = {"rkd": rkd.rkd_loss, "pair_order": pair_order.pair_order_loss}


@pytest.mark.parametrize("name", LOSSES)
def test_no_value_comes_from_the_host(name: str) -> None:
    """A CUDA graph cannot record it."""
    with FakeTensorMode(), Watch() as watch:
        student = torch.empty(70, 6, device="cuda", requires_grad=True)
        LOSSES[name](student, torch.empty(70, 6, device="cuda"))  # the gradient of rkd's angles is in it
    assert watch.count > 10
    assert watch.on_host == []


@pytest.mark.parametrize("name", LOSSES)
def test_few_kernels_off_the_cpu(name: str) -> None:
    """A block for a CPU's cache would make them thousands: each costs its start. The meta device stands for a GPU."""
    with Watch() as watch:
        student = torch.empty(256, 100, device="meta", requires_grad=True)
        LOSSES[name](student, torch.empty(256, 100, device="meta")).sum().backward()
    assert 50 < watch.count < 400


HALF, BRAIN, SINGLE, DOUBLE = torch.float16, torch.bfloat16, torch.float32, torch.float64


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    ("ours", "theirs", "given"),
    [
        (HALF, HALF, SINGLE),
        (BRAIN, BRAIN, SINGLE),
        (BRAIN, SINGLE, SINGLE),
        (SINGLE, HALF, SINGLE),
        (HALF, BRAIN, SINGLE),
        (SINGLE, DOUBLE, DOUBLE),
        (DOUBLE, HALF, DOUBLE),
    ],
    ids=str,
)
def test_narrow_and_mixed_types_are_computed_in_the_wider(
    name: str, ours: torch.dtype, theirs: torch.dtype, given: torch.dtype
) -> None:
    torch.manual_seed(0)
    student, teacher = (20 * torch.randn(80, 5)).to(ours), (20 * torch.randn(80, 5)).to(theirs)
    student.requires_grad_()
    value = LOSSES[name](student, teacher)
    assert value.dtype == given
    torch.testing.assert_close(value, LOSSES[name](student.to(given), teacher.to(given)))
    value.mean().backward()
    assert student.grad is not None
    assert student.grad.dtype == ours
    assert student.grad.isfinite().all()
