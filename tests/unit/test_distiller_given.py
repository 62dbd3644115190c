"""What a user's own loop may give to the ``Distiller``, what it does with the loss, and how it goes on later."""

import copy
import re

import pytest
import torch
from torch import nn

import alambic
from alambic.errors import AlambicError
from alambic.models.students import create_student
from alambic.training import given

CLASSES, COUNT = 5, 8
NORM = ((0.5,), (0.25,))
LABELS = torch.arange(COUNT) % CLASSES


def make_images(channels=1):
    return torch.rand(COUNT, channels, 16, 16, generator=torch.Generator().manual_seed(3))


def make_pair(method="kd", teacher=None, **more):
    torch.manual_seed(0)
    student = create_student("dscnn_8x2", 1, 16, CLASSES)
    teacher = teacher or create_student("resnet8_w8", 1, 16, CLASSES)
    return alambic.Distiller(student, teacher, method, example_input=make_images(), **more)


def spoil(value):
    images = make_images()
    images[2, 0, 3, 3] = value
    return images


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (spoil(float("nan")), "expected images of finite numbers, got NaN"),
        (spoil(float("inf")), "expected images of finite numbers"),
        (
            255 * make_images(),
            r"expected images in \[0, 1\] where a norm is given, got values from .*; try images / 255",
        ),
        ((255 * make_images()).byte(), r"torch.float32 .* got torch.uint8, .*try images.float\(\) / 255"),
        (make_images().half(), "torch.float32 .* got torch.float16, because the networks were tried on that"),
        (make_images().double(), "torch.float32 .* got torch.float64"),
        (make_images(3), r"shape B x 1 x H x W as example_input has, got \(8, 3, 16, 16\)"),
        (make_images()[:, 0], r"got \(8, 16, 16\); try images\[:, None\]"),
        (make_images().numpy(), "as a tensor, got ndarray"),
    ],
)
def test_a_batch_that_is_none_is_refused_in_each_step(images, said):
    distiller = make_pair(student_norm=NORM, teacher_norm=NORM)
    distiller(make_images(), LABELS)
    with pytest.raises(AlambicError, match=said):
        distiller(images, LABELS)


def test_what_a_loader_may_do_is_taken():
    distiller = make_pair(student_norm=NORM)
    noisy = make_images() + 0.1 * torch.randn(COUNT, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.isfinite(distiller(noisy, LABELS).total)
    assert torch.isfinite(make_pair()(255 * make_images(), LABELS).total), "without a norm any scale is the loop's own"
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.isfinite(distiller(make_images().bfloat16(), LABELS).total)


def test_another_view_is_held_against_the_images():
    distiller = make_pair("asd")
    with pytest.raises(AlambicError, match=r"expected second of the images' shape \(8, 1, 16, 16\), got \(8, 1, 12"):
        distiller(make_images(), LABELS, second=make_images()[..., :12, :12])
    with pytest.raises(AlambicError, match=r"expected second of torch\.float32"):
        distiller(make_images(), LABELS, second=make_images().double())
    with pytest.raises(AlambicError, match="got NaN"):
        distiller(make_images(), LABELS, second=spoil(float("nan")))


def test_values_on_an_accelerator_are_read_in_the_first_call_and_each_hundredth(monkeypatch):
    looks = []
    check = given.BatchCheck(torch.empty(2, 1, 4, 4, device="meta"), False, 3, 0)
    monkeypatch.setattr(given.BatchCheck, "_check_pixels", lambda self, images: looks.append("images"))
    monkeypatch.setattr(given.BatchCheck, "_check_numbers", lambda self, *rest: looks.append("labels"))
    images, labels = torch.empty(2, 1, 4, 4, device="meta"), torch.empty(2, dtype=torch.int64, device="meta")
    looked = []
    for call in range(250):
        check(images, labels, None, None)
        looked += [(what, call) for what in looks]
        looks.clear()
    assert looked == [(what, call) for call in (0, 100, 200) for what in ("images", "labels")]


@pytest.mark.parametrize("size", ["64", (64,), (0, 64), 0, True, 2.5, ("64", "64")])
def test_a_teacher_size_that_is_none_is_refused(size):
    with pytest.raises(AlambicError, match=r"teacher_size as \(height, width\) .* got .*; try teacher_size=224"):
        make_pair(teacher_size=size)


@pytest.mark.parametrize("side", ["student", "teacher"])
def test_a_norm_of_other_channels_is_blamed_before_the_network(side):
    said = (
        rf"expected {side}_norm to have one mean and one std for each of the 1 channels .* got 3, because .*; try 1 of"
    )
    with pytest.raises(AlambicError, match=said):
        make_pair(**{f"{side}_norm": ((0.5,) * 3, (0.2,) * 3)})
    colour = create_student("resnet8_w8", 3, 16, CLASSES)
    make_pair(teacher=colour, teacher_norm=((0.5,) * 3, (0.2,) * 3))(make_images(), LABELS)


class Answering(nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.net, self.answer = create_student("resnet8_w8", 1, 16, CLASSES), answer

    def forward(self, images):
        return self.answer(self.net(images))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda y: {"logits": y, "loss": 0}, r"got dict with logits, loss, because .*; try .*net(images)['logits']"),
        (lambda y: (y, y), r"got tuple of 2, because .*; try .*net(images)[0]"),
    ],
)
def test_a_teacher_that_returns_more_than_scores_is_told_what_to_do(answer, said):
    pattern = ".*".join(map(re.escape, said.split(".*")))
    with pytest.raises(AlambicError, match=f"teacher: expected one tensor of class scores, {pattern}"):
        make_pair(teacher=Answering(answer))


def gradients(distiller):
    return [p.grad.clone() for p in distiller.parameters()]


def test_a_loss_does_what_a_scalar_tensor_does():
    whole, halves = make_pair("rsd"), make_pair("rsd")
    for distiller in (whole, halves):
        distiller.student.eval()
    whole(make_images(), LABELS).backward()
    for _ in range(2):
        loss = halves(make_images(), LABELS) / 2
        loss.backward()
    for one, two in zip(gradients(whole), gradients(halves), strict=True):
        torch.testing.assert_close(one, two)
    assert sum(float(part.detach()) for part in (3 * loss).parts.values()) == pytest.approx(3 * loss.item(), rel=1e-5)
    assert float(loss * 2) == pytest.approx(2 * float(loss))
    assert not loss.detach().requires_grad
    assert float(loss.detach()) == loss.item()
    assert f"{loss:.3f}" == f"{loss.item():.3f}"
    assert float((loss + 1.0).detach()) == pytest.approx(loss.item() + 1)
    assert float(sum([loss, loss]).detach()) == pytest.approx(2 * loss.item())
    again = halves(make_images(), LABELS)
    again.backward(retain_graph=True)
    again.total.backward()


@pytest.mark.parametrize("name", ["rsd", "crd", "dkd"])
def test_a_loop_goes_on_where_it_was_saved(name, tmp_path):
    """Three steps, saved and loaded by another process's objects, then two: as five without a break."""

    def start():
        distiller = make_pair(name, train_size=COUNT, steps=5)
        return distiller, torch.optim.SGD(distiller.parameters(), lr=0.1, momentum=0.9)

    def go(distiller, optimizer, steps):
        for step in steps:
            torch.manual_seed(step)
            optimizer.zero_grad()
            distiller(make_images(), LABELS, torch.arange(COUNT)).backward()
            optimizer.step()

    whole, optimizer = start()
    go(whole, optimizer, range(5))
    first, optimizer = start()
    go(first, optimizer, range(3))
    states = {"student": first.student, "optimizer": optimizer, "distiller": first}
    torch.save({key: value.state_dict() for key, value in states.items()}, tmp_path / "state.pt")
    go(first, optimizer, range(3, 5))  # what was saved does not follow
    loaded = torch.load(tmp_path / "state.pt", weights_only=True)
    second, optimizer = start()
    for p in second.objective.parameters():
        nn.init.normal_(p)  # another seed's
    for key, value in {"student": second.student, "optimizer": optimizer, "distiller": second}.items():
        value.load_state_dict(loaded[key])
    go(second, optimizer, range(3, 5))
    for one, two in zip(whole.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, two)
    assert second._calls == 5
    with pytest.raises(AlambicError, match="expected the state of a Distiller of this pair and fitnet, got another"):
        make_pair("fitnet").load_state_dict(loaded["distiller"])
    with pytest.raises(AlambicError, match="expected the state of a Distiller"):
        second.load_state_dict(loaded["student"])


class Strict(nn.Module):
    """A teacher that runs on images of one size and three channels alone, as a ViT does."""

    def __init__(self, side=32):
        super().__init__()
        self.side, self.body = side, create_student("resnet8_w8", 3, side, CLASSES)

    def forward(self, images):
        assert images.shape[1:] == (3, self.side, self.side), f"input {tuple(images.shape[1:])} does not match"
        return self.body(images)


def test_a_teacher_of_another_size_is_told_by_which_argument_it_is_given_its_own():
    with pytest.raises(AlambicError, match=r"(?s)teacher: .*made for \(teacher_size and teacher_norm of a Distiller"):
        make_pair(teacher=Strict())
    assert make_pair(teacher=Strict(), teacher_size=32, teacher_norm=((0.5,) * 3, (0.2,) * 3))


class Flat(nn.Module):
    """A teacher whose linear layer fits one image size."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(16 * 16, CLASSES)

    def forward(self, images):
        return self.head(images.flatten(1))


def test_a_batch_of_another_size_on_which_a_network_fails_is_told_with_the_network():
    distiller = make_pair(teacher=Flat())
    distiller(make_images(), LABELS)
    with pytest.raises(AlambicError, match=r"teacher: expected images of 1 x 16 x 16 as example_input has, got 1 x 24"):
        distiller(torch.rand(COUNT, 1, 24, 24), LABELS)
    assert make_pair()(torch.rand(COUNT, 1, 24, 24), LABELS).item() > 0  # two that run on any size may


def test_a_frozen_student_is_refused():
    student = create_student("dscnn_8x2", 1, 16, CLASSES).requires_grad_(False)
    with pytest.raises(AlambicError, match=r"expected a student with parameters that train.*requires_grad_"):
        alambic.Distiller(student, create_student("resnet8_w8", 1, 16, CLASSES), "kd", example_input=make_images())


def test_a_wrapped_student_is_told_to_be_unwrapped():
    student = nn.DataParallel(Flat())
    teacher = create_student("resnet8_w8", 1, 16, CLASSES)
    with pytest.raises(AlambicError, match=r"student: .*wrapped in DataParallel: try its `.module`"):
        alambic.Distiller(student, teacher, "fitnet", example_input=make_images())
    with pytest.raises(AlambicError, match=r"student: .*`student_stages=\[module names\]` of the Distiller"):
        alambic.Distiller(Flat(), teacher, "fitnet", example_input=make_images())


@pytest.mark.parametrize(("method", "lost"), [("rsd", "input of head"), ("fitnet", "output of stem")])
def test_a_student_compiled_later_is_not_read_in_part(method, lost):
    """torch keeps the graphs of a class and does not look whether hooks came since: those that kd made run none."""
    student, teacher = (create_student(name, 1, 16, CLASSES) for name in ("dscnn_8x2", "resnet8_w8"))
    distiller = alambic.Distiller(student, teacher, method, example_input=make_images())
    student._compiled_call_impl = copy.deepcopy(student).forward  # as compile sets it: no hook of the student runs
    with pytest.raises(AlambicError, match=rf"student: expected to read the {lost}.* a compiled network may run"):
        distiller(make_images(), LABELS)
