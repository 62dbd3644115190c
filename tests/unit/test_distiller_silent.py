"""What would train in silence on nonsense, or leave a pair other than it was: it is refused, warned of or kept out."""

import copy
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import alambic
from alambic.data import ViewSpec, from_arrays
from alambic.errors import AlambicError
from alambic.methods import create_method
from alambic.methods.base import Specs
from alambic.models.students import create_student
from alambic.models.teacher import TeacherSpec
from alambic.training.recipe import Recipe, drawing, stream
from alambic.training.setup import probe
from alambic.training.task import Task
from alambic.training.teach import TeacherTraining, train_teacher

CLASSES, COUNT = 5, 8
LABELS = torch.arange(COUNT) % CLASSES
IMAGES = torch.rand(COUNT, 1, 16, 16, generator=torch.Generator().manual_seed(3))


def make_student():
    torch.manual_seed(0)
    return create_student("dscnn_8x2", 1, 16, CLASSES)


def make_teacher():
    torch.manual_seed(1)
    return create_student("resnet8_w8", 1, 16, CLASSES)


def make(method="kd", student=None, teacher=None, images=IMAGES, **more):
    student, teacher = student or make_student(), teacher or make_teacher()
    return alambic.Distiller(student, teacher, method, example_input=images, **more)


class Around(nn.Module):
    """A network that holds another; counts the images that it sees, and runs out of memory when told."""

    def __init__(self, net, last=None):
        super().__init__()
        self.net, self.last, self.seen, self.full = net, last or nn.Identity(), [], False

    def forward(self, images):
        if self.full:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")
        self.seen.append(len(images))
        return self.last(self.net(images))


def alias(net):
    """A copy whose tensors are others, in the memory of the first."""
    other = copy.deepcopy(net)
    other.load_state_dict(net.state_dict(), assign=True)
    return other


@pytest.mark.parametrize("share", [Around, alias])
def test_a_teacher_with_weights_of_the_student_is_refused(share):
    student = make_student()
    with pytest.raises(AlambicError, match=r"expected networks with weights of their own, got .*; try copy.deepcopy"):
        make(student=student, teacher=share(student))
    assert all(p.requires_grad for p in student.parameters())
    assert make(student=student, teacher=copy.deepcopy(student))


def test_a_pair_that_is_refused_leaves_the_teacher_as_it_was():
    teacher = create_student("resnet8_w8", 1, 16, CLASSES + 1).train()
    with pytest.raises(AlambicError, match="compares logits"):
        make(teacher=teacher)
    assert teacher.training
    assert all(p.requires_grad for p in teacher.parameters())
    made = make("rsd", teacher=teacher)
    assert not made.teacher.training
    assert not any(p.requires_grad for p in teacher.parameters())


def test_a_method_that_borrows_the_teacher_s_classifier_says_so_and_predicts_with_it():
    with pytest.warns(UserWarning, match=r"'simkd' trains no classifier of the student.*distiller.predict\(images\)"):
        distiller = make("simkd")
    before = [p.clone() for p in distiller.student.head.parameters()]
    optimizer = torch.optim.Adam(distiller.parameters(), lr=0.01)
    for _ in range(60):
        loss = distiller(IMAGES, LABELS)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(before, distiller.student.head.parameters(), strict=True))
    distiller.student.train()
    statistics = [b.clone() for b in distiller.objective.buffers()]
    scores = distiller.predict(IMAGES)
    with torch.no_grad():
        teacher = distiller.teacher(IMAGES)
        assert (scores - teacher).abs().mean() < (distiller.student.eval()(IMAGES) - teacher).abs().mean()
    assert scores.shape == (COUNT, CLASSES)
    assert not scores.requires_grad
    assert all(torch.equal(a, b) for a, b in zip(statistics, distiller.objective.buffers(), strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make("simkd", ce_weight=1.0)
        plain = make("rsd")
    plain.student.eval()
    torch.testing.assert_close(plain.predict(IMAGES), plain.student(IMAGES).detach())


def test_a_teacher_is_not_trained_without_its_classifier(tmp_path):
    pixels = np.zeros((40, 16, 16, 1), dtype=np.uint8)
    source = from_arrays(pixels, [0, 1] * 20)
    training = TeacherTraining(Recipe(epochs=1), ViewSpec(), "simkd")
    with pytest.raises(AlambicError, match="'small': expected a method that trains its classifier, got 'simkd'"):
        train_teacher("small", TeacherSpec("zoo:dscnn_8x2"), training, source, Task(2), tmp_path / "small.safetensors")


def test_two_images_of_the_example_are_run():
    student, teacher = Around(make_student()), Around(make_teacher())
    make("fitnet", student, teacher)
    assert set(student.seen) == set(teacher.seen) == {2}
    alone = Around(make_student())
    make("fitnet", alone, images=IMAGES[:1])
    assert set(alone.seen) == {2}


def test_an_accelerator_out_of_memory_says_so_itself():
    teacher = Around(make_teacher())
    distiller = make(teacher=teacher)
    teacher.full = True
    for fail in (lambda: make(teacher=teacher), lambda: distiller(torch.rand(COUNT, 1, 24, 24), LABELS)):
        with pytest.raises(torch.OutOfMemoryError, match="20 GiB"):
            fail()


@pytest.mark.parametrize("side", ["student", "teacher"])
def test_probabilities_are_not_taken_for_scores(side):
    soft = Around(make_student(), nn.Softmax(1))
    with pytest.raises(AlambicError, match=f"{side}: expected scores before softmax, got probabilities"):
        make(**{side: soft})


class Dropping(nn.Module):
    """Skips its second block when told, as LayerDrop does."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU())
        self.body = nn.ModuleList(nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU()) for _ in range(3))
        self.head, self.skips = nn.Linear(8, CLASSES), False

    def forward(self, images):
        x = self.stem(images)
        for i, block in enumerate(self.body):
            x = x if self.skips and i == 1 else block(x)
        return self.head(x.mean((2, 3)))


def test_a_stage_that_is_skipped_later_shifts_no_pairing():
    distiller = make("at", student=Dropping())
    distiller(IMAGES, LABELS)
    distiller.student.skips = True
    with pytest.raises(AlambicError, match=r"expected to read the output of body.1.*LayerDrop.*student_stages"):
        distiller(IMAGES, LABELS)
    distiller.student.skips = False
    distiller.student.body[1]._compiled_call_impl = copy.deepcopy(distiller.student.body[1]).forward
    with pytest.raises(AlambicError, match=r"student: expected to read the output of body.1.*with a compiled part"):
        distiller(IMAGES, LABELS)


@pytest.mark.parametrize("name", ["rsd", "crd", "ofa", "reviewkd"])
def test_building_draws_the_same_weights_and_seeds_no_accelerator(name, monkeypatch):
    seeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    make_student(), make_teacher()
    seeded.clear()
    student, teacher = create_student("dscnn_8x2", 1, 16, CLASSES), create_student("resnet8_w8", 1, 16, CLASSES)
    state = torch.get_rng_state()
    made = alambic.Distiller(student, teacher, name, example_input=IMAGES, train_size=COUNT)
    assert seeded == []
    assert torch.equal(torch.get_rng_state(), state)
    method, generator = create_method(name), stream(0, "method")
    torch.manual_seed(int(torch.randint(2**62, (1,), generator=generator)))  # as committed results were drawn
    assert seeded
    specs = specs_of(made)
    method.build(specs, generator)
    drawn = made.objective.methods[0].state_dict()
    assert drawn.keys() == method.state_dict().keys()
    assert drawn
    assert all(torch.equal(value, drawn[key]) for key, value in method.state_dict().items())


def specs_of(distiller):
    """The shapes from which a Distiller built its method, read once more."""
    sides = (probe(net, IMAGES[:2], "net") for net in (distiller.student, distiller.teacher))
    return Specs(*sides, CLASSES, COUNT, COUNT)


def test_draws_at_a_seed_are_those_of_manual_seed():
    seed = 2**62 + 5
    torch.manual_seed(seed)
    expected = torch.randn(7)
    torch.manual_seed(4)
    with drawing(seed):
        assert torch.equal(torch.randn(7), expected)
    following = torch.randn(3)
    torch.manual_seed(4)
    assert torch.equal(torch.randn(3), following)


def test_another_type_than_the_images_is_named():
    with pytest.raises(AlambicError, match=r"weights are torch.float64, the images torch.float32: try .to\(dtype\)"):
        make(teacher=make_teacher().double())
    with pytest.raises(AlambicError, match=r"its weights lie on meta, the images on cpu: try .to\(device\)"):
        make(teacher=Refusing().to("meta"))


class Refusing(nn.Module):
    """Fails as a GPU's layers do on images of the host."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(256, CLASSES)

    def forward(self, images):
        raise RuntimeError("Expected all tensors to be on the same device")


def loop(distiller, parameters, steps=25, fused=False):
    optimizer = torch.optim.SGD(parameters, lr=0.01, fused=fused)
    for _ in range(steps):
        loss = distiller(IMAGES, LABELS)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize("fused", [False, True])
def test_projectors_that_the_optimiser_does_not_train_are_told_once(fused):
    distiller = make("rsd")
    with pytest.warns(UserWarning, match="expected an optimiser that trains") as told:
        loop(distiller, distiller.student.parameters(), 65, fused)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = make("rsd")
        loop(whole, whole.parameters(), fused=fused)
        apart = make("rsd")
        other = torch.optim.SGD(apart.objective.parameters(), lr=0.01, fused=True)
        for _ in range(25):  # two optimisers
            other.zero_grad()
            loop(apart, apart.student.parameters(), 1)
            other.step()
        logits = make("kd")
        loop(logits, logits.student.parameters())
        unmoved = make("rsd")
        for _ in range(25):  # no step yet: many batches for one
            unmoved(IMAGES, LABELS).backward()


def test_a_method_belongs_to_one_distiller():
    method = create_method("rsd")
    same = make_student()
    with pytest.raises(AlambicError, match="expected networks with weights"):
        make(method, student=same, teacher=Around(same))
    make(method)
    with pytest.raises(AlambicError, match=r"method 'rsd': expected one of its own for each Distiller.*deepcopy"):
        make(method)
    make(copy.deepcopy(method))


def test_a_loss_is_negated_and_subtracted_from():
    loss = make("rsd")(IMAGES, LABELS)
    assert (-loss).item() == -loss.item()
    assert (-loss).parts["ce"].item() == -loss.parts["ce"].item()
    assert float((loss - 1.0).detach()) == pytest.approx(loss.item() - 1)
    assert float((1.0 - loss).detach()) == pytest.approx(1 - loss.item())
    assert float((loss - loss).detach()) == 0


@pytest.mark.parametrize("make_side", [torch.tensor, np.array, list, lambda side: torch.tensor(side).view(1, -1, 1, 1)])
def test_statistics_may_be_tensors_or_arrays(make_side):
    norm = make_side([0.5]), make_side([0.25])
    found, expected = make(student_norm=norm), make(student_norm=((0.5,), (0.25,)))
    assert found(IMAGES, LABELS).item() == expected(IMAGES, LABELS).item()
    with pytest.raises(AlambicError, match="expected a norm as"):
        make(student_norm=(0.5, 0.25))


@pytest.mark.parametrize("name", ["rsd", "reviewkd", "kdpp"])
def test_one_image_and_a_normalised_projector_are_told_to_drop_the_last_batch(name):
    distiller = make(name, steps=5, class_means=torch.rand(CLASSES, 32) if name == "kdpp" else None)
    with pytest.raises(AlambicError, match=rf"at least two images in training, got one, .* {name} .*drop_last=True"):
        distiller(IMAGES[:1], LABELS[:1], progress=1.0)
