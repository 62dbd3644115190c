"""What the contract suite cannot know of the methods on embeddings, relations and contrast."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alambic.errors import AlambicError
from alambic.functional import relation
from alambic.methods import create_method
from alambic.methods.base import Batch, Method, Specs
from alambic.methods.cat_kd import class_maps
from alambic.methods.kdpp import kdpp_loss
from alambic.methods.kdsvd import leading_vectors
from alambic.methods.rkd import rkd_loss
from alambic.models.feature import Feature, Head, Outputs, OutputSpec, StageSpec

WIDTH_S, WIDTH_T, CLASSES, ROWS = 6, 10, 4, 8


def make_specs(width_s: int = WIDTH_S, width_t: int = WIDTH_T, size_t: int = 4, **changes: object) -> Specs:
    student = OutputSpec(CLASSES, width_s, (StageSpec("map", 5, (8, 8)), StageSpec("map", width_s, (4, 4))))
    teacher = OutputSpec(CLASSES, width_t, (StageSpec("map", 7, (8, 8)), StageSpec("map", width_t, (size_t, size_t))))
    specs = Specs(student, teacher, CLASSES, 20, 50, torch.randn(CLASSES, width_t))
    return replace(specs, **changes)


def make_outputs(spec: OutputSpec, rows: int = ROWS, grad: bool = False) -> Outputs:
    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, requires_grad=grad)

    stages = tuple(Feature(draw(rows, stage.channels, *(stage.size or ())), "map") for stage in spec.stages)
    assert spec.embedding is not None
    head = Head(draw(CLASSES, spec.embedding), draw(CLASSES))
    return Outputs(draw(rows, CLASSES), draw(rows, spec.embedding), stages, head=head)


def build(name: str, specs: Specs, **hyper: object) -> Method:
    method = create_method(name, **hyper)
    method.check(specs)
    method.build(specs, torch.Generator().manual_seed(0))
    return method


def make_batch(ids: list[int], labels: list[int]) -> Batch:
    return Batch(torch.tensor(labels), torch.tensor(ids))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


# relations


def test_dead_vectors_give_no_gradient() -> None:
    vectors = torch.tensor([[3.0, 4.0], [0.0, 0.0]], requires_grad=True)
    unit = relation.to_unit(vectors)
    unit.sum().backward()
    np.testing.assert_allclose(unit.detach().numpy(), [[0.6, 0.8], [0, 0]], rtol=1e-6)
    assert vectors.grad is not None
    assert vectors.grad[1].abs().sum() == 0


def test_distances_far_from_the_origin() -> None:
    near = torch.randn(6, 5)
    expected = torch.cdist(near.double(), near.double())
    got = relation.distances(near + 1000.0)
    np.testing.assert_allclose(got.numpy(), expected.numpy(), atol=3e-3)  # float32 keeps 6e-5 at 1000
    assert got.diagonal().abs().sum() == 0


def test_rkd_survives_images_that_coincide() -> None:
    student = torch.randn(5, 4)
    student[3] = student[1]
    student.requires_grad_()
    rkd_loss(student, torch.randn(5, 4)).mean().backward()
    assert student.grad is not None
    assert student.grad.isfinite().all()
    assert student.grad.abs().max() < 1e3, "the gradient of a side without length blows up"


# CRD


def test_crd_bank_has_a_row_for_each_training_image_and_says_its_bytes() -> None:
    method = build("crd", make_specs(), width=16)
    expected = 2 * 20 * 16 * 4 + 20 * 8 + 50 * 8 + 8 + 2 * 4
    assert method.bank_bytes == expected
    state = sum(
        value.numel() * value.element_size() for name, value in method.state_dict().items() if "embed" not in name
    )
    assert state == expected, "a part of the bank is not saved, or not counted"


def test_crd_gives_each_new_id_a_row_and_keeps_it() -> None:
    specs = make_specs()
    method = build("crd", specs, width=16, negatives=8)
    for ids in ([49, 3, 11], [3, 40], [49, 11, 3, 40, 0]):
        s, t = make_outputs(specs.student, len(ids)), make_outputs(specs.teacher, len(ids))
        method.loss(s, t, make_batch(ids, [0] * len(ids)), 0.0)
        method.after_step()
    rows = method.row_of_id[torch.tensor([49, 3, 11, 40, 0])]
    assert rows.tolist() == [0, 1, 2, 3, 4]
    assert int(method.used) == 5
    assert (method.row_of_id >= 0).sum() == 5


def test_crd_updates_its_bank_after_the_step_by_momentum() -> None:
    specs = make_specs()
    method = build("crd", specs, width=16, negatives=8, momentum=0.25)
    s, t = make_outputs(specs.student, 2), make_outputs(specs.teacher, 2)
    before = method.bank_student.clone()
    method.loss(s, t, make_batch([7, 9], [0, 1]), 0.0)
    assert torch.equal(method.bank_student, before), "the bank moved before the backward pass"
    method.after_step()
    for row, vector in enumerate(method.embed_student(s.need_embedding()).detach().numpy()):
        mixed = 0.25 * before[row].numpy() + 0.75 * vector / np.linalg.norm(vector)
        np.testing.assert_allclose(method.bank_student[row].numpy(), mixed / np.linalg.norm(mixed), rtol=1e-5)
    assert torch.equal(method.bank_student[2:], before[2:])


def test_crd_leaves_out_its_own_class_and_both_classes_of_a_mixed_image() -> None:
    method = build("crd", make_specs(), width=16)
    method.bank_labels[:6] = torch.tensor([0, 1, 2, 0, -1, 3])
    drawn, rows = torch.arange(6).expand(3, 6), torch.tensor([0, 1, 4])
    pure = Batch(torch.tensor([0, 1, -1]))
    keep = method._negatives(drawn, rows, pure)
    assert keep.tolist() == [[0, 1, 1, 0, 1, 1], [1, 0, 1, 1, 1, 1], [1, 1, 1, 1, 0, 1]]
    mixed = replace(pure, partner=torch.tensor([2, 3, 0]), lam=torch.tensor([0.5, 1.0, 0.5]))
    keep = method._negatives(drawn, rows, mixed)
    assert keep.tolist() == [[0, 1, 0, 0, 1, 1], [1, 0, 1, 1, 1, 1], [0, 1, 1, 0, 0, 1]]
    with pytest.raises(AlambicError, match="mode"):  # the authors' `relax` draws the positive from the class: not ours
        build("crd", make_specs(), width=16, mode="relax")


def test_crd_fixes_its_normalisers_at_the_first_batch() -> None:
    specs = make_specs()
    method = build("crd", specs, width=16, negatives=8)
    seen = []
    for ids in ([1, 2, 3], [4, 5, 6]):
        method.loss(make_outputs(specs.student, 3), make_outputs(specs.teacher, 3), make_batch(ids, [0, 1, 2]), 0.0)
        method.after_step()
        seen.append(method.normalisers.tolist())
    assert seen[0] == seen[1]
    assert min(seen[0]) > 0


def test_crd_loss_is_the_formula_over_its_bank() -> None:
    specs = make_specs()
    method = build("crd", specs, width=16, negatives=7)
    method.normalisers.copy_(torch.tensor([30.0, 40.0]))
    s, t = make_outputs(specs.student, 2), make_outputs(specs.teacher, 2)
    torch.manual_seed(5)
    parts = method.loss(s, t, make_batch([7, 9], [-1, -1]), 0.0)
    torch.manual_seed(5)
    drawn = torch.randint(20, (2, 7)).numpy()
    for part, z, layer, features, bank in (
        ("student", 30.0, method.embed_student, s.embedding, method.bank_teacher),
        ("teacher", 40.0, method.embed_teacher, t.embedding, method.bank_student),
    ):
        for b, anchor in enumerate(layer(features).detach().double().numpy()):
            scores = np.exp(bank.double().numpy() @ anchor / np.linalg.norm(anchor) / 0.07) / z
            noise, own = 7 / 20, b
            value = -np.log(scores[own] / (scores[own] + noise + 1e-7))
            others = [k for k in drawn[b] if k != own]
            value -= sum(np.log(noise / (scores[k] + noise + 1e-7)) for k in others) * 7 / len(others)
            np.testing.assert_allclose(parts[part][b].item(), 0.8 * value, rtol=1e-4)


def test_crd_needs_ids() -> None:
    specs = make_specs()
    method = build("crd", specs)
    with pytest.raises(AlambicError, match="ids"):
        method.loss(make_outputs(specs.student), make_outputs(specs.teacher), Batch(torch.zeros(ROWS).long()), 0.0)


# projectors


@pytest.mark.parametrize(("inputs", "outputs"), [(4, 9), (9, 4)])
def test_vkd_projection_stays_orthonormal_while_it_learns(inputs: int, outputs: int) -> None:
    specs = make_specs(inputs, outputs)
    method = build("vkd", specs)
    s, t, batch = make_outputs(specs.student), make_outputs(specs.teacher), Batch(torch.zeros(ROWS).long())
    before = method.projector.weight.detach().clone()
    optimizer = torch.optim.SGD(method.parameters(), lr=0.5)
    for _ in range(5):
        optimizer.zero_grad()
        method.loss(s, t, batch, 0.0)["vkd"].mean().backward()
        optimizer.step()
    weight = method.projector.weight.detach()
    product = weight @ weight.T if inputs > outputs else weight.T @ weight
    np.testing.assert_allclose(product.numpy(), np.eye(min(inputs, outputs)), atol=1e-5)
    assert (weight - before).abs().max() > 1e-3, "the projection does not learn"


def test_pefd_projectors_differ() -> None:
    weights = [layer.weight for layer in build("pefd", make_specs()).ensemble]
    assert len(weights) == 3
    assert not torch.equal(weights[0], weights[1])


# KD++


def test_kdpp_lengthens_a_short_student_and_not_a_long_one() -> None:
    direction = torch.tensor([[3.0, 4.0]])
    for length, longer in ((0.5, True), (4.0, False)):
        student = (direction / 5 * length).requires_grad_()
        kdpp_loss(student, torch.tensor([[2.0, 0.0]]), torch.tensor([0]), class_means=direction).sum().backward()
        assert student.grad is not None
        push = -(student.grad * direction).sum()
        assert (push > 1e-3) == longer


def test_kdpp_warms_its_divergence_up_in_a_twelfth_of_the_training() -> None:
    specs = make_specs(WIDTH_T, WIDTH_T)
    method = build("kdpp", specs)
    s, t, batch = make_outputs(specs.student), make_outputs(specs.teacher), Batch(torch.arange(ROWS) % CLASSES)
    at = [method.loss(s, t, batch, progress)["kl"].mean().item() for progress in (0.0, 1 / 24, 1 / 12, 1.0)]
    assert at[0] == 0
    assert math.isclose(at[1], at[2] / 2, rel_tol=1e-5)
    assert at[2] == at[3]


def test_kdpp_refuses_without_class_means() -> None:
    with pytest.raises(AlambicError, match="mean embedding of each class"):
        build("kdpp", make_specs(class_means=None))


# classifiers at work


def test_srrl_ignores_what_the_teachers_classifier_ignores() -> None:
    specs = make_specs()
    method = build("srrl", specs)
    s, t = make_outputs(specs.student), make_outputs(specs.teacher)
    blind = replace(t, head=Head(torch.zeros(CLASSES, WIDTH_T), torch.ones(CLASSES)))
    batch = Batch(torch.zeros(ROWS).long())
    assert method.loss(s, blind, batch, 0.0)["softmax"].abs().sum() == 0
    assert method.loss(s, t, batch, 0.0)["softmax"].min() > 0


def test_simkd_predicts_with_the_teachers_classifier() -> None:
    specs = make_specs(size_t=2)
    method = build("simkd", specs).eval()
    s, t = make_outputs(specs.student), make_outputs(specs.teacher)
    method.loss(s, t, Batch(torch.zeros(ROWS).long()), 0.0)
    assert method.project(s).shape == (ROWS, WIDTH_T, 2, 2)
    embedding = method.project(s).mean((2, 3)).detach().numpy()
    assert t.head is not None
    expected = embedding @ t.head.weight.numpy().T + t.head.bias.numpy()
    np.testing.assert_allclose(method.predict(s).detach().numpy(), expected, rtol=1e-4, atol=1e-5)
    assert not method.deployable
    assert method.ce_weight == 0


def test_simkd_refuses_a_classifier_that_does_not_read_the_last_stage() -> None:
    specs = make_specs()
    with pytest.raises(AlambicError, match="reads its last stage"):
        build("simkd", replace(specs, teacher=replace(specs.teacher, embedding=WIDTH_T + 1)))
    with pytest.raises(AlambicError, match="classes"):
        build("simkd", replace(specs, teacher=replace(specs.teacher, classes=CLASSES + 1)))


def test_class_maps_average_to_the_logits() -> None:
    net = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU())
    head = nn.Linear(5, 4)
    features = net(torch.randn(2, 3, 8, 8))
    logits = head(features.mean((2, 3)))
    maps = class_maps(features, Head(head.weight, head.bias))
    torch.testing.assert_close(maps.mean((2, 3)) + head.bias, logits)


def test_cat_kd_refuses_maps_of_one_position() -> None:
    with pytest.raises(AlambicError, match="2 x 2"):
        build("cat_kd", make_specs(size_t=1))


# singular vectors


@pytest.mark.parametrize(("rows", "columns"), [(5, 4), (3, 5)])
def test_leading_vectors_have_the_gradient_of_finite_differences(rows: int, columns: int) -> None:
    matrix = torch.randn(1, rows, columns, dtype=torch.float64)
    weights = torch.randn(1, columns, 2, dtype=torch.float64)
    leaf = matrix.clone().requires_grad_()
    found = leading_vectors(leaf, 2)
    (found * weights).sum().backward()
    assert leaf.grad is not None
    start = found.detach()
    expected = torch.linalg.svd(matrix)[2].transpose(1, 2)[:, :, :2]
    torch.testing.assert_close(start * (start * expected).sum(1, keepdim=True).sign(), expected)

    def value(x: Tensor) -> float:
        moved = torch.linalg.svd(x)[2].transpose(1, 2)[:, :, :2]
        return float((moved * (moved * start).sum(1, keepdim=True).sign() * weights).sum())

    for i in range(rows):
        for j in range(columns):
            step = torch.zeros_like(matrix)
            step[0, i, j] = 1e-6
            slope = (value(matrix + step) - value(matrix - step)) / 2e-6
            assert math.isclose(slope, leaf.grad[0, i, j].item(), rel_tol=1e-5, abs_tol=1e-7)


def test_leading_vectors_of_a_flat_matrix_have_a_finite_gradient() -> None:
    for matrix in (torch.zeros(1, 4, 9), torch.ones(1, 4, 9), torch.eye(4)[None]):
        leaf = matrix.clone().requires_grad_()
        leading_vectors(leaf, 4).square().sum().backward()
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all()


# others


def test_itrd_survives_a_dead_dimension_of_the_teacher() -> None:
    specs = make_specs()
    method = build("itrd", specs)
    t = make_outputs(specs.teacher)
    assert t.embedding is not None
    dead = replace(t, embedding=t.embedding * (torch.arange(WIDTH_T) != 2))
    for value in method.loss(make_outputs(specs.student), dead, Batch(torch.zeros(ROWS).long()), 0.0).values():
        assert value.isfinite()


def test_cc_refuses_an_unknown_form() -> None:
    with pytest.raises(AlambicError, match="released or kernel"):
        build("cc", make_specs(), form="gaussian")


def test_cc_kernel_is_gaussian_whatever_the_length_of_embeddings() -> None:
    """Its series holds for unit vectors alone: by the formula, and for embeddings of any length."""
    specs = make_specs()
    s, t = make_outputs(specs.student), make_outputs(specs.teacher)
    batch = Batch(torch.zeros(ROWS).long())
    method = build("cc", specs, form="kernel", order=12, weight=1.0)
    (found,) = method.loss(s, t, batch, 0.0).values()
    both = (method.embed_student(s.need_embedding()), method.embed_teacher(t.need_embedding()))
    kernels = [torch.exp(-0.4 * torch.cdist(*(F.normalize(x),) * 2).square()) for x in both]
    assert found.item() == pytest.approx((kernels[0] - kernels[1]).square().mean().item(), rel=1e-4)
    longer = replace(s, embedding=1e3 * s.need_embedding())
    for layer in (method.embed_student, method.embed_teacher):
        nn.init.zeros_(layer.bias)
    few, many = (method.loss(side, t, batch, 0.0)["cc"] for side in (s, longer))
    torch.testing.assert_close(many, few)


def test_fbt_bridge_learns_from_the_teacher_only_and_its_temperature_trains() -> None:
    specs = make_specs()
    method = build("fbt_lite", specs)
    s, t = make_outputs(specs.student, grad=True), make_outputs(specs.teacher)
    parts = method.loss(s, t, Batch(torch.arange(ROWS) % CLASSES), 0.0)
    parts["handover"].mean().backward(retain_graph=True)
    assert all(p.grad is None for p in method.attention.parameters()), "the student pulls the bridge towards itself"
    assert method.log_scale.grad is not None
    parts["bridge"].mean().backward()
    assert all(p.grad is not None for p in method.attention.parameters())
    assert s.stages[0].tensor.grad is not None, "the bridge does not share the student's stages"
    assert s.stages[1].tensor.grad is None


def test_seed_queue_holds_the_last_teacher_embeddings() -> None:
    specs = make_specs()
    method = build("seedkd", specs, queue_rows=5)
    fed = []
    for rows in (3, 3, 2):
        t = make_outputs(specs.teacher, rows)
        method.loss(make_outputs(specs.student, rows), t, Batch(torch.zeros(rows).long()), 0.0)
        method.after_step()
        assert t.embedding is not None
        fed.extend((t.embedding / t.embedding.norm(dim=1, keepdim=True)).unbind())
    # eight rows went round a ring of five: rows 0 to 2 hold numbers 5 to 7, rows 3 and 4 numbers 3 and 4
    expected = torch.stack([fed[k] for k in (5, 6, 7, 3, 4)])
    torch.testing.assert_close(method.queue, expected)
    assert int(method.pointer) == 3
