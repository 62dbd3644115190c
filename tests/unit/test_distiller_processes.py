"""One training of two processes in a user's own loop: student and projectors stay equal, or the user is told."""

import warnings

import pytest
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

import alambic
from alambic.errors import AlambicError
from alambic.training.together import gather, joined
from process_tools import start_two

CLASSES, COUNT = 5, 6


class Net(nn.Module):
    def __init__(self, width=8, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        first = nn.Sequential(nn.Conv2d(1, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU())
        second = nn.Sequential(nn.Conv2d(width, 2 * width, 3, 2, 1), nn.BatchNorm2d(2 * width), nn.ReLU())
        self.body, self.head = nn.Sequential(first, second), nn.Linear(2 * width, CLASSES)

    def forward(self, images):
        return self.head(self.body(images).mean((2, 3)))


def make_batch(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(COUNT, 1, 16, 16, generator=generator), torch.randint(CLASSES, (COUNT,), generator=generator)


def make(method, number, student=None, **more):
    return alambic.Distiller(student or Net(), Net(12, 1), method, example_input=make_batch(number)[0], **more)


def train(distiller, number, average, steps=4):
    optimizer = torch.optim.SGD(distiller.parameters(), lr=0.05)
    for step in range(steps):
        loss = distiller(*make_batch(10 * step + number))
        optimizer.zero_grad()
        loss.backward()
        if average:
            distiller.average_gradients()
        optimizer.step()


def values(parameters):
    return torch.cat([p.detach().flatten() for p in parameters]).tolist()


def work(number, results):
    with joined():
        told = {}
        for method in ("kd", "rsd", "fitnet"):
            for wrapped in (False, True):
                student = DistributedDataParallel(Net()) if wrapped else Net()
                distiller = make(method, number, student)
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    train(distiller, number, average=True)
                told[method, wrapped] = values(distiller.parameters())
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            train(make("kd", number), number, average=False, steps=25)
            train(make("rsd", number, DistributedDataParallel(Net())), number, average=False, steps=25)
            train(make("kd", number, DistributedDataParallel(Net())), number, average=False, steps=25)
        told["said"] = [str(warning.message) for warning in said]
        told["refused"] = []
        for fails in (refuse_memory, refuse_start):
            try:
                fails(number)
            except AlambicError as error:
                told["refused"].append(str(error))
        results.put(gather(told)) if number == 0 else gather(told)
        distributed.barrier()


def refuse_memory(number):
    make("crd", number, DistributedDataParallel(Net()), train_size=COUNT)


def refuse_start(number):
    train(make("kd", number, Net(seed=number)), number, average=True)


@pytest.fixture(scope="module")
def both():
    context = torch.multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = start_two(work, results)
    try:
        return results.get(timeout=120)
    finally:
        for process in processes:
            process.join(20)
            process.kill()


@pytest.mark.parametrize("method", ["kd", "rsd", "fitnet"])
def test_student_and_projectors_are_the_same_in_each_process(both, method):
    one, two = both
    for wrapped in (False, True):
        assert one[method, wrapped] == two[method, wrapped]
    # DDP shares running numbers, which no step in training mode reads: the weights are those of the plain student
    assert one[method, True] == pytest.approx(one[method, False], rel=1e-3, abs=1e-5)


def test_gradients_are_the_mean_of_both(both):
    distiller = make("rsd", 0)
    optimizer = torch.optim.SGD(distiller.parameters(), lr=0.05)
    for step in range(4):
        optimizer.zero_grad()
        for number in range(2):
            (distiller(*make_batch(10 * step + number)) / 2).backward()
        optimizer.step()
    assert values(distiller.parameters()) == pytest.approx(both[0]["rsd", False], rel=1e-3, abs=1e-5)


def test_processes_that_train_apart_are_told(both):
    for told in both:
        plain, projectors = told["said"]
        assert "expected gradients that 2 processes average, got the student's from each" in plain
        assert "got the projectors' from each process alone" in projectors
        assert "distiller.average_gradients() between loss.backward() and optimizer.step()" in plain


def test_what_several_processes_cannot_train_is_refused(both):
    for told in both:
        memory, start = told["refused"]
        assert "method 'crd' expected one process, got 2 that train one student, because its memory" in memory
        assert "expected 2 processes that start from the same weights" in start


def test_one_process_averages_nothing():
    distiller = make("rsd", 0)
    distiller(*make_batch(0)).backward()
    before = [p.grad.clone() for p in distiller.parameters()]
    distiller.average_gradients()
    assert all(torch.equal(a, p.grad) for a, p in zip(before, distiller.parameters(), strict=True))
