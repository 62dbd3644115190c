"""Our own methods: what the contract suite cannot know of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from alambic.errors import AlambicError
from alambic.methods import Batch, Method, Specs, create_method
from alambic.methods.asd import absorbable_directions, follow_directions
from alambic.methods.gst import gst_loss
from alambic.methods.kd import kd_loss
from alambic.methods.lfcam import cosine_coefficients, shuffle_positions
from alambic.methods.outlier_safe import random_choice, random_rotation
from alambic.methods.pair_order import log_odds
from alambic.models.feature import Feature, Head, Outputs, OutputSpec, StageSpec


def build(name: str, specs: Specs, **hyper: Any) -> Method:
    method = create_method(name, **hyper)
    torch.manual_seed(0)
    method.check(specs)
    method.build(specs, torch.Generator().manual_seed(0))
    return method


def embeddings(own: int, theirs: int) -> Specs:
    return Specs(OutputSpec(3, own), OutputSpec(3, theirs), 3)


def teach_asd(method: Method, student: torch.Tensor, teacher: torch.Tensor, steps: int) -> None:
    for rows in torch.arange(len(student)).repeat(steps).split(100)[:steps]:
        batch = Batch(torch.zeros(len(rows), dtype=torch.int64))
        method.loss(Outputs(embedding=student[rows]), Outputs(embedding=teacher[rows]), batch, 0.5)
        method.after_step()


def whiten(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(
        covariance + 1e-2 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    )
    return vectors @ np.diag(values**-0.5) @ vectors.T


def turn(rng: np.random.Generator, size: int) -> np.ndarray:
    return np.linalg.qr(rng.normal(size=(size, size)))[0]


def test_absorbable_directions_are_those_of_canonical_correlation() -> None:
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(4000, 2))
    student = np.concatenate([shared, rng.normal(size=(4000, 3))], 1) @ turn(rng, 5)
    teacher = np.concatenate([shared, rng.normal(size=(4000, 6))], 1) @ turn(rng, 8)
    own, theirs = np.cov(student.T), np.cov(teacher.T)
    cross = np.cov(student.T, teacher.T)[:5, 5:]
    _, expected, rows = np.linalg.svd(whiten(own) @ cross @ whiten(theirs))
    given = [torch.tensor(x) for x in (own, cross, theirs)]
    found = absorbable_directions(*given, 3)
    for k in range(3):
        direction = whiten(theirs) @ rows[k]
        cosine = direction @ found[:, k].numpy() / np.linalg.norm(direction) / float(found[:, k].norm())
        assert abs(cosine) == pytest.approx(1, abs=1e-6)
    reach = follow_directions(*given, found)[1].numpy()
    np.testing.assert_allclose(reach, expected[:3], atol=0.02)
    assert reach[1] > 0.9
    assert reach[2] < 0.2


def test_asd_asks_for_what_the_student_follows_and_counts_grow() -> None:
    torch.manual_seed(1)
    student = torch.randn(2000, 6)
    teacher = torch.cat([student[:, :2] * 3, torch.randn(2000, 10)], 1)
    method = build("asd", embeddings(6, 12), every=5)
    teach_asd(method, student, teacher, 20)
    assert int(method.kept.sum()) == 2
    plane = torch.linalg.qr(method.teacher_side[:, :2])[0]
    assert float(plane[:2].norm()) > 1.4  # √2 where the plane is that of the teacher's first two dimensions
    better = torch.cat([teacher[:, :5], torch.randn(2000, 1)], 1)  # a student that has learnt three more
    teach_asd(method, better, teacher, 600)
    assert int(method.kept.sum()) == 5


def test_asd_never_asks_for_nothing() -> None:
    torch.manual_seed(1)
    method = build("asd", embeddings(6, 12), every=5, tau=0.999)
    teach_asd(method, torch.randn(2000, 6), torch.randn(2000, 12), 20)
    assert int(method.kept.sum()) == 1


@pytest.mark.parametrize("source", ["pca", "random"])
def test_controls_of_asd_keep_as_many_directions_of_their_own(source: str) -> None:
    torch.manual_seed(1)
    student = torch.randn(2000, 6)
    teacher = torch.cat([student[:, :2], torch.randn(2000, 10) * 4], 1)
    method = build("asd", embeddings(6, 12), every=5, source=source)
    before = method.teacher_side.clone()
    teach_asd(method, student, teacher, 20)
    assert int(method.kept.sum()) == 2
    plane = method.teacher_side[:, :2] / method.teacher_side[:, :2].norm(dim=0)
    assert float(plane[:2].norm()) < 1.0  # neither control finds what the student follows
    assert torch.equal(before, method.teacher_side) == (source == "random")


def test_asd_goes_on_from_a_saved_state_as_if_undisturbed() -> None:
    torch.manual_seed(1)
    student, teacher = torch.randn(1500, 6), torch.randn(1500, 9)
    whole, first, second = (build("asd", embeddings(6, 9), every=4) for _ in range(3))
    teach_asd(whole, student, teacher, 13)
    teach_asd(first, student[:700], teacher[:700], 7)
    second.load_state_dict(first.state_dict())
    teach_asd(second, student[700:], teacher[700:], 6)
    assert second.steps == whole.steps == 13
    torch.testing.assert_close(second.teacher_side, whole.teacher_side)


def test_rotation_spreads_an_outlier_and_choice_does_not() -> None:
    torch.manual_seed(0)
    teacher = torch.randn(500, 96)
    teacher[:, 7] *= 40
    for rows in (24, 200):
        rotated, chosen = (teacher @ r.T for r in (random_rotation(rows, 96), random_choice(rows, 96)))
        assert float(rotated.std(0).max() / rotated.std(0).median()) < 10
        if rows > 96:  # then every channel is among the chosen
            assert float(chosen.std(0).max() / chosen.std(0).median()) > 20
        norms = random_rotation(rows, 96).square().sum(1)
        assert float(norms.mean()) == pytest.approx(1, rel=1e-4)
    square = random_rotation(10, 10)
    torch.testing.assert_close(square @ square.T, torch.eye(10), atol=1e-5, rtol=0)


def test_coarse_targets_follow_the_table_and_grow_finer() -> None:
    method = build("coarse_to_fine", Specs(OutputSpec(3, None), OutputSpec(3, None), 3))
    teacher = torch.tensor([[4.0, 1.0, 1.0], [2.0, 0.0, -2.0], [0.0, 3.0, 0.0], [5.0, 0.0, 1.0]])
    student, batch = torch.zeros(4, 3), Batch(torch.zeros(4, dtype=torch.int64))

    def value(progress: float) -> torch.Tensor:
        return method.loss(Outputs(logits=student), Outputs(logits=teacher), batch, progress)["coarse_to_fine"]

    torch.testing.assert_close(value(0.0), kd_loss(student, teacher))  # nothing is known of the classes yet
    method.after_step()
    centred = teacher - teacher.mean(1, keepdim=True)
    mean = centred[[0, 1, 3]].mean(0)
    expected = torch.stack([mean, mean, centred[2], mean])
    torch.testing.assert_close(value(0.0), kd_loss(student, expected))
    torch.testing.assert_close(value(0.25), kd_loss(student, (expected + centred) / 2))
    torch.testing.assert_close(value(0.5), kd_loss(student, teacher))
    torch.testing.assert_close(value(1.0), kd_loss(student, teacher))


def test_pair_order_ignores_a_constant_and_sees_a_swap() -> None:
    torch.manual_seed(0)
    scores = torch.randn(6, 1) * 3
    method = create_method("pair_order")
    batch = Batch(torch.zeros(6))

    def value(student: torch.Tensor) -> torch.Tensor:
        return method.loss(Outputs(logits=student), Outputs(logits=scores), batch, 0.5)["pair_order"]

    assert float(value(scores + 5).abs().max()) < 1e-5
    swapped = scores.clone()
    swapped[[0, 1]] = scores[[1, 0]]
    assert (value(swapped) > 1e-4).sum() >= 2


def test_log_odds_stay_finite_where_a_probability_is_one() -> None:
    logits = torch.tensor([[300.0, 0.0, -300.0], [0.0, 0.0, 0.0]], requires_grad=True)
    found = log_odds(logits)
    torch.testing.assert_close(found[0], torch.tensor([300.0, -300.0, -600.0]))
    torch.testing.assert_close(found[1], torch.full((3,), -torch.tensor(2.0).log()))
    found.sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_one_teacher_is_its_own_consensus_and_quarrels_count_less() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(5, 4), torch.randn(5, 4) * 3
    batch = Batch(torch.zeros(5, dtype=torch.int64))

    def value(logits: torch.Tensor, **hyper: Any) -> torch.Tensor:
        method = create_method("consensus", **hyper)
        return method.loss(Outputs(logits=student), Outputs(logits=logits), batch, 0.5)["consensus"]

    torch.testing.assert_close(value(teacher, teachers=1), kd_loss(student, teacher))
    torch.testing.assert_close(value(torch.cat([teacher, teacher + 7], 1), teachers=2), kd_loss(student, teacher))
    quarrel = torch.cat([teacher, teacher.roll(1, 1)], 1)
    assert (value(quarrel, teachers=2, gamma=1.0) < value(quarrel, teachers=2, gamma=0.0)).all()


def map_specs(classes: int, size: tuple[int, int]) -> Specs:
    spec = OutputSpec(classes, 6, (StageSpec("map", 6, size),))
    return Specs(spec, spec, classes)


def test_class_maps_of_order_one_are_standardised_logits_and_two_classes_need_more() -> None:
    torch.manual_seed(0)
    maps = torch.randn(3, 4, 5, 5)
    torch.testing.assert_close(cosine_coefficients(maps, [(0, 0)])[:, :, 0], maps.mean((2, 3)))
    for classes in (1, 2):
        with pytest.raises(AlambicError, match="only a sign"):
            build("lfcam", map_specs(classes, (4, 4)), order=1)
        with pytest.raises(AlambicError, match="only a sign"):
            build("lfcam", map_specs(classes, (1, 1)))
        build("lfcam", map_specs(classes, (4, 4)))
    build("lfcam", map_specs(3, (4, 4)), order=1)


def test_shuffled_positions_keep_values_and_classes_together() -> None:
    torch.manual_seed(0)
    first = torch.randn(4, 1, 3, 3)
    maps = torch.cat([first, first * 2], 1)
    shuffled = shuffle_positions(maps)
    torch.testing.assert_close(shuffled[:, 1], shuffled[:, 0] * 2)
    torch.testing.assert_close(shuffled.flatten(2).sort(2).values, maps.flatten(2).sort(2).values)
    places = [row.flatten().argsort().tolist() for row in shuffled[:, 0]]
    assert len({tuple(place) for place in places}) > 1


def test_shuffling_lfcam_changes_what_it_asks() -> None:
    torch.manual_seed(0)
    feature = Feature(torch.randn(4, 6, 4, 4), "map")
    outputs = Outputs(logits=torch.randn(4, 3), stages=(feature,), head=Head(torch.randn(3, 6), torch.zeros(3)))
    batch = Batch(torch.zeros(4, dtype=torch.int64))
    plain, shuffled = (create_method("lfcam", shuffle=flag) for flag in (False, True))
    assert float(plain.loss(outputs, outputs, batch, 0.5)["lfcam"].max()) < 1e-10
    assert float(shuffled.loss(outputs, outputs, batch, 0.5)["lfcam"].min()) > 1e-3


def test_the_controls_of_gst_differ_from_it_where_they_should() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(40, 5), torch.randn(40, 5) * 4
    whole = kd_loss(student, teacher, temperature=1.0)
    assert float(whole.min()) < 0.5 < float(whole.max())
    clipped, own = gst_loss(student, teacher, target="clipped"), gst_loss(student, teacher)
    torch.testing.assert_close(clipped, whole.clamp_max(0.5))
    torch.testing.assert_close(own, clipped)  # equal in value by design; what differs is the way that they pull
    far = student[whole > 0.5].clone().requires_grad_()
    gst_loss(far, teacher[whole > 0.5], target="clipped").sum().backward()
    assert far.grad is not None
    assert float(far.grad.abs().max()) == 0
    gst_loss(far, teacher[whole > 0.5]).sum().backward()
    assert float(far.grad.abs().sum(1).min()) > 1e-3
    torch.testing.assert_close(gst_loss(student, teacher, target="share", share=1.0), whole)
    assert float(gst_loss(student, teacher, target="share", share=0.0).abs().max()) < 1e-6
    with pytest.raises(AlambicError, match="out of geodesic, share, clipped"):
        build("gst", embeddings(3, 3), target="nearest")


def test_common_views_ask_both_views_for_one_answer() -> None:
    torch.manual_seed(0)
    first, second = torch.randn(5, 4) * 3, torch.randn(5, 4) * 3
    mean = (first + second) / 2
    labels = torch.zeros(5, dtype=torch.int64)
    taught = Outputs(logits=second)

    def value(seen: torch.Tensor, other: torch.Tensor, **hyper: Any) -> torch.Tensor:
        batch = Batch(labels, second=(Outputs(logits=other), taught))
        method = create_method("common_views", **hyper)
        return method.loss(Outputs(logits=seen), Outputs(logits=first), batch, 0.5)["common_views"]

    assert float(value(mean, mean + 2).abs().max()) < 1e-5
    assert float(value(first, second, common=0.0).abs().max()) < 1e-5
    assert float(value(first, second).min()) > 1e-3
    with pytest.raises(AlambicError, match="second view"):
        create_method("common_views").loss(Outputs(logits=first), taught, Batch(labels), 0.5)
