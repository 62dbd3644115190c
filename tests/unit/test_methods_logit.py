"""What the contract suite cannot know of the logit methods: identities, gradients between terms, statistics."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from alambic.errors import AlambicError
from alambic.functional.prob import (
    binary_logs,
    join_subclasses,
    kl_divergence,
    leave_out,
    mix_labels,
    target_mask,
)
from alambic.functional.schedule import ramp
from alambic.methods import create_method
from alambic.methods.base import Batch, Method, Specs
from alambic.methods.dkd import dkd_loss
from alambic.methods.hcd import overlap_term, teaching_term
from alambic.methods.kd import kd_loss
from alambic.methods.lelp import LELP
from alambic.methods.nkd import nkd_loss
from alambic.methods.ofa_logit import ofa_logit_loss
from alambic.methods.rld import rld_loss
from alambic.methods.sdd import region_logits, region_weight
from alambic.methods.subclass import subclass_contrast
from alambic.methods.tf_kd import tf_kd_loss
from alambic.methods.wsld import wsld_loss
from alambic.models.feature import Feature, Head, Outputs, OutputSpec, StageSpec
from alambic.treatments.lskd import standardise_logits


def logits(rows: int = 6, classes: int = 5, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    student, teacher = torch.randn(2, rows, classes, generator=generator, dtype=torch.float64) * 2
    return student, teacher, torch.randint(classes, (rows,), generator=generator)


def specs_of(width: int, classes: int, teacher_classes: int | None = None, size: int = 8) -> Specs:
    stages = tuple(StageSpec("map", width, (size >> i, size >> i)) for i in range(3))
    student = OutputSpec(classes, width, stages)
    return Specs(student, OutputSpec(teacher_classes or classes, width, stages), classes, 100, 100)


def build(name: str, specs: Specs, **hyper: float) -> Method:
    method = create_method(name, **hyper)
    method.check(specs)
    method.build(specs, torch.Generator().manual_seed(0))
    return method


def test_decoupled_terms_add_up_to_kd() -> None:
    """KD = target term + (1 - p_t,y) non-target term, sample by sample."""
    student, teacher, labels = logits()
    parts = {
        "target": dkd_loss(student, teacher, labels, alpha=1.0, beta=0.0),
        "rest": dkd_loss(student, teacher, labels, alpha=0.0, beta=1.0),
    }
    outside = 1 - (teacher / 4).softmax(1).gather(1, labels[:, None])[:, 0]
    torch.testing.assert_close(parts["target"] + outside * parts["rest"], kd_loss(student, teacher))


def test_refined_logits_are_dkd_where_the_teacher_ranks_the_label_first() -> None:
    student, teacher, _ = logits()
    labels = teacher.argmax(1)
    torch.testing.assert_close(
        rld_loss(student, teacher, labels, alpha=1.0, beta=2.0),
        dkd_loss(student, teacher, labels, alpha=1.0, beta=2.0),
    )


def test_refined_logits_ignore_classes_that_the_teacher_puts_above_the_label() -> None:
    student, teacher, _ = logits(rows=1)
    labels = teacher.argsort(1)[:, 2]
    above = teacher >= teacher.gather(1, labels[:, None])
    moved = torch.where(above & ~target_mask(labels, 5), student + 3.0, student)
    kept = {"alpha": 0.0, "beta": 1.0}
    torch.testing.assert_close(rld_loss(moved, teacher, labels, **kept), rld_loss(student, teacher, labels, **kept))
    assert not torch.allclose(dkd_loss(moved, teacher, labels, **kept), dkd_loss(student, teacher, labels, **kept))


def test_weights_of_samples_carry_no_gradient() -> None:
    """WSLD is a constant times the soft cross-entropy: its gradient is that constant times the soft one's."""
    student, teacher, labels = logits()
    student.requires_grad_()
    (whole,) = torch.autograd.grad(wsld_loss(student, teacher, labels).sum(), student)
    (soft,) = torch.autograd.grad(16 * kl_divergence(student, teacher, 4.0).sum(), student)
    ratio = whole / soft
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))
    assert ((ratio > 0) & (ratio < 1)).all()


def test_enhancement_reads_labels_only_when_gamma_is_not_one() -> None:
    student, teacher, labels = logits()
    torch.testing.assert_close(ofa_logit_loss(student, teacher, labels), ofa_logit_loss(student, teacher))
    assert (ofa_logit_loss(student, teacher, labels, gamma=1.5) != ofa_logit_loss(student, teacher, gamma=1.5)).all()


def test_tf_kd_is_smallest_at_its_virtual_teacher() -> None:
    labels = torch.tensor([2])
    virtual = torch.full((1, 5), 0.01 / 4, dtype=torch.float64)
    virtual[0, 2] = 0.99
    assert float(tf_kd_loss(virtual / 20, None, labels)) == pytest.approx(0, abs=1e-12)
    assert float(tf_kd_loss(virtual / 10, None, labels)) > 0


@pytest.mark.parametrize("loss", [dkd_loss, rld_loss, nkd_loss, wsld_loss])
def test_losses_of_labels_say_when_labels_are_missing(loss: object) -> None:
    student, teacher, _ = logits()
    with pytest.raises(AlambicError, match=r"expected labels, got none, because .* try"):
        loss(student, teacher)  # type: ignore[operator]


def test_mlkd_needs_its_second_view() -> None:
    student, teacher, labels = logits()
    with pytest.raises(AlambicError, match="second view"):
        create_method("mlkd").loss(Outputs(logits=student), Outputs(logits=teacher), Batch(labels), 0.5)


def test_helpers_of_targets() -> None:
    z, _, labels = logits()
    labels[0] = -1
    mask = target_mask(labels, 5)
    assert mask.sum(1).tolist() == [0, 1, 1, 1, 1, 1]
    assert (leave_out(z, mask).softmax(1)[mask] == 0).all()
    pair = binary_logs(z, target_mask(labels.clamp_min(0), 5)).exp()
    torch.testing.assert_close(pair.sum(1), torch.ones(6, dtype=torch.float64))
    assert [ramp(p, 0.5) for p in (0.0, 0.25, 0.5, 1.0)] == [0, 0.5, 1, 1]
    assert ramp(0.0, 0.0) == 1


def test_mixed_labels_weigh_two_hard_losses() -> None:
    labels, partner, lam = torch.tensor([0, 1, -1, 2]), torch.tensor([1, 1, 0, -1]), torch.full((4,), 0.25)
    value = mix_labels(lambda y: (y >= 0) * 10.0 ** y.clamp_min(0), labels, partner, lam)
    assert value.tolist() == [0.25 * 1 + 0.75 * 10, 10, 0, 0]


def test_regions_of_sdd() -> None:
    """Region 0 is the whole image: the network's own logits; the others follow grid by grid, row by row."""
    head, last = Head(torch.randn(3, 4), torch.randn(3)), torch.randn(2, 4, 8, 8)
    regions = region_logits(Outputs(stages=(Feature(last, "map"),), head=head), (1, 2, 4))
    assert regions.shape == (2, 3, 21)
    torch.testing.assert_close(regions[:, :, 0], last.mean((2, 3)) @ head.weight.T + head.bias)
    corner = last[:, :, :4, 4:].mean((2, 3)) @ head.weight.T + head.bias
    torch.testing.assert_close(regions[:, :, 2], corner)
    teacher = torch.tensor([[[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]])  # predicts 0 on the whole, then 1, then 0
    assert region_weight(teacher, torch.tensor([0]), 2.0).tolist() == [[1, 2, 1]]
    assert region_weight(teacher, torch.tensor([1]), 2.0).tolist() == [[1, 2, 1]]
    assert region_weight(teacher, torch.tensor([-1]), 2.0).tolist() == [[1, 1, 1]]


def test_sdd_leaves_out_grids_finer_than_the_maps() -> None:
    assert build("sdd", specs_of(6, 5, size=8)).grids == (1, 2)
    assert build("sdd", specs_of(6, 5, size=16)).grids == (1, 2, 4)


def test_shared_logits_of_hcd_do_not_learn_from_the_student() -> None:
    student, _, labels = logits()
    shared = torch.randn(6, 4, 5, dtype=torch.float64, requires_grad=True)
    teaching = teaching_term(student.requires_grad_(), shared, 1.0).sum()
    assert torch.autograd.grad(teaching, shared, allow_unused=True) == (None,)
    same = torch.randn(6, 1, 5, dtype=torch.float64).expand(6, 4, 5)
    torch.testing.assert_close(overlap_term(same, labels, 0.5), torch.full((6,), 0.25, dtype=torch.float64))
    apart = torch.eye(5, dtype=torch.float64).expand(6, 5, 5)
    assert overlap_term(apart, labels, 0.5).abs().max() == 0


def test_classes_are_the_sums_of_their_subclasses() -> None:
    z, _, _ = logits()
    joint = join_subclasses(z, torch.randn(6, 5, 3, dtype=torch.float64)).exp().view(6, 5, 3)
    torch.testing.assert_close(joint.sum(2), z.softmax(1))


def test_subclass_contrast_prefers_samples_apart() -> None:
    same, apart = torch.eye(4)[[0, 0, 0, 0]], torch.eye(4)
    assert float(subclass_contrast(same)) == pytest.approx(0, abs=1e-6)
    expected = math.log((math.e + 3 * math.exp(-1 / 3)) / 4) - 1
    assert float(subclass_contrast(apart)) == pytest.approx(expected, abs=1e-6)


def lelp_data(rows: int = 400) -> tuple[Outputs, Tensor]:
    """Two classes along axis 0, which the head reads; class 0 varies along axes 1 and 2, class 1 along 3 and 4."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(rows) % 2
    values = torch.zeros(rows, 8)
    values[:, 0] = torch.where(labels == 0, 2.0, -2.0) + 0.3 * torch.randn(rows, generator=generator)
    for row, label in enumerate(labels.tolist()):
        values[row, [1 + 2 * label, 2 + 2 * label]] = torch.tensor([3.0, 1.0]) * torch.randn(2, generator=generator)
    head = Head(torch.tensor([[1.0] + [0.0] * 7, [-1.0] + [0.0] * 7]), torch.zeros(2))
    return Outputs(values @ head.weight.T, values, head=head), labels


def test_lelp_finds_the_directions_that_the_logits_leave_out() -> None:
    method = build("lelp", specs_of(8, 2), subclasses=2)
    assert isinstance(method, LELP)
    outputs, labels = lelp_data()
    half = [Outputs(outputs.logits[i::2], outputs.embedding[i::2]) for i in (0, 1)]  # type: ignore[index]
    for part in half:
        method.collect(part)
    assert method.count.tolist() == [200, 200]
    method.fit(outputs.need_head())
    axes = method.directions.abs().sum(2)
    assert (axes[:, 0] < 1e-6).all(), "the classifier's own direction must be left out"
    assert axes[0, 1:3].min() > 0.1
    assert axes[1, 3:5].min() > 0.1
    assert axes[0, 3:].max() < 0.1
    coordinates = (outputs.need_embedding()[labels == 0] - method.centres[0]) @ method.directions[0]
    assert float(coordinates.square().mean()) == pytest.approx(1.0, rel=0.05)
    assert float(coordinates.mean(0).abs().max()) < 1e-4


def test_lelp_collects_first_and_then_keeps_its_directions() -> None:
    method = build("lelp", specs_of(8, 2), subclasses=2)
    outputs, labels = lelp_data(64)
    student = Outputs(torch.randn(64, 2), torch.randn(64, 8))
    assert set(method.loss(student, outputs, Batch(labels), 0.01)) == {"classes"}
    assert set(method.loss(student, outputs, Batch(labels), 0.5)) == {"lelp"}
    kept = method.get_buffer("directions").clone()
    assert kept.abs().sum() > 0
    method.loss(student, outputs, Batch(labels), 0.6)
    assert torch.equal(method.get_buffer("directions"), kept)
    assert float(method.get_buffer("count").sum()) == 64


def test_subclass_wants_a_teacher_with_subclasses() -> None:
    build("subclass", specs_of(8, 2, teacher_classes=10))
    with pytest.raises(AlambicError, match="expected a teacher with 10 logits, got 2"):
        build("subclass", specs_of(8, 2))


def test_standardised_logits_that_are_all_alike_have_no_gradient() -> None:
    """A classifier that starts at zeros: the inverse of its deviation would throw the first step away."""
    logits = torch.zeros(2, 5)
    logits[1] = torch.arange(5.0)
    logits.requires_grad_()
    kd_loss(standardise_logits(logits), torch.randn(2, 5), temperature=2.0).sum().backward()
    assert logits.grad is not None
    assert logits.grad[0].abs().max() == 0
    assert 0 < logits.grad[1].abs().max() < 1
