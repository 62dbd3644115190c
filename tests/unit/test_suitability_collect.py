"""Altered images against loops; what is collected of real networks at their own size, on held-out images only."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from alambic.data import DataSpec, Photometry, Sensor, ViewSpec, from_arrays, render
from alambic.errors import AlambicError, Skip
from alambic.models.students import create_student
from alambic.models.taps import Tapped
from alambic.models.teacher import TeacherSpec
from alambic.models.teachers import load_teacher
from alambic.suitability import Evidence, create_estimator
from alambic.suitability.collect import (
    PASSES,
    augmenting,
    choose_holdout,
    collect_student,
    collect_teacher,
    guess_student_family,
    tell_provenance,
)
from alambic.suitability.inputs import (
    CUTOFFS,
    LSB,
    add_noise,
    band_energy,
    cut_windows,
    low_pass,
    measure_window,
    shuffle_tiles,
)
from alambic.suitability.onlooker import Onlooker
from alambic.suitability.pilot import compare_trials, run_trial, short_recipe
from alambic.suitability.sketch import sketch_gradients
from alambic.training.recipe import Recipe, stream
from alambic.training.task import Task


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


# -- altered images --------------------------------------------------------------------------------------------------


def test_noise_is_uniform_and_not_clipped():
    black = torch.zeros(20, 1, 16, 16)
    noisy = add_noise(black, 2 * LSB, generator())
    assert float(noisy.min()) < -1.9 * LSB
    assert 1.9 * LSB < float(noisy.max()) <= 2 * LSB
    assert float(noisy.std()) == pytest.approx(2 * LSB / math.sqrt(3), rel=0.03)


def wave(down, across, size=16):
    """A cosine of ``down`` and ``across`` periods over the image."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return torch.cos(2 * math.pi * (down * y + across * x) / size)[None, None]


@pytest.mark.parametrize(("down", "across"), [(0, 3), (3, 0), (2, 5), (7, 7), (8, 0)])
def test_low_pass_keeps_what_is_below_the_cutoff_alone(down, across):
    share = math.hypot(down, across) / math.hypot(8, 8)
    image = 0.5 + wave(down, across)
    torch.testing.assert_close(low_pass(image, share + 0.01), image, atol=1e-5, rtol=0)
    torch.testing.assert_close(low_pass(image, share - 0.01), torch.full_like(image, 0.5), atol=1e-5, rtol=0)
    assert low_pass(image, 1) is image


def test_band_energy_against_a_loop_over_all_frequencies():
    maps = torch.randn(2, 3, 22, 20, generator=generator())
    expected = np.zeros((2, 5))
    for b in range(2):
        for c in range(3):
            power = np.abs(np.fft.fft2(maps[b, c].double().numpy())) ** 2
            for i in range(22):
                for j in range(20):
                    cycles = 20 * math.hypot(np.fft.fftfreq(22)[i], np.fft.fftfreq(20)[j])  # of the shorter side
                    if i or j:
                        expected[b, sum(cycles > end + 1e-9 for end in (1, 2, 4, 8))] += power[i, j] / 3
    np.testing.assert_allclose(band_energy(maps).numpy(), expected, rtol=1e-4)
    assert band_energy(torch.zeros(2, 3, 3, 8)) is None


@pytest.mark.parametrize(("periods", "band"), [(1, 0), (2, 1), (3, 2), (4, 2), (6, 3)])
def test_one_pattern_is_in_one_band_whatever_the_resolution_of_the_map(periods, band):
    for size in (14, 16, 24, 48):
        energy = band_energy(wave(periods, 0, size))[0]
        assert float(energy[band] / energy.sum()) == pytest.approx(1), size


def test_shuffle_moves_whole_tiles_and_leaves_the_rest():
    images = torch.arange(2 * 1 * 9 * 8).float().view(2, 1, 9, 8)
    moved = shuffle_tiles(images, generator())
    assert torch.equal(moved[:, :, 8], images[:, :, 8])  # the ninth row is no tile

    def tiles(picture):
        return sorted(
            tuple(picture[0, y : y + 2, x : x + 2].flatten().tolist()) for y in (0, 2, 4, 6) for x in (0, 2, 4, 6)
        )

    for before, after in zip(images, moved, strict=True):
        assert tiles(before) == tiles(after)
        assert not torch.equal(before, after)
    assert not torch.equal(moved[0] - images[0], moved[1] - images[1])  # each image has its own order


def test_windows_are_the_corners_and_the_middle():
    images = torch.rand(1, 1, 8, 8, generator=generator())
    windows = cut_windows(images, 4)
    assert [tuple(w.shape) for w in windows] == [(1, 1, 8, 8)] * 5
    expected = nn.functional.interpolate(images[:, :, 2:6, 2:6], size=(8, 8), mode="bilinear", align_corners=False)
    torch.testing.assert_close(windows[4], expected)
    assert torch.equal(cut_windows(images, 8)[0], images)
    with pytest.raises(AlambicError, match="between 1 and 8"):
        cut_windows(images, 9)


def convolutions(count):
    layers = [nn.Conv2d(1, 4, 3, padding=1), nn.ReLU()]
    for _ in range(count - 1):
        layers += [nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


def test_window_of_one_convolution_is_its_kernel_and_more_of_them_see_further():
    images = torch.randn(16, 1, 17, 17, generator=generator())
    sides = []
    for count in (1, 2, 6):
        torch.manual_seed(0)
        net = convolutions(count)
        with torch.no_grad():
            for module in net.modules():
                if isinstance(module, nn.Conv2d):
                    module.weight.fill_(0.1)  # an even kernel: 95 % of it needs all of it
        sides.append(measure_window(Tapped(net.eval(), images[:2], {"stages"}), images))
    assert sides[0] == 3
    assert sides[0] < sides[1] <= 5 < sides[2] <= 13


# -- gradients -------------------------------------------------------------------------------------------------------


def naive_kernel(net, images, signs):
    """(1/R) sum_r (r J_i) . (r J_j) with J one row of the Jacobian at a time."""
    rows = []
    for image in images:
        jacobian = []
        for index in range(signs.shape[1]):
            net.zero_grad()
            net(image[None])[0, index].backward()
            jacobian.append(torch.cat([p.grad.flatten() for p in net.parameters()]).double())
        rows.append(signs.double() @ torch.stack(jacobian))
    kernel = torch.zeros(len(images), len(images), dtype=torch.float64)
    for i, a in enumerate(rows):
        for j, b in enumerate(rows):
            kernel[i, j] = (a * b).sum() / len(signs)
    return kernel


def test_gradients_give_the_tangent_kernel():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3))
    images = torch.randn(5, 1, 4, 4)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    sketch = sketch_gradients(net, images, directions=40)
    assert net.training  # its mode is restored, and its statistics are untouched
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    net.eval()
    exact = naive_kernel(net, images, _centred_signs(40, 3, sum(p.numel() for p in net.parameters())))
    torch.testing.assert_close((sketch @ sketch.T).double(), exact, rtol=1e-3, atol=1e-4)


def _centred_signs(directions, classes, count):
    draw = stream(0, "sketch")
    torch.randint(2, (count,), generator=draw)
    signs = torch.randint(2, (directions, classes), generator=draw).float() * 2 - 1
    return signs - signs.mean(1, keepdim=True)


def test_a_narrow_sketch_keeps_inner_products_about():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 60), nn.Tanh(), nn.Linear(60, 4))
    images = torch.randn(6, 1, 8, 8)
    whole = sketch_gradients(net, images, width=10_000)
    narrow = sketch_gradients(net, images, width=1024)
    assert whole.shape[1] == 4 * sum(p.numel() for p in net.parameters())
    assert narrow.shape == (6, 4 * 1024)
    exact, found = whole @ whole.T, narrow @ narrow.T
    assert float((exact - found).norm() / exact.norm()) < 0.1


# -- real networks ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def source():
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 2, 500)
    images = draw.integers(0, 60, (500, 1, 16, 16)).astype(np.uint8)
    images[labels == 1, :, ::2] += 120  # stripes
    return from_arrays(images, labels, spec=DataSpec("arrays", tune=0.3, test=0.2))


VIEWS = ViewSpec(flip=True, shift=1)
RECIPE = Recipe(epochs=40, batch=16, lr=0.1)


@pytest.fixture(scope="module")
def student(source):
    torch.manual_seed(0)
    net = create_student("dscnn_8x2", 1, 16, 2)
    ids = choose_holdout(source, 60)
    return collect_student("dscnn_8x2", net, source, VIEWS, RECIPE, Task(2), source.splits["train"], ids, epochs=6)


def load(source, **spec):
    torch.manual_seed(1)
    spec = TeacherSpec("zoo:resnet8_w4", **spec)
    return load_teacher("t", spec, 2, 1, source.size, source.mean, source.std)


def test_holdout_is_of_the_tune_split(source):
    ids = choose_holdout(source, 50)
    assert len(ids) == 50
    assert set(ids.tolist()) <= set(source.splits["tune"].tolist())
    assert torch.equal(ids, choose_holdout(source, 50))
    assert len(choose_holdout(source, 5000)) == len(source.splits["tune"])
    unlabelled = dataclasses.replace(source, labels=torch.full_like(source.labels, -1))
    with pytest.raises(AlambicError, match="tune split, got 0"):
        choose_holdout(unlabelled)


def test_teacher_is_read_at_its_own_size_and_left_as_it_was(source):
    teacher = load(source, size=(20, 20), mean=(0.4,), std=(0.2,))
    before = {key: value.clone() for key, value in teacher.net.state_dict().items()}
    ids = choose_holdout(source, 30)
    found = collect_teacher(teacher, source, VIEWS, ids, 2, windows=(9, 5))
    pixels = source.images[ids].float() / 255
    bigger = nn.functional.interpolate(pixels, (20, 20), mode="bilinear", align_corners=False)
    with torch.no_grad():
        expected = teacher.net((bigger - 0.4) / 0.2)
    torch.testing.assert_close(found.logits, expected, rtol=1e-4, atol=1e-5)
    assert set(found.altered) == {*PASSES, "crops 5", "crops 9"} - {"crops"}
    assert [len(found.altered[name]) for name in ("noise", "crops 5", "low")] == [2, 5, 8]
    assert torch.equal(found.altered["low"][-1], found.logits)
    assert torch.equal(found.altered["small"][0], found.logits)  # the student sees the images' own resolution
    assert all(torch.equal(before[key], value) for key, value in teacher.net.state_dict().items())
    assert all(p.grad is None and not p.requires_grad for p in teacher.net.parameters())


def test_no_image_of_the_test_split_is_read(source, student):
    poisoned = source.images.clone()
    poisoned[source.splits["test"]] = 255
    other = dataclasses.replace(source, images=poisoned)
    ids = choose_holdout(source, 40)
    first, second = (
        collect_teacher(load(source), given, VIEWS, ids, 2, windows=(student.window,)) for given in (source, other)
    )
    assert torch.equal(first.logits, second.logits)
    for name, logits in first.altered.items():
        assert all(torch.equal(a, b) for a, b in zip(logits, second.altered[name], strict=True)), name


def test_augmented_is_the_study_s_own_view(source):
    teacher, ids = load(source), choose_holdout(source, 30)
    found = collect_teacher(teacher, source, VIEWS, ids, 2, passes=("augmented",)).altered["augmented"][0]
    pixels = render(source.images, ids, torch.zeros_like(ids), VIEWS, "teacher")
    with torch.no_grad():
        expected = teacher.net((pixels - source.mean[0]) / source.std[0])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert augmenting(ViewSpec(), (16, 16)).shift == 2
    assert augmenting(ViewSpec(flip=True, mix="mixup"), (16, 16)).mix == "none"


def test_a_low_resolution_sensor_of_the_student_blurs_the_small_pass_alone(source):
    views = ViewSpec(student=Photometry(sensor=Sensor(down=2)))
    found = collect_teacher(load(source), source, views, choose_holdout(source, 30), 2, passes=("small",), windows=())
    assert not torch.allclose(found.altered["small"][0], found.logits)


def test_both_sides_see_scenes_low_passed_at_the_same_frequencies(source):
    """A pattern that the student's small image has well inside its own range is passed or stopped as it is for the
    teacher; the noise of the sensor stays."""
    pattern = ((0.5 + 0.4 * wave(0, 3)) * 255).round().to(torch.uint8).expand(4, 1, 16, 16)
    given = dataclasses.replace(source, images=pattern.contiguous())
    views = ViewSpec(student=Photometry(sensor=Sensor(down=2, shot=0.001, read=0.001)))
    ids, share = torch.arange(4), math.hypot(0, 3) / math.hypot(8, 8)
    net = Tapped(create_student("dscnn_8x2", 1, 8, 2).eval(), torch.zeros(2, 1, 8, 8), {"logits"}, label="s")
    sides = [
        Onlooker(net, given, views, side, size, None) for side, size in (("teacher", (16, 16)), ("student", (8, 8)))
    ]
    for cutoff, kept in ((share + 0.02, True), (share - 0.02, False)):
        for side in sides:
            pixels = side.canvas(ids, lambda scene, c=cutoff: low_pass(scene, c))
            assert tuple(pixels.shape[2:]) == side.size
            assert (float(pixels.std()) > 0.2) == kept, (side.side, cutoff)
    shown, clean = sides[1].canvas(ids, lambda scene: scene), sides[1].canvas(ids)
    assert torch.equal(shown, clean)  # the same noise too
    assert torch.isfinite(sides[1].canvas(ids, lambda scene: scene - 9)).all()  # no light is less than none


def test_a_student_behind_a_sensor_is_read_at_the_scene_s_frequencies(source):
    """Its curve is that of scenes low-passed before the sensor: what is beyond its own range changes nothing."""
    views = ViewSpec(student=Photometry(sensor=Sensor(down=2)))
    ids = choose_holdout(source, 60)
    net = create_student("dscnn_8x2", 1, 8, 2)
    pupil = collect_student("s", net, source, views, RECIPE, Task(2), source.splits["train"], ids, epochs=1)
    for cutoff, logits in zip(CUTOFFS[:-1], pupil.low[:-1], strict=True):
        scenes = low_pass(source.images[ids].float() / 255, cutoff).clamp(0, 1)
        seen = nn.functional.avg_pool2d(scenes, 2).mul(255).round().div(255)
        with torch.no_grad():
            expected = net((seen - source.mean[0]) / source.std[0])
        torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-3)


def test_student_is_warmed_up_and_read(source, student):
    ids = choose_holdout(source, 60)
    assert float((student.logits.argmax(1) == source.labels[ids]).float().mean()) > 0.8
    assert student.embedding.shape[0] == 60
    assert all(float(shares.sum()) == pytest.approx(1) for shares in student.spectra)
    assert 1 <= student.window <= 14
    assert student.gradients.shape[0] == 60
    assert student.untrained_map.shape == student.stages[-1].shape
    assert not torch.equal(student.untrained_map, student.stages[-1])
    assert guess_student_family("resnet8_w8") == "resnet"
    assert guess_student_family("mbv1_025_96") == "mobilenet"


def test_one_logit_task(source, student):
    torch.manual_seed(0)
    net = create_student("dscnn_8x2", 1, 16, 1)
    ids = choose_holdout(source, 40)
    teacher = load_teacher("one", TeacherSpec("zoo:resnet8_w4"), 1, 1, source.size, source.mean, source.std)
    pupil = collect_student("s", net, source, VIEWS, RECIPE, Task(1), source.splits["train"], ids, epochs=1)
    found = collect_teacher(teacher, source, VIEWS, ids, 1, windows=(pupil.window,))
    assert found.logits.shape == (40, 2)
    assert found.labelled
    evidence = Evidence(found, pupil, source.labels[ids])
    assert 0 <= create_estimator("accuracy").measure(evidence) <= 1
    torch.testing.assert_close(found.logits.softmax(1)[:, 1], torch.sigmoid(found.logits[:, 1]))


def test_onnx_teacher_gives_logits_and_reasons(source, student, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper = onnx.helper
    weight = np.random.default_rng(0).normal(size=(256, 2)).astype(np.float32)
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["y"])]
    shapes = [helper.make_tensor_value_info(n, 1, s) for n, s in (("x", ["n", 1, 16, 16]), ("y", ["n", 2]))]
    graph = helper.make_graph(nodes, "g", shapes[:1], shapes[1:], [onnx.numpy_helper.from_array(weight, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "n.onnx")
    teacher = load_teacher("box", TeacherSpec("n.onnx"), 2, 1, source.size, source.mean, source.std, tmp_path)
    ids = choose_holdout(source, 60)
    found = collect_teacher(teacher, source, VIEWS, ids, 2, windows=(student.window,))
    evidence = Evidence(found, student, source.labels[ids])
    for name, reason in (("absorbable", "logits only"), ("cka", "logits only"), ("size", "does not tell")):
        with pytest.raises(Skip, match=f"'box', got none, because .*{reason}"):
            create_estimator(name).measure(evidence)
    for name in ("calibration", "smoothness", "locality", "spectral_gap", "kernel", "logme"):
        assert math.isfinite(create_estimator(name).measure(evidence))
    assert "logits" in create_estimator("absorbable").measure_variants(evidence)


# -- pilot -----------------------------------------------------------------------------------------------------------


def test_short_recipe_has_the_steps_of_its_share():
    recipe, images = short_recipe(Recipe(epochs=100, batch=50), 10_000, 0.03)
    assert (recipe.epochs, images) == (4, 7500)
    assert recipe.epochs * images == pytest.approx(0.03 * 100 * 10_000)
    recipe, images = short_recipe(Recipe(epochs=300, batch=50), 10_000, 0.03)
    assert (recipe.epochs, images) == (9, 10_000)
    _, images = short_recipe(Recipe(epochs=4, batch=50), 1000, 0.03)
    assert images == 100  # two batches at least


def test_pilot_starts_at_the_untrained_student_and_comes_nearer(source):
    ids, train_ids = choose_holdout(source, 60), source.splits["train"]
    torch.manual_seed(2)
    spec = TeacherSpec("zoo:dscnn_12x2")
    teacher = load_teacher("t", spec, 2, 1, source.size, source.mean, source.std)
    teacher.net.requires_grad_(True)
    run_trial(teacher.net, None, None, source, VIEWS, dataclasses.replace(RECIPE, epochs=6), Task(2), train_ids, ids)
    found = collect_teacher(teacher, source, VIEWS, ids, 2, passes=())

    def fresh():
        torch.manual_seed(5)
        return create_student("dscnn_8x2", 1, 16, 2)

    recipe = dataclasses.replace(RECIPE, epochs=3)
    taught = run_trial(fresh(), teacher, found.logits, source, VIEWS, recipe, Task(2), train_ids, ids)
    alone = run_trial(fresh(), None, None, source, VIEWS, recipe, Task(2), train_ids, ids)
    net = fresh().eval()
    with torch.no_grad():
        z = net((source.images[ids].float() / 255 - source.mean[0]) / source.std[0]).double().numpy()
    w = found.logits.double().numpy()
    p, q = (np.exp(v) / np.exp(v).sum(1, keepdims=True) for v in (w, z))
    assert len(taught.divergence) == 4
    assert taught.divergence[0] == pytest.approx(float((p * np.log(p / q)).sum(1).mean()), rel=1e-3)
    assert taught.divergence[-1] < taught.divergence[0]
    assert alone.divergence == ()
    pilot = compare_trials(taught, alone, 0.03)
    assert pilot.progress == (0.0, 1 / 3, 2 / 3, 1.0)
    again = run_trial(fresh(), teacher, found.logits, source, VIEWS, recipe, Task(2), train_ids, ids)
    assert again == taught


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "labels"),
        ({"teacher_data": "superset"}, "labels"),
        ({"teacher_data": "external"}, "pretrained"),
        ({"pretrained": True}, "pretrained"),
        ({"teacher_data": "external", "provenance": "distilled from resnet"}, "distilled from resnet"),
    ],
)
def test_a_teacher_from_elsewhere_is_not_pooled_with_those_trained_here(given: dict[str, Any], told: str) -> None:
    assert tell_provenance(TeacherSpec("zoo:resnet8_w8", **given)) == told
