"""Every method on real images: it trains for three seconds, and it can be learnt by a student that is wide enough."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from contract_nets import conv_block
from contract_tools import moments
from torch import Tensor, nn
from training_tools import IMAGES, Pupil, make_lesson, total

from alambic.methods import all_methods
from alambic.methods.seedkd import seedkd_loss
from alambic.models.students import create_student
from alambic.training.objective import Objective
from alambic.training.recipe import Recipe
from alambic.training.task import Task

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # some take a minute, and several on a busy machine

LOSSES = sorted(name for name, cls in all_methods().items() if cls.family != "baseline")
SECONDS, BATCH = 3.0, 64
# Projectors of the authors' size would take minutes, not learn more.
SMALL = {
    "reviewkd": {"width": 64},
    "pat_lite": {"width": 64},
    "semckd": {"hidden": 64, "batch": 64},
    "scalekd_lite": {"coarse": True},
}
LEAST = 24  # steps, however busy the machine: each stage of pre-training gets some


@pytest.mark.parametrize("name", LOSSES)
def test_trains_for_three_seconds(name: str) -> None:
    """Stays finite in fp32, then for a few steps in bf16; student and projectors move."""
    cls = all_methods()[name]
    torch.manual_seed(0)
    lesson = make_lesson()
    pupil = Pupil(cls, create_student("resnet8_w8", 1, 28, lesson.classes), IMAGES, **SMALL.get(name, {}))
    objective = Objective([pupil.method], Task(lesson.classes))
    optimizer = Recipe(lr=0.02).make_optimizer(pupil.student, objective)
    before = [p.detach().clone() for p in pupil.parameters()]
    started, step, extra = time.perf_counter(), 0, 0
    while extra < 3:
        spent = min((time.perf_counter() - started) / SECONDS, step / LEAST)
        half = spent >= 1  # time is up: three steps in bf16 remain
        extra += half
        rows = torch.randperm(IMAGES)[:BATCH]
        precision = torch.bfloat16 if half else torch.float32
        loss = objective(*pupil.read(rows, precision), min(spent, 1.0))
        optimizer.zero_grad()
        loss.backward()
        assert math.isfinite(loss.item()), f"step {step}: {loss.parts}"
        optimizer.step()
        objective.after_step()
        step += 1
    assert all(torch.isfinite(p).all() for p in pupil.parameters())
    now = {id(p): p for p in pupil.parameters()}
    still = {key for (key, p), old in zip(now.items(), before, strict=True) if torch.equal(old, p)}
    lost = [key for key, p in pupil.method.named_parameters() if p.requires_grad and id(p) in still]
    assert not lost, f"{', '.join(lost)} never moved in {step} steps"
    assert all(id(p) not in still for p in pupil.student.stem.parameters())


class WideCNN(nn.Module):
    """A student at least as wide as the teacher's embedding (64), with maps of the size of the teacher's last."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        widths = [16, 32, 48, 64]
        stem = nn.Sequential(conv_block(1, 16, 2), conv_block(16, 16, 2))  # one of stride 4 would miss pixels
        self.blocks = nn.Sequential(stem, *[conv_block(i, o, 1) for i, o in itertools.pairwise(widths)])
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(x).mean((2, 3)))


# The value is a logarithm: it must fall by log 5, in its own weight and base. VID is half a logarithm in each stage.
LOGARITHMS = {"srd": 2.0, "itrd": 2.0 / math.log(2), "vid": 0.5}
PACE = {"reviewkd": 1e-2, "scalekd_lite": 1e-2, "sfkd_lite": 1e-2, "uhkd": 1e-2, "vid": 1e-2}
STEPS, ROWS = 600, torch.arange(64)


def floor_of(pupil: Pupil, progress: float) -> float:
    """The declared floor of the loss on the 64 images; 0 where the value can reach 0 or comes close enough to it.

    A cross-entropy's floor is the teacher's entropy. Where it is large, it is measured: WSLD's on free logits, SEED's
    on free embeddings, once its queue holds nothing but these images.
    """
    method = pupil.method
    s, t, batch = pupil.read(ROWS)
    if method.name == "wsld":
        return lowest(t.need_logits(), lambda free: total(method.loss(replace(s, logits=free), t, batch, progress)))
    if method.name == "seedkd":
        teacher, queue = t.need_embedding(), method.get_buffer("queue")
        for _ in range(len(queue) // len(ROWS)):
            pupil.parts(ROWS, progress)
            method.after_step()
        return lowest(teacher, lambda free: seedkd_loss(free, teacher, queue=queue).mean())
    return 0.0


def lowest(start: Tensor, value_of: Callable[[Tensor], Tensor]) -> float:
    """What a free tensor reaches from a start."""
    free = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([free], 0.1)
    for _ in range(300):
        value = value_of(free)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return float(value.detach())


@pytest.mark.parametrize("name", [name for name in LOSSES if all_methods()[name].family != "control"])
def test_a_wide_student_learns_it_on_64_images(name: str) -> None:
    """In each stage that gives the student a loss, its excess over the floor falls to a fifth; a logarithm by log 5."""
    cls = all_methods()[name]
    torch.manual_seed(0)
    pupil = Pupil(cls, WideCNN(make_lesson().classes), IMAGES, **SMALL.get(name, {}))
    scalars = [p for p in pupil.method.parameters() if p.ndim <= 1]
    others = [p for p in pupil.parameters() if not any(p is scalar for scalar in scalars)]
    pace = PACE.get(name, 3e-3)
    optimizer = torch.optim.Adam(
        [{"params": others}, {"params": scalars, "lr": 10 * pace}] if scalars else others, pace
    )
    for progress in moments(cls):
        parts = pupil.parts(ROWS, progress)
        if not parts or not reaches_student(pupil, total(parts)):
            learn(pupil, optimizer, progress, 60 if parts else 0)  # a stage that only prepares the teacher's side
            continue
        floor = floor_of(pupil, progress)
        first = float(total(pupil.parts(ROWS, progress)).detach()) - floor
        share = LOGARITHMS.get(name, 0.0) * (len(parts) if name == "vid" else 1)
        goal = first - share * math.log(5) if share else first / 5
        last, steps = first, 0
        while last > goal and steps < STEPS:
            last, steps = learn(pupil, optimizer, progress, 5) - floor, steps + 5
        assert last <= goal, f"at progress {progress:.2f} from {first:.4g} to {last:.4g} above the floor {floor:.4g}"


def reaches_student(pupil: Pupil, value: Tensor) -> bool:
    weights = [p for p in pupil.student.parameters() if p.requires_grad]
    return any(g is not None for g in torch.autograd.grad(value, weights, allow_unused=True))


def learn(pupil: Pupil, optimizer: torch.optim.Optimizer, progress: float, steps: int) -> float:
    """Some steps on the 64 images; the value before the last of them."""
    value = torch.zeros(())
    for _ in range(steps):
        value = total(pupil.parts(ROWS, progress))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        pupil.method.after_step()
    return float(value.detach())
