"""The use that each method's page shows, as it stands there; warm-ups, stages and memory banks in a user's own loop."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import alambic
from alambic.errors import AlambicError
from alambic.methods import all_methods, create_method
from alambic.methods.base import Batch, Specs
from alambic.methods.sdd import region_logits
from alambic.models.feature import Feature, Head, Outputs, OutputSpec, StageSpec
from alambic.models.students import create_student

PAGES = Path(__file__).parents[2] / "docs" / "methods"
CLASSES, COUNT, STEPS = 5, 16, 6


def make_scene(name):
    """What a page's lines take as given."""
    torch.manual_seed(0)
    teacher = create_student("resnet8_w8", 1, 16, create_method(name).teacher_classes(CLASSES))
    return {
        "alambic": alambic,
        "torch": torch,
        "student": create_student("dscnn_8x2", 1, 16, CLASSES),
        "teacher": teacher,
        "images": torch.rand(COUNT, 1, 16, 16),
        "other_view": torch.rand(COUNT, 1, 16, 16),
        "labels": torch.arange(COUNT) % CLASSES,
        "ids": torch.arange(COUNT),
        "data": range(COUNT),
        "loader": range(STEPS),
        "epochs": 1,
        "class_means": torch.randn(CLASSES, 32),
    }


def read_use(name):
    """(the lines that make the distiller, the line of a step)."""
    text = re.search(r"## Use\n\n```python\n(.+?)```", (PAGES / f"{name}.md").read_text(), re.DOTALL).group(1)
    return text.rsplit("\n", 2)[0], text.rstrip().rsplit("\n", 1)[1]


@pytest.mark.parametrize("name", sorted(all_methods()))
def test_the_use_that_a_page_shows_distils(name):
    scene = make_scene(name)
    first, step = read_use(name)
    exec(first, scene)
    teaches, before = set(), [p.detach().clone() for p in scene["student"].parameters()]
    for _ in range(STEPS):
        exec(step, scene)
        scene["optimizer"].zero_grad()
        scene["loss"].backward()
        scene["optimizer"].step()
        assert all(torch.isfinite(value) for value in scene["loss"].parts.values())
        teaches |= {part for part, value in scene["loss"].parts.items() if part != "ce" and float(value.detach())}
    assert teaches or name == "none", "the student learnt from labels alone"
    assert any(not torch.equal(b, p) for b, p in zip(before, scene["student"].parameters(), strict=True))


@pytest.mark.parametrize("name", sorted(n for n, c in all_methods().items() if c.warms_up or c.stages))
def test_a_method_that_warms_up_is_told_how_far_the_training_is(name):
    scene = make_scene(name)
    exec(read_use(name)[0].replace(", steps=len(loader) * epochs", ""), scene)
    given = {"ids": scene["ids"]} if all_methods()[name].needs.ids else {}
    with pytest.raises(AlambicError, match=rf"{name} has a warm-up or stages; try Distiller\(..., steps="):
        scene["distiller"](scene["images"], scene["labels"], **given)
    scene["distiller"](scene["images"], scene["labels"], progress=1.0, **given)
    with pytest.raises(AlambicError, match=r"expected progress in \[0, 1\], got 3"):
        scene["distiller"](scene["images"], scene["labels"], progress=3, **given)


@pytest.mark.parametrize("name", sorted(all_methods()))
def test_what_reads_progress_says_so(name):
    cls = all_methods()[name]
    scene = make_scene(name)
    exec(read_use(name)[0], scene)
    given = {"ids": scene["ids"]} if cls.needs.ids else {}
    given |= {"second": scene["other_view"]} if cls.needs.views == 2 else {}

    def parts(progress):
        torch.manual_seed(1)
        with torch.no_grad():
            found = scene["distiller"](scene["images"], scene["labels"], progress=progress, **given).parts
        return {part: pytest.approx(float(value), rel=1e-4) for part, value in found.items()}

    scene["distiller"](scene["images"], scene["labels"], progress=0.0, **given)
    scene["distiller"].after_step()  # so that what follows the training has something to tell
    scene["student"].eval()
    same = parts(0.01) == parts(0.3) == parts(1.0)
    assert same != bool(cls.warms_up or cls.stages)


def test_a_memory_bank_follows_each_step_and_progress_is_counted():
    scene = make_scene("dkd")
    exec(read_use("dkd")[0], scene)
    followed = []
    distiller = scene["distiller"]
    distiller.objective.methods[0].after_step = lambda: followed.append(len(followed))
    sizes = [float(distiller(scene["images"], scene["labels"]).parts["dkd"].detach()) for _ in range(STEPS)]
    assert sizes[0] == 0 < sizes[-1]
    assert len(followed) == STEPS - 1, "each call follows the step of the call before"
    distiller.after_step()
    with torch.no_grad():  # a look at held-out images is no step
        distiller(scene["images"], scene["labels"])
    assert len(followed) == STEPS
    assert distiller._calls == STEPS


def test_steps_below_one_are_refused():
    scene = make_scene("kd")
    with pytest.raises(AlambicError, match=r"steps of at least 1, got 0; try len\(loader\)"):
        alambic.Distiller(scene["student"], scene["teacher"], "kd", example_input=scene["images"], steps=0)


@pytest.mark.parametrize("name", sorted(all_methods()))
def test_a_last_batch_of_one_image_spoils_no_weight(name):
    scene = make_scene(name)
    exec(read_use(name)[0], scene)
    cls, one = all_methods()[name], slice(0, 1)
    given = {"ids": scene["ids"][one]} if cls.needs.ids else {}
    given |= {"second": scene["other_view"][one]} if cls.needs.views == 2 else {}
    scene["distiller"].objective.eval()  # batch norms of projectors refuse one vector, in torch's own words
    scene["distiller"](scene["images"][one], scene["labels"][one], progress=1.0, **given).backward()
    grads = [p.grad for p in scene["distiller"].parameters() if p.grad is not None]
    assert grads or name == "none"
    assert all(torch.isfinite(grad).all() for grad in grads)


def test_ab_takes_a_larger_map_of_relus_as_on_only_where_most_of_it_is():
    fires = torch.zeros(2, 8, 8, 8)
    fires[..., ::2, ::2] = 1.0  # a quarter of each 2 x 2 pixels, which becomes one
    method = create_method("ab")
    spec = OutputSpec(CLASSES, 8, (StageSpec("map", 8, (4, 4), 0, 16, "last"),))
    larger = replace(spec, stages=(replace(spec.stages[0], size=(8, 8)),))
    method.build(Specs(spec, larger, CLASSES), torch.Generator())
    method.connectors[0] = torch.nn.Identity()  # what it is given is what is compared
    quiet = Outputs(torch.zeros(2, CLASSES), stages=(Feature(torch.full((2, 8, 4, 4), -2.0), "map"),))

    def boundary_loss(maps):
        taught = Outputs(torch.zeros(2, CLASSES), stages=(Feature(maps, "map"),))
        return method.loss(quiet, taught, Batch(torch.zeros(2, dtype=torch.long)), progress=0.0)["ab1"]

    assert (boundary_loss(fires) == 0).all()
    assert (boundary_loss(1 - fires) > 0).all()


def test_the_queue_of_seedkd_holds_no_images_own_last_view():
    scene = make_scene("seedkd")
    exec(read_use("seedkd")[0], scene)
    assert len(scene["distiller"].objective.methods[0].queue) == COUNT // 4


def test_a_teacher_of_half_precision_gives_regions_too():
    outputs = Outputs(
        torch.zeros(2, CLASSES),
        stages=(Feature(torch.rand(2, 8, 4, 4), "map"),),
        head=Head(torch.rand(CLASSES, 8).half(), torch.zeros(CLASSES).half()),
    )
    assert region_logits(outputs, (1, 2)).dtype == torch.float32


def make_pair(method="kd", **given):
    torch.manual_seed(0)
    student, teacher = create_student("dscnn_8x2", 1, 16, CLASSES), create_student("resnet8_w8", 1, 16, CLASSES)
    return alambic.Distiller(student, teacher, method, example_input=torch.rand(COUNT, 1, 16, 16), **given)


@pytest.mark.parametrize("name", ["seedkd", "crd", "asd", "coarse_to_fine"])
def test_a_call_without_gradients_leaves_no_trace_in_memory(name):
    """A validation loss between two steps: the bank must hold the training batches, all of them and nothing else."""
    generator, states = torch.Generator().manual_seed(1), []
    batches = [(torch.rand(COUNT, 1, 16, 16, generator=generator), torch.arange(COUNT) % CLASSES) for _ in range(4)]
    for watched in (False, True):
        distiller = make_pair(name, train_size=COUNT, steps=3)
        distiller.student.eval()  # batch statistics of the other call would differ
        for step, (images, labels) in enumerate(batches[:3]):
            torch.manual_seed(step)
            distiller(images, labels, torch.arange(COUNT))
            if watched:
                with torch.no_grad():
                    distiller(*batches[3], torch.arange(COUNT))
                distiller.after_step()  # a second one for the same call does nothing
        distiller.after_step()
        states.append(distiller.objective.state_dict())
    assert states[0].keys() == states[1].keys()
    for key, value in states[0].items():
        assert torch.equal(torch.as_tensor(value), torch.as_tensor(states[1][key])), key


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (torch.arange(COUNT)[:, None] % CLASSES, "labels of shape"),
        (torch.eye(COUNT)[:, :CLASSES], "one-hot"),
        ((torch.arange(COUNT) % CLASSES).int(), "int64"),
        (torch.arange(COUNT), f"labels from 0 to {CLASSES - 1}"),
        (torch.full((COUNT,), -2), "got -2"),
    ],
)
def test_labels_that_are_none_are_refused(labels, said):
    with pytest.raises(AlambicError, match=said):
        make_pair()(torch.rand(COUNT, 1, 16, 16), labels)
    with pytest.raises(AlambicError, match="empty batch"):
        make_pair()(torch.rand(0, 1, 16, 16), labels[:0])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"method": []}, "empty list"),
        ({"method": "kdpp"}, r"class_means=means"),
        ({"method": "kdpp", "class_means": torch.rand(CLASSES, 3)}, "classes x embedding"),
        ({"student_norm": ((0.5, 0.5), (0.2, 0.2)), "example_input": torch.rand(2, 3, 16, 16)}, "norm for 3 channels"),
        ({"student_norm": (0.5, 0.2)}, "mean per channel"),
        ({"example_input": torch.rand(0, 1, 16, 16)}, "of one image"),
        ({"student": torch.compile(create_student("dscnn_8x2", 1, 16, CLASSES))}, "try the plain one"),
    ],
)
def test_arguments_that_cannot_be(given, said):
    student, teacher = create_student("dscnn_8x2", 1, 16, CLASSES), create_student("resnet8_w8", 1, 16, CLASSES)
    given = {"student": student, "teacher": teacher, "example_input": torch.rand(2, 1, 16, 16)} | given
    with pytest.raises(AlambicError, match=said):
        alambic.Distiller(**given)


def test_one_number_is_the_teacher_s_height_and_width():
    assert make_pair(teacher_size=24).teacher_size == (24, 24)


@pytest.mark.parametrize("value", [0.0, -4.0, float("nan")])
def test_a_temperature_that_cannot_be_is_refused(value):
    with pytest.raises(AlambicError, match=r"'kd': expected .*temperature"):
        create_method("kd", temperature=value)
    with pytest.raises(AlambicError, match=r"'dist': expected .*temperature"):
        create_method("dist", temperature=value)


def test_ids_beyond_the_training_images_are_refused():
    distiller = make_pair("crd", train_size=COUNT)
    with pytest.raises(AlambicError, match=f"ids from 0 to {COUNT - 1}, got 1 to {COUNT}"):
        distiller(torch.rand(COUNT, 1, 16, 16), torch.arange(COUNT) % CLASSES, torch.arange(COUNT) + 1)
